from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.returns import RETURN, RETURNED_LATER, mark_returned_purchases

TYPES = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "quantity": "float64", "source_file": "string", "source_order": "int64", "reason": "string",
    "is_excluded": "bool", "raw": "string",
}  # fmt: skip


def mark(rows: list[dict[str, Any]]) -> list[str | None]:
    """Return the reasons of rows after the returned purchases were marked."""
    content = [
        {
            "user_id": "u", "item_id": "i", "timestamp": number, "position": None,
            "source_file": "f", "source_order": number,
            "reason": RETURN if (row.get("quantity") or 0) < 0 else None,
            "is_excluded": (row.get("quantity") or 0) < 0, "quantity": None, "raw": None,
        } | row
        for number, row in enumerate(rows)
    ]  # fmt: skip
    marked = mark_returned_purchases(ibis.memtable(content, schema=TYPES))
    found = marked.order_by("source_order").to_pyarrow().to_pylist()
    assert all(row["is_excluded"] == (row["reason"] is not None) for row in found)
    assert {row["raw"] for row in found if row["reason"] == RETURNED_LATER} <= {"u, i"}
    return [row["reason"] for row in found]


@pytest.mark.parametrize(
    ("rows", "returned_later"),
    [
        # The latest purchase before the return is removed.
        ([{"quantity": 2}, {"quantity": 2}, {"quantity": -2}], [1]),
        # Two returns belong to two purchases. The earlier purchase is taken second.
        ([{"quantity": 1}, {"quantity": 1}, {"quantity": 1}, {"quantity": -1}, {"quantity": -1}],
         [1, 2]),
        # A purchase between two returns is taken by the second one.
        ([{"quantity": 1}, {"quantity": 1}, {"quantity": -1}, {"quantity": -1}], [0, 1]),
        ([{"quantity": 1}, {"quantity": -1}, {"quantity": 1}, {"quantity": -1}], [0, 2]),
        # A return of more pieces than the latest purchase had takes the rest from the one before.
        ([{"quantity": 2}, {"quantity": 1}, {"quantity": -3}], [0, 1]),
        ([{"quantity": 2}, {"quantity": 1}, {"quantity": -2}], [1]),
        # A return without a purchase takes nothing from later ones.
        ([{"quantity": -5}, {"quantity": 2}, {"quantity": -1}], []),
        ([{"quantity": 0.1}, {"quantity": 0.2}, {"quantity": -0.3}], [0, 1]),
        # A partly returned purchase is kept. Several returns of one purchase add up.
        ([{"quantity": 2}, {"quantity": -1}], []),
        ([{"quantity": 2}, {"quantity": -1}, {"quantity": -1}], [0]),
        # A return before the purchase, of another item, or by another user removes nothing.
        ([{"quantity": -2}, {"quantity": 2}], []),
        ([{"quantity": 2}, {"quantity": -2, "item_id": "j"}], []),
        ([{"quantity": 2}, {"quantity": -2, "user_id": "v"}], []),
        ([{"quantity": 2, "user_id": None}, {"quantity": -2, "user_id": None}], []),
        # At the same time, the purchase comes first.
        ([{"quantity": -1, "timestamp": 5}, {"quantity": 1, "timestamp": 5}], [1]),
        # Without quantities, each row is one piece.
        ([{"reason": None}, {"reason": RETURN, "is_excluded": True}], [0]),
        ([{"quantity": 2}, {"reason": RETURN, "is_excluded": True}], [0]),
        ([{"quantity": None}, {"quantity": 2}, {"quantity": -2}], [1]),
    ],
)  # fmt: skip
def test_returned_purchases_are_removed(
    rows: list[dict[str, Any]], returned_later: list[int]
) -> None:
    reasons = mark(rows)
    assert [n for n, reason in enumerate(reasons) if reason == RETURNED_LATER] == returned_later


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([3, 1, -1, -2, -3]), min_size=1, max_size=10))
def test_returns_match_a_simple_loop(quantities: list[int]) -> None:
    left: dict[int, int] = {}
    for number, quantity in enumerate(quantities):
        if quantity > 0:
            left[number] = quantity
        to_take = max(-quantity, 0)
        for purchase in reversed(left):
            taken = min(left[purchase], to_take)
            left[purchase] -= taken
            to_take -= taken
    reasons = mark([{"quantity": quantity} for quantity in quantities])
    assert [n for n, reason in enumerate(reasons) if reason == RETURNED_LATER] == [
        number for number, pieces in left.items() if pieces == 0
    ]
