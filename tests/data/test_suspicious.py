from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from bazar.data.suspicious import (
    SUSPICIOUS_SCHEMA,
    find_suspicious_items,
    find_suspicious_titles,
    find_unreadable_titles,
)

LINE = {
    "item_id": "string", "order_id": "string", "user_id": "string", "timestamp": "int64",
    "price": "float64", "quantity": "float64",
}  # fmt: skip
SERVICES = {
    "POST": "POSTAGE", "DOT": "DOTCOM POSTAGE", "C2": "CARRIAGE", "M": "Manual", "m": "Manual",
    "D": "Discount", "S": "SAMPLES", "BANK CHARGES": "Bank Charges", "AMAZONFEE": "AMAZON FEE",
    "B": "Adjust bad debt", "ADJUST": "Adjustment by john on 26/01/2010 16",
    "PADS": "PADS TO MATCH ALL CUSHIONS", "TEST001": "This is a test product.",
    "gift_0001_20": "Dotcomgiftshop Gift Voucher £20.00", "VOUCHER_7": None,
    "V1": "DHL Versand", "V2": "Versandkosten", "V3": "Geschenkverpackung", "V4": "10 % Rabatt",
    "V5": "Geschenkgutschein 25 €", "E1": "Envío gratis", "E2": "GASTOS DE ENVÍO",
    "E3": "Tarjeta regalo 50 €", "F1": "Frais de port", "F2": "Carte cadeau", "F3": "Remise",
    "P1": "Frete", "P2": "Portes", "X1": "Gift wrap", "X2": "Deposit", "X3": "Donation",
    "X4": "Standard Shipping", "X5": "Home delivery fee", "X6": "Commission", "X7": "Gebühren",
}  # fmt: skip
REAL = {
    "DCGS0058": "MISO PRETTY GUM", "15056BL": "EDWARDIAN PARASOL BLACK",
    "22045": "SPACEBOY GIFT WRAP", "85168B": "BLACK BAROQUE CARRIAGE CLOCK",
    "85072": "OCCASIONS GIFT CARD ASSORTMENT",
    "22301": "COFFEE MUG CAT + BIRD DESIGN", "1": "Pregnancy Test Kit", "2": "Manual Grinder",
    "3": "Rose Toner, Free Shipping, 200 ml", "4": "Vinho do Porto", "5": "Adjustable Dog Leash",
    "6": None,
}  # fmt: skip


def lines(*rows: tuple[Any, ...]) -> ir.Table:
    content = [dict(zip(LINE, row, strict=True)) for row in rows]
    return ibis.memtable(content, schema=LINE)


def titles(names: dict[str, str | None]) -> ir.Table:
    rows = [{"item_id": item, "title": title} for item, title in names.items()]
    return ibis.memtable(rows, schema={"item_id": "string", "title": "string"})


def sell(*items: str, price: float | None = 2.5) -> list[tuple[Any, ...]]:
    return [(item, f"o{row}", f"u{row}", row, price, 1.0) for row, item in enumerate(items)]


def test_services_are_suspicious_and_products_are_not() -> None:
    # Many real products, so that most ids have digits.
    more = {str(1000 + number): f"Product {number}" for number in range(200)}
    names = SERVICES | REAL | more
    found = find_suspicious_items(lines(*sell(*names)), titles(names))
    assert found.schema == SUSPICIOUS_SCHEMA
    assert set(found["item_id"].to_pylist()) == set(SERVICES)
    reasons = dict(zip(found["item_id"].to_pylist(), found["reason"].to_pylist(), strict=True))
    assert reasons["POST"] == "postage and delivery, id without digits"
    assert reasons["C2"] == "postage and delivery"
    assert reasons["PADS"] == "id without digits"
    assert reasons["VOUCHER_7"] == "vouchers and gift cards"


def test_prices_are_suspicious_in_most_lines_only() -> None:
    sold = [
        *sell("1", "1", "1", price=0.0), *sell("2", "2", price=-5.0), *sell("3", "3", price=0.0),
        *sell("3", "3", "3", "1"), *sell("4", "4", "4", "4"), *sell("5", price=None),
    ]  # fmt: skip
    found = find_suspicious_items(lines(*sold), titles({"1": "Rose", "2": "Oat"}))
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("1", "Rose", 4, "price 0 in 75% of its lines"),
        ("2", "Oat", 2, "negative price in 100% of its lines"),
    ]
    # A shop without prices.
    assert not find_suspicious_items(lines(*sell("1", "2", price=0.0)), titles({})).num_rows
    assert not find_suspicious_items(lines(*sell("1", "2", price=None)), titles({})).num_rows


@pytest.mark.parametrize("has_order_id", [True, False])
def test_an_item_of_a_third_of_all_orders_is_suspicious(has_order_id: bool) -> None:
    def order(row: int) -> str | None:
        return f"o{row}" if has_order_id else None

    sold = [(str(row), order(row), f"u{row}", row, 1.0, 1.0) for row in range(40)]
    bag = [("999", order(row), f"u{row}", row, 1.0, 1.0) for row in range(14)]
    found = find_suspicious_items(lines(*sold, *bag), titles({"999": "Paper Bag"}))
    assert found.to_pylist() == [
        {"item_id": "999", "title": "Paper Bag", "lines": 14, "reason": "in 35% of all orders"}
    ]
    # Twice in one order is one order, and few orders prove nothing.
    assert not find_suspicious_items(lines(*sold, *bag[:13], *bag[:13]), titles({})).num_rows
    assert not find_suspicious_items(lines(*sold[:20], *bag), titles({})).num_rows


def test_notes_are_suspicious_titles() -> None:
    notes = [
        "?? damaged", "???", "mailout", "Adjust", "wrongly coded", "test", "sample", "Lost",
        "check", "Manual", "wet/smashed/unsellable", "17129c", "code mix up 72597", "B2",
        "given away",
    ]  # fmt: skip
    real = [f"PRODUCT {number}" for number in range(150)]
    real += ["LOST IN SPACE DVD", "Pregnancy Test Kit", "TEA", "面膜", "Sample Case for Pens"]
    names = {str(number): title for number, title in enumerate([*notes, *real])}
    found = find_suspicious_titles(lines(*sell("3", "2", "3")), titles(names | {"none": None}))
    assert found.schema == SUSPICIOUS_SCHEMA
    assert set(found["title"].to_pylist()) == set(notes)
    assert found.slice(0, 2).to_pylist() == [
        {"item_id": "3", "title": "Adjust", "lines": 2, "reason": "a note"},
        {"item_id": "2", "title": "mailout", "lines": 1, "reason": "a note"},
    ]
    reasons = dict(zip(found["title"].to_pylist(), found["reason"].to_pylist(), strict=True))
    assert reasons["???"] == "begins with a question mark"
    assert reasons["B2"] == "fewer than three letters"
    assert reasons["given away"] == "lower case, unlike the other titles"


def test_lower_case_is_usual_in_other_shops() -> None:
    names = {"1": "rose toner", "2": "Oat Cream", "3": "NAIL FILE"}
    assert not find_suspicious_titles(lines(*sell("1")), titles(names)).num_rows
    assert not find_suspicious_titles(lines(), titles({})).num_rows


def test_titles_with_lost_characters_are_listed() -> None:
    names = {"2": "Cr\ufffdme", "1": "\ufffd", "3": "Crème", "4": None}
    assert find_unreadable_titles(titles(names)).to_pylist() == [
        {"item_id": "1", "title": "\ufffd"},
        {"item_id": "2", "title": "Cr\ufffdme"},
    ]
