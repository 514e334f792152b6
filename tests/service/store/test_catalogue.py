import numpy as np
import pytest

from bazar.errors import InputError
from bazar.service.live import ItemState, NewItem
from bazar.service.store import Changes, ItemChange, LiveStore


def test_new_store_has_no_changes(store: LiveStore) -> None:
    assert store.read_changes() == Changes(0, {}, [])


def test_change_leaves_the_other_fields_as_they_are(store: LiveStore) -> None:
    store.change_items([ItemChange("a", in_stock=False)])
    store.change_items([ItemChange("a", price=2.5)])
    store.change_items([ItemChange("a", is_hidden=True), ItemChange("b", price=1)])
    changes = store.read_changes()
    assert changes.item_states == {
        "a": ItemState("a", in_stock=False, price=2.5, is_hidden=True),
        "b": ItemState("b", in_stock=None, price=1.0, is_hidden=False),
    }
    store.change_items([ItemChange("a", in_stock=True, is_hidden=False)])
    later = store.read_changes(changes.revision)
    assert later.item_states == {"a": ItemState("a", in_stock=True, price=2.5, is_hidden=False)}


def test_last_change_of_an_item_in_one_call_counts(store: LiveStore) -> None:
    store.change_items([ItemChange("a", price=1), ItemChange("a", price=2)])
    assert store.read_changes().item_states["a"].price == 2


def test_every_change_has_a_later_revision(store: LiveStore) -> None:
    revisions = [
        store.change_items([ItemChange("a", in_stock=True)]),
        store.add_items([NewItem("n")]),
        store.change_items([ItemChange("a", in_stock=True)]),
    ]
    assert revisions == sorted(set(revisions))
    for revision in revisions:
        assert store.read_changes(revision).revision == revisions[-1]
    assert store.read_changes(revisions[-1]) == Changes(revisions[-1], {}, [])
    middle = store.read_changes(revisions[0])
    assert list(middle.item_states) == ["a"]
    assert [item.item_id for item in middle.new_items] == ["n"]


def test_other_store_sees_a_change_at_once(store: LiveStore, url: str) -> None:
    other = LiveStore(url)
    store.change_items([ItemChange("a", in_stock=False)])
    assert other.read_changes().item_states["a"].in_stock is False
    other.close()


def test_new_item_comes_back_with_its_vector(store: LiveStore) -> None:
    vector = np.random.default_rng(1).standard_normal(384).astype(np.float32)
    item = NewItem("n", "Tea, grün 茶", "Brand, Tea", "tea", vector)
    store.add_items([item, NewItem("m")])
    found = {item.item_id: item for item in store.read_changes().new_items}
    assert found["m"] == NewItem("m")
    assert found["n"].vector is not None
    assert found["n"].vector.dtype == np.float32
    np.testing.assert_array_equal(found["n"].vector, vector)
    assert (found["n"].title, found["n"].attributes) == (item.title, item.attributes)
    assert found["n"].variant_group == "tea"


def test_item_that_is_added_again_is_replaced(store: LiveStore) -> None:
    store.add_items([NewItem("n", "Old", "Brand", "group", np.ones(2, np.float32))])
    revision = store.add_items([NewItem("m", "Other")])
    store.add_items([NewItem("n", "New")])
    assert store.read_changes(revision).new_items == [NewItem("n", "New")]
    assert [item.item_id for item in store.read_changes().new_items] == ["m", "n"]


def test_invalid_changes_store_nothing(store: LiveStore) -> None:
    with pytest.raises(InputError, match="price must be a finite number, got inf"):
        store.change_items([ItemChange("a", price=1), ItemChange("b", price=float("inf"))])
    with pytest.raises(InputError, match="item_id must not be empty"):
        store.change_items([ItemChange("")])
    with pytest.raises(InputError, match="title must have at most 10000 characters"):
        store.add_items([NewItem("n", "t" * 10_001)])
    with pytest.raises(InputError, match=r"got the shape \(1, 2\)"):
        store.add_items([NewItem("n", vector=np.ones((1, 2), np.float32))])
    with pytest.raises(InputError, match=r"vector must have .* finite numbers"):
        store.add_items([NewItem("n", vector=np.array([np.nan], np.float32))])
    with pytest.raises(InputError, match="at most 10000 changes, got 10001"):
        store.change_items([ItemChange("a")] * 10_001)
    assert store.read_changes().revision == 0
