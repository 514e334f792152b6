"""Batches of training rows in a few shapes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from bazar.data.windows import Windows, expand_ranges
from bazar.models.network_inputs import (
    N_TIME_FEATURES,
    InputOptions,
    NetworkInput,
    build_seen_pairs,
    build_steps,
    compute_time_features,
)
from bazar.training.distillation import SoftTargets
from bazar.training.equal_days import EqualDays

# With several shapes, short histories are not padded to the longest one. With only a few shapes,
# nearly all batches are full: only the last batch of each shape can be smaller.
_SHAPES = 4
# The number of states of a batch is a multiple of this, so that few shapes occur.
_STATE_MULTIPLE = 64


@dataclass(frozen=True)
class Batch:
    """The input of one training step: histories, and targets within them.

    Attributes:
        inputs: histories, and the states in them that predict targets.
        target_states: shape (targets,), int32: number of the state that predicts each target.
        targets: shape (targets,), int32.
        weights: shape (targets,), float32: 1, or 0 for padding at the end of the batch, for
            targets without a readable item in their history, and for targets without a loss.
        soft_items: shape (states, soft targets), int32, what a teacher expects after each state; 0
            is padding. There are none without a teacher.
        soft_shares: the same shape, float32, the share of each of them.
    """

    inputs: NetworkInput
    target_states: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    soft_items: np.ndarray
    soft_shares: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of rows, steps, states and targets."""
        return (*self.inputs.shape.tolist(), len(self.inputs.positions), len(self.targets))


