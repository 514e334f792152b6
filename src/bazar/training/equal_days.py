"""Items of one user on one day, whose order is unknown or arbitrary."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from bazar.data.sequences import IntArray, group_days
from bazar.data.windows import Windows


@dataclass(frozen=True)
class EqualDays:
    """The items of training rows that share a user and a UTC day with another item of the rows.

    Attributes:
        positions: shape (items,), int64: positions in the sequences, sorted by group.
        groups: the same shape, int64, ascending: the group of each item. A group is one user and
            one day.
    """

    positions: np.ndarray
    groups: np.ndarray

    @classmethod
    def from_rows(cls, rows: Windows) -> Self:
        """Find the items of some rows, those of histories and targets.

        Items without a known time are left out, and so are items that are in no row, such as the
        validation and test targets.

        Args:
            rows: the rows. Their sequences have timestamps.
        """
        sequences = rows.sequences
        assert sequences.timestamps is not None
        is_used = rows.mark_used_interactions() & sequences.has_time
        places = np.arange(len(sequences.items))
        groups = group_days(places, sequences.timestamps, is_used, sequences.starts)
        positions = np.argsort(groups, kind="stable")
        groups = groups[positions]
        is_equal = np.diff(groups) == 0
        is_shared = np.append(is_equal, False) | np.append(False, is_equal)
        return cls(positions[is_shared], groups[is_shared])

    def shuffle(self, items: IntArray, generator: np.random.Generator) -> IntArray:
        """Return a copy of the items in which those of each group change positions at random.

        Args:
            items: shape (interactions,), int32: the items of the sequences.
            generator: random generator of the shuffle.
        """
        draws = generator.random(len(items))[self.positions]
        shuffled = np.array(items)
        shuffled[self.positions] = items[self.positions[np.lexsort((draws, self.groups))]]
        return shuffled
