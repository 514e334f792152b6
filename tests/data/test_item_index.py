import ibis
import pytest

from bazar.data.item_index import (
    check_catalogue_size,
    count_dataset,
    count_items,
    list_item_ids,
    read_item_texts,
)
from bazar.errors import InputError


def test_a_catalogue_of_another_size_raises() -> None:
    index = ibis.memtable({"item_id": ["a", "b"], "item_index": [1, 2]})
    check_catalogue_size(2, index, "item_vectors", "embedding")
    with pytest.raises(
        InputError, match=r"item_vectors was made for 3 items.* has 2[^!]*pipeline embedding"
    ):
        check_catalogue_size(3, index, "item_vectors", "embedding")


def test_items_are_counted_and_listed_by_index() -> None:
    index = ibis.memtable({"item_id": ["b", "a"], "item_index": [2, 1]})
    sequences = ibis.memtable(
        {
            "user_id": ["u", "u", "v", "guest order 1"],
            "item_index": [1, 2, 1, 1],
            "is_guest": [False, False, False, True],
        }
    )
    assert count_items(index) == 2
    assert list_item_ids(index).tolist() == ["", "a", "b"]
    assert count_dataset(sequences, index) == {
        "n_users": 2, "n_guests": 1, "n_interactions": 4, "n_items": 2,
    }  # fmt: skip


def test_texts_are_in_order_of_the_item_index() -> None:
    products = ibis.memtable(
        {"item_id": ["b", "a", "c"], "title": ["B", None, "C"], "attributes": ["x", "y", None]}
    )
    index = ibis.memtable({"item_id": ["c", "a", "b"], "item_index": [1, 2, 3]})
    texts = read_item_texts(products, index)
    assert texts.titles.tolist() == [None, "C", None, "B"]
    assert texts.attributes.tolist() == [None, None, "y", "x"]
    again = read_item_texts(products, index).to_bytes()
    assert again.tolist() == texts.to_bytes().tolist()
    renamed = read_item_texts(products.mutate(title=products.title + "x"), index)
    assert again.tolist() != renamed.to_bytes().tolist()
