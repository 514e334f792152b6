"""The products of a shop, as models number them."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from bazar.errors import InputError

ADDED_PRODUCTS = pa.schema(
    [("item_id", pa.string()), ("title", pa.string()), ("attributes", pa.string())]
)
"""Products that joined a catalogue, as a table."""


@dataclass(frozen=True)
class Products:
    """What can be recommended, by item index; index 0 is padding.

    Attributes:
        item_ids: shape (items + 1,), external ids.
        titles: shape (items + 1,), text, None where there is none.
        attributes: shape (items + 1,), brand, categories and the like as one text, joined by
            ``", "``; None where there are none.
        counts: shape (items + 1,), int64, times that each was bought.
        recent_counts: shape (items + 1,), int64, the same of the most recent period.
        vectors: shape (items + 1, dimension), float32, unit vectors of titles, zeros where there
            is none.
    """

    item_ids: np.ndarray
    titles: np.ndarray
    attributes: np.ndarray
    counts: np.ndarray
    recent_counts: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.item_ids) - 1

    @cached_property
    def index(self) -> dict[str, int]:
        """Item index by external id."""
        return {item_id: index for index, item_id in enumerate(self.item_ids) if index}

    def select_by_attributes(self, names: list[str]) -> np.ndarray:
        """Find the products that have one of some attributes, such as a category or a brand.

        Args:
            names: attributes, in capitals or not.

        Returns:
            Shape (items + 1,), bool.

        Raises:
            InputError: if no product has one of them.
        """
        found = np.zeros(len(self.item_ids), bool)
        for name in names:
            # A name may hold what names are joined by, such as "Foot, Hand & Nail Care".
            parts = [self._by_attribute.get(part, []) for part in name.casefold().split(", ")]
            having = sorted(set(parts[0]).intersection(*parts[1:]))
            if not having:
                near = get_close_matches(name.casefold(), self._by_attribute, n=3)
                hint = f": did you mean {', '.join(near)}?" if near else ""
                raise InputError(f"no product has the attribute or category {name!r}{hint}")
            found[having] = True
        return found

    @cached_property
    def _by_attribute(self) -> dict[str, list[int]]:
        having: dict[str, list[int]] = {}
        for index, text in enumerate(self.attributes):
            for name in set((text or "").casefold().split(", ")) - {""}:
                having.setdefault(name, []).append(index)
        return having

    def add(self, added: pa.Table, vectors: np.ndarray) -> Self:
        """Put further products behind these; those that are here already are told anew.

        Args:
            added: columns of :data:`ADDED_PRODUCTS`, each item once.
            vectors: shape (rows, dimension), float32.
        """
        places = [self.index.get(item_id) for item_id in added["item_id"].to_pylist()]
        is_new = np.array([place is None for place in places], bool)
        here = np.array([place for place in places if place is not None], np.int64)
        none = np.zeros(np.count_nonzero(is_new), np.int64)

        def told(values: np.ndarray, new: np.ndarray) -> np.ndarray:
            longer = np.concatenate([values, new[is_new]])
            longer[here] = new[~is_new]
            return longer

        def texts(column: str) -> np.ndarray:
            return np.array([*added[column].to_pylist(), None], dtype=object)[:-1]

        return type(self)(
            told(self.item_ids, texts("item_id")),
            told(self.titles, texts("title")),
            told(self.attributes, texts("attributes")),
            np.concatenate([self.counts, none]),
            np.concatenate([self.recent_counts, none]),
            told(self.vectors, vectors),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return all but the vectors, a row for each product in order of its index."""
        return pd.DataFrame(
            {
                "item_id": self.item_ids[1:],
                "title": self.titles[1:],
                "attributes": self.attributes[1:],
                "purchases": self.counts[1:],
                "recent_purchases": self.recent_counts[1:],
            }
        )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, vectors: np.ndarray) -> Self:
        """Read what :meth:`to_frame` made.

        Args:
            frame: columns ``item_id, title, attributes, purchases, recent_purchases``.
            vectors: shape (rows + 1, dimension), float32.

        Raises:
            InputError: if there are more or fewer vectors.
        """
        if len(vectors) != len(frame) + 1:
            raise InputError(
                f"{len(vectors) - 1:,} vectors of titles for {len(frame):,} products\n"
                "Run the pipeline recommendation again"
            )

        def texts(column: str) -> np.ndarray:
            column_ = frame[column].astype(object)
            return np.array([None, *column_.where(column_.notna(), None)], dtype=object)

        def numbers(column: str) -> np.ndarray:
            return np.array([0, *frame[column]], np.int64)

        item_ids = np.array(["", *frame["item_id"]], dtype=object)
        return cls(
            item_ids,
            texts("title"),
            texts("attributes"),
            numbers("purchases"),
            numbers("recent_purchases"),
            vectors,
        )
