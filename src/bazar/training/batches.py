"""What a step of training reads: pieces of sequences in batches of a few fixed shapes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from bazar.data.windows import Windows, left_align

# More than one, so that short histories are not padded to the longest, and few, so that all batches
# but the last of a shape are full.
_SHAPES = 4


@dataclass(frozen=True)
class Batch:
    """One step's worth of histories and of targets in them.

    Attributes:
        histories: shape (rows, steps), int32, item indices at the front, 0 behind them.
        positions: shape (targets,), int32: row * steps + step of the item before each target.
        targets: shape (targets,), int32.
        weights: shape (targets,), float32: 1, or 0 where the batch has fewer targets than places,
            and where nothing is read before a target.
    """

    histories: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class Batches:
    """Training rows in batches.

    The rows of a user can share a piece of the sequence: a network that reads it has a state after
    each item, and each state predicts the item that comes next. With ``every_position`` a user's
    targets are cut, from the latest back, into pieces of ``history_length`` items; every target is
    met once in an epoch. Without it, each target has a history of its own.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        every_position: bool,
        seed: int | None,
        readable_items: np.ndarray | None = None,
    ) -> None:
        """Make batches.

        Args:
            windows: the rows.
            batch_size: targets in a batch.
            every_position: whether rows share a piece.
            seed: seed of the shuffles; None keeps one order.
            readable_items: shape (items + 1,), bool: items that are read; others are passed over, as if
                a history did not hold them. None reads all.
        """
        self._readable_items = readable_items
        self._items = windows.sequences.items
        self._batch_size = batch_size
        self._seed = seed
        order = np.argsort(windows.target_positions, kind="stable")
        places, users = windows.target_positions[order], windows.users[order]
        first = np.ones(len(places), bool)
        if every_position and len(places):
            new_user = np.diff(users) != 0
            last_of_user = places[np.append(new_user, True)]
            user_number = np.concatenate([[0], np.cumsum(new_user)])
            pieces_back = (last_of_user[user_number] - places) // windows.history_length
            first[1:] = new_user | (np.diff(pieces_back) != 0)
        self._places = places
        # A piece owns the targets from one first to the next.
        self._first_target = np.append(np.flatnonzero(first), len(places))
        last = places[self._first_target[1:] - 1]
        owner = users[self._first_target[:-1]]
        self._start = np.maximum(
            windows.sequences.starts[owner], last - windows.history_length
        ).astype(np.int64)
        self._steps = last - self._start
        self._n_targets = np.diff(self._first_target)
        edges = np.quantile(self._steps, np.arange(1, _SHAPES + 1) / _SHAPES, method="higher")
        self._edges = np.unique(edges).astype(np.int64)

    def epoch(self, epoch: int) -> list[tuple[int, int, np.ndarray]]:
        """Deal the pieces of one epoch into batches.

        Args:
            epoch: its number: each has its own order, whatever came before it.

        Returns:
            Steps, rows and pieces of each batch.
        """
        generator = None if self._seed is None else np.random.default_rng([self._seed, epoch])
        dealt = []
        bucket = np.searchsorted(self._edges, self._steps)
        for number, steps in enumerate(self._edges.tolist()):
            pieces = np.flatnonzero(bucket == number)
            if generator is not None:
                generator.shuffle(pieces)
            n_targets = self._n_targets[pieces]
            # As many rows as hold a batch's targets in the mean; the longest piece always fits.
            rows = max(1, int(np.ceil(self._batch_size / n_targets.mean())))
            end_target = np.cumsum(n_targets)
            start = 0
            while start < len(pieces):
                before = end_target[start - 1] if start else 0
                fits = int(np.searchsorted(end_target, before + self._batch_size, side="right"))
                stop = max(start + 1, min(fits, start + rows))
                dealt.append((steps, rows, pieces[start:stop]))
                start = stop
        if generator is None:
            return dealt
        return [dealt[place] for place in generator.permutation(len(dealt))]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Go through the batches of one epoch."""
        for steps, rows, pieces in self.epoch(epoch):
            yield self._batch(steps, rows, pieces)

    def _batch(self, steps: int, rows: int, pieces: np.ndarray) -> Batch:
        inside = np.arange(steps) < self._steps[pieces][:, None]
        places = self._start[pieces][:, None] + np.arange(steps)
        items = self._items[np.where(inside, places, 0)]
        if self._readable_items is not None:
            inside &= self._readable_items[items]
        histories = np.zeros((rows, steps), np.int32)
        histories[: len(pieces)] = left_align(np.where(inside, items, 0))

        counts = self._n_targets[pieces]
        total = int(counts.sum())
        size = max(self._batch_size, total)
        row = np.repeat(np.arange(len(pieces)), counts)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        target_places = self._places[np.repeat(self._first_target[pieces], counts) + within]
        n_read = np.cumsum(inside, axis=1)[row, target_places - 1 - self._start[pieces][row]]
        positions = np.zeros(size, np.int32)
        positions[:total] = np.where(n_read, row * steps + n_read - 1, 0)
        targets = np.zeros(size, np.int32)
        targets[:total] = np.where(n_read, self._items[target_places], 0)
        weights = np.zeros(size, np.float32)
        weights[:total] = n_read > 0
        return Batch(histories, positions, targets, weights)


def group_batches(batches: Iterable[Batch], most: int) -> Iterator[list[Batch]]:
    """Put batches of one shape that follow each other together, in their order.

    Args:
        batches: of any shapes.
        most: batches in a run.
    """
    for _, alike in groupby(batches, lambda batch: (batch.histories.shape, batch.targets.shape)):
        while run := list(islice(alike, most)):
            yield run
