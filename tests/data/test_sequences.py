import numpy as np
import pyarrow as pa
import pytest

from bazar.data.sequences import Sequences


@pytest.mark.parametrize("user_ids", [["a", "b", "é", "日"], ["b", "a", "日", "é"]])
def test_users_are_found_in_any_order_of_the_ids(user_ids: list[str]) -> None:
    sequences = Sequences(
        pa.array(user_ids, pa.large_string()), np.arange(1, 5, dtype=np.int32), np.arange(5)
    )
    assert [sequences.find_user(user) for user in user_ids] == [0, 1, 2, 3]
    assert [sequences.find_user(user) for user in ("", "aa", "z", "龍")] == [-1] * 4
    with pytest.raises(UnicodeEncodeError):
        sequences.find_user("\udcff")
