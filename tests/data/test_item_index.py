import ibis
import pytest

from bazar.data.item_index import check_size
from bazar.errors import InputError


def test_what_was_made_for_another_catalogue_is_refused() -> None:
    index = ibis.memtable({"item_id": ["a", "b"], "item_index": [1, 2]})
    check_size(2, index, "item_vectors", "embedding")
    with pytest.raises(
        InputError, match=r"item_vectors was made for 3 items.* has 2[^!]*embedding"
    ):
        check_size(3, index, "item_vectors", "embedding")
