"""Names of columns in the exports of shops."""

import pytest

from bazar.ingestion.inspection.header_names import (
    Role,
    find_roles,
    names_utc,
    normalise_name,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Customer ID", "customerid"),
        ("Währung", "wahrung"),
        ("N° commande", "ncommande"),
        ("Código do cliente", "codigodocliente"),
        ("Größe", "grosse"),
        ("顧客番号", "顧客番号"),
        ("--", ""),
    ],
)
def test_names_are_compared_without_case_accents_and_signs(name: str, expected: str) -> None:
    assert normalise_name(name) == expected


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("CustomerID", "user_id"),
        ("Kunden-Nr.", "user_id"),
        ("Nº cliente", "user_id"),
        ("Numéro client", "user_id"),
        ("Código do cliente", "user_id"),
        ("buyer-email", "user_id"),
        ("customer.id", "user_id"),
        ("orders.customer.id", "user_id"),
        ("Email (Billing)", "user_id"),
        ("StockCode", "item_id"),
        ("SKU\r\ncode", "item_id"),
        ("Artikelnummer", "item_id"),
        ("items.item_id", "item_id"),
        ("orders.line_items.sku", "item_id"),
        ("Référence", "item_id"),
        ("Rechnungs-Nr", "order_id"),
        ("N° commande", "order_id"),
        ("Número de pedido", "order_id"),
        ("Bestelldatum", "timestamp"),
        ("Fecha de compra", "timestamp"),
        ("Date de commande", "timestamp"),
        ("event_timestamp", "timestamp"),
        ("Quantity (- Refund)", "quantity"),
        ("Stückzahl", "quantity"),
        ("Quantité", "quantity"),
        ("Einzelpreis", "price"),
        ("Precio unitario", "price"),
        ("Währung", "currency"),
        ("Zahlungsstatus", "status"),
        ("Situação", "status"),
        ("event_name", "event_type"),
        ("Désignation", "title"),
        ("Descripción", "title"),
        ("Marque", "brand"),
        ("Warengruppe", "category"),
        ("user_session", "session"),
        ("shop_customer_number", "user_id"),
    ],
)
def test_roles_of_names_in_five_languages(name: str, role: Role) -> None:
    roles = find_roles(name)
    assert min(roles, key=lambda each: roles[each]) == role


@pytest.mark.parametrize("name", ["Country", "Shipping Zip", "Tax 1 Value", "Notes", ""])
def test_other_names_have_no_role(name: str) -> None:
    assert find_roles(name) == {}


def test_the_name_of_a_person_is_no_title() -> None:
    assert "title" in find_roles("line_items.name")
    assert find_roles("shipping_address.name") == {}
    assert set(find_roles("billing_address.email")) == {"user_id"}


def test_ids_are_better_than_addresses_and_names() -> None:
    names = ["customer_name", "email", "customer_id"]
    assert sorted(names, key=lambda name: find_roles(name)["user_id"]) == [*reversed(names)]


def test_a_name_can_say_that_times_are_in_utc() -> None:
    assert names_utc("date_created_gmt")
    assert not names_utc("date_created")
    assert not names_utc("outcome_date")
