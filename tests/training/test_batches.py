"""Batches: each target once, after its own history, in a few shapes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows
from bazar.training.batches import Batch, Batches
from tests.data.test_splits import distinct, sequence_lists, sequences_of

both_kinds = pytest.mark.parametrize("every_position", [True, False])


def all_rows(lists: list[list[int]], history_length: int, chosen: list[bool]) -> Windows:
    """Make rows for the first of all items with an item before them, and for the chosen ones."""
    sequences = sequences_of(lists)
    positions = np.setdiff1d(np.arange(len(sequences.items)), sequences.starts)
    keep = np.resize(np.array(chosen), len(positions))
    keep[0] = True
    return Windows(sequences, positions[keep], history_length)


def list_targets(batch: Batch) -> list[tuple[list[int], int]]:
    """List the items before each target in its row, and the target."""
    steps = batch.histories.shape[1]
    inside = batch.histories > 0
    # Items come first, then padding.
    assert (inside[:, 1:] <= inside[:, :-1]).all()
    found = []
    for position, target, weight in zip(
        batch.positions.tolist(), batch.targets.tolist(), batch.weights.tolist(), strict=True
    ):
        if not weight:
            assert position == target == 0
            continue
        assert weight == 1
        row, step = divmod(position, steps)
        found.append((batch.histories[row, : step + 1].tolist(), target))
    return found


@given(
    lists=sequence_lists.map(distinct),
    history_length=st.integers(1, 6),
    batch_size=st.integers(1, 20),
    chosen=st.lists(st.booleans(), min_size=1, max_size=7),
    every_position=st.booleans(),
    seed=st.one_of(st.none(), st.integers(0, 5)),
)
def test_every_target_occurs_once_after_its_own_history(
    lists: list[list[int]],
    history_length: int,
    batch_size: int,
    chosen: list[bool],
    every_position: bool,
    seed: int | None,
) -> None:
    rows = all_rows(lists, history_length, chosen)
    # No item occurs twice: the target identifies its row.
    before = {
        items[index]: items[max(0, index - history_length) : index]
        for items in lists
        for index in range(1, len(items))
    }
    batches = Batches(rows, batch_size, every_position, seed)
    for epoch in (0, 3):
        found = [pair for batch in batches.batches(epoch) for pair in list_targets(batch)]
        assert sorted(target for _, target in found) == sorted(rows.targets.tolist())
        for history, target in found:
            assert 0 not in history
            if every_position:
                # A piece may start later than the history.
                assert history == before[target][-len(history) :]
            else:
                assert history == before[target]


@given(
    lists=sequence_lists.map(distinct),
    history_length=st.integers(1, 6),
    batch_size=st.integers(1, 20),
    every_position=st.booleans(),
    unreadable=st.sets(st.integers(1, 60)),
)
def test_unreadable_items_are_dropped_from_histories(
    lists: list[list[int]],
    history_length: int,
    batch_size: int,
    every_position: bool,
    unreadable: set[int],
) -> None:
    rows = all_rows(lists, history_length, [True])
    readable_items = np.ones(int(rows.sequences.items.max()) + 1, bool)
    readable_items[[item for item in unreadable if item < len(readable_items)]] = False

    def list_pairs(batches: Batches) -> list[tuple[list[int], int]]:
        return [pair for batch in batches.batches(0) for pair in list_targets(batch)]

    everything = list_pairs(Batches(rows, batch_size, every_position, 1))
    found = list_pairs(Batches(rows, batch_size, every_position, 1, readable_items))
    expected = [
        (list(filter(readable_items.__getitem__, history)), target)
        for history, target in everything
    ]
    # Targets without a readable item in their history are left out.
    assert found == [pair for pair in expected if pair[0]]


@given(
    lists=sequence_lists.map(distinct),
    history_length=st.integers(1, 20),
    batch_size=st.integers(1, 20),
)
def test_pieces_are_cut_from_the_end_backwards(
    lists: list[list[int]], history_length: int, batch_size: int
) -> None:
    rows = all_rows(lists, history_length, [True])
    batches = Batches(rows, batch_size, every_position=True, seed=1)
    found = [pair for batch in batches.batches(0) for pair in list_targets(batch)]
    n_read = {target: len(history) for history, target in found}
    for items in lists:
        for back, index in enumerate(range(len(items) - 1, 0, -1)):
            piece_starts = max(0, len(items) - 1 - (back // history_length + 1) * history_length)
            assert n_read[items[index]] == index - piece_starts


@given(
    lists=sequence_lists,
    history_length=st.integers(1, 6),
    batch_size=st.integers(6, 20),
    every_position=st.booleans(),
)
def test_batches_have_few_shapes(
    lists: list[list[int]], history_length: int, batch_size: int, every_position: bool
) -> None:
    batches = Batches(all_rows(lists, history_length, [True]), batch_size, every_position, seed=2)
    shapes = {batch.histories.shape for epoch in range(3) for batch in batches.batches(epoch)}
    assert len(shapes) <= 4
    assert len({steps for _, steps in shapes}) == len(shapes)
    # All batches have the same number of targets, with padding.
    for batch in batches.batches(0):
        assert batch.targets.shape == batch.positions.shape == batch.weights.shape == (batch_size,)
        assert batch.histories.dtype == batch.positions.dtype == batch.targets.dtype == np.int32


def test_short_histories_are_not_padded_to_the_longest() -> None:
    lists = [list(range(1, 4)) for _ in range(90)] + [list(range(1, 60)) for _ in range(10)]
    batches = list(Batches(all_rows(lists, 50, [True]), 64, False, seed=1).batches(0))
    cells = sum(batch.histories.size for batch in batches)
    rows = all_rows(lists, 50, [True])
    assert cells < 0.8 * len(rows) * 50
    assert min(batch.histories.shape[1] for batch in batches) <= 20


@both_kinds
def test_order_depends_only_on_seed_and_epoch(every_position: bool) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(1, 9, rng.integers(3, 12)).tolist() for _ in range(40)]
    rows = all_rows(lists, 6, [True])

    def order(seed: int | None, epoch: int, before: tuple[int, ...] = ()) -> list[list[int]]:
        batches = Batches(rows, 8, every_position, seed)
        for other in before:
            list(batches.batches(other))
        return [
            [*batch.histories.ravel().tolist(), *batch.targets.tolist()]
            for batch in batches.batches(epoch)
        ]

    assert order(7, 2) == order(7, 2) == order(7, 2, before=(0, 5, 1))
    assert order(7, 2) != order(7, 3)
    assert order(7, 2) != order(8, 2)
    assert order(None, 0) == order(None, 5)


def test_order_of_the_rows_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = all_rows([rng.integers(1, 9, 9).tolist() for _ in range(20)], 4, [True])
    shuffled = rows.take(rng.permutation(len(rows)))
    for batch, expected in zip(
        Batches(rows, 8, True, 1).batches(0), Batches(shuffled, 8, True, 1).batches(0), strict=True
    ):
        np.testing.assert_array_equal(batch.histories, expected.histories)
        np.testing.assert_array_equal(batch.targets, expected.targets)


def test_histories_of_all_rows_are_never_in_memory() -> None:
    rng = np.random.default_rng(0)
    lists = rng.integers(1, 9, (20, 2000)).tolist()
    train = split_leave_one_out(sequences_of(lists), 8, history_length=500).train
    all_at_once = len(train) * 500 * 4
    tracemalloc.start()
    batches = Batches(train, 64, every_position=False, seed=1)
    read = sum(int(batch.weights.sum()) for batch in batches.batches(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == len(train)
    assert peak < all_at_once / 10
