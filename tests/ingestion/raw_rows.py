"""Raw tables of interactions, as the readers return them, from rows of texts."""

from typing import Any, get_args

import ibis
import ibis.expr.types as ir

from bazar.config.sources import InteractionColumn, InteractionSource

NOW = 1_700_000_000_000
COLUMNS = {
    "user_id": "customer", "item_id": "sku", "timestamp": "time", "order_id": "order",
    "quantity": "pieces", "price": "price",
}  # fmt: skip
VALID = {"customer": "u", "sku": "i", "time": "1600000000000", "pieces": "1", "price": "9.90"}


def source(columns: dict[str, str] | None = None, **rules: Any) -> InteractionSource:
    """Return a source of rows with the columns of ``COLUMNS``, and times in milliseconds."""
    mapped = COLUMNS if columns is None else columns
    fixed = {"timestamp_format": "ms"} if "timestamp" in mapped else {}
    return InteractionSource.model_validate({"files": "f", "columns": mapped} | fixed | rules)


def raw_table(
    rows: list[dict[str, Any]], of: InteractionSource, file: str = "shop.csv"
) -> ir.Table:
    """Return the raw table of rows by the column names of the file.

    A column that a row lacks has the value of ``VALID``. ``problem`` is the reader's problem.
    """
    reads: dict[str, str | None] = {
        **{name: of.columns.get(name) for name in get_args(InteractionColumn)},
        **{f"condition_{number}": name for number, name in enumerate(of.condition_columns)},
    }
    content = [
        {
            "source_file": file,
            "row_number": number,
            "raw": f"row {number}",
            "problem": row.get("problem"),
            **{name: (VALID | row).get(column or "") for name, column in reads.items()},
        }
        for number, row in enumerate(rows, start=1)
    ]
    types = {"source_file": "string", "row_number": "int64", "raw": "string", "problem": "string"}
    return ibis.memtable(content, schema=types | dict.fromkeys(reads, "string"))
