import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from bazar.data.counts import count_interactions
from bazar.data.sequences import Sequences, read_sequences
from bazar.data.splits import (
    Splits,
    find_cut_times,
    require_timestamps,
    sample_cold_items,
    split_cold_items,
    split_leave_one_out,
    split_shuffled_windows,
    split_temporal,
)
from bazar.data.windows import Windows, build_full_histories, build_interaction_rows
from bazar.errors import InputError

sequence_lists = st.lists(
    st.lists(st.integers(1, 9), min_size=2, max_size=15), min_size=1, max_size=8
)
shares = st.floats(0.01, 1)


@st.composite
def timed_lists(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]]]:
    """Draw sequences of items and their times, many of them equal."""
    lists = draw(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1))
    return lists, [
        sorted(draw(st.lists(st.integers(0, 20), min_size=len(items), max_size=len(items))))
        for items in lists
    ]


class Row(NamedTuple):
    """A row as plain Python, to compare with the rows of a view."""

    user: str
    history: list[int]
    target: int
    seen: list[int]


def sequences_of(lists: list[list[int]], times: list[list[int]] | None = None) -> Sequences:
    """Make sequences of items; each item is an order of its own."""
    unknown = [[None] * len(items) for items in lists]
    return replace(read(lists, unknown if times is None else times), orders=None)


def read(lists: list[list[int]], times: Sequence[Sequence[int | None]]) -> Sequences:
    """Read sequences in which each item is an order of its own."""
    users = [f"u{user:03}" for user in range(len(lists))]
    numbers = list(itertools.chain(*(range(1, len(items) + 1) for items in lists)))
    items = pa.table(
        {
            "item_index": pa.array(itertools.chain(*lists), pa.int32()),
            "timestamp": pa.array(itertools.chain(*times), pa.int64()),
            "order_number": pa.array(numbers, pa.int64()),
            "tie_number": pa.array(numbers, pa.int64()),
        }
    )
    return read_sequences(
        list_lengths(users, [len(items) for items in lists]), items.to_batches(max_chunksize=3), 1
    )


def list_lengths(users: list[str], lengths: list[int], guests: int = 0) -> pa.Table:
    """Return the table of users. The last ones are guests."""
    is_guest = [False] * (len(users) - guests) + [True] * guests
    return pa.table({"user_id": users, "length": lengths, "is_guest": is_guest})


def targets_of(windows: Windows) -> list[int]:
    """Return the target of each row. Each row must have one."""
    rows, items = windows.list_targets()
    assert rows.tolist() == list(range(len(windows)))
    assert items.dtype == np.int32
    return items.tolist()


def distinct(lists: list[list[int]]) -> list[list[int]]:
    """Make sequences of the same lengths without a repeated item: 1, 2, 3 and so on."""
    number = itertools.count(1)
    return [[next(number) for _ in items] for items in lists]


def rows_of(windows: Windows) -> list[Row]:
    histories = windows.build_histories()
    assert histories.dtype == np.int32
    # Padding is on the left, and not wider than the longest history requires.
    longest = max(1, *windows.lengths) if len(windows) else 1
    assert histories.shape == (len(windows), longest)
    for history, length in zip(histories, windows.lengths, strict=True):
        assert not history[: longest - length].any()
        assert history[longest - length :].all()
    rows, items = windows.list_seen_pairs()
    assert sorted(rows.tolist()) == rows.tolist()
    assert windows.n_seen.tolist() == np.bincount(rows, minlength=len(windows)).tolist()
    return [
        Row(user, history[history > 0].tolist(), target, items[rows == row].tolist())
        for row, (user, history, target) in enumerate(
            zip(windows.user_ids.to_pylist(), histories, targets_of(windows), strict=True)
        )
    ]


def row_at(user: int, items: list[int], position: int, length: int) -> Row:
    history = items[max(0, position - length) : position]
    return Row(f"u{user:03}", history, items[position], items[:position])


def split_parts(split: Splits) -> list[Windows]:
    return [split.train, split.validation, split.test]


