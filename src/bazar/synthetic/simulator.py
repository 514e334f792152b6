"""Simulate the purchases of a synthetic cosmetics store.

Customers follow care routines step by step. They buy consumables again, and they prefer a brand and
a shade. They buy sunscreen in summer and gifts in December. A sequence model can learn these
patterns. A popularity baseline cannot. :mod:`bazar.synthetic.sample_store` and
:mod:`bazar.synthetic.benchmark_sets` write the purchases in the formats of real data sets.
"""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from bazar.synthetic.catalogue import N_DAYS, Catalogue
from bazar.synthetic.files import TEXT

CUSTOMERS_PER_GROUP = 20_000
"""Number of customers that are simulated at a time. It limits the memory."""
DAY_MS = 86_400_000
_FIRST_MS = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp() * 1000)
_REFILL_AFTER_DAYS = 45

# Probabilities of the kinds of a customer's next purchase. Their sum is 1. An impulse purchase is a
# random product.
_NEXT_STEP, _REFILL, _SAME_BRAND, _OTHER_BRAND, _IMPULSE = 0.62, 0.10, 0.12, 0.08, 0.08
_SUMMER_SUNSCREEN, _DECEMBER_GIFT = 0.25, 0.30
_NEXT_FAMILY = 0.7
"""Probability that a customer starts the next routine of the brand after a completed one."""


