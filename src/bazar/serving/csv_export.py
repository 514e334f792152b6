"""CSV files for spreadsheets and other programs."""

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bazar.atomic import atomic_path
from bazar.errors import InputError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(batches: pa.RecordBatchReader, path: Path, escaped: Collection[str]) -> int:
    """Write rows as CSV, one batch at a time.

    Floating-point numbers have as few digits as identify them in the precision of their column.
    Ids are never changed, whatever they start with: programs join tables by them.

    Args:
        batches: the rows.
        path: the file. It appears, or is replaced, when all rows are written.
        escaped: names of columns of text in which a text that a spreadsheet would run as a formula
            gets an apostrophe in front (OWASP, "CSV injection"): one that starts with = + - @, a
            tab or a line break. Other columns are not changed.

    Returns:
        The number of rows.

    Raises:
        InputError: if the folder does not exist.
    """
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}. Create it, or choose another path.")
    n_rows = 0
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(batches.schema.names)
        for batch in batches:
            columns = [
                _format_column(column, name in escaped)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            writer.writerows(zip(*columns, strict=True))
            n_rows += batch.num_rows
    return n_rows


def _format_column(column: pa.Array, escape_formulas: bool) -> list[Any]:
    if pa.types.is_floating(column.type):
        return pc.cast(column, pa.string()).to_pylist()
    cells = column.to_pylist()
    if escape_formulas:
        return [f"'{cell}" if _is_formula(cell) else cell for cell in cells]
    return cells


def _is_formula(cell: str | None) -> bool:
    return cell is not None and cell.startswith(_FORMULA_STARTS)
