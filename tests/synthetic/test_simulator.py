from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.synthetic.catalogue import N_DAYS, NO_NEED, SUNSCREEN_NEED, USE_DAYS, Catalogue
from bazar.synthetic.simulator import (
    DAY_MS,
    MAX_LINES,
    Customers,
    Purchases,
    compute_refill_chance,
    draw_lengths,
    draw_orders,
    simulate_purchases,
)

CATALOGUE = Catalogue(800, np.random.default_rng(1))
DAYS = np.array(list(USE_DAYS.values()))
FIRST_DAY = 18_628
"""Days from 1970 to the start of the simulation."""
MARCH, JULY, DECEMBER = 75.0, 200.0, 350.0


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    counts = draw_lengths(3_000, 25_000, 1.2, np.random.default_rng(1))
    return simulate_purchases(CATALOGUE, counts, np.random.default_rng(2))


def make_customer(in_use: dict[int, float], step: int = 0, pace: float = 1) -> Customers:
    """Return one customer.

    Args:
        in_use: products in use and the day of their purchase.
        step: last bought step of the routine.
        pace: days until the customer uses up a product, divided by the average.
    """
    items, since = np.full((1, len(USE_DAYS)), -1), np.full((1, len(USE_DAYS)), -np.inf)
    for item, day in in_use.items():
        items[0, CATALOGUE.needs[item]] = item
        since[0, CATALOGUE.needs[item]] = day
    return Customers(
        np.array([0.5]), np.array([pace]), np.array([0]), np.array([0]), np.array([step]), items,
        since,
    )  # fmt: skip


def draw_share(customer: Customers, day: float, item: int, size: int, n_orders: int) -> float:
    """Return the share of random orders of a customer that contain a product."""
    orders = draw_orders(
        CATALOGUE, customer, np.array([day]), np.zeros(n_orders, np.int64),
        np.full(n_orders, size), np.random.default_rng(5),
    )  # fmt: skip
    return float((orders.items == item).any(axis=1).mean())


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=20),
    st.sampled_from([60, 80, 300]),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_purchases_have_the_given_counts_and_valid_orders(
    counts: list[int], products: int, seed: int
) -> None:
    catalogue = Catalogue(products, np.random.default_rng(seed))
    found = simulate_purchases(catalogue, np.array(counts), np.random.default_rng(seed))
    assert np.bincount(found.customers).tolist() == counts
    assert (np.diff(found.customers) >= 0).all()
    days = found.times / DAY_MS - FIRST_DAY
    assert ((days >= 0) & (days < N_DAYS)).all()
    assert ((found.items >= 0) & (found.items < catalogue.n_sold)).all()
    assert catalogue.is_released(found.items, days + 1e-6).all()
    is_same = np.diff(found.customers) == 0
    assert (np.diff(found.times)[is_same] >= 0).all()
    sizes = Counter(zip(found.customers.tolist(), found.times.tolist(), strict=True))
    assert max(sizes.values()) <= MAX_LINES
    assert Counter(customer for customer, _ in sizes) == dict(enumerate(found.n_orders.tolist()))
    lines = set(zip(found.customers, found.times, found.items, strict=True))
    assert len(lines) == sum(counts)
    last = np.cumsum(counts) - 1
    assert np.allclose(days[last], found.last_days)


def test_one_seed_gives_one_simulation(purchases: Purchases) -> None:
    counts = np.bincount(purchases.customers)
    same = simulate_purchases(CATALOGUE, counts, np.random.default_rng(2))
    assert np.array_equal(same.items, purchases.items)
    assert np.array_equal(same.times, purchases.times)
    other = simulate_purchases(CATALOGUE, counts, np.random.default_rng(3))
    assert not np.array_equal(other.items, purchases.items)


def test_refills_are_most_probable_when_a_product_is_used_up() -> None:
    ages = np.array([0, 0.5, 0.8, 1.0, 1.2, 2, 4, 10, np.inf])
    chances = compute_refill_chance(ages)
    assert chances[1] < 0.01
    assert chances.argmax() == 4
    assert chances[4] > 0.7
    assert (np.diff(chances[:5]) > 0).all()
    assert (np.diff(chances[4:]) < 0).all()
    assert chances[6] < 0.2 * chances[4]
    assert chances[-1] == 0


@pytest.mark.parametrize("pace", [0.7, 1.0, 1.4])
@pytest.mark.parametrize("age", [0.3, 0.95, 1.2, 3.0])
def test_product_in_use_is_refilled_with_the_given_chance(age: float, pace: float) -> None:
    shampoo = int(np.flatnonzero(CATALOGUE.needs == list(USE_DAYS).index("Shampoo"))[0])
    use_days = USE_DAYS["Shampoo"] * pace
    customer = make_customer({shampoo: MARCH - age * use_days}, pace=pace)
    expected = float(compute_refill_chance(np.array(age)))
    share = draw_share(customer, MARCH, shampoo, 3, 20_000)
    # The bound is five standard deviations of the share.
    assert abs(share - expected) < 5 * (expected * (1 - expected) / 20_000) ** 0.5 + 1e-3


