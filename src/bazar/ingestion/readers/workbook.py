"""Read the rows of a sheet of an Excel workbook as text."""

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import python_calamine

from bazar.errors import InputError


@dataclass(frozen=True)
class Workbook:
    """A sheet of a workbook.

    Attributes:
        columns: names in order. A column without a name is ``column <number>``.
        sheets: names of all sheets.
        sheet: name of this sheet.
        header: number of the header's row, from 0.
        rows: the cells of all rows.
    """

    columns: list[str]
    sheets: list[str]
    sheet: str
    header: int
    rows: list[list[Any]]

    def iterate_rows(self) -> Iterator[tuple[int, list[str | None]]]:
        """Yield the row number (from 1, within the sheet) and the texts of each row with data."""
        for number, cells in enumerate(self.rows[self.header + 1 :], start=self.header + 2):
            texts = [_format_cell(cell) for cell in cells]
            if any(texts):
                yield number, texts


def read_sheet(path: Path, sheet: str | None = None, prefix: str = "") -> Workbook:
    """Read a sheet of a workbook. Its first row that is not blank is the header.

    Args:
        path: the workbook: .xlsx, .xlsb, .xls or .ods.
        sheet: name of the sheet; None for the first one.
        prefix: prefix of the source's keys in messages, such as ``products.shop.``.

    Raises:
        InputError: if the workbook is damaged or has a password, or the sheet does not exist or is
            empty.
    """
    try:
        with python_calamine.CalamineWorkbook.from_path(path) as workbook:
            names = workbook.sheet_names
            name = names[0] if sheet is None else sheet
            if name not in names:
                found = ", ".join(repr(known) for known in names)
                raise InputError(
                    f"{path} has no sheet {name!r}. Available: {found}.\n"
                    f"Set {prefix}sheet in globals.yml to one of them."
                )
            rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except python_calamine.PasswordError as error:
        raise InputError(f"{path} has a password. Save it without one, or as CSV.") from error
    except python_calamine.CalamineError as error:
        raise InputError(
            f"{path} cannot be read as an Excel workbook\n  {error}\nSave it as .xlsx or as CSV."
        ) from error
    header = next(
        (number for number, cells in enumerate(rows) if any(map(_format_cell, cells))), None
    )
    if header is None:
        raise InputError(
            f"{path} is empty: the sheet {name!r} has no cell. Its sheets are "
            f"{', '.join(map(repr, names))}. Set {prefix}sheet to the one that has the data."
        )
    columns = [
        _format_cell(cell) or f"column {number}"
        for number, cell in enumerate(rows[header], start=1)
    ]
    return Workbook(columns, names, name, header, rows)


def _format_cell(cell: Any) -> str | None:
    """Return the text of a cell: numbers that are whole without .0, times in ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        if not math.isfinite(cell):
            return None
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell) or None
