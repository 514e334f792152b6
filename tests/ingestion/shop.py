"""A small synthetic shop with known orders, which tests write as exports of many shapes."""

import csv
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Purchase(NamedTuple):
    """A row that ingestion accepts, in Bazar's types."""

    user_id: str
    item_id: str
    order_id: str | None
    timestamp: int
    """Milliseconds in UTC."""
    quantity: float | None
    price: float | None


@dataclass(frozen=True)
class Product:
    """A product of the shop, with the ids that different systems give it."""

    sku: str
    number: str
    asin: str
    title: str
    price: float


def _make_products() -> list[Product]:
    """Return the products. Numbers have leading zeros, and some titles are not ASCII."""
    titles = [
        ("RCM-200", "Rose Cleansing Milk, 200 ml", 12.9), ("RTN-200", "Rose Toner, 200 ml", 9.5),
        ("CRN-050", "Crème de Nuit à la Rose, 50 ml", 24.0), ("HMP-050", "Hemp Oil, 50 ml", 7.25),
        ("HMP-090", "Hemp Oil, 90 ml", 11.75), ("SFP-100", "Olive Soap, 100 g", 3.95),
        ("LIP-CRL", 'Lipstick "Coral Kiss"', 14.5), ("LIP-RED", "Lipstick Señorita Red", 14.5),
        ("SHM-250", "Nettle Shampoo, 250 ml", 6.4), ("CND-250", "Nettle Conditioner, 250 ml", 6.9),
        ("MSK-CLY", "Clay Mask for oily skin", 8.2), ("SUN-F50", "Sun Milk SPF 50", 17.3),
        ("BRH-DTN", "Duo Brush für Détente", 5.6), ("NLP-TUR", "Nail Polish Türkis", 4.75),
    ]  # fmt: skip
    return [
        Product(sku, f"{831 + 113 * index:05d}", f"B0{index:02d}K6VFD{index % 7}", title, price)
        for index, (sku, title, price) in enumerate(titles)
    ]


PRODUCTS = _make_products()


@dataclass(frozen=True)
class Line:
    """An order line."""

    product: Product
    quantity: int


Kind = Literal["complete", "cancelled", "refunded"]


@dataclass(frozen=True)
class Order:
    """An order of a customer, or of a guest (``customer`` is None). ``time`` is in UTC."""

    number: int
    customer: int | None
    time: datetime
    kind: Kind
    lines: tuple[Line, ...]


def simulate_orders(n_orders: int = 60, n_customers: int = 12, seed: int = 7) -> list[Order]:
    """Return orders from January to July 2024: of customers who buy again, and of guests.

    Every seventh order is a guest's. Some orders are cancelled or refunded.
    """
    rng = random.Random(seed)
    favourites = [rng.sample(PRODUCTS, 6) for _ in range(n_customers)]
    orders = []
    for index in range(n_orders):
        customer = None if index % 7 == 3 else rng.randrange(n_customers)
        choice = PRODUCTS if customer is None else favourites[customer]
        lines = tuple(
            Line(product, rng.choice([1, 1, 1, 2, 3]))
            for product in rng.sample(choice, rng.choice([1, 2, 2, 3, 4]))
        )
        kind: Kind = "complete"
        if customer is not None and index % 11 in (5, 8):
            kind = "cancelled" if index % 11 == 5 else "refunded"
        time = datetime(2024, 1, 8, 9, tzinfo=UTC) + timedelta(
            hours=71 * index, minutes=rng.randrange(300)
        )
        orders.append(Order(1001 + index, customer, time, kind, lines))
    return orders


def list_lines(orders: list[Order]) -> Iterator[tuple[Order, Line, bool]]:
    """Yield every order line, and whether it is the first of its order."""
    for order in orders:
        for index, line in enumerate(order.lines):
            yield order, line, index == 0


def email(customer: int | None) -> str:
    """Return the e-mail address of a customer, empty for a guest."""
    return "" if customer is None else f"customer{customer:02d}@example.com"


def to_milliseconds(time: datetime) -> int:
    """Return a time in UTC as milliseconds since 1970."""
    return round(time.timestamp() * 1000)