def test_order_with_one_line_contains_each_of_two_due_products_equally_often() -> None:
    steps = [list(USE_DAYS).index(name) for name in ("Shampoo", "Nail Polish")]
    items = [int(np.flatnonzero(CATALOGUE.needs == step)[0]) for step in steps]
    customer = make_customer(
        {item: MARCH - 1.2 * DAYS[step] for item, step in zip(items, steps, strict=True)}
    )
    chance = float(compute_refill_chance(np.array(1.2)))
    for item in items:
        share = draw_share(customer, MARCH, item, 1, 20_000)
        assert abs(share - (chance * (1 - chance) + chance**2 / 2)) < 0.02


def test_next_step_of_the_routine_is_the_most_frequent_new_product() -> None:
    for step in range(3):
        customer = make_customer({}, step)
        next_item = int(CATALOGUE.family_first[0]) + step + 1
        assert 0.5 < draw_share(customer, MARCH, next_item, 1, 5_000) < 0.8


def test_product_in_use_is_not_bought_as_a_new_product() -> None:
    first = int(CATALOGUE.family_first[0])
    customer = make_customer({first + 1: MARCH - 1})
    assert draw_share(customer, MARCH, first + 1, 3, 2_000) == 0
    # The step after it is bought instead.
    assert 0.4 < draw_share(customer, MARCH, first + 2, 1, 2_000) < 0.6


def test_sunscreen_and_gifts_are_offered_in_their_seasons() -> None:
    sunscreen, gift = int(CATALOGUE.sunscreen_of_brand[0]), int(CATALOGUE.gift_of_brand[0])
    assert CATALOGUE.needs[sunscreen] == SUNSCREEN_NEED
    assert CATALOGUE.needs[gift] == NO_NEED
    nobody = make_customer({})
    assert 0.22 < draw_share(nobody, JULY, sunscreen, 1, 5_000) < 0.28
    assert 0.27 < draw_share(nobody, DECEMBER, gift, 1, 5_000) < 0.33
    for item, day in ((sunscreen, DECEMBER), (gift, JULY), (gift, MARCH)):
        assert draw_share(nobody, day, item, 1, 5_000) < 0.01
    # A customer whose own sunscreen is due buys it in spring, but not in winter.
    own = int(np.flatnonzero(CATALOGUE.needs == SUNSCREEN_NEED)[-1])
    april, age = 110.0, 1.2 * USE_DAYS["Sunscreen SPF 50"]
    assert draw_share(make_customer({own: april - age}), april, own, 1, 5_000) > 0.7
    assert draw_share(make_customer({own: DECEMBER - age}), DECEMBER, own, 1, 5_000) < 0.01


def list_gaps(purchases: Purchases) -> tuple[np.ndarray, np.ndarray]:
    """Return the product of each repeat purchase, and the days since the purchase before it."""
    keys = purchases.customers * CATALOGUE.n_sold + purchases.items
    order = np.lexsort((purchases.times, keys))
    is_repeat = np.diff(keys[order]) == 0
    gaps = np.diff(purchases.times[order])[is_repeat] / DAY_MS
    return keys[order][1:][is_repeat], gaps


def test_repurchase_gaps_concentrate_around_the_time_of_use(purchases: Purchases) -> None:
    keys, gaps = list_gaps(purchases)
    customers, items = np.divmod(keys, CATALOGUE.n_sold)
    needs = CATALOGUE.needs[items]
    is_used = needs != NO_NEED
    pace = purchases.before_last.pace[customers[is_used]]
    ages = gaps[is_used] / (DAYS[needs[is_used]] * pace)
    assert len(ages) > 5_000
    assert (ages < 0.7).mean() < 0.05
    assert ((ages > 0.8) & (ages < 2)).mean() > 0.6
    assert 1.1 < np.median(ages) < 1.6
    # Products that are used up faster are bought again sooner.
    names = list(USE_DAYS)
    medians = [
        np.median(gaps[needs == names.index(name)])
        for name in ("Shower Gel", "Gentle Cleanser", "Foundation", "Nail Polish")
    ]
    assert (np.diff(medians) > 15).all()


def test_slow_customers_buy_again_later(purchases: Purchases) -> None:
    keys, gaps = list_gaps(purchases)
    customers, items = np.divmod(keys, CATALOGUE.n_sold)
    is_cleanser = CATALOGUE.needs[items] == list(USE_DAYS).index("Gentle Cleanser")
    pace = purchases.before_last.pace[customers]
    slow, fast = (
        np.median(gaps[is_cleanser & is_chosen]) for is_chosen in (pace > 1.2, pace < 0.8)
    )
    assert slow > 1.2 * fast


def test_customers_order_at_irregular_times(purchases: Purchases) -> None:
    is_new = np.diff(purchases.times) > 0
    gaps = np.diff(purchases.times)[is_new & (np.diff(purchases.customers) == 0)] / DAY_MS
    assert 25 < np.median(gaps) < 60
    assert gaps.std() > 0.8 * gaps.mean()