def test_leave_one_out_by_hand() -> None:
    split = split_leave_one_out(
        sequences_of([[1, 2, 3, 4, 5], [6, 7], [8, 9, 1]]), 9, history_length=2
    )

    assert rows_of(split.train) == [("u000", [1], 2, [1]), ("u000", [1, 2], 3, [1, 2])]
    assert rows_of(split.validation) == [("u000", [2, 3], 4, [1, 2, 3]), ("u002", [8], 9, [8])]
    assert rows_of(split.test) == [
        ("u000", [3, 4], 5, [1, 2, 3, 4]), ("u001", [6], 7, [6]), ("u002", [8, 9], 1, [8, 9]),
    ]  # fmt: skip
    assert split.test.build_histories().tolist() == [[3, 4], [0, 6], [8, 9]]
    # u000 trains on 1 2 3, u002 on 8, u001 on nothing.
    assert split.training_counts.tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 1, 0]


def test_shuffled_windows_by_hand() -> None:
    split = split_shuffled_windows(
        sequences_of([[1, 2, 3, 4, 5], [6, 7], [8, 9, 1]]),
        9,
        window_length=3,
        test_share=0.25,
        validation_share=0.34,
        seed=42,
    )
    parts = [rows_of(part) for part in split_parts(split)]
    assert [len(part) for part in parts] == [1, 2, 1]
    assert sorted(itertools.chain(*parts)) == [
        ("u000", [1, 2], 3, [1, 2]),
        ("u000", [2, 3], 4, [1, 2, 3]),
        ("u000", [3, 4], 5, [1, 2, 3, 4]),
        ("u002", [8, 9], 1, [8, 9]),
    ]
    assert split.training_counts.sum() == 3


@given(sequence_lists, st.integers(1, 20))
def test_leave_one_out_agrees_with_a_simple_implementation(
    lists: list[list[int]], length: int
) -> None:
    split = split_leave_one_out(sequences_of(lists), 9, length)

    def held_out(back: int) -> list[Row]:
        return [
            row_at(user, items, len(items) - back, length)
            for user, items in enumerate(lists)
            if len(items) > back
        ]

    assert rows_of(split.train) == [
        row_at(user, items, position, length)
        for user, items in enumerate(lists)
        for position in range(1, len(items) - 2)
    ]
    assert rows_of(split.validation) == held_out(2)
    assert rows_of(split.test) == held_out(1)
    training_items = [item for items in lists for item in items[:-2]]
    assert split.training_counts.tolist() == [training_items.count(item) for item in range(10)]


@pytest.mark.parametrize("window", range(2, 11))
@given(sequence_lists, st.integers(0, 3))
def test_shuffled_windows_agree_with_a_simple_implementation(
    window: int, lists: list[list[int]], seed: int
) -> None:
    cut = [
        row_at(user, items, position, window - 1)
        for user, items in enumerate(lists)
        for position in range(window - 1, len(items))
    ]
    arguments = (sequences_of(lists), 9, window, 0.2, 0.1, seed)
    if len(cut) < 3:
        with pytest.raises(InputError, match="window_length"):
            split_shuffled_windows(*arguments)
        return
    split = split_shuffled_windows(*arguments)
    rest, test = train_test_split(range(len(cut)), test_size=0.2, random_state=seed)
    train, validation = train_test_split(rest, test_size=0.1, random_state=seed)
    for part, rows in zip(split_parts(split), (train, validation, test), strict=True):
        assert rows_of(part) == [cut[row] for row in rows]
        assert all(part.lengths == window - 1)
    training_items = [item for row in train for item in (*cut[row].history, cut[row].target)]
    assert split.training_counts.tolist() == [training_items.count(item) for item in range(10)]


@given(sequence_lists, st.integers(1, 9), st.sampled_from(["leave_one_out", "shuffled_windows"]))
def test_history_has_the_items_right_before_the_target(
    lists: list[list[int]], length: int, protocol: str
) -> None:
    lists = distinct(lists)
    sequences, number = sequences_of(lists), sum(map(len, lists))
    if protocol == "leave_one_out":
        split = split_leave_one_out(sequences, number, length)
    elif sum(max(0, len(items) - length) for items in lists) < 3:
        return
    else:
        split = split_shuffled_windows(sequences, number, length + 1, 0.2, 0.1, 42)
    owner = {item: f"u{user:03}" for user, items in enumerate(lists) for item in items}
    targets = [target for part in split_parts(split) for target in targets_of(part)]
    assert len(targets) == len(set(targets))
    for part in split_parts(split):
        assert part.build_histories().shape[1] <= length
        for user, history, target, seen in rows_of(part):
            # Items are numbered in order of time: the items right before the target, none later.
            assert history == list(range(target - len(history), target))
            assert 1 <= len(history) <= length
            assert seen == list(range(target - len(seen), target))
            assert seen[-len(history) :] == history
            assert {owner[item] for item in (*seen, target)} == {user}


