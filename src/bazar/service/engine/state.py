"""The state of an engine: one version of the catalogue, of the models and of the rules."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bazar.config.rules import Rule
from bazar.data.catalogue import Products
from bazar.data.vector_search import has_title
from bazar.errors import InputError
from bazar.service.engine.live_items import LiveItems
from bazar.service.engine.requests import Filters
from bazar.service.engine.restrictions import Restriction, list_attribute_restrictions
from bazar.service.engine.rules import MatchedRule, match_rules
from bazar.service.engine.word_search import WordIndex
from bazar.serving.recommender import Recommender


@dataclass(frozen=True)
class State:
    """What a request reads. It is replaced as one reference.

    Attributes:
        recommender: the catalogue and the models.
        live: stock, prices and visibility. Only these change in place.
        variant_codes: shape (items + 1,), int32: number of the variant group; 0 without variants.
        words: index of the words of the catalogue.
        is_titled: shape (items + 1,), bool.
        rules: the business rules.
        matched_rules: the same rules and their products.
        restrict_attributes: function that returns the restrictions of the categories and brands of
            filters.
    """

    recommender: Recommender
    live: LiveItems
    variant_codes: np.ndarray
    words: WordIndex
    is_titled: np.ndarray
    rules: tuple[Rule, ...]
    matched_rules: tuple[MatchedRule, ...]
    restrict_attributes: Callable[[Filters], list[Restriction]]

    @property
    def products(self) -> Products:
        """The catalogue."""
        return self.recommender.products

    @property
    def n_items(self) -> int:
        """Number of items + 1."""
        return len(self.products.item_ids)

    def find_item(self, field: str, item_id: str) -> int:
        """Return the item index of a product.

        Args:
            field: name of the field of the request, for the message.
            item_id: the product.

        Raises:
            InputError: if it is not in the catalogue.
        """
        item = self.products.index.get(item_id)
        if item is None:
            raise InputError(f"{field}: there is no product {item_id!r} in the catalogue.")
        return item


def build_state(
    recommender: Recommender,
    live: LiveItems,
    rules: tuple[Rule, ...],
) -> State:
    """Build the indices of a catalogue.

    Args:
        recommender: the catalogue and the models.
        live: stock, prices and visibility of its products.
        rules: the business rules.
    """
    products = recommender.products
    _index_attributes(products)
    groups = products.variant_groups
    codes = {name: code for code, name in enumerate(dict.fromkeys(filter(None, groups)), start=1)}

    @lru_cache(maxsize=64)
    def restrict(categories: tuple[str, ...], brands: tuple[str, ...]) -> list[Restriction]:
        return list_attribute_restrictions(products, Filters(categories, brands))

    return State(
        recommender=recommender,
        live=live,
        variant_codes=np.array([codes[name] if name else 0 for name in groups], np.int32),
        words=WordIndex(products),
        is_titled=has_title(products.vectors),
        rules=rules,
        matched_rules=match_rules(rules, products),
        restrict_attributes=lambda filters: restrict(filters.categories, filters.brands),
    )


def _index_attributes(products: Products) -> None:
    """Build the index of the attributes, so that the first request with a filter need not wait."""
    first = next(filter(None, products.attributes), None)
    if first is not None:
        with suppress(InputError):
            products.select_by_attributes([first.split(", ")[0]])
