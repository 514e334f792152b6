"""Batches: each target once, after its own history, in a few shapes."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.sequences import DAY_MS
from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows
from bazar.models.network_inputs import InputOptions
from bazar.training.batches import Batch, Batches
from tests.data.test_splits import distinct, sequence_lists, sequences_of, targets_of

READS_ITEMS = InputOptions(None, reads_times=False, reads_seen=False, typical_gap=1.0)
both_kinds = pytest.mark.parametrize("every_position", [True, False])


def all_rows(lists: list[list[int]], history_length: int, chosen: list[bool]) -> Windows:
    """Make rows for the first of all items with an item before them, and for the chosen ones."""
    sequences = sequences_of(lists)
    positions = np.setdiff1d(np.arange(len(sequences.items)), sequences.starts)
    keep = np.resize(np.array(chosen), len(positions))
    keep[0] = True
    return Windows(sequences, positions[keep], history_length)


def list_order_targets(batch: Batch) -> list[tuple[list[list[int]], int]]:
    """List the orders before each target in its row, and the target. Orders are sorted."""
    inputs = batch.inputs
    n_rows, n_steps = inputs.shape.tolist()
    orders: list[list[int]] = [[] for _ in range(n_rows * n_steps)]
    for item, step in zip(inputs.items.tolist(), inputs.steps.tolist(), strict=True):
        orders[step].append(item)
    # A step has the sum of its items divided by the square root of their number.
    sizes = np.array([len(orders[step]) for step in inputs.steps.tolist()])
    np.testing.assert_allclose(inputs.weights, sizes**-0.5, rtol=1e-6)
    inside = np.array([bool(order) for order in orders]).reshape(n_rows, n_steps)
    # Orders come first, then padding.
    assert (inside[:, 1:] <= inside[:, :-1]).all()
    found = []
    for state, target, weight in zip(
        batch.target_states.tolist(), batch.targets.tolist(), batch.weights.tolist(), strict=True
    ):
        if not weight:
            assert target == 0
            continue
        assert weight == 1
        position = int(inputs.positions[state])
        row = position // n_steps
        found.append(([sorted(order) for order in orders[row * n_steps : position + 1]], target))
    return found


def list_targets(batch: Batch) -> list[tuple[list[int], int]]:
    """List the items before each target in its row, and the target. Orders have one item."""
    assert len(set(batch.inputs.steps.tolist())) == len(batch.inputs.steps)
    return [
        ([item for order in orders for item in order], target)
        for orders, target in list_order_targets(batch)
    ]


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
    batches = Batches(rows, batch_size, every_position, seed, READS_ITEMS)
    for epoch in (0, 3):
        found = [pair for batch in batches.batches(epoch) for pair in list_targets(batch)]
        assert sorted(target for _, target in found) == sorted(targets_of(rows))
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

    everything = list_pairs(Batches(rows, batch_size, every_position, 1, READS_ITEMS))
    options = replace(READS_ITEMS, readable_items=readable_items)
    found = list_pairs(Batches(rows, batch_size, every_position, 1, options))
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
    batches = Batches(rows, batch_size, True, 1, READS_ITEMS)
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
    rows = all_rows(lists, history_length, [True])
    batches = Batches(rows, batch_size, every_position, 2, READS_ITEMS)
    shapes = {batch.shape for epoch in range(3) for batch in batches.batches(epoch)}
    assert len(shapes) <= 4
    assert len({n_steps for _, n_steps, _, _ in shapes}) == len(shapes)
    # All batches have the same number of targets, with padding.
    for batch in batches.batches(0):
        inputs = batch.inputs
        assert batch.targets.shape == batch.target_states.shape == (batch_size,)
        assert batch.weights.shape == inputs.positions.shape == (batch_size,)
        for indices in (inputs.items, inputs.steps, inputs.positions, batch.target_states):
            assert indices.dtype == np.int32
        assert batch.targets.dtype == np.int32
        assert batch.weights.dtype == inputs.weights.dtype == np.float32


def test_short_histories_are_not_padded_to_the_longest() -> None:
    lists = [list(range(1, 4)) for _ in range(90)] + [list(range(1, 60)) for _ in range(10)]
    batches = list(Batches(all_rows(lists, 50, [True]), 64, False, 1, READS_ITEMS).batches(0))
    cells = sum(int(batch.inputs.shape.prod()) for batch in batches)
    rows = all_rows(lists, 50, [True])
    assert cells < 0.8 * len(rows) * 50
    assert min(int(batch.inputs.shape[1]) for batch in batches) <= 20


@both_kinds
def test_order_depends_only_on_seed_and_epoch(every_position: bool) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(1, 9, rng.integers(3, 12)).tolist() for _ in range(40)]
    rows = all_rows(lists, 6, [True])

    def order(seed: int | None, epoch: int, before: tuple[int, ...] = ()) -> list[list[int]]:
        batches = Batches(rows, 8, every_position, seed, READS_ITEMS)
        for other in before:
            list(batches.batches(other))
        return [
            [*batch.inputs.items.tolist(), *batch.targets.tolist()]
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
        Batches(rows, 8, True, 1, READS_ITEMS).batches(0),
        Batches(shuffled, 8, True, 1, READS_ITEMS).batches(0),
        strict=True,
    ):
        for found, array in zip(batch.inputs.to_tuple(), expected.inputs.to_tuple(), strict=True):
            np.testing.assert_array_equal(found, array)
        np.testing.assert_array_equal(batch.target_states, expected.target_states)
        np.testing.assert_array_equal(batch.targets, expected.targets)


def test_histories_of_all_rows_are_never_in_memory() -> None:
    rng = np.random.default_rng(0)
    lists = rng.integers(1, 9, (20, 2000)).tolist()
    train = split_leave_one_out(sequences_of(lists), 8, history_length=500).train
    all_at_once = len(train) * 500 * 4
    tracemalloc.start()
    batches = Batches(train, 64, False, 1, READS_ITEMS)
    read = sum(int(batch.weights.sum()) for batch in batches.batches(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == len(train)
    assert peak < all_at_once / 10


@both_kinds
def test_equal_days_have_another_order_in_each_epoch(every_position: bool) -> None:
    # The first day has three items, the second one two, and the last two items are held out.
    days = [1, 1, 1, 2, 2, 2, 2]
    lists = [[1, 2, 3, 4, 5, 6, 7], [11, 12, 13, 14, 15, 16, 17]]
    sequences = sequences_of(lists, [[DAY_MS * day for day in days]] * 2)
    rows = split_leave_one_out(sequences, 17, 20).train

    def make_batches() -> Batches:
        options = replace(READS_ITEMS, reads_seen=True)
        return Batches(rows, 8, every_position, 5, options, shuffle_equal_days=True)

    def list_epoch(batches: Batches, epoch: int) -> list[tuple[list[int], int]]:
        found = list(batches.batches(epoch))
        for batch in found:
            # The items that were bought before have the same order: no target is one of them.
            inputs = batch.inputs
            seen = set(zip(inputs.seen_states.tolist(), inputs.seen_items.tolist(), strict=True))
            states, targets = batch.target_states.tolist(), batch.targets.tolist()
            assert len(seen) >= len(batch.weights.nonzero()[0])
            assert not (seen & set(zip(states, targets, strict=True))) - {(0, 0)}
        return sorted(pair for batch in found for pair in list_targets(batch))

    batches = make_batches()
    epochs = [list_epoch(batches, epoch) for epoch in range(100)]
    # A resumed training has the same batches.
    assert epochs[2:5] == [list_epoch(make_batches(), epoch) for epoch in range(2, 5)]
    histories = set()
    for pairs in epochs:
        assert len(pairs) == 8
        for history, target in pairs:
            bought = [(item - 1) % 10 + 1 for item in [*history, target]]
            assert len(set(bought)) == len(bought)
            # An item of the second day never comes before one of the first day.
            assert max(bought[:3]) <= 3
            assert all(item in (4, 5) for item in bought[3:])
            histories.add((*history, target))
    # All ordered pairs of the first day, and all its orders followed by each item of the second.
    assert {len(history) for history in histories} == {2, 3, 4, 5}
    assert len([history for history in histories if len(history) == 2]) == 12
    assert len([history for history in histories if len(history) == 4]) == 24
