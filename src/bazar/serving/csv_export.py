"""CSV files for spreadsheets and other programs."""

import csv
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bazar.atomic import atomic_path
from bazar.errors import InputError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# Ids such as -5 or +8801700000000: a spreadsheet reads a number, and cannot run it.
_SIGNED_NUMBER = re.compile(r"[+-][0-9 ().-]+")


def write_csv(batches: pa.RecordBatchReader, path: Path, escape_formulas: bool = True) -> int:
    """Write rows as CSV, one batch at a time.

    Floating-point numbers have as few digits as identify them in the precision of their column.

    Args:
        batches: the rows.
        path: the file. It appears, or is replaced, when all rows are written.
        escape_formulas: whether texts that a spreadsheet would run as a formula get an apostrophe
            in front (OWASP, "CSV injection"): those that start with = + - @, a tab or a line
            break. Signed numbers, such as phone numbers used as ids, are never changed.

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
            columns = [_format_column(column, escape_formulas) for column in batch.columns]
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


def _is_formula(cell: Any) -> bool:
    return (
        isinstance(cell, str)
        and cell.startswith(_FORMULA_STARTS)
        and _SIGNED_NUMBER.fullmatch(cell) is None
    )