@given(sequence_lists, st.integers(1, 20))
def test_training_rows_have_no_held_out_items(lists: list[list[int]], length: int) -> None:
    # All items are distinct, so that held-out items can be recognized.
    lists = distinct(lists)
    split = split_leave_one_out(sequences_of(lists), sum(map(len, lists)), length)
    held_out = {item for items in lists for item in items[-2:]}
    assert not held_out & set(targets_of(split.train))
    assert not held_out & set(split.train.build_histories().ravel().tolist())
    assert not split.training_counts[list(held_out)].any()


TIMED = [[1, 2, 3, 4, 5], [6, 7, 8], [9], [1, 2]]
TIMES = [[10, 20, 30, 30, 40], [20, 30, 31], [5], [35, 40]]


def test_temporal_by_hand() -> None:
    split = split_temporal(sequences_of(TIMED, TIMES), 9, 2, 30, 40)

    assert rows_of(split.train) == [("u000", [1], 2, [1])]
    # Both interactions of u000 at exactly the time of the cut are validation.
    assert rows_of(split.validation) == [
        ("u000", [1, 2], 3, [1, 2]), ("u000", [2, 3], 4, [1, 2, 3]),
        ("u001", [6], 7, [6]), ("u001", [6, 7], 8, [6, 7]),
    ]  # fmt: skip
    # The first interaction of u003 is a history; u002 has only a first interaction.
    assert rows_of(split.test) == [
        ("u000", [3, 4], 5, [1, 2, 3, 4]), ("u003", [1], 2, [1]),
    ]  # fmt: skip
    # Before 30: 1 and 2 of u000, 6 of u001, 9 of u002.
    assert split.training_counts.tolist() == [0, 1, 1, 0, 0, 0, 1, 0, 0, 1]
    # The last tenth of four interactions is one, at time 20; there are two at that time.
    assert split.recent_counts.tolist() == [0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert split.train.sequences is split.test.sequences


@given(timed_lists(), st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))
def test_temporal_agrees_with_a_simple_implementation(
    timed: tuple[list[list[int]], list[list[int]]], length: int, first: int, between: int
) -> None:
    lists, times = timed
    second = first + between
    expected: list[list[Row]] = [[], [], []]
    for user, items in enumerate(lists):
        for position in range(1, len(items)):
            part = (times[user][position] >= first) + (times[user][position] >= second)
            expected[part].append(row_at(user, items, position, length))
    arguments = (sequences_of(lists, times), 9, length, first, second)
    if not all(expected):
        sizes = r"{} training, {} validation and {} test rows".format(*map(len, expected))
        with pytest.raises(InputError, match=sizes):
            split_temporal(*arguments)
        return
    split = split_temporal(*arguments)
    assert [rows_of(part) for part in split_parts(split)] == expected
    training_items = [
        item
        for items, own in zip(lists, times, strict=True)
        for item, time in zip(items, own, strict=True)
        if time < first
    ]
    assert split.training_counts.tolist() == [training_items.count(item) for item in range(10)]


@given(timed_lists(), st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))
def test_temporal_rows_have_no_later_items(
    timed: tuple[list[list[int]], list[list[int]]], length: int, first: int, between: int
) -> None:
    lists, times = distinct(timed[0]), timed[1]
    # Items are distinct, so that each identifies its time.
    bought_at = dict(zip(itertools.chain(*lists), itertools.chain(*times), strict=True))
    second = first + between
    try:
        split = split_temporal(sequences_of(lists, times), len(bought_at), length, first, second)
    except InputError:
        return
    bounds = [(0, first), (first, second), (second, 99)]
    for part, (begin, end) in zip(split_parts(split), bounds, strict=True):
        for _, history, target, seen in rows_of(part):
            assert begin <= bought_at[target] < end
            assert all(bought_at[item] <= bought_at[target] for item in seen)
            assert set(history) <= set(seen)
    assert all(bought_at[item] < first for item in np.flatnonzero(split.training_counts))
    targets = [target for part in split_parts(split) for target in targets_of(part)]
    # The parts are disjoint, and leave out only first interactions.
    assert sorted(targets) == sorted(item for items in lists for item in items[1:])


