"""The products of the catalogue, by item index."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from bazar.data.item_words import ItemTexts
from bazar.errors import InputError

ADDED_PRODUCTS_SCHEMA = pa.schema(
    [("item_id", pa.string()), ("title", pa.string()), ("attributes", pa.string())]
)
"""Columns of a table of products to add to a catalogue."""


@dataclass(frozen=True)
class Products:
    """The products that can be recommended, by item index; index 0 is padding.

    Attributes:
        item_ids: shape (items + 1,), external ids.
        titles: shape (items + 1,), strings; None if a product has no title.
        attributes: shape (items + 1,), brand, categories and similar attributes as one string,
            separated by ``", "``; None if there are none.
        counts: shape (items + 1,), int64, number of interactions of each item.
        recent_counts: shape (items + 1,), int64, number of recent interactions of each item.
        vectors: shape (items + 1, dimension), float32, unit vectors of titles, zeros if a product
            has no title.
        variant_groups: shape (items + 1,), strings: name of the group of products that differ only
            in a variant, such as the size; None if a product has no variants.
    """

    item_ids: np.ndarray
    titles: np.ndarray
    attributes: np.ndarray
    counts: np.ndarray
    recent_counts: np.ndarray
    vectors: np.ndarray
    variant_groups: np.ndarray

    def __len__(self) -> int:
        return len(self.item_ids) - 1

    @property
    def texts(self) -> ItemTexts:
        """The titles and attributes."""
        return ItemTexts(self.titles, self.attributes)

    @cached_property
    def index(self) -> dict[str, int]:
        """Item index by external id."""
        return {item_id: index for index, item_id in enumerate(self.item_ids) if index}

    def select_by_attributes(self, names: list[str]) -> np.ndarray:
        """Return which products have at least one of the given attributes.

        Args:
            names: attributes, such as a category or a brand, in upper or lower case.

        Returns:
            Shape (items + 1,), bool.

        Raises:
            InputError: if no product has one of the attributes.
        """
        is_selected = np.zeros(len(self.item_ids), bool)
        for name in names:
            # A name may contain the separator, as in "Foot, Hand & Nail Care".
            parts = [self._by_attribute.get(part, []) for part in name.casefold().split(", ")]
            matching = sorted(set(parts[0]).intersection(*parts[1:]))
            if not matching:
                hint = self._suggest_attributes(name)
                raise InputError(f"No product has the attribute or category {name!r}.{hint}")
            is_selected[matching] = True
        return is_selected

    def _suggest_attributes(self, name: str) -> str:
        """Return a hint with similar attributes, or with the most frequent attributes."""
        if close := get_close_matches(name.casefold(), self._by_attribute, n=3):
            return f" Did you mean {', '.join(map(repr, close))}?"
        by_frequency = sorted(self._by_attribute.items(), key=lambda item: -len(item[1]))
        frequent = [attribute for attribute, _ in by_frequency[:10]]
        return f" The most frequent are: {', '.join(frequent) or 'none'}."

    @cached_property
    def _by_attribute(self) -> dict[str, list[int]]:
        by_attribute: dict[str, list[int]] = {}
        for index, text in enumerate(self.attributes):
            for name in set((text or "").casefold().split(", ")) - {""}:
                by_attribute.setdefault(name, []).append(index)
        return by_attribute

    def add(self, added: pa.Table, vectors: np.ndarray) -> Self:
        """Return a catalogue with further products appended.

        If a product is already in the catalogue, its title, attributes and vector are replaced. It
        keeps its index and counts.

        Args:
            added: columns of :data:`ADDED_PRODUCTS_SCHEMA`, each item once.
            vectors: shape (rows, dimension), float32.
        """
        indices = [self.index.get(item_id) for item_id in added["item_id"].to_pylist()]
        is_new = np.array([index is None for index in indices], bool)
        replaced = np.array([index for index in indices if index is not None], np.int64)
        no_interactions = np.zeros(np.count_nonzero(is_new), np.int64)

        def merge(values: np.ndarray, added_values: np.ndarray) -> np.ndarray:
            merged = np.concatenate([values, added_values[is_new]])
            merged[replaced] = added_values[~is_new]
            return merged

        return type(self)(
            merge(self.item_ids, _make_text_array(added["item_id"].to_pylist())),
            merge(self.titles, _make_text_array(added["title"].to_pylist())),
            merge(self.attributes, _make_text_array(added["attributes"].to_pylist())),
            np.concatenate([self.counts, no_interactions]),
            np.concatenate([self.recent_counts, no_interactions]),
            merge(self.vectors, vectors),
            np.append(self.variant_groups, np.full(len(no_interactions), None, object)),
        )

    def to_table(self) -> pa.Table:
        """Return all fields except the vectors, one row per product in order of its index."""
        texts = {
            "item_id": self.item_ids, "title": self.titles, "attributes": self.attributes,
            "variant_group": self.variant_groups,
        }  # fmt: skip
        counts = {"purchases": self.counts, "recent_purchases": self.recent_counts}
        return pa.table(
            {name: pa.array(values[1:], pa.large_string()) for name, values in texts.items()}
            | {name: pa.array(values[1:]) for name, values in counts.items()}
        )

    @classmethod
    def from_table(cls, table: pa.Table, vectors: np.ndarray) -> Self:
        """Return a catalogue from the output of :meth:`to_table` and the vectors.

        Args:
            table: columns ``item_id, title, attributes, variant_group, purchases,
                recent_purchases``.
            vectors: shape (rows + 1, dimension), float32.

        Raises:
            InputError: if the number of vectors differs from the number of products.
        """
        if len(vectors) != len(table) + 1:
            raise InputError(
                f"There are {len(vectors) - 1:,} title vectors for {len(table):,} products.\n"
                "Run the pipeline recommendation again."
            )

        def read_texts(column: str) -> np.ndarray:
            return _make_text_array([None, *table[column].to_pylist()])

        def read_counts(column: str) -> np.ndarray:
            return np.append(0, table[column].to_numpy()).astype(np.int64)

        return cls(
            _make_text_array(["", *table["item_id"].to_pylist()]),
            read_texts("title"),
            read_texts("attributes"),
            read_counts("purchases"),
            read_counts("recent_purchases"),
            vectors,
            read_texts("variant_group"),
        )


def _make_text_array(texts: Iterable[Any]) -> np.ndarray:
    """Return an object array of strings and None, shape (texts,)."""
    values = list(texts)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
