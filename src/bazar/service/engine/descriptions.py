"""Descriptions of a page: its products, the rules that changed it, and limits of diversity."""

import numpy as np

from bazar.data.windows import Windows
from bazar.service.engine.answers import ListedProduct
from bazar.service.engine.ranking import Ranking
from bazar.service.engine.requests import Diversity, Filters
from bazar.service.engine.restrictions import select_allowed
from bazar.service.engine.selection import DiversityLimits, Page
from bazar.service.engine.state import State
from bazar.serving.descriptions import describe_products


def explain_conflict(
    state: State, page: Page, diversity: Diversity, item: int
) -> tuple[str, str] | None:
    """Return the limit of diversity that a product would exceed, and the reason in words."""
    listed = DiversityLimits(diversity, state.variant_codes, state.products.vectors)
    for other in page.items:
        listed.add(other)
    conflict = listed.find_conflict(item)
    if conflict is None:
        return None
    reason, items = conflict
    ids = ", ".join(repr(state.products.item_ids[other]) for other in items)
    if reason == "variant_limit":
        return reason, f"The list already contains enough variants of the product: {ids}."
    return reason, f"Its title is too similar to that of {ids}, which the list contains."


def describe_page(
    state: State, ranking: Ranking, page: Page, row: Windows | None, offset: int
) -> tuple[ListedProduct, ...]:
    """Describe the products of a page.

    Args:
        state: the catalogue.
        ranking: the ranking that the page is from.
        page: the page.
        row: one row, the purchases of the visitor; None for no explanations.
        offset: number of products of earlier pages.
    """
    items = np.array(page.items, np.int64)
    scores = ranking.candidates.reported_scores[items]
    scores = np.where(np.isfinite(scores), scores, np.float32(0))
    boosted_by = {
        item: [matched.rule.name for matched, _ in ranking.boosts if matched.is_named[item]]
        for item in page.items
    }
    live, is_similar = state.live, ranking.candidates.is_similar
    if is_similar is None:
        is_similar = np.zeros(state.n_items, bool)
    return tuple(
        ListedProduct(
            recommendation=recommendation,
            source="similar" if is_similar[item] else ranking.candidates.source,
            attributes=state.products.attributes[item],
            price=None if np.isnan(live.prices[item]) else float(live.prices[item]),
            in_stock=bool(live.in_stock[item]),
            rules=(*([page.pins[item]] if item in page.pins else []), *boosted_by[item]),
        )
        for item, recommendation in zip(
            page.items,
            describe_products(state.products, items, scores, row, offset + 1),
            strict=True,
        )
    )


def list_effective_rules(ranking: Ranking, page: Page, k: int) -> tuple[str, ...]:
    """Return the names of the rules that changed a page.

    These are the rules that pinned or boosted a listed product, and those that removed or moved
    down a product that would be before the last one.
    """
    if not ranking.rules:
        return ()
    names = dict.fromkeys(page.pins.values())
    natural = [item for item in page.items if item not in page.pins]
    is_full = bool(natural) and len(page.items) == k
    last = ranking.boosted_keys[natural].min() if is_full else -np.inf
    others = [restriction for restriction in ranking.restrictions if restriction.rule is None]
    is_wanted = select_allowed(others, len(ranking.keys))
    is_wanted &= ranking.natural_keys > last
    for restriction in ranking.restrictions:
        if restriction.rule is not None and np.any(restriction.is_removed & is_wanted):
            names[restriction.rule] = None
    is_wanted[page.items] = False
    for matched, factor in ranking.boosts:
        is_lost = factor < 1 and np.any(matched.is_named & is_wanted & ranking.is_allowed)
        if matched.is_named[natural].any() or is_lost:
            names[matched.rule.name] = None
    return tuple(names)


def note_unknown_prices(state: State, filters: Filters) -> tuple[str, ...]:
    """Return a note about the products that a price filter removes without knowing their price."""
    if filters.min_price is None and filters.max_price is None:
        return ()
    n_unknown = int(np.count_nonzero(np.isnan(state.live.prices[1:])))
    if not n_unknown:
        return ()
    return (f"The price filter left out {n_unknown:,} products whose price is not known.",)
