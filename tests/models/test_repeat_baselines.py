"""Models that predict which of the user's items the user buys again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.config.models import (
    RecentPersonalFrequencyOptions,
    RepurchaseTimingOptions,
    TifuKnnOptions,
)
from bazar.models import histories
from bazar.models.personal_frequency import PersonalFrequency, RecentPersonalFrequency
from bazar.models.repurchase_timing import RepurchaseTiming
from bazar.models.sparse_scores import find_highest
from bazar.models.tifu_knn import TifuKnn
from tests.models.order_rows import (
    Orders,
    count_items,
    make_order_sequences,
    make_requests,
    make_training_rows,
    order_lists,
)
from tests.models.test_baselines import RECENT, TIFU, TIMING

COUNTS = np.array([0, 5, 9, 7, 1, 0])


def rank_items(scores: np.ndarray) -> list[int]:
    """Return the items from the highest to the lowest score."""
    return (np.argsort(-scores[1:], kind="stable") + 1).tolist()


def test_personal_frequency_counts_orders_and_breaks_ties_by_recency() -> None:
    # Item 1 is in two orders (twice in the first), items 3 and 4 in one. 4 was bought after 3.
    rows = make_requests([[[1, 1, 3], [4], [1]], [[4]]], history_length=1)
    scores = PersonalFrequency(COUNTS).score(rows)
    # Recency: 3 orders, of which 0, 1 and 2 came after the last one with the item. The popularity
    # of the items is .5, .1 and .7.
    expected = [2 + 3.5 / 5, 1 + 2.1 / 5, 1 + 1.7 / 5]
    np.testing.assert_allclose(scores[0, [1, 4, 3]], expected, rtol=1e-6)
    # Two items of one order: the more popular one comes first.
    assert rank_items(PersonalFrequency(COUNTS).score(make_requests([[[3, 2]]]))[0])[:2] == [2, 3]
    # Items 2 and 5 were never bought: in order of popularity, after all others.
    assert rank_items(scores[0]) == [1, 4, 3, 2, 5]
    assert (scores[0, [2, 5]] < 0).all()
    assert rank_items(scores[1]) == [4, 2, 3, 1, 5]


def test_recent_personal_frequency_sums_decayed_orders() -> None:
    model = RecentPersonalFrequency(COUNTS, RecentPersonalFrequencyOptions(decay=0.5))
    scores = model.score(make_requests([[[1, 2, 1], [2], [2], [1]]], history_length=2))[0]
    # The ages of the orders are 3, 2, 1, 0. An order counts an item once.
    np.testing.assert_allclose(scores[1:3], [1 + 0.125, 0.5 + 0.25 + 0.125], atol=1e-3)
    assert rank_items(scores) == [1, 2, 3, 4, 5]


def test_without_decay_recent_frequency_is_the_number_of_orders() -> None:
    rows = make_requests([[[1, 2], [2], [2, 3]], [[4], [4]]])
    model = RecentPersonalFrequency(COUNTS, RecentPersonalFrequencyOptions(decay=1))
    frequency = PersonalFrequency(COUNTS).score(rows)
    np.testing.assert_allclose(
        np.maximum(model.score(rows), 0), np.maximum(np.floor(frequency), 0), atol=1e-3
    )


def make_tifu_options(**changes: float) -> TifuKnnOptions:
    return TifuKnnOptions.model_validate(TIFU.model_dump() | changes)


def compute_tifu_vector(orders: Orders, options: TifuKnnOptions, n_items: int) -> np.ndarray:
    """Compute the vector of a user group by group, as section 5 of Hu et al. (2020) defines it."""
    n_groups = min(options.groups, len(orders))
    # The groups have equal sizes, and the rest is distributed over the last groups.
    sizes = [len(orders) // n_groups] * n_groups
    for position in range(len(orders) % n_groups):
        sizes[-1 - position] += 1
    total, start = np.zeros(n_items + 1), 0
    for group, size in enumerate(sizes):
        vector = np.zeros(n_items + 1)
        for position, order in enumerate(orders[start : start + size]):
            vector[order] += options.order_decay ** (size - 1 - position)
        total += options.group_decay ** (n_groups - 1 - group) * vector / size
        start += size
    return total / n_groups


def test_tifu_vector_equals_a_hand_calculation() -> None:
    # Five orders in two groups: {1}, {1, 2} and {1}, {3}, {2}. With own_weight 1, scores are the
    # vector of the user.
    options = make_tifu_options(groups=2, order_decay=0.9, group_decay=0.5, own_weight=1)
    training = make_training_rows([[[4], [4]]])
    rows = make_requests([[[1], [1, 2], [1], [3], [2]]], history_length=1)
    scores = TifuKnn(training, COUNTS, options).score(rows)[0]
    first = {1: (0.9 + 1) / 2, 2: 1 / 2}
    last = {1: 0.9**2 / 3, 2: 1 / 3, 3: 0.9 / 3}
    expected = [(0.5 * first.get(item, 0) + last[item]) / 2 for item in (1, 2, 3)]
    np.testing.assert_allclose(scores[1:4], expected, rtol=1e-6)
    assert rank_items(scores)[3:] == [4, 5]


def test_tifu_neighbours_equal_a_hand_calculation() -> None:
    # One group per order and no decay: the vector of a user is the share of orders with each item.
    # From (1, 0, 0, 0), the users have the squared distances 1/4 + 1/4, 1 + 1 and 1 + 1/4 + 1/4.
    training = make_training_rows([[[1], [2]], [[3], [3]], [[4], [5]]])
    options = make_tifu_options(groups=9, group_decay=1, own_weight=0.6)
    request = make_requests([[[1]]])

    def score(neighbours: int) -> np.ndarray:
        changed = options.model_copy(update={"neighbours": neighbours})
        return TifuKnn(training, COUNTS, changed).score(request)[0]

    # The rest of the weight, 0.4, is for the mean vector of the nearest users.
    np.testing.assert_allclose(score(1)[[1, 2]], [0.6 + 0.4 / 2, 0.4 / 2], rtol=1e-6)
    assert (score(1)[3:] < 0).all()
    # A user with a small vector is near, although the user shares no item with the request.
    np.testing.assert_allclose(
        score(2)[[1, 2, 4, 5]], [0.6 + 0.4 / 4, 0.4 / 4, 0.4 / 4, 0.4 / 4], rtol=1e-6
    )
    # There are only three other users.
    np.testing.assert_allclose(score(50)[3], 0.4 / 3, rtol=1e-6)


def test_a_user_is_not_a_neighbour_of_the_same_user() -> None:
    training = make_training_rows([[[1], [1]], [[2], [3]]])
    options = make_tifu_options(neighbours=1, own_weight=0)
    model = TifuKnn(training, COUNTS, options)
    orders: list[Orders] = [[[1], [1]]]
    same, other = (model.score(make_requests(orders, prefix=name))[0] for name in ("u", "new"))
    assert rank_items(other)[0] == 1
    assert other[[2, 3]].max() < 0
    assert same[1] < 0 < same[2] < same[3]


@given(training=order_lists(6), requests=order_lists(6, 1), groups=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_tifu_scores_equal_a_dense_computation(
    training: list[Orders], requests: list[Orders], groups: int
) -> None:
    options = make_tifu_options(groups=groups, neighbours=2, own_weight=0.3)
    rows = make_training_rows(training)
    scores = TifuKnn(rows, count_items(rows, 6), options).score(make_requests(requests))
    vectors = np.array([compute_tifu_vector(orders, options, 6) for orders in training])
    for own, found in zip(requests, scores, strict=True):
        vector = compute_tifu_vector(own, options, 6)
        distances = np.linalg.norm(vectors - vector, axis=1)
        nearest = np.argsort(distances, kind="stable")[:2]
        if len(distances) > 2 and np.diff(np.sort(distances)[1:3])[0] < 1e-5:
            # Two users are equally near, and the other may be taken.
            continue
        expected = 0.3 * vector + 0.7 * vectors[nearest].mean(axis=0)
        np.testing.assert_allclose(np.maximum(found, 0)[1:], expected[1:], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("max_pairs", [1, 5])
def test_number_of_pairs_in_memory_does_not_change_tifu_scores(
    max_pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    users = [[rng.integers(1, 6, 2).tolist() for _ in range(4)] for _ in range(20)]
    training, requests = make_training_rows(users), make_requests(users)
    expected = TifuKnn(training, COUNTS, TIFU).score(requests)
    monkeypatch.setattr(histories, "MAX_PAIRS", max_pairs)
    np.testing.assert_array_equal(TifuKnn(training, COUNTS, TIFU).score(requests), expected)


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 12))
def test_highest_values_are_found_with_ties_in_order(values: list[int], k: int) -> None:
    expected = np.argsort(-np.array(values), kind="stable")[:k]
    found = find_highest(np.array(values, np.float64), k)
    assert sorted(found.tolist()) == sorted(expected.tolist())


def compute_rate(k: int, first: float, last: float, alpha: float, beta: float) -> float:
    """Compute the purchase rate of the modified Poisson-Gamma model."""
    span = first - last
    gap = span / (k - 1) if k > 1 else 0
    elapsed = span + 2 * abs(gap - last) if last < 2 * gap else first
    return (k + alpha) / (elapsed + beta)


def test_repurchase_timing_equals_a_hand_calculation() -> None:
    # Training ends on day 100. Item 1: user 0 bought it on the days 0, 50 and 100, user 1 on the
    # days 0 and 80, user 2 once, on day 90. Item 2: users 1 and 2, once each.
    training = make_training_rows(
        [[[1], [1], [1]], [[1], [1], [2]], [[1], [2]]], [[0, 50, 100], [0, 80, 100], [90, 95]]
    )
    model = RepurchaseTiming(
        training, np.array([0, 6, 2, 4, 0]), RepurchaseTimingOptions(smoothing=2)
    )
    # Of the 5 pairs of a user and an item, 2 are repeats: on average (2 + 1) / (5 + 2).
    average = 3 / 7
    shares = {1: (2 + 2 * average) / (3 + 2), 2: 2 * average / (2 + 2)}
    # The rates of the repeat customers of item 1 are 3 / 100 and 2 / 100. Two average customers
    # have the mean .025 and the variance .005 ** 2, so that neither changes.
    # The variation, .005 / .025, is above its minimum.
    alpha, beta = 0.025**2 / 0.005**2, 0.025 / 0.005**2
    # Item 2 has no repeat customer, and the same prior.
    rows = make_requests(
        [[[1, 2], [1]], [[1, 2], [1], [4]], [[1], [1], [2]]],
        [[0, 30], [0, 30, 35], [0, 0.5, 4]],
        request_day=50,
    )
    scores = model.score(rows)
    for row, item, k, first, last in (
        (0, 1, 2, 50, 20),  # The gap is 30: not due yet.
        (0, 2, 1, 50, 50),
        (1, 1, 2, 50, 20),
        (2, 1, 2, 50, 49.5),  # The gap is half a day: long overdue.
        (2, 2, 1, 46, 46),
    ):
        rate = compute_rate(k, first, last, alpha, beta)
        assert scores[row, item] == pytest.approx(shares[item] * (1 - np.exp(-rate)), rel=1e-5)
    # Items that the user never bought come last, in order of popularity.
    assert rank_items(scores[0])[2:] == [3, 4]
    assert scores[1, 4] > 0 > scores[1, 3]


def test_an_item_is_recommended_when_it_is_due() -> None:
    """Each item is bought at a fixed gap. The item whose age is its gap comes first."""
    training = make_training_rows(
        [[[1], [1], [1], [1]], [[2], [2], [2], [2]]], [[0, 10, 20, 30], [0, 10, 20, 30]]
    )
    model = RepurchaseTiming(training, COUNTS, TIMING)
    # Both were bought four times in 36 days. Item 1 was bought 10 days ago, item 2 one day ago.
    users = [[[1], [2], [1], [2], [1], [2], [1], [2]]]
    days = [[0, 4.5, 10, 14.5, 20, 24.5, 30, 39.0]]
    early = model.score(make_requests(users, days, request_day=40))[0]
    assert early[1] > early[2]
    # 12 days later, item 2 is due and item 1 is overdue.
    late = model.score(make_requests(users, days, request_day=51))[0]
    assert late[2] > late[1]


def test_the_rate_has_no_jump_at_twice_the_gap() -> None:
    training = make_training_rows([[[1], [1]]], [[0, 10]])
    model = RepurchaseTiming(training, COUNTS, TIMING)
    before, at, after = (
        model.score(make_requests([[[1], [1]]], [[0, 10]], request_day=30 + change))[0, 1]
        for change in (-0.001, 0, 0.001)
    )
    assert before == pytest.approx(at, rel=1e-3)
    assert after == pytest.approx(at, rel=1e-3)


def test_items_with_few_customers_are_smoothed() -> None:
    # Item 1 has one customer, who bought it again. Item 2 has 20, of whom 18 did.
    users: list[Orders] = [[[1], [1]], *([[[2], [2]]] * 18), *([[[2], [3]]] * 2)]
    days = [[0.0, 10.0]] * len(users)
    training = make_training_rows(users, days)
    model = RepurchaseTiming(training, COUNTS, RepurchaseTimingOptions(smoothing=10))
    scores = model.score(make_requests([[[1, 2], [1, 2]]], [[0, 10]], request_day=20))[0]
    assert scores[2] > scores[1] > 0


def test_rows_without_a_clock_use_the_days_per_order() -> None:
    # The orders of the training users are 10 days apart, and training ends 10 days after them.
    days = [[0.0, 10.0, 20.0], [10.0, 20.0, 30.0]]
    users: list[Orders] = [[[1], [2], [1]], [[1], [1], [3]]]
    training = make_training_rows(users, days)
    model = RepurchaseTiming(training, COUNTS, TIMING)
    # The users' first orders are 30 and 20 days before the end, 6 orders in all.
    step = (30 + 20) / 6
    orders: list[Orders] = [[[1], [2], [2]]]
    without = model.score(make_requests(orders))
    clocked = model.score(make_requests(orders, [[0, step, 2 * step]], request_day=3 * step))
    np.testing.assert_allclose(without, clocked, rtol=1e-4)


@pytest.mark.parametrize("days", [None, [[0.0, 5.0], [3.0, 9.0]]])
def test_bought_items_come_first_if_nobody_buys_again(days: list[list[float]] | None) -> None:
    training = make_training_rows([[[1], [2]], [[3], [4]]], days)
    scores = RepurchaseTiming(training, COUNTS, TIMING).score(make_requests([[[4], [5]]]))[0]
    assert sorted(rank_items(scores)[:2]) == [4, 5]
    assert rank_items(scores)[2:] == [2, 3, 1]


def test_users_without_training_rows_are_no_neighbours() -> None:
    # The second user has a single order.
    training = make_training_rows([[[1], [2]], [[3]]])
    model = TifuKnn(training, COUNTS, make_tifu_options(own_weight=0))
    scores = model.score(make_requests([[[3]]]))[0]
    assert scores[3] < 0 < scores[1]


def test_models_without_training_rows_rank_bought_items() -> None:
    empty = make_training_rows([[[1]]])
    assert len(empty) == 0
    for model in (
        TifuKnn(empty, COUNTS, TIFU),
        RepurchaseTiming(empty, COUNTS, TIMING),
        RecentPersonalFrequency(COUNTS, RECENT),
    ):
        assert rank_items(model.score(make_requests([[[4]]]))[0]) == [4, 2, 3, 1, 5]


def test_sequences_of_orders_are_numbered() -> None:
    sequences = make_order_sequences([[[1, 2], [3]], [[4]]], [[0, 1], [2]])
    assert sequences.orders is not None
    assert sequences.orders.tolist() == [0, 0, 1, 2]
