"""Data exchange with the other libraries (peers): the split as arrays, and recommended items.

This module needs only NumPy, pandas and SciPy, so that the environment of a peer can import it.
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, Self

import numpy as np

from bazar.evaluation.metrics import compute_row_metrics

TOP_K = 20
Part = Literal["validation", "test"]
FilterMode = Literal["filtered", "unfiltered"]


@dataclass(frozen=True)
class SplitArrays:
    """A leave-one-out split: the purchases of all users, and the positions of the held-out ones.

    Attributes:
        items: shape (interactions,), int32, item indices (from 1) of all users, concatenated.
        starts: shape (users + 1,), int64. ``items[starts[u]:starts[u + 1]]`` are those of user u.
        training_ends: shape (users,), int64: end position (exclusive) of the training part of each
            user.
        validation: shape (rows,), int64: positions of the validation targets in ``items``.
        test: shape (rows,), int64: positions of the test targets in ``items``.
        n_items: shape (), int64, size of the catalogue.
    """

    items: np.ndarray
    starts: np.ndarray
    training_ends: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    n_items: np.ndarray

    def save(self, path: Path) -> None:
        """Save the arrays as ``.npz``."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the arrays of a file that :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def compute_fingerprint(self) -> str:
        """Return a hash of all arrays, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for field in fields(self):
            array = getattr(self, field.name)
            digest.update(f"{field.name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def get_training_interactions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the user and the item of each purchase of the training part, in order."""
        lengths = self.training_ends - self.starts[:-1]
        inside = np.arange(len(self.items)) < np.repeat(self.training_ends, np.diff(self.starts))
        return np.repeat(np.arange(len(lengths)), lengths), self.items[inside]

    def get_users(self, part: Part) -> np.ndarray:
        """Return the user index of each row, shape (rows,), int64."""
        return np.searchsorted(self.starts, self.get_target_positions(part), side="right") - 1

    def get_target_positions(self, part: Part) -> np.ndarray:
        """Return the positions of the targets in ``items``, shape (rows,), int64."""
        return self.validation if part == "validation" else self.test

    def get_targets(self, part: Part) -> np.ndarray:
        """Return the target of each row, shape (rows,), int32."""
        return self.items[self.get_target_positions(part)]

    def get_histories(self, part: Part) -> list[np.ndarray]:
        """Return the items before each target, one int32 array per row, the latest item last."""
        starts = self.starts[self.get_users(part)]
        return [
            self.items[start:position]
            for start, position in zip(starts, self.get_target_positions(part), strict=True)
        ]


def find_top_ranks(top: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the rank of each target in a table of recommended items.

    Args:
        top: shape (rows, k), int, item indices in order, padded with 0.
        targets: shape (rows,), int, item indices from 1.

    Returns:
        Shape (rows,), float64, from 1. The rank is infinite if the target is not in the table. All
        metrics of such a row are 0.

    Raises:
        ValueError: if a row recommends an item twice.
    """
    ordered = np.sort(top, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any():
        raise ValueError("An item occurs twice in a row of recommended items.")
    found = top == targets[:, None]
    return np.where(found.any(axis=1), np.argmax(found, axis=1) + 1.0, np.inf)


def compute_mean_metrics(top: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return the means of the row metrics of a table of recommended items."""
    metrics = compute_row_metrics(find_top_ranks(top, targets), np.arange(len(targets)))
    return {name: float(values.mean()) for name, values in metrics.items()}


def select_top(
    scores: np.ndarray, excluded: list[np.ndarray] | None = None, k: int = TOP_K
) -> np.ndarray:
    """Return the best items of each row.

    Args:
        scores: shape (rows, items + 1), float. Higher is better. Column 0 (padding) and items with
            ``-inf`` are never selected. The array is changed in place.
        excluded: item indices that are not selected either, one array per row, such as the history
            of the row. None: no others.
        k: number of items per row.

    Returns:
        Shape (rows, k), int32, item indices in order, padded with 0.
    """
    scores[:, 0] = -np.inf
    for row, items in enumerate(excluded or []):
        scores[row, items] = -np.inf
    k_here = min(k, scores.shape[1])
    best = np.argpartition(-scores, k_here - 1, axis=1)[:, :k_here]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(np.where(np.isneginf(values), 0, best), order, axis=1)
    return np.pad(best, ((0, 0), (0, k - k_here))).astype(np.int32)
