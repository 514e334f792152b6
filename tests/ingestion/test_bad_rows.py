"""Files and rows of shops' exports are handled as documented.

The names of the cases are the first column of the tables in docs/reference/bad-input.md.
"""

import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from bazar.errors import InputError
from tests.ingestion.ingest import Ingested, ingest

HEADER = "user,item,time,order,quantity,price,event,status"
TIME = "2024-03-01T10:21:00"
COLUMNS = {
    "user_id": "user", "item_id": "item", "timestamp": "time", "order_id": "order",
    "quantity": "quantity", "price": "price",
}  # fmt: skip
PRODUCTS = {"products": {"files": "products.csv", "columns": {"item_id": "item", "title": "title"}}}
VALID = f"u,a,{TIME},1,1,9.5,purchase,paid\nu,b,{TIME},1,2,4,purchase,paid\n"


@dataclass(frozen=True)
class Case:
    """Rows after two valid ones, or the content of a file; and what happens to them.

    Attributes:
        content: rows of CSV without the header, or the content of the file.
        kept: number of purchases, the two valid ones included.
        excluded: excluded rows by reason.
        rejected: rejected rows by reason.
        error: text of the error.
        source: keys of the source.
        name: name of the file.
        other: rows of CSV of a second file.
        check: a check of the result.
    """

    content: str | bytes
    kept: int = 2
    excluded: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    error: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    name: str = "orders.csv"
    other: str = ""
    check: Callable[[Ingested], bool] = lambda _: True


def row(user: str = "v", item: str = "a", time: str = TIME, **cells: Any) -> str:
    """Return a row with valid cells, but for the given ones."""
    rest = {"order": "2", "quantity": 1, "price": 5, "event": "purchase", "status": "paid"} | cells
    return ",".join([user, item, time, *map(str, rest.values())]) + "\n"


def text_file(content: str, encoding: str = "utf-8") -> bytes:
    """Return a CSV file with a header, the valid rows and more rows."""
    return f"{HEADER}\n{VALID}{content}".encode(encoding)


def json_array(indent: int | None) -> bytes:
    names, rows = HEADER.split(","), (line.split(",") for line in VALID.splitlines())
    return json.dumps(
        [dict(zip(names, cells, strict=True)) for cells in rows], indent=indent
    ).encode()


def json_orders(*lists: Any) -> bytes:
    """Return an array of orders with these lists of lines."""
    orders = [
        {
            "number": f"0{number}",
            "customer": {"id": "u"},
            "placed": TIME,
            "lines": lines,
            "tags": [],
        }
        for number, lines in enumerate(lists)
    ]
    return json.dumps(orders).encode()


def workbook() -> bytes:
    content = BytesIO()
    with xlsxwriter.Workbook(content) as book:
        sheet = book.add_worksheet("Orders")
        for number, line in enumerate([HEADER, *VALID.splitlines()]):
            sheet.write_row(number, 0, line.split(","))
    return content.getvalue()


def times(unit: int) -> bytes:
    """Return a file whose two times count units since 1970, of which a second has ``unit``."""
    rows = (f"u,{item},{1_709_288_460 * unit},1,1,1,purchase,paid" for item in "ab")
    return "\n".join([HEADER, *rows]).encode()


def last_time(found: Ingested) -> int:
    return found.purchases[-1].timestamp


EVENTS = {
    "columns": COLUMNS | {"event_type": "event"},
    "events": {"purchase": ["purchase"], "view": ["view"]},
}
LINES = {
    "columns": {
        "user_id": "customer.id", "item_id": "lines.sku", "timestamp": "placed",
        "order_id": "number", "quantity": "lines.pieces",
    }
}  # fmt: skip
GUEST_SESSIONS = {"guests": "sessions"}
MATCHED = {"returns": {"remove_matched": True}}
TENTH_OF_MARCH = 1_710_028_800_000