@dataclass(frozen=True)
class Expected:
    """What is true of an export."""

    columns: dict[str, str]
    """Bazar's columns of the interactions, and the columns of the file that they are in."""
    title: str | None
    """Column of the titles. None: the export has no titles."""
    file_format: str
    encoding: str | None
    """Encoding of a text file. None: the file is not text."""
    delimiter: str | None
    decimal: str
    timestamp_format: str
    """As the configuration names it. ``iso`` for times that are not text, as in Parquet."""
    rules: dict[str, Any]
    """Keys of the source, beside files and columns, that keep exactly ``purchases``."""
    purchases: list[Purchase]
    """The accepted rows in the order of the file."""
    excluded: dict[str, int]
    """Number of excluded rows by reason, with ``rules``."""
    events: dict[str, int] = field(default_factory=dict)
    """Number of accepted events that are not purchases, by Bazar's type, with ``rules``."""
    returned: list[Purchase] = field(default_factory=list)
    """Purchases that a return in the file belongs to. ``remove_matched`` removes them."""
    timezone: str = "UTC"
    """Zone of times without an offset. The files do not contain it; UTC is the default."""
    questions: tuple[str, ...] = ()
    """Questions that the file does not answer."""

    @property
    def n_rows(self) -> int:
        """The number of rows of the file."""
        n_others = sum(self.excluded.values()) + sum(self.events.values())
        return len(self.purchases) + n_others


@dataclass(frozen=True)
class Export:
    """A written export."""

    name: str
    paths: list[Path]
    expected: Expected

    def make_globals(self) -> dict[str, Any]:
        """Return a configuration of an environment that reads the export as expected."""
        known = self.expected
        files = [str(path) for path in self.paths]
        columns = {"item_id": known.columns["item_id"], "title": known.title}
        source = {"files": files, "columns": known.columns, **known.rules}
        return {
            "dataset": self.name,
            "raw_dir": str(self.paths[0].parent),
            "interactions": {"orders": source},
            "products": {"orders": {"files": files, "columns": columns}} if known.title else {},
        }


class Rows:
    """Rows of an export, and what becomes of them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.purchases: list[Purchase] = []
        self.excluded: Counter[str] = Counter()
        self.events: Counter[str] = Counter()

    def add(self, row: dict[str, Any], outcome: Purchase | str) -> None:
        """Add a row that becomes a purchase, is excluded for a reason, or is another event."""
        self.rows.append(row)
        if isinstance(outcome, Purchase):
            self.purchases.append(outcome)
        elif outcome in ("view", "cart", "other"):
            self.events[outcome] += 1
        else:
            self.excluded[outcome] += 1

    def add_orders(
        self,
        orders: list[Order],
        make_row: Callable[[Order, Line, bool], dict[str, Any]],
        make_purchase: Callable[[Order, Line], Purchase],
        status: str | None = None,
    ) -> None:
        """Add one row for each order line.

        Args:
            orders: The orders.
            make_row: Returns the row of a line. The last argument is whether it is the first one.
            make_purchase: Returns the purchase of a line that is neither a guest's nor cancelled.
            status: Column of the file that shows cancelled and refunded orders.
        """
        for order, line, is_first in list_lines(orders):
            outcome: Purchase | str = "guest"
            if order.kind != "complete":
                outcome = f"where: {status}"
            elif order.customer is not None:
                outcome = make_purchase(order, line)
            self.add(make_row(order, line, is_first), outcome)


def write_text(
    path: Path,
    header: list[str],
    rows: list[dict[str, Any]],
    delimiter: str = ",",
    encoding: str = "utf-8",
    newline: str = "\n",
    first_line: str = "",
) -> Path:
    """Write a text file of columns. Cells that a row does not have are empty."""
    text = io.StringIO(newline="")
    text.write(first_line)
    writer = csv.DictWriter(text, header, "", delimiter=delimiter, lineterminator=newline)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def with_comma(number: float) -> str:
    """Return a number with two decimals and a decimal comma."""
    return f"{number:.2f}".replace(".", ",")


def make_purchase(
    order: Order, line: Line, user_id: str, item_id: str, order_id: str | None
) -> Purchase:
    """Return the purchase of an order line."""
    price, quantity = line.product.price, float(line.quantity)
    return Purchase(user_id, item_id, order_id, to_milliseconds(order.time), quantity, price)
