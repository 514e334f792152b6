"""Decisions that follow from the data."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from bazar.config.data import Protocol
from bazar.data.protocols import choose_filter_mode, choose_protocol, count_targets
from bazar.data.splits import split_next_order
from tests.models.order_rows import make_order_sequences

SINGLE = [[1], [2], [3], [4], [5]]
ONE_LARGE = [[1], [2, 3], [4], [5], [6]]


def test_auto_chooses_next_order_from_a_tenth_of_large_orders() -> None:
    # One of ten orders has several items.
    assert choose_protocol("auto", make_order_sequences([SINGLE, ONE_LARGE])) == (
        "next_order", "1 of 10 orders (10%) have several items",
    )  # fmt: skip
    # One of fifteen.
    assert choose_protocol("auto", make_order_sequences([SINGLE, ONE_LARGE, SINGLE])) == (
        "leave_one_out", "1 of 15 orders (7%) have several items",
    )  # fmt: skip


def test_auto_needs_a_customer_with_four_orders() -> None:
    three, four = [[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6], [7]]
    assert choose_protocol("auto", make_order_sequences([three])) == (
        "leave_one_out", "3 of 3 orders (100%) have several items, but no customer has 4 orders",
    )  # fmt: skip
    assert choose_protocol("auto", make_order_sequences([three, four]))[0] == "next_order"
    # The lines of a guest are no orders.
    guests = replace(make_order_sequences([three, SINGLE]), guests=np.array([1]))
    assert choose_protocol("auto", guests)[0] == "leave_one_out"


def test_orders_of_guests_do_not_count() -> None:
    sequences = replace(
        make_order_sequences([SINGLE, ONE_LARGE, [[1, 2]] * 9]), guests=np.array([2])
    )
    assert choose_protocol("auto", sequences) == (
        "next_order", "1 of 10 orders (10%) have several items",
    )  # fmt: skip


def test_data_without_orders_is_split_by_interaction() -> None:
    sequences = replace(make_order_sequences([SINGLE, SINGLE]), orders=None)
    protocol, reason = choose_protocol("auto", sequences)
    assert (protocol, reason) == ("leave_one_out", "0 of 10 orders (0%) have several items")


@pytest.mark.parametrize("split", get_args(Protocol))
def test_a_set_split_is_kept(split: Protocol) -> None:
    assert choose_protocol(split, make_order_sequences([SINGLE])) == (split, "")


@pytest.mark.parametrize("n_users", [20, 60, 140])
def test_unfiltered_results_come_first_above_5_percent_repeats(n_users: int) -> None:
    border = n_users // 20
    for n_repeats, expected in ((0, "filtered"), (border, "filtered"), (border + 1, "unfiltered")):
        # The second order is the validation row. The test rows are all repeats.
        users = [[[1], [1] if user < n_repeats else [2], [1]] for user in range(n_users)]
        sequences = make_order_sequences([*users, [[3], [4], [5], [6]]])
        split = split_next_order(sequences, 9, 5)
        rows = split.validation.slice_rows(0, n_users)
        assert rows.n_targets.tolist() == [1] * n_users
        assert choose_filter_mode(rows) == expected


def test_filtered_results_come_first_without_validation_rows() -> None:
    rows = split_next_order(make_order_sequences([[[1], [1], [1], [1]]]), 9, 5).validation
    assert choose_filter_mode(rows) == "unfiltered"
    assert choose_filter_mode(rows.slice_rows(0, 0)) == "filtered"


def test_targets_are_counted_by_hand() -> None:
    users = [
        [[1], [2], [3], [1, 9, 4]],
        [[2], [1, 2], [3], [2, 3]],
        [[4], [4]],
        [[5], [8]],
    ]
    split = split_next_order(make_order_sequences(users), 9, 5)
    # Training: 1 2 · 2 1 2 · 4 · 5. Cold: 9 of the first user, 3 of the second, 8 of the last.
    assert count_targets(split) == {
        "test_targets": 7,
        "cold_test_rows": 3,
        "cold_test_targets": 3,
        "repeat_test_rows": 3,
        "repeat_test_targets": 4,
    }
