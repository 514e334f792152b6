from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from bazar.synthetic.catalogue import Catalogue
from bazar.synthetic.oracle import TOP_K, compute_oracle, compute_probabilities
from bazar.synthetic.simulator import Purchases, draw_lengths, draw_orders, simulate_purchases

CATALOGUE = Catalogue(800, np.random.default_rng(1))
N_CUSTOMERS = 1_500


def name_users(count: int) -> pa.Array:
    return pa.array([f"user {number}" for number in range(count)], pa.large_string())


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    counts = draw_lengths(N_CUSTOMERS, 8 * N_CUSTOMERS, 1.2, np.random.default_rng(1))
    return simulate_purchases(CATALOGUE, counts, np.random.default_rng(2))


@pytest.fixture(scope="module")
def oracle(purchases: Purchases) -> pa.Table:
    return compute_oracle(CATALOGUE, purchases, name_users(N_CUSTOMERS), np.random.default_rng(3))


@pytest.fixture(scope="module")
def last_orders(purchases: Purchases) -> dict[int, set[int]]:
    """The products of the last order of each customer with two or more orders."""
    found: dict[int, set[int]] = {}
    last = np.append(np.flatnonzero(np.diff(purchases.customers)), len(purchases.customers) - 1)
    is_last = purchases.times == purchases.times[last][purchases.customers]
    for customer, item in zip(
        purchases.customers[is_last].tolist(), purchases.items[is_last].tolist(), strict=True
    ):
        if purchases.n_orders[customer] > 1:
            found.setdefault(customer, set()).add(item)
    return found


def rankings(oracle: pa.Table) -> dict[int, list[int]]:
    number = {item_id: item for item, item_id in enumerate(CATALOGUE.item_ids.tolist())}
    found: dict[int, list[int]] = {}
    for user, item_id in zip(
        oracle["user_id"].to_pylist(), oracle["item_id"].to_pylist(), strict=True
    ):
        found.setdefault(int(user.split(" ")[1]), []).append(number[item_id])
    return found


def compute_ndcg(ranking: Sequence[int], targets: set[int]) -> float:
    gains = 1 / np.log2(np.arange(2, 12))
    hits = [item in targets for item in ranking[:10]]
    return float(gains[: len(hits)][hits].sum() / gains[: len(targets)].sum())


def test_oracle_has_the_top_products_of_returning_customers(
    purchases: Purchases, oracle: pa.Table
) -> None:
    assert oracle.schema.types == [pa.string(), pa.string(), pa.float32()]
    assert oracle.column_names == ["user_id", "item_id", "score"]
    found = rankings(oracle)
    assert list(found) == np.flatnonzero(purchases.n_orders > 1).tolist()
    assert all(1 <= len(items) == len(set(items)) <= TOP_K for items in found.values())
    scores = oracle["score"].to_numpy()
    assert ((scores > 0) & (scores <= 1)).all()
    users = oracle["user_id"].to_pylist()
    assert all(
        one >= following
        for (one, following), (user, next_user) in zip(
            pairwise(scores.tolist()), pairwise(users), strict=True
        )
        if user == next_user
    )


def test_oracle_ranks_last_orders_better_than_popularity_and_frequency(
    purchases: Purchases, oracle: pa.Table, last_orders: dict[int, set[int]]
) -> None:
    popular = np.argsort(-np.bincount(purchases.items), kind="stable").tolist()
    bought: dict[int, list[int]] = {customer: [] for customer in last_orders}
    first = np.searchsorted(purchases.customers, np.arange(N_CUSTOMERS))
    for customer, targets in last_orders.items():
        # The last order is the last part of the customer's purchases.
        end = first[customer] + np.bincount(purchases.customers)[customer] - len(targets)
        bought[customer] = purchases.items[first[customer] : end].tolist()
    by_frequency = {
        customer: [
            *sorted(dict.fromkeys(items[::-1]), key=items.count, reverse=True),
            *(item for item in popular[:60] if item not in items),
        ]
        for customer, items in bought.items()
    }
    found = rankings(oracle)
    ndcg = {
        name: np.mean(
            [compute_ndcg(ranked[customer], last_orders[customer]) for customer in ranked]
        )
        for name, ranked in (
            ("oracle", found),
            ("frequency", by_frequency),
            ("popularity", dict.fromkeys(last_orders, popular)),
        )
    }
    assert ndcg["oracle"] > 0.6
    assert ndcg["oracle"] > 2 * ndcg["frequency"]
    assert ndcg["frequency"] > 2 * ndcg["popularity"]


def test_scores_are_the_frequencies_of_the_products_in_last_orders(
    oracle: pa.Table, last_orders: dict[int, set[int]]
) -> None:
    found = rankings(oracle)
    is_bought = np.array(
        [item in last_orders[customer] for customer, items in found.items() for item in items]
    )
    scores = oracle["score"].to_numpy()
    for low, high in pairwise([0, 0.01, 0.05, 0.2, 0.4, 0.6, 1]):
        chosen = (scores > low) & (scores <= high)
        # The bound is five standard deviations of the share.
        spread = (scores[chosen].mean() / chosen.sum()) ** 0.5
        assert abs(is_bought[chosen].mean() - scores[chosen].mean()) < 5 * spread


def test_scores_match_other_simulations_of_the_last_orders(
    purchases: Purchases, oracle: pa.Table
) -> None:
    customers = np.flatnonzero(purchases.n_orders > 1)[:20]
    state, days = purchases.before_last.take(customers), purchases.last_days[customers]
    max_lines = np.bincount(purchases.customers)[customers] - 1
    other = compute_probabilities(
        CATALOGUE, state, days, np.minimum(max_lines, 12), 8_000, np.random.default_rng(9)
    )
    found, scores = rankings(oracle), oracle["score"].to_numpy()
    first = 0
    for row, customer in enumerate(customers.tolist()):
        items = found[customer]
        score = scores[first : first + len(items)]
        first += len(items)
        spread = (other[row, items] / 2_000).clip(min=1e-6) ** 0.5
        assert (abs(score - other[row, items]) < 6 * spread).all()


def test_probabilities_of_orders_with_one_line_sum_to_one(purchases: Purchases) -> None:
    state, days = purchases.before_last.take(np.arange(30)), purchases.last_days[:30]
    one_line = compute_probabilities(
        CATALOGUE, state, days, np.ones(30, np.int64), 500, np.random.default_rng(1)
    )
    assert np.allclose(one_line.sum(axis=1), 1)
    # The number of lines is geometric, with at most three lines.
    state.order_end[:] = 0.5
    three_lines = compute_probabilities(
        CATALOGUE, state, days, np.full(30, 3), 4_000, np.random.default_rng(1)
    )
    assert abs(three_lines.sum(axis=1).mean() - (1 * 4 + 2 * 2 + 3 * 1) / 7) < 0.02


def test_random_orders_do_not_change_the_state(purchases: Purchases) -> None:
    state = purchases.before_last.take(np.arange(20))
    before = state.take(np.arange(20))
    draw_orders(
        CATALOGUE, state, purchases.last_days[:20], np.arange(20), np.full(20, 4),
        np.random.default_rng(1),
    )  # fmt: skip
    for name, values in vars(before).items():
        assert np.array_equal(values, getattr(state, name)), name


def test_customers_with_one_order_have_no_rows() -> None:
    single = simulate_purchases(CATALOGUE, np.ones(5, np.int64), np.random.default_rng(1))
    table = compute_oracle(CATALOGUE, single, name_users(5), np.random.default_rng(2))
    assert len(table) == 0
    assert table.column_names == ["user_id", "item_id", "score"]
