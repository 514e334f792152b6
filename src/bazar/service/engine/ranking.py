"""The ranking of all products for a request, with restrictions and business rules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bazar.service.engine.histories import VisitorHistory
from bazar.service.engine.requests import ListRequest
from bazar.service.engine.restrictions import (
    Restriction,
    list_live_restrictions,
    list_rule_restrictions,
    restrict_items,
    select_allowed,
)
from bazar.service.engine.rules import MatchedRule, select_boosts, select_exclusions
from bazar.service.engine.sources import Candidates, Sources
from bazar.service.engine.state import State


@dataclass(frozen=True)
class Ranking:
    """A ranking with rules, before a page is selected.

    Attributes:
        candidates: the products that the source scored.
        restrictions: all restrictions.
        is_allowed: shape (items + 1,), bool: the products that may be listed.
        keys: shape (items + 1,), float32: what products are ranked by; ``-inf`` for products that
            may not be listed.
        natural_keys: the same before boosts, also for products that may not be listed.
        boosted_keys: the same after boosts, also for products that may not be listed.
        boosts: the rules that boost, each with its factor.
        rules: the rules that apply.
    """

    candidates: Candidates
    restrictions: list[Restriction]
    is_allowed: np.ndarray
    keys: np.ndarray
    natural_keys: np.ndarray
    boosted_keys: np.ndarray
    boosts: list[tuple[MatchedRule, float]]
    rules: list[MatchedRule]


def rank_products(
    sources: Sources,
    state: State,
    request: ListRequest,
    history: VisitorHistory,
    listed_elsewhere: Sequence[str] = (),
) -> Ranking:
    """Score the products, and apply restrictions and boosts.

    Args:
        sources: the sources.
        state: the catalogue and the models.
        request: the request.
        history: the history of its visitor.
        listed_elsewhere: ids of products that other placements of a page list.

    Raises:
        InputError: if a category, a brand, a model or a product of the request is unknown.
    """
    rules = [
        matched
        for matched in state.matched_rules
        if matched.rule.applies(request.placement, history.at)
    ]
    index = state.products.index
    restrictions = [
        *list_live_restrictions(state.live, request.filters),
        *state.restrict_attributes(request.filters),
        *list_rule_restrictions(select_exclusions(rules)),
    ]
    for reason, text, ids in (
        ("excluded", "The request excludes the product.", request.exclude),
        ("other_placement", "Another placement of the page lists it.", listed_elsewhere),
    ):
        if known := [index[item_id] for item_id in ids if item_id in index]:
            restrictions.append(restrict_items(reason, text, known, state.n_items))
    candidates = sources.score(state, request, history, restrictions)
    restrictions += candidates.restrictions
    is_allowed = select_allowed(restrictions, state.n_items)
    boosts = select_boosts(rules)
    natural_keys = boosted_keys = candidates.scores
    if boosts:
        shares = candidates.shares(natural_keys)
        natural_keys = np.where(np.isneginf(natural_keys), np.float32(-np.inf), shares)
        boosted_keys = natural_keys.copy()
        for matched, factor in boosts:
            boosted_keys[matched.is_named] *= factor
    return Ranking(
        candidates,
        restrictions,
        is_allowed,
        np.where(is_allowed, boosted_keys, np.float32(-np.inf)).astype(np.float32, copy=False),
        natural_keys,
        boosted_keys,
        boosts,
        rules,
    )
