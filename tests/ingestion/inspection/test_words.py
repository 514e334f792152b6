"""Words for the status of an order and for kinds of events."""

import pytest

from bazar.ingestion.inspection.words import (
    StatusClass,
    classify_event,
    classify_status,
    is_return_word,
    names_cancellation,
)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("paid", "purchase"),
        ("wc-completed", "purchase"),
        ("partially_refunded", "purchase"),
        ("Shipped - Delivered to Buyer", "purchase"),
        ("Shipped - Out for Delivery", "purchase"),
        ("Shipped - Returned to Seller", "cancelled"),
        ("Terminée", "purchase"),
        ("Concluído", "purchase"),
        ("canceled", "cancelled"),
        ("Storniert", "cancelled"),
        ("Devuelto", "cancelled"),
        ("Remboursée", "cancelled"),
        ("Estornado", "cancelled"),
        ("voided", "cancelled"),
        ("wc-on-hold", "open"),
        ("pending_payment", "open"),
        ("unpaid", "open"),
        ("En attente", "open"),
        ("B2", None),
        ("", None),
    ],
)
def test_statuses(text: str, status: StatusClass | None) -> None:
    assert classify_status(text) == status


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("purchase", "purchase"),
        ("Bestellung", "purchase"),
        ("view_item", "view"),
        ("pv", "view"),
        ("addtocart", "cart"),
        ("view_item_list", "impression"),
        ("remove_from_cart", "other"),
        ("session_start", None),
        ("refund", None),
    ],
)
def test_events(text: str, event: str | None) -> None:
    assert classify_event(text) == event


@pytest.mark.parametrize("text", ["refund", "Credit Note", "Gutschrift", "devolución", "Avoir"])
def test_returns(text: str) -> None:
    assert is_return_word(text)


def test_columns_of_cancellations() -> None:
    assert names_cancellation("Cancelled at")
    assert not names_cancellation("Created at")
