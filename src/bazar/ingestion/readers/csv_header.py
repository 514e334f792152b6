"""Find the header, the delimiter and the line end of a CSV file."""

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bazar.errors import InputError

_DELIMITERS = ",;\t|"
_COMPARED_ROWS = 100
_SEPARATOR_LINE = re.compile(
    r'"?sep=(?P<delimiter>[^"\r\n])"?[,;\t|]*(?:\r\n|\r|\n)', re.IGNORECASE
)
"""First line that Excel writes and reads, such as ``sep=;``."""
_FIRST_LINE_END = re.compile(r'(?:"[^"]*"|[^"\r\n])*(?P<line_end>\r\n|\r|\n)')


@dataclass(frozen=True)
class CsvHeader:
    r"""The header of a CSV file.

    Attributes:
        columns: names in file order. A column without a name is ``column <number>``.
        cells: the text of the header's cells, without a cell for an unnamed column that only the
            rows have.
        delimiter: the character between two cells.
        n_records: number of records up to the header, with blank lines, to be skipped.
        line_end: ``\n``, ``\r\n`` or ``\r``.
        has_line_break: whether a cell of the header has a line break.
    """

    columns: list[str]
    cells: list[str]
    delimiter: str
    n_records: int
    line_end: str
    has_line_break: bool


def read_header(path: Path, text: str, mapped: Collection[str] = ()) -> CsvHeader:
    """Return the header of a CSV file.

    Blank lines before the header, and Excel's ``sep=;``, are skipped. The delimiter is the one
    after ``sep=``, or else the first one whose header has the mapped columns, or else the one that
    divides the first rows most evenly.

    Args:
        path: the file, for messages.
        text: the first characters of the file.
        mapped: the names of columns that are read.

    Raises:
        InputError: if the file has no header, or a quote in it is never closed.
    """
    blank = re.match(r"(?:[ \t]*(?:\r\n|\r|\n))*", text)
    start = blank.end() if blank else 0
    separator = _SEPARATOR_LINE.match(text, start)
    if separator:
        delimiters = separator["delimiter"]
        body = text[separator.end() :]
    else:
        delimiters, body = _DELIMITERS, text[start:]
    n_skipped = len(text[: len(text) - len(body)].splitlines())
    headers = [
        header
        for delimiter in delimiters
        if (header := _parse_header(path, body, delimiter, n_skipped)) is not None
    ]
    if not headers:
        raise InputError(f"{path} is empty: it has no header. Export or download it again.")
    fitting = (header for header in headers if mapped and set(mapped) <= set(header.columns))
    chosen = next(fitting, None)
    return chosen or max(headers, key=lambda header: _rate_header(header, body))


def parse_rows(text: str, header: CsvHeader) -> Iterator[list[str]]:
    """Yield the cells of the rows after the header, without blank lines.

    The last row may be incomplete if the text is.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter)
    try:
        for number, cells in enumerate(reader):
            if cells and number >= header.n_records:
                yield cells
    except csv.Error:
        return


def _parse_header(path: Path, body: str, delimiter: str, n_skipped: int) -> CsvHeader | None:
    """Return the header for a delimiter, or None if all lines are blank."""
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    try:
        records = enumerate(reader, start=1)
        number, cells = next(
            ((number, cells) for number, cells in records if any(map(str.strip, cells))), (0, [])
        )
    except csv.Error as error:
        raise InputError(
            f"{path}: the header cannot be read ({error})\n  {body[:80]!r}\n"
            "Close every quote in it."
        ) from error
    if not cells:
        return None
    line_end = _FIRST_LINE_END.match(body)
    columns = [name or f"column {position}" for position, name in enumerate(cells, start=1)]
    header = CsvHeader(
        columns=columns,
        cells=cells,
        delimiter=delimiter,
        n_records=n_skipped + number,
        line_end=line_end["line_end"] if line_end else "\n",
        has_line_break=any("\n" in cell or "\r" in cell for cell in cells),
    )
    return _add_unnamed_column(header, body, number)


def _add_unnamed_column(header: CsvHeader, body: str, n_records: int) -> CsvHeader:
    """Add a column if the rows end with a delimiter and the header does not."""
    width = len(header.columns) + 1
    rows = _read_first_rows(header, body, n_records)
    if rows and all(len(cells) == width and not cells[-1] for cells in rows):
        columns = [*header.columns, f"column {width}"]
        return CsvHeader(**{**vars(header), "columns": columns})
    return header


def _rate_header(header: CsvHeader, body: str) -> tuple[float, int]:
    """Return how well a delimiter divides the first rows.

    That is the share of rows that have as many cells as the header, then the number of cells.
    """
    n_columns = len(header.columns)
    rows = _read_first_rows(header, body, 1)
    fitting = sum(len(cells) == n_columns for cells in rows)
    return (fitting / len(rows) if rows else 1.0) * (n_columns > 1), n_columns


def _read_first_rows(header: CsvHeader, body: str, n_records: int) -> list[list[str]]:
    """Return the first complete rows after the header."""
    part = body[: 1 << 18]
    unskipped = CsvHeader(**{**vars(header), "n_records": n_records})
    rows = parse_rows(part, unskipped)
    found = [cells for _, cells in zip(range(_COMPARED_ROWS + 1), rows, strict=False)]
    is_cut = len(part) < len(body) and len(found) <= _COMPARED_ROWS
    return found[:-1] if is_cut else found[:_COMPARED_ROWS]
