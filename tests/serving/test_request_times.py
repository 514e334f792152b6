"""Answers that depend on the times of orders, on a store whose customers buy again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bazar.data.seen_items import DAY_MS
from bazar.data.sequences import Sequences
from bazar.data.windows import build_full_histories
from bazar.errors import InputError
from bazar.serving.answers import RECOMMENDATIONS, Recommendation
from bazar.serving.bundle import Bundle, read_bundle, write_bundle
from bazar.serving.recommender import Recommender
from tests.serving.example_bundle import N_PRODUCTS, OPTIONS, make_products

START = datetime(2024, 1, 1, tzinfo=UTC)
# Per customer: the day and the items of each order. The guest bought in one order.
ORDERS: dict[str, list[tuple[int, list[int]]]] = {
    "ann": [(0, [1, 2]), (10, [1, 3]), (20, [1]), (40, [4])],
    "bob": [(5, [2, 5]), (45, [2, 5])],
    "guest 1": [(30, [6, 7])],
    "zoe": [(50, [3])],
}
MODELS = ("recent_personal_frequency", "tifu_knn", "repurchase_timing", "decayed_cooccurrence")
COUNTS = np.bincount(
    [item for orders in ORDERS.values() for _, items in orders for item in items],
    minlength=N_PRODUCTS + 1,
)


def make_timed_sequences() -> Sequences:
    lines = [
        (user, number, day, item)
        for user, orders in ORDERS.items()
        for number, (day, items) in enumerate(orders)
        for item in items
    ]
    first = _to_milliseconds(START)
    lengths = [sum(len(items) for _, items in orders) for orders in ORDERS.values()]
    # The lines of a guest are orders of their own.
    keys = [(user, number, item if user == "guest 1" else 0) for user, number, _, item in lines]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return Sequences(
        pa.array(ORDERS, pa.large_string()),
        np.array([item for *_, item in lines], np.int32),
        np.cumsum([0, *lengths]),
        np.array([list(ORDERS).index("guest 1")]),
        orders=np.array([numbers[key] for key in keys], np.int32),
        timestamps=np.array([first + day * DAY_MS for _, _, day, _ in lines]),
    )


def _to_milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def at_day(day: float) -> datetime:
    return START + timedelta(days=day)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    products = make_products()
    products.counts[:], products.recent_counts[:] = COUNTS, COUNTS
    options = OPTIONS.model_copy(
        update={"models": MODELS, "weights": {}, "filter_seen": False, "split": "next_order"}
    )
    return Bundle(options, products, build_full_histories(make_timed_sequences(), 8), {})


@pytest.fixture(scope="module")
def recommender(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Recommender:
    """The recommender of a bundle that was written to files."""
    folder = tmp_path_factory.mktemp("models") / "bundle"
    write_bundle(bundle, folder)
    return Recommender.load(folder)


def find(answer: Any, item_id: str) -> Recommendation:
    (found,) = [product for product in answer if product.item_id == item_id]
    return found


def test_bundle_keeps_orders_timestamps_and_guests(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle(bundle, tmp_path / "bundle")
    read, written = read_bundle(tmp_path / "bundle").customers, bundle.customers
    for name in ("items", "starts", "guests", "orders", "timestamps"):
        expected = getattr(written.sequences, name)
        found = getattr(read.sequences, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(read.target_positions, written.target_positions)
    assert read.sequences.user_ids.to_pylist() == list(ORDERS)


def test_guest_has_no_row(recommender: Recommender) -> None:
    assert not recommender.has_customer("guest 1")
    with pytest.raises(InputError, match=r"There is no customer 'guest 1'\. Guests"):
        recommender.recommend_to_customer("guest 1")
    batches = recommender.recommend_to_everyone("tifu_knn", 3, False, batch_size=2)
    rows = pa.Table.from_batches(batches, RECOMMENDATIONS)
    assert set(rows["user_id"].to_pylist()) == {"ann", "bob", "zoe"}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("filter_seen", [True, False])
def test_customer_gets_the_rows_of_everyone(
    recommender: Recommender, model: str, filter_seen: bool
) -> None:
    (batch,) = recommender.recommend_to_everyone(model, N_PRODUCTS, filter_seen, batch_size=9)
    rows = batch.to_pandas()
    for user in ("ann", "bob", "zoe"):
        own = rows[rows["user_id"] == user]
        answer = recommender.recommend_to_customer(user, N_PRODUCTS, model, filter_seen)
        assert own["item_id"].tolist() == [product.item_id for product in answer]
        assert own["rank"].tolist() == [product.rank for product in answer]
        scores = [product.score for product in answer]
        np.testing.assert_allclose(own["score"], scores, rtol=1e-6)


# TIFU-KNN compares a customer with all others, and a history of no customer with all of them.
@pytest.mark.parametrize("model", [model for model in MODELS if model != "tifu_knn"])
def test_history_with_times_is_answered_like_the_customer(
    recommender: Recommender, model: str
) -> None:
    history, days = [], []
    for day, items in ORDERS["ann"]:
        history += [f"P{item:02d}" for item in items]
        days += [day] * len(items)
    times = [at_day(day) for day in days]
    # The data ends on day 50.
    answer = recommender.recommend(history, N_PRODUCTS, model, times=times, at=at_day(50))
    expected = recommender.recommend_to_customer("ann", N_PRODUCTS, model)
    assert [product.to_json() for product in answer] == [product.to_json() for product in expected]
    # A time without an offset is in UTC, and an offset counts.
    naive = [time.replace(tzinfo=None) for time in times]
    zone = timezone(timedelta(hours=5))
    moved = [time.astimezone(zone) for time in times]
    for same in (naive, moved):
        assert answer == recommender.recommend(
            history, N_PRODUCTS, model, times=same, at=at_day(50)
        )


@pytest.mark.parametrize("model", MODELS)
def test_times_only_group_orders_if_the_shop_has_no_timestamps(bundle: Bundle, model: str) -> None:
    sequences = replace(bundle.customers.sequences, timestamps=None)
    customers = replace(bundle.customers, sequences=sequences)
    without_clock = Recommender(replace(bundle, customers=customers))
    history = ["P01", "P02", "P01"]
    answers = [
        without_clock.recommend(history, N_PRODUCTS, model, times=times, at=at_day(900))
        for times in ([at_day(0), at_day(0), at_day(300)], [at_day(7), at_day(7), at_day(8)])
    ]
    assert answers[0] == answers[1]
    assert find(answers[0], "P01").reason == "bought 2 times, also in the last order"
    assert find(answers[0], "P02").orders_since == 1


def test_equal_times_are_one_order(recommender: Recommender) -> None:
    history = ["P01", "P02", "P01"]
    together = recommender.recommend(
        history, N_PRODUCTS, times=[at_day(0), at_day(0), at_day(8)], at=at_day(9)
    )
    assert find(together, "P02").orders_since == 1
    apart = recommender.recommend(
        history, N_PRODUCTS, times=[at_day(0), at_day(1), at_day(8)], at=at_day(9)
    )
    assert find(apart, "P01").n_orders == find(together, "P01").n_orders == 2
    same_item = recommender.recommend(
        ["P01", "P01"], N_PRODUCTS, times=[at_day(0)] * 2, at=at_day(3)
    )
    assert find(same_item, "P01").n_orders == 1
    assert find(same_item, "P01").reason == "bought once, 3 days ago"
    # The time of the last purchase may be that of the request.
    now = recommender.recommend(["P01"], N_PRODUCTS, times=[at_day(0)], at=at_day(0))
    assert find(now, "P01").orders_since == 0
    assert find(now, "P01").days_since_last_order == 0


def test_time_of_the_request_moves_the_days(recommender: Recommender) -> None:
    for day in (60, 80):
        answer = recommender.recommend_to_customer("ann", N_PRODUCTS, at=at_day(day))
        assert find(answer, "P01").days_since_last_order == day - 20
        assert find(answer, "P01").days_between_orders == 10
        assert find(answer, "P01").n_orders == 3
        assert find(answer, "P01").orders_since == 1
    # A request is not earlier than the last purchase.
    early = recommender.recommend_to_customer("ann", N_PRODUCTS, at=at_day(1))
    assert find(early, "P04").days_since_last_order == 0


@pytest.mark.parametrize("user", ["ann", "bob", "zoe"])
def test_a_request_copies_only_the_times_of_its_customer(bundle: Bundle, user: str) -> None:
    rows = bundle.customers
    number = rows.user_ids.to_pylist().index(user)
    moved = rows.take(np.array([number])).move_requests(_to_milliseconds(at_day(99)))
    assert len(moved.sequences.timestamps) == sum(len(items) for _, items in ORDERS[user]) + 1
    together = rows.move_requests(_to_milliseconds(at_day(99))).take(np.array([number]))
    assert moved.user_ids == together.user_ids
    for found, expected in zip(moved.list_history(), together.list_history(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert moved.request_times.tolist() == together.request_times.tolist()


def test_time_of_a_request_without_purchases_has_no_effect(recommender: Recommender) -> None:
    assert recommender.recommend([], at=at_day(9)) == recommender.recommend([])


def test_unknown_items_take_their_times_with_them(recommender: Recommender) -> None:
    answer = recommender.recommend(
        ["gone", "P01", "gone", "P02"], N_PRODUCTS,
        times=[at_day(0), at_day(1), at_day(2), at_day(4)], at=at_day(10),
    )  # fmt: skip
    assert answer.unknown_items == ("gone", "gone")
    assert find(answer, "P01").days_since_last_order == 9
    assert find(answer, "P02").days_since_last_order == 6


@pytest.mark.parametrize(
    ("times", "at", "message"),
    [
        ([at_day(0)], None, "found 1 for 2 items."),
        ([at_day(0)] * 3, at_day(9), "one time for each item of the history, found 3 for"),
        ([at_day(2), at_day(1)], at_day(9), "times must be in the order of the purchases"),
        ([at_day(1), at_day(3)], at_day(2), "and not later than the request (at)."),
        (["2024-01-01", "2024-01-02"], at_day(9), "must be a datetime, found '2024-01-01'."),
        ([at_day(0), pd.NaT], at_day(9), "A time must be a datetime, found NaT. Leave out"),
        ([at_day(0), at_day(1)], pd.NaT, "A time must be a datetime, found NaT."),
        (at_day(0), at_day(9), "times must be a list of datetimes, got datetime"),
        (5, at_day(9), "times must be a list of datetimes, got 5."),
        ("ab", at_day(9), "times must be a list of datetimes, got the text 'ab'."),
        (np.array(["2024-01-01"] * 2, "M8[s]"), None, "Use pandas.Timestamp('2024-01-01T00"),
        ([at_day(0), 5], at_day(9), "A time must be a datetime, found 5."),
        ([at_day(0), at_day(1)], "today", "A time must be a datetime, found 'today'."),
        (None, at_day(1), "at needs the times of the purchases: set times as well."),
    ],
)
def test_wrong_times_are_explained(
    recommender: Recommender, times: Any, at: Any, message: str
) -> None:
    with pytest.raises(InputError) as error:
        recommender.recommend(["P01", "P02"], times=times, at=at)
    assert message in str(error.value)


def test_time_of_a_customers_request_is_checked(recommender: Recommender) -> None:
    with pytest.raises(InputError, match=r"A time must be a datetime, found NaT\."):
        recommender.recommend_to_customer("ann", at=pd.NaT)


def test_times_may_be_any_iterable_of_datetimes(recommender: Recommender) -> None:
    days = pd.Series([at_day(0), at_day(1)])
    expected = recommender.recommend(["P01", "P02"], times=days.tolist(), at=at_day(9))
    for times in (days, iter(days), pd.DatetimeIndex(days)):
        assert recommender.recommend(["P01", "P02"], times=times, at=at_day(9)) == expected


def make_product(**facts: Any) -> Recommendation:
    return Recommendation(1, "P01", "Tea", 0.5, **facts)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, ""),
        (
            {
                "n_orders": 3, "days_between_orders": 40.2, "days_since_last_order": 38.4,
                "orders_since": 2,
            },
            "bought 3 times, about every 40 days, last 38 days ago",
        ),
        (
            {"n_orders": 1, "days_since_last_order": 1.2, "orders_since": 0},
            "bought once, 1 day ago",
        ),
        (
            {"n_orders": 2, "days_between_orders": 1.0, "days_since_last_order": 0.0},
            "bought 2 times, about every 1 day, last today",
        ),
        # Without a clock, orders are counted.
        ({"n_orders": 1, "orders_since": 0}, "bought once, in the last order"),
        ({"n_orders": 2, "orders_since": 1}, "bought 2 times, but not in the last order"),
        ({"n_orders": 2, "orders_since": 0}, "bought 2 times, also in the last order"),
        ({"n_orders": 2, "orders_since": 3}, "bought 2 times, but not in the last 3 orders"),
        ({"nearest_item_id": "P02", "nearest_title": "Green tea"}, "similar to Green tea"),
        # What was bought before explains more than a similar title.
        (
            {"n_orders": 1, "orders_since": 0, "nearest_title": "Tea"},
            "bought once, in the last order",
        ),
    ],
)  # fmt: skip
def test_reason_describes_the_past_purchases(facts: dict[str, Any], reason: str) -> None:
    product = make_product(**facts)
    assert product.reason == reason
    assert product.to_json()["reason"] == reason


def test_history_without_times_has_no_days(recommender: Recommender) -> None:
    answer = recommender.recommend(["P01", "P02", "P01"], N_PRODUCTS)
    assert find(answer, "P01").n_orders == 2
    assert find(answer, "P01").days_between_orders is None
    assert find(answer, "P01").days_since_last_order is None
    assert find(answer, "P02").reason == "bought once, but not in the last order"
