"""Exports of spreadsheets, databases and older systems: languages, encodings and file formats."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from tests.ingestion.shop import (
    Expected,
    Export,
    Line,
    Order,
    Purchase,
    Rows,
    list_lines,
    make_purchase,
    simulate_orders,
    to_milliseconds,
    with_comma,
    write_text,
)


def _at(purchase: Purchase, time: datetime) -> Purchase:
    """Return the purchase at a time of coarser resolution."""
    return purchase._replace(timestamp=to_milliseconds(time))


def write_german(folder: Path, first_line: str = "") -> Export:
    """Write a CSV as German Excel saves it: byte order mark, semicolons, decimal commas.

    Credit notes have negative quantities, most orders have a line of postage, and guests have no
    customer number.
    """
    found = Rows()
    returned = []
    for order in simulate_orders(seed=13):
        user = "" if order.customer is None else str(10_001 + order.customer)

        def add(
            cells: tuple[str, str, float], quantity: int, outcome: Purchase | str, is_credit: bool,
            order: Order = order, user: str = user,
        ) -> None:  # fmt: skip
            time = order.time + timedelta(minutes=45 if is_credit else 0)
            row = {
                "Kundennummer": user,
                "Rechnungsnummer": f"{'GS' if is_credit else 'RE'}{order.number}",
                "Datum": f"{time:%d.%m.%Y %H:%M}", "Artikelnummer": cells[0],
                "Bezeichnung": cells[1], "Menge": quantity, "Einzelpreis": with_comma(cells[2]),
            }  # fmt: skip
            found.add(row, outcome)

        for line in order.lines:
            product = line.product
            purchase = make_purchase(order, line, user, product.number, f"RE{order.number}")
            cells = (product.number, product.title, product.price)
            add(cells, line.quantity, purchase if user else "guest", False)
            if order.kind == "refunded":
                returned.append(purchase)
        if user and order.number % 5:
            add(("VERSAND", "Versandkosten", 4.9), 1, "excluded item", False)
        for line in order.lines if order.kind == "refunded" else ():
            product = line.product
            add((product.number, product.title, product.price), -line.quantity, "return", True)
    path = write_text(
        folder / "Umsätze 2024.csv", list(found.rows[0]), found.rows, ";", "utf-8-sig", "\r\n",
        first_line,
    )  # fmt: skip
    expected = Expected(
        columns={
            "user_id": "Kundennummer", "item_id": "Artikelnummer", "timestamp": "Datum",
            "order_id": "Rechnungsnummer", "quantity": "Menge", "price": "Einzelpreis",
        },
        title="Bezeichnung", file_format="csv", encoding="utf-8", delimiter=";", decimal=",",
        timestamp_format="%d.%m.%Y %H:%M",
        rules={"decimal": ",", "exclude_items": {"ids": ["VERSAND"]}},
        purchases=found.purchases, excluded=dict(found.excluded), returned=returned,
    )  # fmt: skip
    return Export("german_with_sep" if first_line else "german", [path], expected)


def write_german_with_sep(folder: Path) -> Export:
    """Write the German CSV with Excel's line ``sep=;`` before the header."""
    return write_german(folder, "sep=;\r\n")


