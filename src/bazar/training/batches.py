"""Batches of training rows in a few fixed shapes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from bazar.data.windows import Windows, left_align

# With several shapes, short histories are not padded to the longest one. With only a few shapes,
# nearly all batches are full: only the last batch of each shape can be smaller.
_SHAPES = 4


@dataclass(frozen=True)
class Batch:
    """The input of one training step: histories, and targets within them.

    Attributes:
        histories: shape (rows, steps), int32, item indices first, then padding with 0.
        positions: shape (targets,), int32: row * steps + step of the item before each target.
        targets: shape (targets,), int32.
        weights: shape (targets,), float32: 1, or 0 for padding at the end of the batch and for
            targets without a readable item in their history.
    """

    histories: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class Batches:
    """Training rows, grouped into batches.

    With ``every_position``, rows of the same user share a piece of the user's sequence. The network
    reads the piece once, and its state after each item predicts the next item. Pieces of
    ``history_length`` items are cut from the end of the user's training part backwards, so that
    each target occurs once per epoch. Without ``every_position``, each target has its own history.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        every_position: bool,
        seed: int | None,
        readable_items: np.ndarray | None = None,
    ) -> None:
        """Prepare the batches.

        Args:
            windows: the rows.
            batch_size: number of targets in a batch.
            every_position: whether rows of a user share pieces of the sequence.
            seed: seed of the shuffles; None keeps the same order in all epochs.
            readable_items: shape (items + 1,), bool: the items that the network can read. Other
                items are dropped from histories. None reads all items.
        """
        self._readable_items = readable_items
        self._items = windows.sequences.items
        self._batch_size = batch_size
        self._seed = seed
        order = np.argsort(windows.target_positions, kind="stable")
        positions, users = windows.target_positions[order], windows.users[order]
        is_first = _find_piece_starts(positions, users, windows.history_length, every_position)
        self._target_positions = positions
        # Piece p owns the targets first_target[p]:first_target[p + 1].
        self._first_target = np.append(np.flatnonzero(is_first), len(positions))
        last = positions[self._first_target[1:] - 1]
        owner = users[self._first_target[:-1]]
        self._start = np.maximum(
            windows.sequences.starts[owner], last - windows.history_length
        ).astype(np.int64)
        self._steps = last - self._start
        self._n_targets = np.diff(self._first_target)
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
        """Yield the batches of one epoch."""
        for steps, rows, pieces in self.assign_pieces(epoch):
            yield self._make_batch(steps, rows, pieces)

    def _make_batch(self, steps: int, rows: int, pieces: np.ndarray) -> Batch:
        inside = np.arange(steps) < self._steps[pieces][:, None]
        positions_read = self._start[pieces][:, None] + np.arange(steps)
        items = self._items[np.where(inside, positions_read, 0)]
        if self._readable_items is not None:
            inside &= self._readable_items[items]
        histories = np.zeros((rows, steps), np.int32)
        histories[: len(pieces)] = left_align(np.where(inside, items, 0))

        counts = self._n_targets[pieces]
        total = int(counts.sum())
        size = max(self._batch_size, total)
        row = np.repeat(np.arange(len(pieces)), counts)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        targets_at = self._target_positions[np.repeat(self._first_target[pieces], counts) + within]
        n_read = np.cumsum(inside, axis=1)[row, targets_at - 1 - self._start[pieces][row]]
        positions = np.zeros(size, np.int32)
        positions[:total] = np.where(n_read, row * steps + n_read - 1, 0)
        targets = np.zeros(size, np.int32)
        targets[:total] = np.where(n_read, self._items[targets_at], 0)
        weights = np.zeros(size, np.float32)
        weights[:total] = n_read > 0
        return Batch(histories, positions, targets, weights)


def _find_piece_starts(
    positions: np.ndarray, users: np.ndarray, history_length: int, every_position: bool
) -> np.ndarray:
    """Find the targets that begin a new piece.

    Args:
        positions: shape (targets,), positions of the targets in the sequences, ascending.
        users: shape (targets,), user index of each target.
        history_length: number of items in a piece.
        every_position: whether rows of a user share pieces. If not, each target begins one.

    Returns:
        Shape (targets,), bool.
    """
    is_first = np.ones(len(positions), bool)
    if every_position and len(positions):
        is_new_user = np.diff(users) != 0
        last_of_user = positions[np.append(is_new_user, True)]
        user_number = np.concatenate([[0], np.cumsum(is_new_user)])
        pieces_back = (last_of_user[user_number] - positions) // history_length
        is_first[1:] = is_new_user | (np.diff(pieces_back) != 0)
    return is_first


def group_batches(batches: Iterable[Batch], max_size: int) -> Iterator[list[Batch]]:
    """Group consecutive batches of the same shape, without changing their order.

    Args:
        batches: batches of any shapes.
        max_size: maximum number of batches in a group.
    """
    for _, same_shape in groupby(
        batches, lambda batch: (batch.histories.shape, batch.targets.shape)
    ):
        while group := list(islice(same_shape, max_size)):
            yield group