def test_a_temporal_part_without_rows_raises() -> None:
    day = 86_400_000
    with pytest.raises(InputError) as error:
        split_temporal(sequences_of([[1, 2, 3]], [[0, day, 2 * day]]), 3, 2, day, 9 * day)
    assert str(error.value).splitlines() == [
        "split=temporal with validation from 1970-01-02T00:00:00.000+00:00 and test from "
        "1970-01-10T00:00:00.000+00:00, for purchases from 1970-01-01T00:00:00.000+00:00 to "
        "1970-01-03T00:00:00.000+00:00:",
        "0 training, 2 validation and 0 test rows. Every part needs at least one row.",
        "Set other sequencing.temporal.validation_from and test_from, or use split=leave_one_out.",
    ]


def test_cuts_by_share_are_times_of_interactions() -> None:
    times = np.array([70, 10, 100, 40, 90, 20, 50, 30, 80, 60])
    assert find_cut_times(times, 0.8, 0.9) == (90, 100)
    assert find_cut_times(times, 0.1, 0.95) == (20, 100)
    assert times.tolist() == [70, 10, 100, 40, 90, 20, 50, 30, 80, 60]


def test_a_cut_among_equal_times_moves_all_of_them_to_the_later_part() -> None:
    assert find_cut_times(np.array([1, 2, 2, 2, 2, 3, 4, 5, 6, 7]), 0.4, 0.9) == (2, 7)


