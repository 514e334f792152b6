"""Distillation: a network also learns what a teacher expects (Hinton et al. 2015).

The teacher is another model, or several models together. At each training row, the network learns
from the purchase, and from the items that the teacher gives the highest shares.
"""

from dataclasses import dataclass

import numpy as np

from bazar.data.windows import Windows
from bazar.models.scorer import Scorer
from bazar.models.top_k import select_top_k

_BATCH_ROWS = 512


@dataclass(frozen=True)
class SoftTargets:
    """The items that a teacher expects at each training row.

    Attributes:
        target_positions: shape (rows,), int64, ascending: the target positions of the rows.
        items: shape (rows, items of a row), int32, item indices; 0 is padding.
        shares: the same shape, float32: the share of each item. The shares of a row add up to 1, or
            to 0 if the teacher expects nothing.
    """

    target_positions: np.ndarray
    items: np.ndarray
    shares: np.ndarray

    def take(self, target_positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``items`` and ``shares`` of some rows.

        Args:
            target_positions: shape (any,), the target positions of the rows.

        Raises:
            ValueError: if there is no such row.
        """
        rows = np.searchsorted(self.target_positions, target_positions)
        rows = np.minimum(rows, len(self.target_positions) - 1)
        if not np.array_equal(self.target_positions[rows], target_positions):
            raise ValueError("the soft targets are those of other training rows.")
        return self.items[rows], self.shares[rows]


@dataclass(frozen=True)
class Distillation:
    """What a network learns from a teacher.

    Attributes:
        soft_targets: what the teacher expects at all training rows.
        weight: weight of the teacher in the loss, above 0 and at most 1. The purchases have the
            rest.
    """

    soft_targets: SoftTargets
    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight must be above 0 and at most 1, found {self.weight}.")

    def list_arrays(self) -> list[np.ndarray]:
        """List all arrays that a training reads, for its fingerprint."""
        soft = self.soft_targets
        return [np.array([self.weight]), soft.target_positions, soft.items, soft.shares]


def compute_soft_targets(teacher: Scorer, rows: Windows, n_items: int) -> SoftTargets:
    """Compute what a teacher expects at each row.

    The teacher must not have learned from pairs of items that include the targets, as baselines
    that count the purchases of the training part have: it would know the answers.

    Args:
        teacher: the teacher.
        rows: the training rows.
        n_items: number of items of a row, those with the highest shares.
    """
    rows = rows.take(np.argsort(rows.target_positions, kind="stable"))
    items, shares = [], []
    for batch in rows.iter_batches(_BATCH_ROWS):
        best, found = select_top_k(teacher.to_shares(teacher.score(batch)), n_items)
        found = np.where(best > 0, found, 0)
        totals = found.sum(axis=1, keepdims=True)
        items.append(best.astype(np.int32))
        shares.append(found / np.where(totals > 0, totals, 1))
    return SoftTargets(rows.target_positions, np.concatenate(items), np.concatenate(shares))
