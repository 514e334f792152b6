"""Restrictions: which products may not be listed, and why."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from bazar.data.catalogue import Products
from bazar.service.engine.live_items import LiveItems
from bazar.service.engine.requests import Filters
from bazar.service.engine.rules import MatchedRule


@dataclass(frozen=True)
class Restriction:
    """A reason why products are not listed.

    Attributes:
        reason: a reason of :class:`~bazar.service.engine.answers.Absence`.
        text: the reason in words.
        is_removed: shape (items + 1,), bool: the products that are removed.
        rule: name of the rule; None if the reason is no rule.
    """

    reason: str
    text: str
    is_removed: np.ndarray
    rule: str | None = None


def list_live_restrictions(live: LiveItems, filters: Filters) -> list[Restriction]:
    """Return the restrictions by visibility, stock and price."""
    restrictions = [Restriction("hidden", "The shop hides the product.", live.is_hidden.copy())]
    if filters.only_in_stock:
        restrictions.append(
            Restriction("out_of_stock", "The product is out of stock.", ~live.in_stock)
        )
    if filters.min_price is not None or filters.max_price is not None:
        low = 0 if filters.min_price is None else filters.min_price
        high = np.inf if filters.max_price is None else filters.max_price
        # A comparison with NaN, an unknown price, is false.
        is_within = (live.prices >= low) & (live.prices <= high)
        limits = [
            "" if filters.min_price is None else f" from {filters.min_price:g}",
            "" if filters.max_price is None else f" up to {filters.max_price:g}",
        ]
        text = f"The price is not known, or not in the range{''.join(limits)}."
        restrictions.append(Restriction("price", text, ~is_within))
    return restrictions


def list_attribute_restrictions(products: Products, filters: Filters) -> list[Restriction]:
    """Return the restrictions by categories and brands.

    Raises:
        InputError: if no product has one of the attributes.
    """
    return [
        Restriction(
            reason,
            f"The product has none of the {field}: {', '.join(names)}.",
            ~products.select_by_attributes(list(names)),
        )
        for reason, field, names in (
            ("category", "categories", filters.categories),
            ("brand", "brands", filters.brands),
        )
        if names
    ]


def list_rule_restrictions(exclusions: list[MatchedRule]) -> list[Restriction]:
    """Return the restrictions by rules that exclude products."""
    return [
        Restriction(
            "rule",
            f"The rule {matched.rule.name!r} excludes the product.",
            matched.is_named,
            matched.rule.name,
        )
        for matched in exclusions
    ]


def restrict_items(
    reason: str,
    text: str,
    items: Collection[int] | np.ndarray,
    n_items: int,
) -> Restriction:
    """Return a restriction of single products.

    Args:
        reason: see :class:`Restriction`.
        text: see :class:`Restriction`.
        items: item indices.
        n_items: number of items + 1.
    """
    is_removed = np.zeros(n_items, bool)
    is_removed[np.fromiter(items, np.int64, len(items))] = True
    return Restriction(reason, text, is_removed)


def select_allowed(restrictions: list[Restriction], n_items: int) -> np.ndarray:
    """Return the products that no restriction removes, shape (items + 1,), bool. Padding is none.

    Args:
        restrictions: the restrictions.
        n_items: number of items + 1.
    """
    is_allowed = np.ones(n_items, bool)
    is_allowed[0] = False
    for restriction in restrictions:
        is_allowed &= ~restriction.is_removed
    return is_allowed
