import itertools
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from bazar.errors import InputError
from bazar.windows import Sequences, Split, Windows, leave_one_out, paper_windows

sequence_lists = st.lists(
    st.lists(st.integers(1, 9), min_size=2, max_size=15), min_size=1, max_size=8
)


class Row(NamedTuple):
    """A row as plain Python: what a view must show."""

    user: str
    history: list[int]
    target: int
    seen: list[int]


def sequences_of(lists: list[list[int]]) -> Sequences:
    users = [f"u{user:03}" for user in range(len(lists))]
    items = pa.table({"item_index": pa.array(itertools.chain(*lists), pa.int32())})
    return Sequences.from_arrow(
        pa.table({"user_id": users, "length": [len(items) for items in lists]}),
        items.to_batches(max_chunksize=3),
    )


def distinct(lists: list[list[int]]) -> list[list[int]]:
    """Sequences of these lengths in which no item stands twice: 1, 2, 3 and so on."""
    number = itertools.count(1)
    return [[next(number) for _ in items] for items in lists]


def rows_of(windows: Windows) -> list[Row]:
    histories = windows.histories()
    assert histories.dtype == windows.targets.dtype == np.int32
    # Padding is on the left, and no wider than the longest history needs.
    longest = max(1, *windows.lengths) if len(windows) else 1
    assert histories.shape == (len(windows), longest)
    for history, length in zip(histories, windows.lengths, strict=True):
        assert not history[: longest - length].any()
        assert history[longest - length :].all()
    rows, items = windows.seen_pairs()
    assert sorted(rows.tolist()) == rows.tolist()
    assert windows.n_seen.tolist() == np.bincount(rows, minlength=len(windows)).tolist()
    return [
        Row(user, history[history > 0].tolist(), int(target), items[rows == row].tolist())
        for row, (user, history, target) in enumerate(
            zip(windows.user_ids.to_pylist(), histories, windows.targets, strict=True)
        )
    ]


def row_at(user: int, items: list[int], place: int, length: int) -> Row:
    return Row(f"u{user:03}", items[max(0, place - length) : place], items[place], items[:place])


def parts_of(split: Split) -> list[Windows]:
    return [split.train, split.validation, split.test]


def test_leave_one_out_by_hand() -> None:
    split = leave_one_out(sequences_of([[1, 2, 3, 4, 5], [6, 7], [8, 9, 1]]), 9, history_length=2)

    assert rows_of(split.train) == [("u000", [1], 2, [1]), ("u000", [1, 2], 3, [1, 2])]
    assert rows_of(split.validation) == [("u000", [2, 3], 4, [1, 2, 3]), ("u002", [8], 9, [8])]
    assert rows_of(split.test) == [
        ("u000", [3, 4], 5, [1, 2, 3, 4]), ("u001", [6], 7, [6]), ("u002", [8, 9], 1, [8, 9]),
    ]  # fmt: skip
    assert split.test.histories().tolist() == [[3, 4], [0, 6], [8, 9]]
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
    parts = [rows_of(part) for part in parts_of(split)]
    assert [len(part) for part in parts] == [1, 2, 1]
    assert sorted(itertools.chain(*parts)) == [
        ("u000", [1, 2], 3, [1, 2]),
        ("u000", [2, 3], 4, [1, 2, 3]),
        ("u000", [3, 4], 5, [1, 2, 3, 4]),
        ("u002", [8, 9], 1, [8, 9]),
    ]
    assert split.training_counts.sum() == 3


@given(sequence_lists, st.integers(1, 20))
def test_leave_one_out_is_the_naive_one(lists: list[list[int]], length: int) -> None:
    split = leave_one_out(sequences_of(lists), 9, length)

    def held_out(back: int) -> list[Row]:
        return [
            row_at(user, items, len(items) - back, length)
            for user, items in enumerate(lists)
            if len(items) > back
        ]

    assert rows_of(split.train) == [
        row_at(user, items, place, length)
        for user, items in enumerate(lists)
        for place in range(1, len(items) - 2)
    ]
    assert rows_of(split.validation) == held_out(2)
    assert rows_of(split.test) == held_out(1)
    taught = [item for items in lists for item in items[:-2]]
    assert split.training_counts.tolist() == [taught.count(item) for item in range(10)]


