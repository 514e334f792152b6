"""Repeats: the share of repeats by category, and the gaps between purchases."""

import numpy as np
import pytest
from hypothesis import given, settings

from bazar.data.windows import Windows
from bazar.reporting import repeats
from bazar.reporting.repeats import NO_CATEGORY, count_gaps, summarise_repeats
from tests.models.order_rows import Orders, make_order_sequences, order_lists

IDS = np.array(["", "0a", "0b", "0c", "0d"], object)


def make_last_orders(users: list[Orders], days: list[list[float]] | None = None) -> Windows:
    """Make one row per user. The targets are the items of the last order."""
    sequences = make_order_sequences(users, days)
    last = sequences.number_orders(sequences.starts[1:] - 1)
    return Windows(sequences, sequences.find_order_starts(last), 10)


def test_repeats_are_counted_by_category() -> None:
    # The targets are 1 (repeat), 3, 2 (repeat) and 4; 2 and 3 have a category.
    windows = make_last_orders([[[1], [1, 3]], [[2], [2, 4]]])
    found = summarise_repeats(windows, IDS, {"0b": "tea", "0c": "tea"})
    assert found is not None
    assert (found["targets"], found["repeats"]) == (4, 2)
    assert found["by_category"] == [
        {"category": NO_CATEGORY, "targets": 2, "repeats": 1},
        {"category": "tea", "targets": 2, "repeats": 1},
    ]
    without = summarise_repeats(windows, IDS, {})
    assert without is not None
    assert without["by_category"] == []


def test_small_categories_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MAX_CATEGORIES", 1)
    windows = make_last_orders([[[1], [1, 3]], [[2], [2, 3, 4]]])
    found = summarise_repeats(windows, IDS, {"0a": "a", "0b": "b", "0c": "tea", "0d": "d"})
    assert found is not None
    assert found["by_category"] == [
        {"category": "tea", "targets": 2, "repeats": 0},
        {"category": "other", "targets": 3, "repeats": 2},
    ]


def test_data_without_repeats_has_no_summary() -> None:
    assert summarise_repeats(make_last_orders([[[1, 2], [3]], [[3], [1]]]), IDS, {}) is None


def test_gaps_in_days_by_hand() -> None:
    # The first user buys 1 after 0.5 and after 20 days, and 2 after 45; the second buys 1 once.
    users = [[[1, 2], [1, 1], [3, 1], [2]], [[3], [1]]]
    found = count_gaps(make_order_sequences(users, [[0, 0.5, 20.5, 45], [0, 400]]))
    assert found == {
        "unit": "days", "n_gaps": 3, "median": 20.0,
        "counts": {"under 1": 1, "14–29": 1, "30–59": 1},
    }  # fmt: skip


def test_gaps_in_orders_by_hand() -> None:
    found = count_gaps(make_order_sequences([[[1, 2], [1, 1], [3, 1], [2]], [[3], [1]]]))
    assert found == {"unit": "orders", "n_gaps": 3, "median": 1.0, "counts": {"1": 2, "3": 1}}


def test_lines_of_one_time_are_one_purchase() -> None:
    # Without numbers of orders, each interaction is an order of its own.
    sequences = make_order_sequences([[[1], [1], [1]]], [[3, 3, 5]])
    found = count_gaps(sequences)
    assert (found["n_gaps"], found["counts"]) == (1, {"1–2": 1})
    nothing = count_gaps(make_order_sequences([[[1], [2]]], [[1, 2]]))
    assert (nothing["n_gaps"], nothing["median"], nothing["counts"]) == (0, None, {})


@settings(max_examples=30, deadline=None)
@given(order_lists(6))
def test_gaps_are_those_of_a_simple_loop(users: list[Orders]) -> None:
    gaps = []
    for orders in users:
        last: dict[int, int] = {}
        for number, order in enumerate(orders):
            gaps += [number - last[item] for item in order if item in last]
            last |= dict.fromkeys(order, number)
    found = count_gaps(make_order_sequences(users))
    assert found["n_gaps"] == sum(found["counts"].values()) == len(gaps)
    assert found["median"] == (pytest.approx(np.median(gaps)) if gaps else None)
