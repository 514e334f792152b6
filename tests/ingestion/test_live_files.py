import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.ingestion.live_files import find_last_sequence, name_live_purchases


def name_files(*bounds: int) -> list[str]:
    """Return the names of files that follow one another, from their last sequences."""
    return [
        f"live/{name_live_purchases(first + 1, last)}"
        for first, last in zip((0, *bounds), bounds, strict=False)
    ]


@given(st.sets(st.integers(1, 2**62), max_size=8), st.randoms())
def test_last_sequence_is_the_end_of_the_last_file(
    bounds: set[int], shuffled: random.Random
) -> None:
    names = ["orders.csv", "live/.1a2b.live_purchases_x.parquet", *name_files(*sorted(bounds))]
    shuffled.shuffle(names)
    assert find_last_sequence(names) == max(bounds, default=0)


def test_names_sort_like_their_ranges() -> None:
    names = name_files(5, 11, 200, 10**9)
    assert sorted(names) == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (name_files(5, 11, 20)[::2], "The live purchases 6 to 11 are missing"),
        (name_files(5, 11)[1:], "purchases 1 to 5 are missing: no file is between the first"),
        (["old/" + name_files(5)[0], *name_files(5)], "contain the same live purchases: 1 to 5"),
        ([*name_files(9, 11), name_live_purchases(8, 12)], "the same live purchases: 8 to 9"),
        (["live_purchases_0_4.parquet"], "live_purchases_0_4.parquet must be named"),
        (["live_purchases_5_4.parquet"], "must be named live_purchases_<first>_<last>.parquet"),
        (["a/live_purchases_1_4 (copy).parquet"], "Give it the name that bazar"),
    ],
)
def test_gaps_overlaps_and_other_names_raise(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        find_last_sequence(names)
