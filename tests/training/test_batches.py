import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.splits import leave_one_out
from bazar.data.windows import Windows
from bazar.training.batches import Batch, Batches
from tests.data.test_splits import distinct, sequence_lists, sequences_of

both_kinds = pytest.mark.parametrize("every_position", [True, False])


def all_rows(lists: list[list[int]], history_length: int, chosen: list[bool]) -> Windows:
    """Rows for the first, and for the chosen ones, of all items that have one before them."""
    sequences = sequences_of(lists)
    places = np.setdiff1d(np.arange(len(sequences.items)), sequences.starts)
    keep = np.resize(np.array(chosen), len(places))
    keep[0] = True
    return Windows(sequences, places[keep], history_length)


def targets_of(batch: Batch) -> list[tuple[list[int], int]]:
    """What stands before each target in its row, and the target."""
    steps = batch.histories.shape[1]
    inside = batch.histories > 0
    # Items are at the front, and nothing else is behind them.
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
def test_every_target_is_met_once_after_its_own_history(
    lists: list[list[int]],
    history_length: int,
    batch_size: int,
    chosen: list[bool],
    every_position: bool,
    seed: int | None,
) -> None:
    rows = all_rows(lists, history_length, chosen)
    # No item stands twice, so that a target says which row it is of.
    before = {
        items[place]: items[max(0, place - history_length) : place]
        for items in lists
        for place in range(1, len(items))
    }
    batches = Batches(rows, batch_size, every_position, seed)
    for epoch in (0, 3):
        met = [pair for batch in batches.batches(epoch) for pair in targets_of(batch)]
        assert sorted(target for _, target in met) == sorted(rows.targets.tolist())
        for history, target in met:
            assert 0 not in history
            if every_position:
                # A piece may start later than the history does, and never holds anything else.
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
def test_what_cannot_be_read_is_passed_over(
    lists: list[list[int]],
    history_length: int,
    batch_size: int,
    every_position: bool,
    unreadable: set[int],
) -> None:
    rows = all_rows(lists, history_length, [True])
    readable_items = np.ones(int(rows.sequences.items.max()) + 1, bool)
    readable_items[[item for item in unreadable if item < len(readable_items)]] = False

    def met(batches: Batches) -> list[tuple[list[int], int]]:
        return [pair for batch in batches.batches(0) for pair in targets_of(batch)]

    everything = met(Batches(rows, batch_size, every_position, 1))
    passed_over = met(Batches(rows, batch_size, every_position, 1, readable_items))
    left = [(list(filter(readable_items.__getitem__, read)), target) for read, target in everything]
    # Nothing is learned from a history in which nothing can be read.
    assert passed_over == [pair for pair in left if pair[0]]


@given(
    lists=sequence_lists.map(distinct),
    history_length=st.integers(1, 20),
    batch_size=st.integers(1, 20),
)
def test_pieces_are_cut_from_the_latest_back(
    lists: list[list[int]], history_length: int, batch_size: int
) -> None:
    rows = all_rows(lists, history_length, [True])
    batches = Batches(rows, batch_size, every_position=True, seed=1)
    met = [pair for batch in batches.batches(0) for pair in targets_of(batch)]
    read = {target: len(history) for history, target in met}
    for items in lists:
        for back, place in enumerate(range(len(items) - 1, 0, -1)):
            piece_starts = max(0, len(items) - 1 - (back // history_length + 1) * history_length)
            assert read[items[place]] == place - piece_starts


@given(
    lists=sequence_lists,
    history_length=st.integers(1, 6),
    batch_size=st.integers(6, 20),
    every_position=st.booleans(),
)
def test_shapes_are_few(
    lists: list[list[int]], history_length: int, batch_size: int, every_position: bool
) -> None:
    batches = Batches(all_rows(lists, history_length, [True]), batch_size, every_position, seed=2)
    shapes = {batch.histories.shape for epoch in range(3) for batch in batches.batches(epoch)}
    assert len(shapes) <= 4
    assert len({steps for _, steps in shapes}) == len(shapes)
    # A batch holds no more targets than it has places, and has a place for each.
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
def test_an_epochs_order_depends_on_seed_and_epoch_alone(every_position: bool) -> None:
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


def test_rows_may_come_in_any_order() -> None:
    rng = np.random.default_rng(0)
    rows = all_rows([rng.integers(1, 9, 9).tolist() for _ in range(20)], 4, [True])
    shuffled = rows.take(rng.permutation(len(rows)))
    for one, two in zip(
        Batches(rows, 8, True, 1).batches(0), Batches(shuffled, 8, True, 1).batches(0), strict=True
    ):
        np.testing.assert_array_equal(one.histories, two.histories)
        np.testing.assert_array_equal(one.targets, two.targets)


def test_the_histories_of_all_rows_are_never_held() -> None:
    rng = np.random.default_rng(0)
    lists = rng.integers(1, 9, (20, 2000)).tolist()
    train = leave_one_out(sequences_of(lists), 8, history_length=500).train
    all_at_once = len(train) * 500 * 4
    tracemalloc.start()
    batches = Batches(train, 64, every_position=False, seed=1)
    read = sum(int(batch.weights.sum()) for batch in batches.batches(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == len(train)
    assert peak < all_at_once / 10
