"""Tables for spreadsheets."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from bazar.atomic import atomic_path

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(batches: pa.RecordBatchReader, path: Path) -> int:
    """Write rows as CSV, a batch at a time, with no cell that a spreadsheet would run.

    Args:
        batches: the rows.
        path: the file, replaced as a whole.

    Returns:
        How many rows there are.
    """
    n_rows = 0
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(batches.schema.names)
        for batch in batches:
            writer.writerows(_harmless(batch.to_pydict().values()))
            n_rows += batch.num_rows
    return n_rows


def _harmless(columns: Iterable[list[Any]]) -> Iterable[tuple[Any, ...]]:
    """Put an apostrophe before texts that a spreadsheet would take for a formula (OWASP)."""

    def mended(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell

    return zip(*([mended(cell) for cell in column] for column in columns), strict=True)