def test_cuts_by_time_are_in_utc() -> None:
    in_berlin = datetime(2024, 3, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    cuts = find_cut_times(np.array([5]), in_berlin, datetime(2024, 3, 2, 0, 0, 0, 1000, tzinfo=UTC))
    assert cuts == (1_709_251_200_000, 1_709_337_600_001)


def test_a_share_and_a_time_can_be_combined() -> None:
    times = np.array([10, 20, 30, 40])
    assert find_cut_times(times, 0.5, datetime(1970, 1, 2, tzinfo=UTC)) == (30, 86_400_000)


@pytest.mark.parametrize("cuts", [(0.5, 0.6), (0.5, datetime(1970, 1, 1, tzinfo=UTC))])
def test_cuts_without_validation_raise(cuts: tuple) -> None:
    with pytest.raises(InputError, match=r"sequencing.temporal: .* from 1970-01-01T00:00:00.007"):
        find_cut_times(np.array([7, 7, 7, 7, 7]), *cuts)


def test_cold_items_by_hand() -> None:
    lists = [[1, 2, 3, 4, 5], [6, 3, 7], [3, 3, 9], [3, 8], [7, 1, 2, 3], [4]]
    split = split_cold_items(sequences_of(lists), 10, 2, np.array([3, 10], np.int32))

    # Without 3 and without the last items: 1 2 4 · 6 · none · none · 7 1 2 · none.
    assert rows_of(split.train) == [("u000", [1], 2, [1]), ("u004", [7], 1, [7])]
    assert rows_of(split.validation) == [
        ("u000", [1, 2], 4, [1, 2]), ("u004", [7, 1], 2, [7, 1]),
    ]  # fmt: skip
    assert rows_of(split.test) == [
        ("u000", [3, 4], 5, [1, 2, 3, 4]), ("u001", [6, 3], 7, [6, 3]),
        ("u002", [3, 3], 9, [3, 3]), ("u003", [3], 8, [3]), ("u004", [1, 2], 3, [7, 1, 2]),
    ]  # fmt: skip
    assert split.training_counts.tolist() == [0, 2, 1, 0, 0, 0, 0, 1, 0, 0, 0]
    for part in (split.train, split.validation):
        assert part.sequences.user_ids.to_pylist() == ["u000", "u001", "u004"]
        assert part.sequences.items.tolist() == [1, 2, 4, 6, 7, 1, 2]


@given(sequence_lists, st.integers(1, 20), st.floats(0.01, 0.99), st.integers(0, 5))
def test_cold_items_are_not_in_training_or_validation(
    lists: list[list[int]], length: int, share: float, seed: int
) -> None:
    sequences = sequences_of(lists)
    drawn = sample_cold_items(sequences, share, seed)
    cold = set(drawn.tolist())
    occurring = set(itertools.chain(*lists))
    assert cold <= occurring
    assert len(drawn) == len(cold) == max(1, round(share * len(occurring)))
    reduced = [[item for item in items[:-1] if item not in cold] for items in lists]
    train = [
        row_at(user, items, position, length)
        for user, items in enumerate(reduced)
        for position in range(1, len(items) - 1)
    ]
    if not train:
        with pytest.raises(InputError, match=r"0 training(.|\n)*smaller sequencing.cold_share"):
            split_cold_items(sequences, 9, length, drawn)
        return
    split = split_cold_items(sequences, 9, length, drawn)
    assert rows_of(split.train) == train
    assert rows_of(split.validation) == [
        row_at(user, items, len(items) - 1, length)
        for user, items in enumerate(reduced)
        if len(items) > 1
    ]
    # The reduced sequences have no test item either.
    assert split.train.sequences.items.tolist() == list(itertools.chain(*reduced))
    assert split.validation.sequences is split.train.sequences
    assert not cold & set(split.train.sequences.items.tolist())
    assert not split.training_counts[drawn].any()
    assert not split.recent_counts[drawn].any()
    training_items = [item for items in reduced for item in items[:-1]]
    assert split.training_counts.tolist() == [training_items.count(item) for item in range(10)]
    assert rows_of(split.test) == rows_of(split_leave_one_out(sequences, 9, length).test)


def test_cold_items_are_drawn_by_seed_from_occurring_items() -> None:
    sequences = sequences_of([list(range(10, 50)), list(range(30, 70))])
    first, again, other = (sample_cold_items(sequences, 0.25, seed) for seed in (42, 42, 43))
    assert first.tolist() == again.tolist() != other.tolist()
    assert len(first) == 15
    assert first.min() >= 10
    assert first.tolist() == sorted(first.tolist())


def test_recent_counts_by_hand() -> None:
    lists, times = [[1, 2, 3, 4], [5, 1, 6, 7, 8]], [[1, 2, 9, 9], [3, 3, 4, 9, 9]]
    sequences = sequences_of(lists, times)
    # Training: 1 at 1, 2 at 2 · 5 at 3, 1 at 3, 6 at 4.
    for share, recent in (
        (0.1, [0, 0, 0, 0, 0, 0, 1, 0, 0]),
        (0.4, [0, 1, 0, 0, 0, 1, 1, 0, 0]),
        (1.0, [0, 2, 1, 0, 0, 1, 1, 0, 0]),
    ):
        split = split_leave_one_out(sequences, 8, 5, share)
        assert split.recent_counts.tolist() == recent
        assert split.recent_counts.dtype == split.training_counts.dtype == np.int64
    # Without timestamps: 2 of u000, and 6 or 1 and 6 of u001.
    for share, recent in (
        (0.1, [0, 0, 1, 0, 0, 0, 1, 0, 0]),
        (0.6, [0, 1, 1, 0, 0, 0, 1, 0, 0]),
        (1.0, [0, 2, 1, 0, 0, 1, 1, 0, 0]),
    ):
        split = split_leave_one_out(sequences_of(lists), 8, 5, share)
        assert split.recent_counts.tolist() == recent


@given(timed_lists(), shares, st.booleans(), st.data())
def test_recent_counts_agree_with_a_simple_implementation(
    timed: tuple[list[list[int]], list[list[int]]],
    share: float,
    has_timestamps: bool,
    data: st.DataObject,
) -> None:
    lists, times = timed
    sequences = sequences_of(lists, times if has_timestamps else None)
    protocol = data.draw(
        st.sampled_from(
            ["leave_one_out", "cold_items", "shuffled_windows"] + ["temporal"] * has_timestamps
        )
    )
    positions = [list(range(len(items))) for items in lists]
    try:
        if protocol == "leave_one_out":
            split = split_leave_one_out(sequences, 9, 5, share)
            positions = [own[:-2] for own in positions]
        elif protocol == "cold_items":
            cold = sample_cold_items(sequences, 0.2, 1)
            split = split_cold_items(sequences, 9, 5, cold, share)
            positions = [
                [position for position in own[:-1] if items[position] not in cold][:-1]
                for items, own in zip(lists, positions, strict=True)
            ]
        elif protocol == "shuffled_windows":
            split = split_shuffled_windows(sequences, 9, 3, 0.3, 0.2, 42, share)
            ends = list(zip(split.train.users, split.train.n_seen, strict=True))
            positions = [
                [end - back for owner, end in ends if owner == user for back in range(3)]
                for user in range(len(lists))
            ]
        else:
            split = split_temporal(sequences, 9, 5, 8, 15, share)
            positions = [
                [position for position in own if times[user][position] < 8]
                for user, own in enumerate(positions)
            ]
    except InputError:
        return
    # Overlapping windows count an interaction several times, at the same time.
    different = [sorted(set(own)) for own in positions]
    if has_timestamps:
        order = sorted(
            times[user][position] for user, own in enumerate(different) for position in own
        )
        cut = order[-max(1, round(share * len(order)))] if order else 0
        recent = [
            {position for position in own if times[user][position] >= cut}
            for user, own in enumerate(different)
        ]
    else:
        recent = [set(own[-max(1, round(share * len(own))) :]) for own in different]
    for counts, counted in ((split.training_counts, different), (split.recent_counts, recent)):
        expected = Counter(
            lists[user][position] for user, own in enumerate(positions) for position in own
            if position in counted[user]
        )  # fmt: skip
        assert counts.tolist() == [expected[item] for item in range(10)]


@given(sequence_lists, st.integers(1, 9), st.data())
def test_views_can_be_combined(lists: list[list[int]], length: int, data: st.DataObject) -> None:
    test = split_leave_one_out(sequences_of(lists), 9, length).test
    rows = rows_of(test)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(rows))] * 2)))
    assert rows_of(test.slice_rows(start, stop)) == rows[start:stop]
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    assert rows_of(test.filter(keep)) == list(itertools.compress(rows, keep))
    taken = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    view = test.take(np.array(taken, np.int64))
    assert rows_of(view) == [rows[row] for row in taken]
    assert [rows_of(batch) for batch in view.iter_batches(2)] == [
        [rows[row] for row in taken[at : at + 2]] for at in range(0, len(taken), 2)
    ]
    assert view.sequences is test.sequences