CASES = {
    "a file with a header and no row": Case(HEADER.encode(), error="is empty"),
    "an Excel workbook": Case(workbook(), name="orders.xlsx"),
    "a sheet that does not exist": Case(
        workbook(), name="orders.xlsx", source={"sheet": "Umsatz"}, error="Orders"
    ),
    "a tar, 7-Zip, RAR, xz, zstd or bzip2 archive": Case(
        lzma.compress(text_file("")), error="Decompress it with xz -d"
    ),
    "a PDF, HTML, XML, SQLite, Arrow, ORC or Avro file": Case(
        b"<!DOCTYPE html><html><body>Log in</body></html>", error="is an HTML page"
    ),
    "another format than `format`": Case(
        text_file(""), source={"format": "jsonl"}, error="no line is a JSON object"
    ),
    "UTF-16 or UTF-32": Case(
        text_file(row("ü"), "utf-16"),
        kept=3,
        check=lambda found: found.purchases[-1].user_id == "ü",
    ),
    "a file in Windows-1252, Latin-1 or another encoding": Case(
        text_file("".join(row(name) for name in ("Müller", "Größe", "Crème")), "cp1252"),
        kept=5,
        check=lambda found: found.purchases[-1].user_id == "Crème",
    ),
    "a JSON array, on one line or many": Case(json_array(2), name="orders.json"),
    "a JSON array of arrays": Case(
        b'[["user", "item"], ["u", "a"]]', error="Write each record as an object"
    ),
    "a list of objects, such as the lines of an order": Case(
        json_orders([{"sku": "a", "pieces": 2.0}, {"sku": "b"}], [{"sku": "a", "pieces": -1}]),
        name="orders.json",
        source=LINES,
        excluded={"return": 1},
        check=lambda found: [(row.item_id, row.order_id, row.quantity) for row in found.purchases]
        == [("a", "00", 2), ("b", "00", None)],
    ),
    "an object whose list is missing, empty or has an element that is not an object": Case(
        json_orders([{"sku": "a", "pieces": 1}, {"sku": "b"}], [], None, "a", [7]),
        name="orders.json",
        source=LINES,
        rejected={"no object in lines": 4},
    ),
    "columns of two lists": Case(
        json_orders([{"sku": "a", "pieces": 1}]).replace(b"[]", b'[{"name": "new"}]'),
        name="orders.json",
        source={"columns": LINES["columns"] | {"price": "tags.name"}},
        error="Map columns of only one of these lists",
    ),
    "a first line `sep=;`, or blank lines before the header": Case(
        b"\n" + text_file("")
    ),
    "a line break in the header": Case(
        text_file("").replace(b"status", b'"the\nstatus"'),
        source={"where": {"the\nstatus": {"in": ["paid"]}}},
    ),
    "two columns with the same name": Case(
        text_file("").replace(b"event,status", b"note,note")
    ),
    "an id `nan`, `None`, `NULL`, `<NA>` or `\\N`": Case(
        "".join(row(name) for name in ("nan", "None", "NULL", "<NA>", "\\N")) + row(item="NaN"),
        excluded={"guest": 5},
        rejected={"missing item_id": 1},
    ),
    "a row without an item id": Case(row(item=""), rejected={"missing item_id": 1}),
    "a row without a user id": Case(row(""), excluded={"guest": 1}),
    "a guest without an order id, with `guests: sessions`": Case(
        row("", order="G1") + row("", order=""),
        kept=3,
        excluded={"guest without order_id": 1},
        source=GUEST_SESSIONS,
        check=lambda found: found.guests == ["G1"],
    ),
    "`17850` and `17850.0`, or `85123a` and `85123A`": Case(
        row("17850") + row("17850.0") + row(item="85123a") + row(item="85123A"),
        kept=6,
        check=lambda found: (
            found.id_forms == {"user_id": ["17850 / 17850.0"], "item_id": ["85123A / 85123a"]}
        ),
    ),
    "spaces around an id": Case(
        row(" w "), kept=3, check=lambda found: found.purchases[-1].user_id == "w"
    ),
    "a negative quantity": Case(row(quantity=-1), excluded={"return": 1}),
    "a row that `returns.where` describes": Case(
        row(status="refunded"),
        excluded={"return": 1},
        source={"returns": {"where": {"status": {"in": ["refunded"]}}}},
    ),
    "a purchase that was returned later": Case(
        row("u", "b", "2024-03-05", quantity=-2) + row("u", "a", "2024-03-02", quantity=3)
        + row("u", "a", "2024-03-05", quantity=-2),
        excluded={"return": 2, "returned later": 1},
        source=MATCHED,
    ),
    "a return without an earlier purchase": Case(
        row("w", quantity=-1) + row("u", "a", "2024-02-01", quantity=-1),
        excluded={"return": 2},
        source=MATCHED,
    ),
    "a file of returns beside a file with purchases": Case(
        row(quantity=-1) + row(quantity=-2),
        source={"files": ["orders.csv", "returns.csv"]},
        other=row(quantity=-3),
        excluded={"return": 3},
        check=lambda found: found.counts["interactions", "returns.csv"]["rows_kept"] == 0,
    ),
    "files of returns only": Case(
        f"{HEADER}\n{row(quantity=-1)}".encode(),
        error="orders.csv as orders: none of the 1 rows can be used\n  1 x return",
    ),
    "a quantity of 0": Case(row(quantity=0), excluded={"quantity 0": 1}),
    "an event of another type": Case(
        row(event="view"),
        source=EVENTS,
        check=lambda found: [event["event_type"] for event in found.events] == ["view"],
    ),
    "an event that `events` does not list, or without a value": Case(
        row(event="click") + row(event=""),
        excluded={"event: click": 1, "event: none": 1},
        source=EVENTS,
    ),
    "a row that fails a condition of `where`": Case(
        row(status="void") + row(status="void", price=0) + row(price=0),
        excluded={"where: status": 2, "where: price": 1},
        source={"where": {"status": {"in": ["paid"]}, "price": {"min": 0.01}}},
    ),
    "an item of `exclude_items`": Case(
        row(item="POST"),
        excluded={"excluded item": 1},
        source={"exclude_items": {"ids": ["post"]}},
        check=lambda found: set(found.titles) == {"a", "b"},
    ),
    "a date that does not exist, such as 30 February": Case(
        row(time="2024-02-30"), rejected={"timestamp is not a time": 1}
    ),
    "a file in microseconds or nanoseconds": Case(
        times(10**9), source={"timestamp_format": "ms"},
        check=lambda found: last_time(found) == 1_709_288_460_000,
    ),
    "a column that fits both day first and month first": Case(
        f"{HEADER}\nu,a,03/04/2024,1,1,1,purchase,paid\n".encode(), error="timestamp_format"
    ),
    "a column of times in no known format": Case(
        f"{HEADER}\nu,a,last spring,1,1,1,purchase,paid\n".encode(), error="last spring"
    ),
    "a time without an offset": Case(
        row(time="2024-03-10 02:00"),
        kept=3,
        source={"timezone": "Europe/Berlin"},
        check=lambda found: last_time(found) == TENTH_OF_MARCH + 3_600_000,
    ),
    "the abbreviation of a zone, such as `2024-03-10 10:00 PST`": Case(
        row(time="2024-03-10 10:00 PST") + row(time="2024-03-10 20:00 CET"),
        kept=4,
        source={"timezone": "Asia/Tokyo"},
        check=lambda found: [row.timestamp - TENTH_OF_MARCH for row in found.purchases[2:]]
        == [18 * 3_600_000, 19 * 3_600_000],
    ),
    "another abbreviation, such as `IST` or `BST`": Case(
        row(time="2024-03-10 10:00 IST"), rejected={"timestamp is not a time": 1}
    ),
    "a date without a time of day": Case(
        row(time="2024-03-10"), kept=3, check=lambda found: last_time(found) == TENTH_OF_MARCH
    ),
    "a quantity or price that is not a number": Case(
        row(quantity="two") + row(price="free"),
        rejected={"quantity is not a number": 1, "price is not a number": 1},
    ),
    "no quantity, or no price": Case(
        row(quantity="", price=""),
        kept=3,
        check=lambda found: found.purchases[-1][4:] == (None, None),
    ),
    "a quantity or price `NULL`, `nan`, `N/A`, `NA` or `-`": Case(
        "".join(row(quantity=text, price=text) for text in ("NULL", "nan", "N/A", "NA", "-")),
        kept=7,
        check=lambda found: {row[4:] for row in found.purchases[2:]} == {(None, None)},
    ),
    "a negative amount such as `-$5.00`, `(4.00)` or `3.00-`": Case(
        "".join(row(price=text) for text in ("-$5.00", "(4.00)", "3.00-", "($2.00)", "$1.00"))
        + "".join(row(quantity=text) for text in ("-1", "(1)", "1-", "(2.00)")),
        kept=7,
        excluded={"return": 4},
        check=lambda found: [row.price for row in found.purchases[2:]] == [-5, -4, -3, -2, 1],
    ),
    "a price with a currency sign or thousands separators": Case(
        row(price='"$1,234.50"'), kept=3, check=lambda found: found.purchases[-1].price == 1234.5
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_row_or_file_is_handled_as_documented(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    content = text_file(case.content) if isinstance(case.content, str) else case.content
    (tmp_path / case.name).write_bytes(content)
    if case.other:
        (tmp_path / "returns.csv").write_text(f"{HEADER}\n{case.other}")
    (tmp_path / "products.csv").write_text("item,title\na,Rose\nb,Oat\npost,Postage\n")
    source = {"files": case.name, "columns": COLUMNS} | case.source
    if case.error:
        with pytest.raises(InputError) as error:
            ingest(tmp_path, {"orders": source}, PRODUCTS)
        assert case.error in str(error.value)
        return
    found = ingest(tmp_path, {"orders": source}, PRODUCTS)
    assert (found.excluded, found.rejected) == (case.excluded, case.rejected)
    assert len(found.purchases) == case.kept
    counted = found.counts["interactions", case.name]
    n_excluded = sum(case.excluded.values()) - len(case.other.splitlines())
    assert counted["rows_excluded"] == n_excluded
    assert counted["rows_rejected"] == sum(case.rejected.values())
    n_kept = counted["rows_read"] - counted["rows_excluded"] - counted["rows_rejected"]
    assert counted["rows_kept"] == n_kept
    assert case.check(found)


def test_rows_of_one_event_type_need_no_column(tmp_path: Path) -> None:
    (tmp_path / "views.csv").write_bytes(text_file(""))
    (tmp_path / "orders.csv").write_bytes(text_file(row()))
    (tmp_path / "products.csv").write_text("item,title\na,Rose\nb,Oat\n")
    views = {"files": "views.csv", "columns": COLUMNS, "events": "view"}
    found = ingest(
        tmp_path, {"views": views, "orders": {"files": "orders.csv", "columns": COLUMNS}}, PRODUCTS
    )
    assert len(found.purchases) == 3
    assert [event["item_id"] for event in found.events] == ["a", "b"]
