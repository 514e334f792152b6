"""Business rules that are matched to a catalogue."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from bazar.config.rules import BoostRule, ExcludeRule, PinRule, Rule
from bazar.data.catalogue import Products
from bazar.errors import InputError


@dataclass(frozen=True)
class MatchedRule:
    """A rule and the products that it names.

    Attributes:
        rule: the rule.
        items: item indices of ``rule.items`` in their order, int64.
        with_attributes: item indices of the products with one of ``rule.attributes``, int64.
        is_named: shape (items + 1,), bool: all products of the rule.
    """

    rule: Rule
    items: np.ndarray
    with_attributes: np.ndarray
    is_named: np.ndarray


def check_rules(rules: Iterable[Rule], products: Products, source: str) -> None:
    """Raise InputError if a rule names a product or an attribute that the catalogue does not have.

    Args:
        rules: the rules.
        products: the catalogue.
        source: the file of the rules, for the message.
    """
    for number, rule in enumerate(rules, start=1):
        place = f"{source}, rule {number} ({rule.name!r})"
        for item_id in rule.items:
            if item_id not in products.index:
                raise InputError(
                    f"{place}: items must be ids of products, but there is no product {item_id!r} "
                    "in the catalogue."
                )
        for name in rule.attributes:
            try:
                products.select_by_attributes([name])
            except InputError as error:
                raise InputError(f"{place}: attributes: {error}") from error


def match_rules(rules: Iterable[Rule], products: Products) -> tuple[MatchedRule, ...]:
    """Find the products of rules. Names that the catalogue does not have match nothing."""
    return tuple(_match_rule(rule, products) for rule in rules)


def select_boosts(rules: Iterable[MatchedRule]) -> list[tuple[MatchedRule, float]]:
    """Return the rules that boost, each with its factor."""
    return [
        (matched, matched.rule.factor) for matched in rules if isinstance(matched.rule, BoostRule)
    ]


def select_exclusions(rules: Iterable[MatchedRule]) -> list[MatchedRule]:
    """Return the rules that exclude."""
    return [matched for matched in rules if isinstance(matched.rule, ExcludeRule)]


def resolve_pins(
    rules: Iterable[MatchedRule], keys: np.ndarray, is_allowed: np.ndarray
) -> dict[int, tuple[int, str]]:
    """Return the pinned products and the names of their rules, by position.

    If a position is taken by an earlier rule, the next free position is used. A product that may
    not be listed is not pinned.

    Args:
        rules: the rules that apply.
        keys: shape (items + 1,), float: what products are ranked by; ``-inf`` without a score.
        is_allowed: shape (items + 1,), bool: the products that may be listed.
    """
    pins: dict[int, tuple[int, str]] = {}
    pinned: set[int] = set()
    for matched in rules:
        if not isinstance(matched.rule, PinRule):
            continue
        chosen = [int(item) for item in matched.items if is_allowed[item] and item not in pinned]
        candidates = matched.with_attributes[is_allowed[matched.with_attributes]]
        candidates = candidates[~np.isin(candidates, [*pinned, *chosen])]
        if len(candidates):
            chosen.append(int(candidates[np.argmax(keys[candidates])]))
        position = matched.rule.position
        for item in dict.fromkeys(chosen):
            while position in pins:
                position += 1
            pins[position] = (item, matched.rule.name)
            pinned.add(item)
    return pins


def _match_rule(rule: Rule, products: Products) -> MatchedRule:
    known = [products.index[item_id] for item_id in rule.items if item_id in products.index]
    items = np.array(known, np.int64)
    is_named = np.zeros(len(products.item_ids), bool)
    for name in rule.attributes:
        # The name may be gone since the rules were loaded.
        with suppress(InputError):
            is_named |= products.select_by_attributes([name])
    with_attributes = np.flatnonzero(is_named)
    is_named[items] = True
    return MatchedRule(rule, items, with_attributes, is_named)