def test_shuffled_windows_depend_on_the_seed() -> None:
    sequences = sequences_of([list(range(1, 100))])
    first, again, other = (
        targets_of(split_shuffled_windows(sequences, 99, 3, 0.2, 0.1, seed).test)
        for seed in (42, 42, 43)
    )
    assert first == again != other
    assert first != sorted(first)


@pytest.mark.parametrize(
    ("length", "message"), [(2, "more items than the 3"), (4, "4 items, but the users have 5")]
)
def test_lengths_that_differ_from_the_items_raise(length: int, message: str) -> None:
    users = list_lengths(["a", "b"], [1, length])
    items = pa.table(
        {
            "item_index": pa.array([1, 2, 3, 4], pa.int32()),
            "timestamp": [5, 6, 7, 8],
            "order_number": [1, 1, 2, 3],
            "tie_number": [1, 1, 2, 3],
        }
    )
    with pytest.raises(ValueError, match=message):
        read_sequences(users, items.to_batches(max_chunksize=2), 1)


CUSTOMERS, GUESTS = [[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 9], [9, 5, 2], [3]]


def with_guests() -> Sequences:
    """Return the sequences of two customers and three guests."""
    return replace(sequences_of([*CUSTOMERS, *GUESTS]), guests=np.array([2, 3, 4]))


def test_orders_of_guests_are_only_in_training() -> None:
    split = split_leave_one_out(with_guests(), 9, 5)
    alone = split_leave_one_out(sequences_of(CUSTOMERS), 9, 5)
    assert rows_of(split.test) == rows_of(alone.test)
    assert rows_of(split.validation) == rows_of(alone.validation)
    of_guests = [row for row in rows_of(split.train) if row not in rows_of(alone.train)]
    assert [(row.history, row.target) for row in of_guests] == [([1], 9), ([9], 5), ([9, 5], 2)]
    counts = split.training_counts - alone.training_counts
    assert counts.tolist() == [0, 1, 1, 1, 0, 1, 0, 0, 0, 2]


