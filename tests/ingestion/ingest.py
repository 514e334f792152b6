"""Run the pipeline ingestion on files, without a Kedro project."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.data import IngestionOptions
from bazar.datasets.raw import RawDataset
from bazar.errors import InputError
from bazar.ingestion.deleted_users import RawInteractions
from bazar.ingestion.live_files import DELETED_USERS_SCHEMA
from bazar.pipelines.ingestion.nodes import ingest_raw_files
from tests.ingestion.shop import Purchase

NO_DELETED_USERS = DELETED_USERS_SCHEMA.empty_table()
DUCKDB = {"backend": "duckdb", "database": ":memory:"}


@dataclass
class Ingested:
    """What ingestion makes of the files.

    Attributes:
        purchases: accepted purchases in the order of the file.
        events: accepted events of other types.
        excluded: number of excluded rows of interactions by reason.
        rejected: number of rejected rows of interactions by reason.
        counts: rows by read_as and file.
        titles: one title of each product.
        guests: order ids of accepted purchases of guests.
        id_forms: ids that are written in several forms, by column.
    """

    purchases: list[Purchase]
    events: list[dict[str, Any]]
    excluded: dict[str, int]
    rejected: dict[str, int]
    counts: dict[tuple[str, str], dict[str, int]]
    titles: dict[str, str | None]
    guests: list[str]
    id_forms: dict[str, list[str]]


def ingest(
    folder: Path,
    interactions: dict[str, dict[str, Any]],
    products: dict[str, dict[str, Any]],
    connection: dict[str, Any] = DUCKDB,
    max_reject_share: float = 1.0,
    deleted_users: pa.Table = NO_DELETED_USERS,
) -> Ingested:
    """Read the files of a folder as the sources describe them.

    Args:
        folder: the folder of the raw files.
        interactions: sources of interactions by name, as in ``globals.yml``.
        products: sources of products by name.
        connection: the Ibis backend.
        max_reject_share: share of a file's rows that may be rejected.
        deleted_users: the deleted users.

    Raises:
        InputError: as a run does.
    """
    options = IngestionOptions(
        interactions=interactions,  # type: ignore[arg-type]
        products=products,  # type: ignore[arg-type]
        max_reject_share=max_reject_share,
    )
    tables, events = ingest_raw_files(
        RawInteractions(_load(folder, "interactions", interactions, connection), deleted_users),
        _load(folder, "products", products, connection),
        options,
    )
    rows = list_rows(tables["interactions"].order_by("source_file", "source_order"))
    counts: dict[str, dict[str, int]] = {"excluded": {}, "rejected": {}}
    for row in list_rows(tables["rejects"]):
        if row["read_as"] == "interactions":
            found = counts[row["kind"]]
            found[row["reason"]] = found.get(row["reason"], 0) + row["count"]
    return Ingested(
        [Purchase(*(row[name] for name in Purchase._fields)) for row in rows],
        list_rows(events.order_by("source_file", "source_order")),
        counts["excluded"],
        counts["rejected"],
        {(row["read_as"], row["source_file"]): row for row in list_rows(tables["counts"])},
        {row["item_id"]: row["title"] for row in list_rows(tables["products"])},
        [row["order_id"] for row in rows if row["is_guest"]],
        {row["column"]: row["examples"] for row in list_rows(tables["id_forms"])},
    )


def _load(
    folder: Path,
    kind: Literal["interactions", "products"],
    sources: dict[str, dict[str, Any]],
    connection: dict[str, Any],
) -> dict[str, ir.Table]:
    raw = RawDataset(
        path=str(folder),
        sources=sources,
        kind=kind,
        max_rows=10**9,
        max_bytes=10**12,
        connection=connection,
    )
    try:
        return raw.load()
    except Exception as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        raise


def list_rows(table: ir.Table) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    rows: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return rows