@pytest.mark.parametrize("window", range(2, 11))
@given(sequence_lists, st.integers(0, 3))
def test_paper_windows_are_the_naive_ones(window: int, lists: list[list[int]], seed: int) -> None:
    cut = [
        row_at(user, items, place, window - 1)
        for user, items in enumerate(lists)
        for place in range(window - 1, len(items))
    ]
    arguments = (sequences_of(lists), 9, window, 0.2, 0.1, seed)
    if len(cut) < 3:
        with pytest.raises(InputError, match="window_length"):
            paper_windows(*arguments)
        return
    split = paper_windows(*arguments)
    rest, test = train_test_split(range(len(cut)), test_size=0.2, random_state=seed)
    train, validation = train_test_split(rest, test_size=0.1, random_state=seed)
    for part, rows in zip(parts_of(split), (train, validation, test), strict=True):
        assert rows_of(part) == [cut[row] for row in rows]
        assert all(part.lengths == window - 1)
    taught = [item for row in train for item in (*cut[row].history, cut[row].target)]
    assert split.training_counts.tolist() == [taught.count(item) for item in range(10)]


@given(sequence_lists, st.integers(1, 9), st.sampled_from(["leave_one_out", "paper_windows"]))
def test_a_history_is_what_its_user_bought_right_before(
    lists: list[list[int]], length: int, protocol: str
) -> None:
    lists = distinct(lists)
    sequences, number = sequences_of(lists), sum(map(len, lists))
    if protocol == "leave_one_out":
        split = leave_one_out(sequences, number, length)
    elif sum(max(0, len(items) - length) for items in lists) < 3:
        return
    else:
        split = paper_windows(sequences, number, length + 1, 0.2, 0.1, 42)
    owner = {item: f"u{user:03}" for user, items in enumerate(lists) for item in items}
    targets = [target for part in parts_of(split) for target in part.targets.tolist()]
    assert len(targets) == len(set(targets))
    for part in parts_of(split):
        assert part.histories().shape[1] <= length
        for user, history, target, seen in rows_of(part):
            # Items are numbered in the order of their time: those right before, and no later one.
            assert history == list(range(target - len(history), target))
            assert 1 <= len(history) <= length
            assert seen == list(range(target - len(seen), target))
            assert seen[-len(history) :] == history
            assert {owner[item] for item in (*seen, target)} == {user}


@given(sequence_lists, st.integers(1, 20))
def test_no_training_row_knows_what_is_held_out(lists: list[list[int]], length: int) -> None:
    # Distinct items everywhere: an item of a held-out place can be told from all others.
    lists = distinct(lists)
    split = leave_one_out(sequences_of(lists), sum(map(len, lists)), length)
    held_out = {item for items in lists for item in items[-2:]}
    assert not held_out & set(split.train.targets.tolist())
    assert not held_out & set(split.train.histories().ravel().tolist())
    assert not split.training_counts[list(held_out)].any()


@given(sequence_lists, st.integers(1, 9), st.data())
def test_a_view_on_a_view_is_a_view(
    lists: list[list[int]], length: int, data: st.DataObject
) -> None:
    test = leave_one_out(sequences_of(lists), 9, length).test
    rows = rows_of(test)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(rows))] * 2)))
    assert rows_of(test.rows(start, stop)) == rows[start:stop]
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    assert rows_of(test.where(keep)) == list(itertools.compress(rows, keep))
    taken = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    view = test.take(np.array(taken, np.int64))
    assert rows_of(view) == [rows[row] for row in taken]
    assert [rows_of(batch) for batch in view.batches(2)] == [
        [rows[row] for row in taken[at : at + 2]] for at in range(0, len(taken), 2)
    ]
    assert view.sequences is test.sequences


def test_paper_windows_are_shuffled_by_the_seed() -> None:
    sequences = sequences_of([list(range(1, 100))])
    first, again, other = (
        paper_windows(sequences, 99, 3, 0.2, 0.1, seed).test.targets.tolist()
        for seed in (42, 42, 43)
    )
    assert first == again != other
    assert first != sorted(first)


@pytest.mark.parametrize(("length", "told"), [(2, "more items than the 3"), (4, "4 items, but")])
def test_lengths_that_do_not_fit_the_items_are_refused(length: int, told: str) -> None:
    users = pa.table({"user_id": ["a", "b"], "length": [1, length]})
    items = pa.table({"item_index": pa.array([1, 2, 3, 4], pa.int32())})
    with pytest.raises(ValueError, match=told):
        Sequences.from_arrow(users, items.to_batches(max_chunksize=2))


@given(sequence_lists)
def test_arrow_round_trip(lists: list[list[int]]) -> None:
    for windows in parts_of(leave_one_out(sequences_of(lists), 9, 4)):
        again = Windows.from_arrow(windows.to_arrow())
        assert rows_of(again) == rows_of(windows)
        assert again.history_length == windows.history_length


def test_other_arrow_tables_are_refused() -> None:
    with pytest.raises(InputError, match=r"found user_id, history; run the pipeline sequencing"):
        Windows.from_arrow(pa.table({"user_id": ["a"], "history": [[1, 2]]}))