def _write_translated(
    folder: Path,
    name: str,
    header: list[str],
    statuses: dict[str, str],
    clock: str,
    encoding: str,
    delimiter: str = ";",
) -> Export:
    """Write a CSV with the eight columns of a header in this order.

    They are the customer, order, time, product id, title, quantity, price and status.
    """
    found = Rows()
    has_clock = "%H" in clock

    def at(time: datetime) -> datetime:
        return time if has_clock else time.replace(hour=0, minute=0)

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        customer = "" if order.customer is None else f"C-{order.customer:04d}"
        product = line.product
        cells = (
            customer, f"2024/{order.number}", f"{order.time:{clock}}", product.sku, product.title,
            line.quantity, with_comma(product.price), statuses[order.kind],
        )  # fmt: skip
        return dict(zip(header, cells, strict=True))

    def to_purchase(order: Order, line: Line) -> Purchase:
        user = f"C-{order.customer:04d}"
        purchase = make_purchase(order, line, user, line.product.sku, f"2024/{order.number}")
        return _at(purchase, at(order.time))

    found.add_orders(simulate_orders(seed=len(name)), make_row, to_purchase, header[7])
    path = write_text(folder / f"{name}.csv", header, found.rows, delimiter, encoding, "\r\n")
    user, order_id, time, item, title, quantity, price, status = header
    expected = Expected(
        columns={
            "user_id": user, "item_id": item, "timestamp": time, "order_id": order_id,
            "quantity": quantity, "price": price,
        },
        title=title, file_format="csv", encoding=encoding, delimiter=delimiter, decimal=",",
        timestamp_format=clock,
        rules={"decimal": ",", "where": {status: {"in": [statuses["complete"]]}}},
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export(name, [path], expected)


def write_spanish(folder: Path) -> Export:
    """Write a Spanish CSV in Latin-1 with dates without a time of day."""
    header = [
        "Cliente",
        "Pedido",
        "Fecha",
        "Referencia",
        "Artículo",
        "Cantidad",
        "Precio",
        "Estado",
    ]
    statuses = {"complete": "Completado", "cancelled": "Cancelado", "refunded": "Devuelto"}
    return _write_translated(folder, "spanish", header, statuses, "%d/%m/%Y", "latin-1")


def write_french(folder: Path) -> Export:
    """Write a French CSV in Windows-1252."""
    header = [
        "N° client", "N° commande", "Date de commande", "Référence", "Désignation", "Quantité",
        "Prix unitaire", "Statut",
    ]  # fmt: skip
    statuses = {"complete": "Terminée", "cancelled": "Annulée", "refunded": "Remboursée"}
    return _write_translated(folder, "french", header, statuses, "%d/%m/%Y %H:%M", "cp1252")


def write_portuguese(folder: Path) -> Export:
    """Write a Portuguese CSV in UTF-8, separated by tabs."""
    header = [
        "Código do cliente", "Número do pedido", "Data da compra", "Código do produto", "Produto",
        "Quantidade", "Preço unitário", "Situação",
    ]  # fmt: skip
    statuses = {"complete": "Concluído", "cancelled": "Cancelado", "refunded": "Reembolsado"}
    clock = "%d/%m/%Y %H:%M:%S"
    return _write_translated(folder, "portuguese", header, statuses, clock, "utf-8", "\t")


def write_utf16(folder: Path) -> Export:
    """Write what Excel calls Unicode text: UTF-16 with tabs, here with American dates."""
    found = Rows()

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        time = order.time
        return {
            "Order ID": order.number, "Order Date": f"{time:%m/%d/%Y %I:%M %p}",
            "Customer ID": "" if order.customer is None else f"{417 + order.customer:06d}",
            "Product ID": line.product.number, "Product Name": line.product.title,
            "Quantity": line.quantity, "Unit Price": f"{line.product.price:.2f}",
        }  # fmt: skip

    def to_purchase(order: Order, line: Line) -> Purchase:
        user = f"{417 + (order.customer or 0):06d}"
        return make_purchase(order, line, user, line.product.number, str(order.number))

    orders = [order for order in simulate_orders(seed=14) if order.kind == "complete"]
    found.add_orders(orders, make_row, to_purchase)
    path = write_text(
        folder / "orders.txt", list(found.rows[0]), found.rows, "\t", "utf-16", "\r\n"
    )
    expected = Expected(
        columns={
            "user_id": "Customer ID", "item_id": "Product ID", "timestamp": "Order Date",
            "order_id": "Order ID", "quantity": "Quantity", "price": "Unit Price",
        },
        title="Product Name", file_format="csv", encoding="utf-16", delimiter="\t", decimal=".",
        timestamp_format="%m/%d/%Y %I:%M %p", rules={},
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export("utf16", [path], expected)


def write_excel(folder: Path) -> Export:
    """Write a workbook: dates, customer ids as numbers, product ids as numbers and as texts."""
    found = Rows()
    returned = []

    def add(order: Order, item: tuple[Any, str, float], quantity: int, outcome: Any) -> None:
        number = order.number + 488_000
        is_credit = quantity < 0
        row = {
            "Invoice": f"C{number}" if is_credit else number, "StockCode": item[0],
            "Description": item[1], "Quantity": quantity,
            "InvoiceDate": (order.time + timedelta(minutes=45 * is_credit)).replace(tzinfo=None),
            "Price": item[2],
            "Customer ID": None if order.customer is None else 17_850.0 + order.customer,
            "Country": "United Kingdom",
        }  # fmt: skip
        found.add(row, outcome)

    for order, line, is_first in list_lines(simulate_orders(seed=15)):
        product, guest = line.product, order.customer is None
        # Some codes are numbers, others have a letter at the end.
        code: int | str = int(product.number) + 20_000
        code = f"{code}A" if code % 2 else code
        user = f"{17_850 + (order.customer or 0)}"
        purchase = make_purchase(order, line, user, str(code), str(order.number + 488_000))
        item = (code, product.title.upper(), product.price)
        add(order, item, line.quantity, "guest" if guest else purchase)
        if order.kind == "refunded":
            returned.append(purchase)
            add(order, item, -line.quantity, "return")
        if is_first and not guest and order.number % 5:
            add(order, ("POST", "POSTAGE", 18.0), 1, "excluded item")
    path = folder / "online_retail.xlsx"
    header = list(found.rows[0])
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"created": datetime(2024, 8, 1)})
        sheet, date = (
            book.add_worksheet("Orders"),
            book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
        )
        sheet.write_row(0, 0, header)
        for number, row in enumerate(found.rows, start=1):
            for column, value in enumerate(row.values()):
                sheet.write(
                    number, column, value, date if header[column] == "InvoiceDate" else None
                )
    expected = Expected(
        columns={
            "user_id": "Customer ID", "item_id": "StockCode", "timestamp": "InvoiceDate",
            "order_id": "Invoice", "quantity": "Quantity", "price": "Price",
        },
        title="Description", file_format="excel", encoding=None, delimiter=None, decimal=".",
        timestamp_format="iso",
        rules={
            "exclude_items": {"ids": ["POST"]},
            "normalise_ids": {"user_id": ["integer_like"]},
        },
        purchases=found.purchases, excluded=dict(found.excluded), returned=returned,
    )  # fmt: skip
    return Export("excel", [path], expected)


