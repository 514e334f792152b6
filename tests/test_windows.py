import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.windows import Sequences, Windows, leave_one_out, paper_windows

sequence_lists = st.lists(
    st.lists(st.integers(1, 9), min_size=2, max_size=15), min_size=1, max_size=8
)


def sequences_of(lists: list[list[int]]) -> Sequences:
    return Sequences.from_table(
        pa.table(
            {
                "user_id": [f"u{user:03}" for user, items in enumerate(lists) for _ in items],
                "item_index": pa.array([item for items in lists for item in items], pa.int32()),
            }
        )
    )


def rows_of(windows: Windows) -> list[tuple[str, list[int], int]]:
    return [
        (user, history.tolist(), int(target))
        for user, history, target in zip(
            windows.user_ids.to_pylist(), windows.histories, windows.targets, strict=True
        )
    ]


def test_leave_one_out_by_hand() -> None:
    split = leave_one_out(sequences_of([[1, 2, 3, 4, 5], [6, 7], [8, 9, 1]]), 9, history_length=2)

    assert rows_of(split.train) == [("u000", [0, 1], 2), ("u000", [1, 2], 3)]
    assert rows_of(split.validation) == [("u000", [2, 3], 4), ("u002", [0, 8], 9)]
    assert rows_of(split.test) == [("u000", [3, 4], 5), ("u001", [0, 6], 7), ("u002", [8, 9], 1)]
    assert split.test.seen.to_pylist() == [[1, 2, 3, 4], [6], [8, 9]]
    assert split.validation.seen.to_pylist() == [[1, 2, 3], [8]]
    # u000 trains on 1 2 3, u002 on 8, u001 on nothing.
    assert split.training_counts.tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 1, 0]


def test_paper_windows_by_hand() -> None:
    split = paper_windows(
        sequences_of([[1, 2, 3, 4, 5], [6, 7], [8, 9, 1]]),
        9,
        window_length=3,
        test_share=0.25,
        validation_share=0.34,
        seed=42,
    )
    parts = [rows_of(part) for part in (split.train, split.validation, split.test)]
    assert [len(part) for part in parts] == [1, 2, 1]
    assert sorted(itertools.chain(*parts)) == [
        ("u000", [1, 2], 3),
        ("u000", [2, 3], 4),
        ("u000", [3, 4], 5),
        ("u002", [8, 9], 1),
    ]
    assert split.training_counts.sum() == 3


@given(sequence_lists, st.integers(1, 20))
def test_leave_one_out_holds_out_the_last_items(lists: list[list[int]], length: int) -> None:
    split = leave_one_out(sequences_of(lists), 9, length)

    assert split.test.targets.tolist() == [items[-1] for items in lists]
    assert split.validation.targets.tolist() == [items[-2] for items in lists if len(items) > 2]
    assert len(split.train) == sum(max(0, len(items) - 3) for items in lists)
    for part, cut in ((split.test, 1), (split.validation, 2)):
        held = [items for items in lists if len(items) > cut]
        for history, items in zip(part.histories, held, strict=True):
            expected = items[: len(items) - cut][-length:]
            assert history.tolist() == [0] * (length - len(expected)) + expected
        assert part.seen.to_pylist() == [items[: len(items) - cut] for items in held]
    assert split.training_counts.sum() == sum(max(0, len(items) - 2) for items in lists)


@given(sequence_lists, st.integers(1, 20))
def test_no_training_row_knows_what_is_held_out(lists: list[list[int]], length: int) -> None:
    # Distinct items everywhere: an item of a held-out place can be told from all others.
    distinct, number = [], 0
    for items in lists:
        distinct.append(list(range(number + 1, number + len(items) + 1)))
        number += len(items)
    split = leave_one_out(sequences_of(distinct), number, length)
    held_out = {item for items in distinct for item in items[-2:]}
    assert not held_out & set(split.train.targets.tolist())
    assert not held_out & set(split.train.histories.ravel().tolist())
    assert not split.training_counts[list(held_out)].any()


@given(sequence_lists, st.integers(2, 10))
def test_windows_are_slices_of_their_sequence(lists: list[list[int]], window: int) -> None:
    expected = sorted(
        (f"u{user:03}", items[at : at + window - 1], items[at + window - 1])
        for user, items in enumerate(lists)
        for at in range(len(items) - window + 1)
    )
    arguments = (sequences_of(lists), 9, window, 0.2, 0.1, 42)
    if len(expected) < 3:
        with pytest.raises(InputError, match="window_length"):
            paper_windows(*arguments)
        return
    split = paper_windows(*arguments)
    parts = [rows_of(part) for part in (split.train, split.validation, split.test)]
    assert sorted(itertools.chain(*parts)) == expected


def test_paper_windows_are_shuffled_by_the_seed() -> None:
    sequences = sequences_of([list(range(1, 100))])
    first, again, other = (
        paper_windows(sequences, 99, 3, 0.2, 0.1, seed).test.targets.tolist()
        for seed in (42, 42, 43)
    )
    assert first == again != other
    assert first != sorted(first)


def test_unsorted_sequences_are_refused() -> None:
    table = pa.table({"user_id": ["a", "b", "a"], "item_index": pa.array([1, 2, 3], pa.int32())})
    with pytest.raises(ValueError, match="not sorted"):
        Sequences.from_table(table)


@given(sequence_lists)
def test_arrow_round_trip(lists: list[list[int]]) -> None:
    for part in (lambda split: split.train, lambda split: split.test):
        windows = part(leave_one_out(sequences_of(lists), 9, 4))
        again = Windows.from_arrow(windows.to_arrow())
        assert rows_of(again) == rows_of(windows)
        assert again.seen.to_pylist() == windows.seen.to_pylist()


def test_seen_pairs_and_slices() -> None:
    test = leave_one_out(sequences_of([[1, 2, 3], [4, 5], [6, 7, 8]]), 9, 4).test
    rows, items = test.seen_pairs()
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == [
        (0, 1), (0, 2), (1, 4), (2, 6), (2, 7),
    ]  # fmt: skip
    rows, items = test.rows(1, 3).seen_pairs()
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == [(0, 4), (1, 6), (1, 7)]
    assert rows_of(test.where(np.array([False, True, False]))) == [("u001", [0, 0, 0, 4], 5)]