class Batches:
    """Training rows, grouped into batches.

    With ``every_position``, rows of the same user share a piece of the user's sequence. The network
    reads the piece once, and its state after each order predicts the next order. Pieces of
    ``history_length`` orders are cut from the end of the user's training part backwards, so that
    each target occurs once per epoch. Without ``every_position``, each row has its own history.

    Attributes:
        has_single_targets: whether each row has exactly one target.
        has_seen_items: whether the batches hold the items that were bought before.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        every_position: bool,
        seed: int | None,
        options: InputOptions,
        usable_targets: np.ndarray | None = None,
        soft_targets: SoftTargets | None = None,
        shuffle_equal_days: bool = False,
    ) -> None:
        """Prepare the batches.

        Args:
            windows: the rows.
            batch_size: number of targets in a batch. A piece with more targets is a batch of its
                own.
            every_position: whether rows of a user share pieces of the sequence.
            seed: seed of the shuffles; None keeps the same order in all epochs.
            options: what the network reads.
            usable_targets: shape (items + 1,), bool: targets that have a loss. None: all targets.
            soft_targets: what a teacher expects at the rows; None without a teacher.
            shuffle_equal_days: whether the items of one user on one UTC day get another random
                order in each epoch. Needs timestamps. Without a seed, they keep their order.
        """
        self._options = options
        self._soft_targets = soft_targets
        self._usable_targets = usable_targets
        self._batch_size = batch_size
        self._seed = seed
        order = np.argsort(windows.target_positions, kind="stable")
        self._windows = windows.take(order)
        self._equal_days = EqualDays.from_rows(windows) if shuffle_equal_days else None
        sequences, users = windows.sequences, self._windows.users
        self._target_orders = sequences.number_orders(self._windows.target_positions)
        is_first = _find_piece_starts(
            self._target_orders, users, windows.history_length, every_position
        )
        # Piece p owns the rows first_row[p]:first_row[p + 1].
        self._first_row = np.append(np.flatnonzero(is_first), len(users))
        last = self._target_orders[self._first_row[1:] - 1]
        owner = users[self._first_row[:-1]]
        first_order = sequences.number_orders(sequences.starts[owner])
        self._start = np.maximum(first_order, last - windows.history_length)
        self._steps = last - self._start
        n_targets = self._windows.n_targets
        self.has_seen_items = options.reads_seen
        self.has_single_targets = bool((n_targets == 1).all())
        before = np.concatenate([[0], np.cumsum(n_targets)])
        self._n_targets = np.diff(before[self._first_row])
        edges = np.quantile(self._steps, np.arange(1, _SHAPES + 1) / _SHAPES, method="higher")
        self._edges = np.unique(edges).astype(np.int64)

    def assign_pieces(self, epoch: int) -> list[tuple[int, int, np.ndarray]]:
        """Assign the pieces to the batches of one epoch.

        Args:
            epoch: number of the epoch. The order depends on the seed and this number alone.

        Returns:
            For each batch: the number of steps, the number of rows and the indices of its pieces.
        """
        generator = None if self._seed is None else np.random.default_rng([self._seed, epoch])
        assigned = []
        bucket = np.searchsorted(self._edges, self._steps)
        for number, steps in enumerate(self._edges.tolist()):
            pieces = np.flatnonzero(bucket == number)
            if generator is not None:
                generator.shuffle(pieces)
            n_targets = self._n_targets[pieces]
            # As many rows as hold batch_size targets on average. The longest piece always fits.
            rows = max(1, int(np.ceil(self._batch_size / n_targets.mean())))
            end_target = np.cumsum(n_targets)
            start = 0
            while start < len(pieces):
                before = end_target[start - 1] if start else 0
                fits = int(np.searchsorted(end_target, before + self._batch_size, side="right"))
                stop = max(start + 1, min(fits, start + rows))
                assigned.append((steps, rows, pieces[start:stop]))
                start = stop
        if generator is None:
            return assigned
        return [assigned[number] for number in generator.permutation(len(assigned))]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch, which depend only on the seed and the epoch."""
        windows = self._windows
        if self._equal_days is not None and self._seed is not None:
            # The last number makes the draws independent of those of assign_pieces.
            generator = np.random.default_rng([self._seed, epoch, 1])
            items = self._equal_days.shuffle(windows.sequences.items, generator)
            windows = replace(windows, sequences=replace(windows.sequences, items=items))
        for steps, rows, pieces in self.assign_pieces(epoch):
            yield self._make_batch(windows, steps, rows, pieces)

    def _make_batch(
        self, epoch_windows: Windows, steps: int, rows: int, pieces: np.ndarray
    ) -> Batch:
        sequences, options = epoch_windows.sequences, self._options
        start = self._start[pieces]
        first_position = sequences.find_order_starts(start)
        end_position = sequences.find_order_starts(start + self._steps[pieces])
        entry_rows, entries = expand_ranges(first_position, end_position)
        orders = sequences.number_orders(entries) - start[entry_rows]
        read = build_steps(entry_rows, sequences.items[entries], orders, rows, options, steps)

        state_rows, state_numbers = expand_ranges(
            self._first_row[pieces], self._first_row[pieces + 1]
        )
        windows = epoch_windows.take(state_numbers)
        # Number of readable orders before the targets of each state.
        n_before = self._target_orders[state_numbers] - start[state_rows]
        n_read = np.cumsum(read.is_kept, axis=1)[state_rows, np.minimum(n_before, read.width) - 1]
        target_states, targets = windows.list_targets()
        is_used = n_read[target_states] > 0
        if self._usable_targets is not None:
            is_used &= self._usable_targets[targets]

        size = max(self._batch_size, len(targets))
        n_states = size if self.has_single_targets else _round_up(len(windows))
        positions = np.where(n_read, state_rows * steps + n_read - 1, 0)
        times = np.zeros((0, steps, N_TIME_FEATURES), np.float32)
        if options.reads_times:
            # Rows without a piece have no steps.
            first_orders = np.pad(start, (0, rows - len(pieces)))
            times = compute_time_features(sequences, first_orders, read, options.typical_gap)
        inputs = NetworkInput(
            read.items,
            read.steps,
            read.weights,
            read.shape,
            _pad(positions, n_states, np.int32),
            times,
            *build_seen_pairs(windows, options),
        )
        return Batch(
            inputs,
            _pad(target_states, size, np.int32),
            _pad(np.where(is_used, targets, 0), size, np.int32),
            _pad(is_used, size, np.float32),
            *self._take_soft_targets(windows, n_states),
        )

    def _take_soft_targets(self, windows: Windows, n_states: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``soft_items`` and ``soft_shares`` of a batch."""
        if self._soft_targets is None:
            return np.zeros((n_states, 0), np.int32), np.zeros((n_states, 0), np.float32)
        items, shares = self._soft_targets.take(windows.target_positions)
        return _pad(items, n_states, np.int32), _pad(shares, n_states, np.float32)


def stack_batches(batches: Sequence[Batch]) -> tuple[np.ndarray, ...]:
    """Stack batches of the same shape: the arrays of their inputs, then those of their targets.

    Entries and pairs are padded to the largest number in a batch.

    Returns:
        The arrays of :class:`NetworkInput`, then the other ones in the order of :class:`Batch`,
        each with one more axis at the front.
    """
    names = [field.name for field in fields(Batch)][1:]
    return stack_arrays(
        [(*batch.inputs.to_tuple(), *(getattr(batch, name) for name in names)) for batch in batches]
    )


def stack_arrays(
    batches: Sequence[tuple[np.ndarray, ...]], padding: int = 0
) -> tuple[np.ndarray, ...]:
    """Stack the arrays of batches. Shorter arrays are padded to the length of the longest one.

    Args:
        batches: the arrays of each batch.
        padding: value behind a shorter array.

    Returns:
        One array for each array of a batch, with one more axis at the front.
    """
    stacked = []
    for same in zip(*batches, strict=True):
        size = max(len(array) for array in same)
        stacked.append(np.stack([_pad(array, size, array.dtype, padding) for array in same]))
    return tuple(stacked)


def split_stacked(arrays: tuple[Any, ...]) -> tuple[NetworkInput, tuple[Any, ...]]:
    """Return the input and the other arrays of one batch of :func:`stack_batches`."""
    n_inputs = len(fields(NetworkInput))
    return NetworkInput(*arrays[:n_inputs]), arrays[n_inputs:]


def _find_piece_starts(
    orders: np.ndarray, users: np.ndarray, history_length: int, every_position: bool
) -> np.ndarray:
    """Find the rows that begin a new piece.

    Args:
        orders: shape (rows,), number of the order of each row's targets, ascending.
        users: shape (rows,), user index of each row.
        history_length: number of orders in a piece.
        every_position: whether rows of a user share pieces. If not, each row begins one.

    Returns:
        Shape (rows,), bool.
    """
    is_first = np.ones(len(orders), bool)
    if every_position and len(orders):
        is_new_user = np.diff(users) != 0
        last_of_user = orders[np.append(is_new_user, True)]
        user_number = np.concatenate([[0], np.cumsum(is_new_user)])
        pieces_back = (last_of_user[user_number] - orders) // history_length
        is_first[1:] = is_new_user | (np.diff(pieces_back) != 0)
    return is_first


def group_batches(batches: Iterable[Batch], max_size: int) -> Iterator[list[Batch]]:
    """Group consecutive batches of the same shape, without changing their order.

    Args:
        batches: batches of any shapes.
        max_size: maximum number of batches in a group.
    """
    for _, same_shape in groupby(batches, lambda batch: batch.shape):
        while group := list(islice(same_shape, max_size)):
            yield group


def _pad(values: np.ndarray, size: int, dtype: npt.DTypeLike, padding: int = 0) -> np.ndarray:
    """Return values with padding behind them, so that the first axis has the given size."""
    padded = np.full((size, *values.shape[1:]), padding, dtype)
    padded[: len(values)] = values
    return padded


def _round_up(number: int) -> int:
    return -(-number // _STATE_MULTIPLE) * _STATE_MULTIPLE