def test_later_orders_of_guests_are_in_no_part() -> None:
    times = np.array([1, 2, 3, 4, 1, 2, 3, 4, 1, 1, 3, 3, 3, 4])
    split = split_temporal(replace(with_guests(), timestamps=times), 9, 5, 3, 4)
    assert [row.target for row in rows_of(split.train)] == [2, 6, 9]
    assert [row.target for row in rows_of(split.validation)] == [3, 7]
    assert [row.target for row in rows_of(split.test)] == [4, 8]
    assert split.training_counts.tolist() == [0, 2, 1, 0, 0, 1, 1, 0, 0, 1]


def test_guests_have_no_test_rows_in_the_other_splits() -> None:
    cold = split_cold_items(with_guests(), 9, 5, np.array([5]))
    alone = split_cold_items(sequences_of(CUSTOMERS), 9, 5, np.array([5]))
    assert rows_of(cold.test) == rows_of(alone.test)
    assert rows_of(cold.validation) == rows_of(alone.validation)
    assert ([9], 2) in [(row.history, row.target) for row in rows_of(cold.train)]
    windows = split_shuffled_windows(with_guests(), 9, 2, 0.2, 0.2, seed=1)
    held_out = [*rows_of(windows.validation), *rows_of(windows.test)]
    assert {row.user for row in held_out} <= {"u000", "u001"}
    assert {"u002", "u003"} <= {row.user for row in rows_of(windows.train)}


def test_times_are_read_with_the_items() -> None:
    sequences = read([[1, 2, 3], [4, 5]], [[10, 20, 30], [5, 1_700_000_000_000]])
    timestamps = sequences.timestamps
    assert sequences.items.tolist() == [1, 2, 3, 4, 5]
    assert timestamps is not None
    assert timestamps.dtype == np.int64
    assert timestamps.tolist() == [10, 20, 30, 5, 1_700_000_000_000]


@pytest.mark.parametrize("position", range(5))
def test_one_unknown_time_makes_a_temporal_split_impossible(position: int) -> None:
    times: list[list[int | None]] = [[1, 2, 3, 4, 5]]
    times[0][position] = None
    sequences = read([[1, 2, 3, 4, 5]], times)
    assert sequences.items.tolist() == [1, 2, 3, 4, 5]
    assert sequences.untimed.tolist() == [position]
    with pytest.raises(InputError, match=r"split=temporal needs(.|\n)*columns.timestamp"):
        require_timestamps(sequences)


@given(sequence_lists)
def test_arrow_round_trip(lists: list[list[int]]) -> None:
    for windows in split_parts(split_leave_one_out(sequences_of(lists), 9, 4)):
        again = Windows.from_arrow(windows.to_arrow())
        assert rows_of(again) == rows_of(windows)
        assert again.history_length == windows.history_length


def test_arrow_tables_with_other_columns_raise() -> None:
    with pytest.raises(InputError, match=r"found user_id, history\.\nRun the pipeline sequencing"):
        Windows.from_arrow(pa.table({"user_id": ["a"], "history": [[1, 2]]}))


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=8))
def test_full_histories_end_with_the_last_item(lists: list[list[int]]) -> None:
    rows = build_full_histories(sequences_of(lists), history_length=4)
    assert len(rows) == len(lists)
    for items, history in zip(lists, rows.build_histories(), strict=True):
        assert [item for item in history if item] == items[-4:]
    assert rows.user_ids.equals(sequences_of(lists).user_ids)
    assert rows.n_seen.tolist() == [len(items) for items in lists]
    seen = [set() for _ in lists]
    for row, item in zip(*rows.list_seen_pairs(), strict=True):
        seen[row].add(int(item))
    assert seen == [set(items) for items in lists]


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=8))
def test_interaction_rows_leave_out_first_interactions(lists: list[list[int]]) -> None:
    rows = build_interaction_rows(build_full_histories(sequences_of(lists), history_length=4))
    found = [
        ([int(item) for item in history if item], target)
        for history, target in zip(rows.build_histories(), targets_of(rows), strict=True)
    ]
    expected = [
        (items[max(0, position - 4) : position], items[position])
        for items in lists
        for position in range(1, len(items))
    ]
    assert found == expected


def test_interactions_are_counted_in_total_and_recently() -> None:
    counts, recent = count_interactions(
        sequences_of([[1, 2, 2], [3, 1]], [[1, 2, 9], [3, 8]]), 4, recent_share=0.4
    )
    assert counts.tolist() == [0, 2, 2, 1, 0]
    assert recent.tolist() == [0, 1, 1, 0, 0]
