"""What the project and its peers hand each other: the split as plain arrays, and tables of items.

It needs NumPy, pandas and SciPy alone, so that a peer's environment can import it.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, Self

import numpy as np

from bazar.evaluation.metrics import row_metrics

TOP_K = 20
Part = Literal["validation", "test"]


@dataclass(frozen=True)
class SplitArrays:
    """A leave-one-out split: every user's purchases, and where the held-out ones stand.

    Attributes:
        items: shape (interactions,), int32, item indices from 1 of all users, concatenated.
        starts: shape (users + 1,), int64; user ``u`` owns ``items[starts[u]:starts[u + 1]]``.
        training_ends: shape (users,), int64: a user's training part is what stands before this
            place.
        validation: shape (rows,), int64: the places in ``items`` of the validation targets.
        test: shape (rows,), int64: the places of the test targets.
        n_items: shape (), int64, size of the catalogue.
    """

    items: np.ndarray
    starts: np.ndarray
    training_ends: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    n_items: np.ndarray

    def save(self, path: Path) -> None:
        """Write the arrays as ``.npz``."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def training(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the training part, shape (any,) both: whose each purchase is, and its item."""
        lengths = self.training_ends - self.starts[:-1]
        inside = np.arange(len(self.items)) < np.repeat(self.training_ends, np.diff(self.starts))
        return np.repeat(np.arange(len(lengths)), lengths), self.items[inside]

    def users(self, part: Part) -> np.ndarray:
        """Whose row each is, shape (rows,), int64."""
        return np.searchsorted(self.starts, self.target_positions(part), side="right") - 1

    def target_positions(self, part: Part) -> np.ndarray:
        """Where the targets of a part stand in ``items``, shape (rows,), int64."""
        return self.validation if part == "validation" else self.test

    def targets(self, part: Part) -> np.ndarray:
        """What each row must predict, shape (rows,), int32."""
        return self.items[self.target_positions(part)]

    def histories(self, part: Part) -> list[np.ndarray]:
        """All that was bought before each target, one array of int32 a row, the latest last."""
        starts = self.starts[self.users(part)]
        return [
            self.items[start:place]
            for start, place in zip(starts, self.target_positions(part), strict=True)
        ]


def top_ranks(top: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rank of each target in a table of recommended items; infinite where it is not there.

    Args:
        top: shape (rows, k), int, item indices in order, 0 where there are no more.
        targets: shape (rows,), int, item indices from 1.

    Returns:
        shape (rows,), float64, from 1: a miss for every metric where it is infinite.

    Raises:
        ValueError: if a row recommends an item twice.
    """
    ordered = np.sort(top, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any():
        raise ValueError("a row recommends an item twice")
    found = top == targets[:, None]
    return np.where(found.any(axis=1), np.argmax(found, axis=1) + 1.0, np.inf)


def mean_metrics(top: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Means of :func:`bazar.metrics.row_metrics` over a table of recommended items."""
    return {
        name: float(values.mean()) for name, values in row_metrics(top_ranks(top, targets)).items()
    }


def top_unseen(scores: np.ndarray, histories: list[np.ndarray], k: int = TOP_K) -> np.ndarray:
    """Pick the best items that are not in the history.

    Args:
        scores: shape (rows, items + 1), float, higher is better; column 0 (padding) and ``-inf``
            are never picked. It is changed.
        histories: item indices bought before, one array a row.
        k: items per row.

    Returns:
        shape (rows, k), int32, item indices in order, 0 where there are no more.
    """
    scores[:, 0] = -np.inf
    for row, history in enumerate(histories):
        scores[row, history] = -np.inf
    k_here = min(k, scores.shape[1])
    best = np.argpartition(-scores, k_here - 1, axis=1)[:, :k_here]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(np.where(np.isneginf(values), 0, best), order, axis=1)
    return np.pad(best, ((0, 0), (0, k - k_here))).astype(np.int32)
