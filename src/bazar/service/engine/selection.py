"""Selection of one page from a ranking: pins, limits of diversity, and earlier pages."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from bazar.models.top_k import find_top_positions
from bazar.service.engine.requests import Diversity


@dataclass
class DiversityLimits:
    """The products that were selected, and whether a further product is too similar to them.

    Attributes:
        diversity: the limits.
        variant_codes: shape (items + 1,), int32: number of the variant group of each product; 0 if
            it has no variants.
        vectors: shape (items + 1, dimension), float32, unit vectors of titles.
        selected: item indices.
    """

    diversity: Diversity
    variant_codes: np.ndarray
    vectors: np.ndarray
    selected: list[int] = field(default_factory=list)
    _variants: Counter[int] = field(default_factory=Counter)

    def add(self, item: int) -> None:
        """Select a product."""
        self.selected.append(item)
        self._variants[int(self.variant_codes[item])] += 1

    def find_conflict(self, item: int) -> tuple[str, list[int]] | None:
        """Return the limit that a product would exceed, and the selected products of the reason.

        Returns:
            ``variant_limit`` or ``title_limit``, and item indices. None if there is no conflict.
        """
        most, highest = self.diversity.max_per_variant_group, self.diversity.max_title_cosine
        code = int(self.variant_codes[item])
        if most is not None and code and self._variants[code] >= most:
            same = [other for other in self.selected if self.variant_codes[other] == code]
            return "variant_limit", same
        if highest is not None and self.selected and self.vectors[item].any():
            cosines = self.vectors[self.selected] @ self.vectors[item]
            nearest = int(np.argmax(cosines))
            if cosines[nearest] > highest:
                return "title_limit", [self.selected[nearest]]
        return None


@dataclass(frozen=True)
class Page:
    """One page of a list.

    Attributes:
        items: item indices, the best first.
        pins: name of the rule of each pinned product, by item index.
        has_more: whether another page may have products.
    """

    items: list[int]
    pins: dict[int, str]
    has_more: bool


def select_page(
    keys: np.ndarray,
    k: int,
    pins: Mapping[int, tuple[int, str]],
    shown: Collection[int],
    limits: DiversityLimits,
) -> Page:
    """Select the products of a page, the best first, within the limits.

    Pinned products are left out of the ranking, and count for the limits before all others: also
    those of later pages. Therefore the pages together equal one long list. If there are too few
    products to reach the position of a pin, the pin follows the last product.

    Args:
        keys: shape (items + 1,), float32: what products are ranked by; ``-inf`` for products that
            may not be listed.
        k: number of products.
        pins: pinned products and the names of their rules, by position from 1.
        shown: item indices of the products of earlier pages.
        limits: the limits, without selected products.
    """
    offset = len(shown)
    pins = {
        position: pin
        for position, pin in sorted(pins.items())
        if position > offset and pin[0] not in shown
    }
    for item in shown:
        limits.add(item)
    for position, (item, _) in list(pins.items()):
        if limits.find_conflict(item) is None:
            limits.add(item)
        else:
            del pins[position]
    keys = keys.copy()
    keys[0] = -np.inf
    keys[[item for item, _ in pins.values()]] = -np.inf
    keys[list(shown)] = -np.inf
    n_free = k - sum(offset < position <= offset + k for position in pins)
    natural = _select_naturally(keys, n_free + 1, limits)
    remaining = iter(natural)
    items: list[int] = []
    pinned: dict[int, str] = {}
    for position in range(offset + 1, offset + k + 1):
        free = None if position in pins else next(remaining, None)
        if free is not None:
            items.append(free)
            continue
        # The pin of this position, or the next pin behind the last product.
        place = position if position in pins else next(iter(pins), None)
        if place is None:
            break
        item, name = pins.pop(place)
        pinned[item] = name
        items.append(item)
    has_more = bool(pins) or next(remaining, None) is not None
    return Page(items, pinned, has_more)


def _select_naturally(keys: np.ndarray, n: int, limits: DiversityLimits) -> list[int]:
    """Return the first products of a ranking within the limits, at most ``n`` item indices."""
    is_limited = limits.diversity != Diversity()
    n_candidates = int(np.count_nonzero(keys > -np.inf))
    depth = min(n_candidates, 4 * n if is_limited else n)
    tested = 0
    found: list[int] = []
    while True:
        ranked = find_top_positions(keys[None], depth)[0] if depth else np.empty(0, np.int64)
        for item in ranked[tested:].tolist():
            if len(found) == n:
                return found
            if is_limited and limits.find_conflict(item) is not None:
                continue
            limits.add(item)
            found.append(item)
        if depth == n_candidates:
            return found
        tested, depth = depth, min(n_candidates, 8 * depth)