def write_json_array(folder: Path) -> Export:
    """Write a JSON array of objects over several lines, as an API returns it."""
    found = Rows()

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        return {
            "customerId": None if order.customer is None else 1000 + order.customer,
            "orderId": f"A-{order.number}", "createdAt": f"{order.time:%Y-%m-%dT%H:%M:%S}.000Z",
            "status": order.kind, "sku": line.product.number, "productName": line.product.title,
            "qty": line.quantity, "unitPrice": line.product.price, "currency": "EUR",
        }  # fmt: skip

    def to_purchase(order: Order, line: Line) -> Purchase:
        user = str(1000 + (order.customer or 0))
        return make_purchase(order, line, user, line.product.number, f"A-{order.number}")

    found.add_orders(simulate_orders(seed=16), make_row, to_purchase, "status")
    path = folder / "orders.json"
    path.write_text(json.dumps(found.rows, indent=2, ensure_ascii=False))
    expected = Expected(
        columns={
            "user_id": "customerId", "item_id": "sku", "timestamp": "createdAt",
            "order_id": "orderId", "quantity": "qty", "price": "unitPrice", "currency": "currency",
        },
        title="productName", file_format="json", encoding="utf-8", delimiter=None, decimal=".",
        timestamp_format="iso", rules={"where": {"status": {"in": ["complete"]}}},
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export("json_array", [path], expected)


def _epoch(unit: int) -> Callable[[datetime], int]:
    """Return a function that counts units since 1970, of which a second has ``unit``."""
    return lambda time: round(time.timestamp()) * unit


PARQUET_TIMES: dict[str, tuple[pa.DataType, Callable[[datetime], Any], str]] = {
    "timestamp_s": (pa.timestamp("s"), lambda time: time.replace(tzinfo=None), "iso"),
    "timestamp_ms": (pa.timestamp("ms"), lambda time: time.replace(tzinfo=None), "iso"),
    "timestamp_us": (pa.timestamp("us"), lambda time: time.replace(tzinfo=None), "iso"),
    "timestamp_ns": (pa.timestamp("ns"), lambda time: time.replace(tzinfo=None), "iso"),
    "timestamp_zone": (pa.timestamp("us", "Europe/London"), lambda time: time, "iso"),
    "date32": (pa.date32(), lambda time: time.date(), "iso"),
    "float_s": (pa.float64(), lambda time: time.timestamp(), "s"),
    "int_s": (pa.int32(), _epoch(1), "s"),
    "int_ms": (pa.int64(), _epoch(1_000), "ms"),
    "int_us": (pa.int64(), _epoch(1_000_000), "us"),
    "int_ns": (pa.int64(), _epoch(1_000_000_000), "ns"),
    "binary": (pa.binary(), lambda time: f"{time:%Y-%m-%d %H:%M:%S}".encode(), "iso"),
}
"""Types of the time column, the conversion of a time, and the format."""


def write_parquet(folder: Path, times: str = "timestamp_ns") -> Export:
    """Write a Parquet file as pandas and other engines do.

    Customer ids are floats with nulls, product ids and statuses are dictionaries, titles are
    byte arrays without a text type.

    Args:
        folder: The folder.
        times: A key of ``PARQUET_TIMES``.
    """
    found = Rows()
    kind, convert, time_format = PARQUET_TIMES[times]

    def make_row(order: Order, line: Line, is_first: bool) -> dict[str, Any]:
        customer = order.customer
        return {
            "customer_id": None if customer is None else 17_850.0 + customer,
            "order_id": order.number, "ordered_at": convert(order.time), "status": order.kind,
            "product_id": line.product.number, "product_name": line.product.title.encode(),
            "quantity": line.quantity, "unit_price": line.product.price,
        }  # fmt: skip

    def to_purchase(order: Order, line: Line) -> Purchase:
        user = str(17_850 + (order.customer or 0))
        purchase = make_purchase(order, line, user, line.product.number, str(order.number))
        day = order.time.replace(hour=0, minute=0)
        return _at(purchase, day) if times == "date32" else purchase

    found.add_orders(simulate_orders(seed=17), make_row, to_purchase, "status")
    words = pa.dictionary(pa.int32(), pa.string())
    types = [pa.float64(), pa.int64(), kind, words, words, pa.binary(), pa.int32(), pa.float64()]
    names = list(found.rows[0])
    schema = pa.schema(list(zip(names, types, strict=True)))
    columns = {name: [row[name] for row in found.rows] for name in names}
    path = folder / f"orders_{times}.parquet"
    pq.write_table(pa.table(columns, schema), path)
    expected = Expected(
        columns={
            "user_id": "customer_id", "item_id": "product_id", "timestamp": "ordered_at",
            "order_id": "order_id", "quantity": "quantity", "price": "unit_price",
        },
        title="product_name", file_format="parquet", encoding=None, delimiter=None, decimal=".",
        timestamp_format=time_format,
        rules={
            "where": {"status": {"in": ["complete"]}},
            "normalise_ids": {"user_id": ["integer_like"]},
        },
        purchases=found.purchases, excluded=dict(found.excluded),
    )  # fmt: skip
    return Export(f"parquet_{times}", [path], expected)
