from hashlib import sha256
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest

from bazar.errors import InputError
from bazar.ingestion.deleted_users import mark_deleted_users
from bazar.ingestion.live_files import DELETED_USERS_SCHEMA
from tests.ingestion.ingest import Ingested, ingest

TYPES = {
    "row": "int64", "user_id": "string", "timestamp": "int64", "reason": "string",
    "is_excluded": "bool", "raw": "string",
}  # fmt: skip
CSV = {"user_id": "user", "item_id": "item", "timestamp": "time", "quantity": "n"}
PRODUCTS = {"products": {"files": "orders.csv", "columns": {"item_id": "item", "title": "item"}}}
DAY_MS = 86_400_000
DELETED_AT = 1_709_251_200_000
"""2024-03-01."""


def make_deleted(**times: int) -> pa.Table:
    """Return the table of deleted users."""
    columns = [[sha256(user.encode()).hexdigest() for user in times], [*times.values()]]
    return pa.table(columns, DELETED_USERS_SCHEMA)


def mark(rows: list[tuple[Any, ...]], deleted: pa.Table) -> list[tuple[Any, ...]]:
    """Return the reasons, rules and records of rows."""
    typed = ibis.memtable(
        [(number, *row) for number, row in enumerate(rows)], schema=ibis.schema(TYPES)
    )
    marked = mark_deleted_users(typed, deleted)
    assert marked.columns == typed.columns
    found = marked.order_by("row").to_pyarrow().to_pylist()
    return [(row["reason"], row["is_excluded"], row["raw"]) for row in found]


DELETED = ("deleted customer", True, None)


def test_rows_up_to_the_deletion_are_excluded_without_their_record() -> None:
    rows = [
        ("a", 9, None, False, None),
        ("a", 10, None, False, None),
        ("a", 11, None, False, None),
        ("a", None, None, False, None),
        ("a", 5, "return", True, "a;x;-1"),
        ("a", 12, "return", True, "a;x;-1"),
        ("a", None, "timestamp is not a time", False, "a;x;soon"),
        ("a", 10**15, "impossible timestamp", False, "a;x;later"),
        ("A", 9, None, False, None),
        (None, 9, "guest", True, ";x"),
        ("é", 9, None, False, None),
        ("é", 21, None, False, None),
    ]
    # A user who is listed twice, such as in two files that were merged.
    deleted = pa.concat_tables([make_deleted(a=10, é=20), make_deleted(a=3)])
    assert mark(rows, deleted) == [
        DELETED, DELETED, (None, False, None), DELETED, DELETED, ("return", True, "a;x;-1"),
        DELETED, DELETED, (None, False, None), ("guest", True, ";x"), DELETED, (None, False, None),
    ]  # fmt: skip


def test_nothing_changes_without_deleted_users() -> None:
    typed = ibis.memtable([], schema=ibis.schema(TYPES))
    assert mark_deleted_users(typed, make_deleted()) is typed


def ingest_orders(folder: Path, orders: str, *users: str, **keys: Any) -> Ingested:
    """Ingest order lines ``user,item,time,n,event`` after the users were deleted."""
    (folder / "orders.csv").write_text("user,item,time,n,event\n" + orders)
    source = {"files": "orders.csv", "columns": CSV, **keys}
    deleted = make_deleted(**dict.fromkeys(users, DELETED_AT))
    return ingest(folder, {"orders": source}, PRODUCTS, deleted_users=deleted)


def test_ids_are_compared_after_they_were_unified(tmp_path: Path) -> None:
    orders = "17850.0,a,2024-02-01,1,buy\n 17850 ,a,2024-02-02,1,buy\n178500,b,2024-02-02,1,buy\n"
    normalise = {"user_id": ["integer_like"]}
    found = ingest_orders(tmp_path, orders, "17850", normalise_ids=normalise)
    assert [purchase.user_id for purchase in found.purchases] == ["178500"]
    assert found.excluded == {"deleted customer": 2}
    assert found.rejected == {}
    # The products of deleted users stay in the catalogue.
    assert set(found.titles) == {"a", "b"}


def test_times_in_another_unit_are_converted_first(tmp_path: Path) -> None:
    seconds = DELETED_AT // 1000
    orders = "".join(f"u,a,{seconds + shift},1,buy\n" for shift in (-60, 0, 60))
    found = ingest_orders(tmp_path, orders, "u", timestamp_format="ms")
    assert [purchase.timestamp for purchase in found.purchases] == [DELETED_AT + 60_000]


def test_events_of_deleted_users_are_excluded(tmp_path: Path) -> None:
    orders = (
        "u,a,2024-02-01,,look\nv,a,2024-02-01,,look\nu,b,2024-03-02,,look\nv,b,2024-02-01,1,buy\n"
    )
    found = ingest_orders(
        tmp_path, orders, "u",
        columns={**CSV, "event_type": "event"}, events={"purchase": ["buy"], "view": ["look"]},
    )  # fmt: skip
    assert [(event["user_id"], event["item_id"]) for event in found.events] == [
        ("v", "a"), ("u", "b"),
    ]  # fmt: skip
    assert found.excluded == {"deleted customer": 1}


def test_a_return_after_the_deletion_takes_no_later_purchase(tmp_path: Path) -> None:
    orders = "u,a,2024-02-01,1,buy\nu,a,2024-03-02,-1,buy\nu,a,2024-03-03,1,buy\n"
    found = ingest_orders(tmp_path, orders, "u", returns={"remove_matched": True})
    assert [purchase.timestamp for purchase in found.purchases] == [DELETED_AT + 2 * DAY_MS]
    assert found.excluded == {"deleted customer": 1, "return": 1}


def test_purchases_without_a_time_are_excluded(tmp_path: Path) -> None:
    columns = {"user_id": "user", "item_id": "item", "position": "n"}
    found = ingest_orders(tmp_path, "u,a,,1,\nv,a,,1,\n", "u", columns=columns)
    assert [purchase.user_id for purchase in found.purchases] == ["v"]


def test_the_error_of_a_file_of_deleted_users_shows_no_record(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        ingest_orders(tmp_path, "u,a,2024-02-01,1,buy\n", "u")
    message = str(error.value).splitlines()
    assert message[1] == "  1 x deleted customer"
    assert message[2].startswith("Add the files of other customers")