def simulate_purchases(
    catalogue: Catalogue, counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the simulated purchases of a group of customers.

    Args:
        catalogue: the products.
        counts: number of purchases of each customer, shape (customers,).
        rng: the random generator of the group.

    Returns:
        Customer, product and time (UTC milliseconds) of each purchase, sorted by customer and
        time.
    """
    customers = np.repeat(np.arange(len(counts)), counts)
    days = _draw_days(customers, len(counts), rng)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    items = np.zeros(len(customers), np.int64)
    family = np.zeros(len(counts), np.int64)
    step = np.zeros(len(counts), np.int64)
    shade = rng.integers(0, 12, len(counts))
    for purchase in range(int(counts.max())):
        # All customers with this purchase: first all first purchases, then all second ones.
        buyers = np.flatnonzero(counts > purchase)
        rows = starts[buyers] + purchase
        day = days[rows]
        if purchase == 0:
            family[buyers] = _draw_family(catalogue, day, rng)
            next_family, next_step = family[buyers], np.zeros(len(buyers), np.int64)
        else:
            next_family, next_step = _continue_routine(
                catalogue, family[buyers], step[buyers], day, rng
            )
        choice = _find_item(catalogue, next_family, next_step, shade[buyers])

        draw = rng.random(len(buyers))
        is_impulse = draw < _IMPULSE
        choice[is_impulse] = _draw_any_item(catalogue, shade[buyers], day, rng)[is_impulse]

        # A product is used up if the customer bought it long enough ago.
        earlier = starts[buyers] + np.maximum(purchase - rng.integers(2, 7, len(buyers)), 0)
        is_used_up = (day - days[earlier] > _REFILL_AFTER_DAYS) & (purchase > 0)
        is_refill = is_used_up & (draw > 1 - _REFILL)
        choice[is_refill] = items[earlier][is_refill]

        choice, is_seasonal = _replace_in_season(catalogue, choice, next_family, day, rng)

        # Impulse, refill, sunscreen and gift purchases do not change the position in the routine.
        follows_routine = ~(is_impulse | is_refill | is_seasonal) | (purchase == 0)
        family[buyers[follows_routine]] = next_family[follows_routine]
        step[buyers[follows_routine]] = next_step[follows_routine]
        items[rows] = choice
    times = _FIRST_MS + (days * DAY_MS).astype(np.int64)
    return customers, items, times


def _draw_days(customers: np.ndarray, n_customers: int, rng: np.random.Generator) -> np.ndarray:
    """Return random days of the purchases, sorted for each customer; float, shape (purchases,)."""
    joined = rng.random(n_customers) * 0.7 * N_DAYS
    days = joined[customers] + rng.random(len(customers)) * (N_DAYS - joined)[customers]
    return days[np.lexsort((days, customers))]


def _continue_routine(
    catalogue: Catalogue,
    family: np.ndarray,
    step: np.ndarray,
    day: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the family and the step of each customer's next purchase."""
    total = _NEXT_STEP + _SAME_BRAND + _OTHER_BRAND
    draw = rng.random(len(family)) * total
    brand = catalogue.family_brand[family]
    number = family - catalogue.first_family[brand]
    count = catalogue.n_families_of_brand[brand]

    is_complete = step + 1 >= catalogue.family_steps[family]
    takes_next = rng.random(len(family)) < _NEXT_FAMILY
    following = catalogue.first_family[brand] + (number + 1) % count
    any_of_brand = catalogue.first_family[brand] + rng.integers(0, count)
    new_family = np.where(is_complete, np.where(takes_next, following, any_of_brand), family)
    new_step = np.where(is_complete, 0, step + 1)

    same_brand = (draw >= _NEXT_STEP) & (draw < _NEXT_STEP + _SAME_BRAND)
    new_family = np.where(same_brand, any_of_brand, new_family)
    other_brand = draw >= _NEXT_STEP + _SAME_BRAND
    new_family = np.where(other_brand, _draw_family(catalogue, day, rng), new_family)
    new_step = np.where(same_brand | other_brand, 0, new_step)

    is_unreleased = catalogue.release_day[new_family] > day
    new_family = np.where(is_unreleased, family, new_family)
    last_step = catalogue.family_steps[family] - 1
    return new_family, np.where(is_unreleased, np.minimum(step, last_step), new_step)


def _draw_family(catalogue: Catalogue, day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return random families, by popularity. An unreleased family is replaced by the first one."""
    edges = np.cumsum(catalogue.family_weight)
    drawn = np.minimum(np.searchsorted(edges, rng.random(len(day))), len(edges) - 1)
    return np.where(catalogue.release_day[drawn] > day, 0, drawn)


def _draw_any_item(
    catalogue: Catalogue, shade: np.ndarray, day: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return random products at any step of any routine."""
    family = _draw_family(catalogue, day, rng)
    step = rng.integers(0, catalogue.family_steps[family])
    return _find_item(catalogue, family, step, shade)


def _replace_in_season(
    catalogue: Catalogue,
    items: np.ndarray,
    family: np.ndarray,
    day: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Replace some products with sunscreen in summer and with gifts in December.

    Returns:
        The products, and whether each of them was replaced.
    """
    month = ((day % 365) // 30.5).astype(np.int64)
    brand = catalogue.family_brand[family]
    draw = rng.random(len(items))
    is_sunscreen = (month >= 5) & (month <= 7) & (draw < _SUMMER_SUNSCREEN)
    items = np.where(is_sunscreen, np.array(catalogue.sunscreen_of_brand)[brand], items)
    is_gift = (month == 11) & (draw < _DECEMBER_GIFT)
    return np.where(
        is_gift, np.array(catalogue.gift_of_brand)[brand], items
    ), is_sunscreen | is_gift


def _find_item(
    catalogue: Catalogue, family: np.ndarray, step: np.ndarray, shade: np.ndarray
) -> np.ndarray:
    """Return the products at the given steps of routines, in the shades of the customers."""
    steps = catalogue.family_steps[family]
    shade_in_family = shade % catalogue.family_shades[family]
    return catalogue.family_first[family] + shade_in_family * steps + step


def draw_lengths(
    customers: int, interactions: int, evenness: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a random number of purchases for each customer, from a long-tailed distribution.

    Each customer has at least one purchase.

    Args:
        customers: number of customers.
        interactions: total number of purchases, at least ``customers``.
        evenness: shape parameter of the gamma distribution of the shares. A smaller value
            makes the numbers of purchases per customer more unequal.
        rng: the random generator.
    """
    weights = rng.gamma(evenness, size=customers)
    further = rng.multinomial(interactions - customers, weights / weights.sum())
    return 1 + further


def make_user_ids(count: int, length: int, rng: np.random.Generator) -> pa.Array:
    """Return random customer ids: the letter A, followed by letters and digits.

    Args:
        count: number of ids.
        length: number of characters of an id. With 14 or more, duplicates are improbable.
        rng: the random generator.

    Returns:
        Large strings, shape (count,).
    """
    alphabet = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", np.uint8)
    letters = np.full((count, length), ord("A"), np.uint8)
    letters[:, 1:] = alphabet[rng.integers(0, 32, (count, length - 1))]
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(length), count, [None, pa.py_buffer(letters)]
    )
    return ids.cast(pa.large_binary()).cast(TEXT)
