"""Raw files as the source gave them: every record becomes a row of text, broken ones included.

Nothing is typed here: an id of digits keeps its zeros. DuckDB takes the files apart, in this
process or in a Spark worker.
"""

import ast
import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bazar.errors import InputError
from bazar.ingestion.lines import LONGEST_LINE, Lines, checked_chunks, is_gzip, too_large

if TYPE_CHECKING:
    import duckdb


_EXAMPLE_LENGTH = 200
_KEYS_FROM = 10_000
_DELIMITERS = ",;\t|"
_LINES_AT_A_TIME = 10_000
# To leave bad lines out that are listed already. `ignore_errors` alone leaves good ones out too.
_AGAIN = "store_rejects = true, rejects_limit = 0"
_IF_NONE = {"attributes": ", or leave it out if none does"}
"""What to do where a file has no such column."""
_LINE_SIZE = f"max_line_size = {LONGEST_LINE}, buffer_size = {2 * LONGEST_LINE}"
_CSV_PROBLEMS = {
    "INVALID ENCODING": "not UTF-8",
    "UNQUOTED VALUE": "broken quotes",
    "MAXIMUM LINE SIZE": "line too long",
}


@dataclass(frozen=True)
class RawFile:
    """A file, and how to read it.

    Attributes:
        path: where it is.
        name: what it is called in tables and messages, its path within the raw folder.
        file_format: ``csv`` (with a header), ``jsonl``, ``python`` (a literal of Python on each
            line) or ``parquet``.
        columns: our column names, every one that the table is to have, to the file's: none where
            the file has no such column. Of several, the texts are put together as a JSON list.
        setting: where the user wrote that, for messages.
        max_rows: lines that the file may have.
        max_bytes: bytes that the file may have when it is unpacked.
    """

    path: Path
    name: str
    file_format: str
    columns: dict[str, list[str]]
    setting: str
    max_rows: int
    max_bytes: int

    @property
    def wanted(self) -> list[str]:
        """The file's columns that are read."""
        return [name for theirs in self.columns.values() for name in theirs]


class RawFileReader:
    """Reads raw files with a DuckDB connection."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    def records(self, file: RawFile) -> str:
        """Look into a file, and write a query that reads its records.

        JSON lines are checked as they are read: the query fails with what :func:`input_error`
        understands. Other files are checked to their end here.

        Returns:
            SQL that gives ``source_file`` (string), ``row_number`` (int64, from 1, in the order
            of the file), ``raw`` (string, the first 200 characters of the record), ``problem``
            (string, why the record could not be taken apart; null where it could), and a nullable
            string column for each of ``file.columns``. A list is given as text, too: as JSON, or
            as Python where the file is.

        Raises:
            InputError: if the file is missing, empty, cut or too large, lacks a mapped column, or
                cannot be taken apart.
        """
        _check_there(file)
        if file.file_format == "parquet":
            return self._parquet(file)
        if file.file_format == "csv":
            for _ in checked_chunks(file.path, file.name, file.max_rows, file.max_bytes):
                pass
            return self._csv(file)
        if file.file_format == "python":
            return self._python_lines(file)
        return self._json_lines(file)

    def _json_lines(self, file: RawFile) -> str:
        lines = f"lines_{_checksum(file.path)}"
        self._connection.register(lines, Lines(file.path, file.name, file.max_rows, file.max_bytes))
        # Nearly every line begins with a brace: to trim them all takes longer than to read them.
        blank = (
            "CASE WHEN starts_with(line, '{') THEN false ELSE trim(line, E' \\t\\r\\n') = '' END"
        )
        records = f"SELECT * FROM {lines} WHERE NOT {blank}"
        first = f"SELECT line FROM ({records}) LIMIT {_KEYS_FROM}"
        valid = f"SELECT CASE WHEN json_valid(line) THEN line END AS json FROM ({first})"
        keys = self._query(
            "SELECT DISTINCT unnest(CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END) "
            f"AS name FROM ({valid}) ORDER BY name"
        )
        if not keys:
            some = self._query(f"SELECT line[:80] AS line FROM ({records}) LIMIT 1")
            if not some:
                raise InputError(f"{file.path} is empty: it holds no record")
            raise InputError(
                f"{file.path}: no line is a JSON object; the first is\n  {some[0]}\n"
                f"Is its format jsonl? See {file.setting}.format"
            )
        _check_columns(file, keys)
        paths = ", ".join(_text(f'$."{name}"') for name in file.wanted)
        place = {name: number for number, name in enumerate(file.wanted, start=1)}
        fields = ", ".join(
            f"CASE WHEN whole THEN {_together([f'fields[{place[name]}]' for name in theirs])} END "
            f"AS {ours}"
            if theirs
            else f"NULL::VARCHAR AS {ours}"
            for ours, theirs in file.columns.items()
        )
        # Whether a line is JSON is settled before it is taken apart: that fails on one that is not.
        return f"""
            SELECT {_text(file.name)} AS source_file, row_number,
                rtrim({_start("line")}, E'\\r\\n') AS raw,
                CASE WHEN unread IS NOT NULL THEN unread
                     WHEN json IS NULL THEN 'broken JSON'
                     WHEN NOT whole THEN 'not a JSON object' END AS problem,
                {fields}
            FROM (
                SELECT *, CASE WHEN starts_with(json, '{{') THEN true
                        ELSE json_type(json) = 'OBJECT' END AS whole,
                    json_extract_string(json, [{paths}]) AS fields
                FROM (
                    SELECT *, CASE WHEN unread IS NULL AND json_valid(line) THEN line END AS json
                    FROM ({records})
                )
            )
        """

    def _csv(self, file: RawFile) -> str:
        columns, delimiter = _csv_header(file)
        _check_columns(file, columns)
        # The header settles the columns: a guess from the first rows fails on a dirty file.
        types = ", ".join(f"{_text(column)}: 'VARCHAR'" for column in columns)
        reader = (
            f"read_csv({_text(file.path)}, columns = {{{types}}}, auto_detect = false, "
            f"header = true, delim = {_text(delimiter)}, quote = '\"', escape = '\"', "
            f"{_LINE_SIZE}, compression = {_text('gzip' if is_gzip(file.path) else 'none')}"
        )
        bad = self._list_bad_lines(file, reader)
        self._check_quotes(file, bad, len(columns), delimiter)
        if not self._query(f"SELECT 1 FROM {reader}, {_AGAIN}) LIMIT 1") and not self._query(
            f"SELECT 1 FROM {bad} LIMIT 1"
        ):
            raise InputError(f"{file.path} is empty: it holds a header and no record")
        nothing = ", ".join(f"NULL::VARCHAR AS {ours}" for ours in file.columns)
        texts = ", ".join(f"coalesce({_name(column)}, '')" for column in columns)
        whole = f"concat_ws({_text(delimiter)}, {texts})"
        problem = " ".join(
            f"WHEN {_text(error)} THEN {_text(told)}" for error, told in _CSV_PROBLEMS.items()
        )
        return f"""
            SELECT {_text(file.name)} AS source_file, row_number() OVER () AS row_number,
                {_start(whole)} AS raw, NULL::VARCHAR AS problem,
                {_fields(file)}
            FROM {reader}, {_AGAIN})
            UNION ALL BY NAME
            SELECT {_text(file.name)} AS source_file, line AS row_number,
                {_start("csv_line")} AS raw,
                CASE error {problem} ELSE 'wrong number of columns' END AS problem, {nothing}
            FROM {bad}
        """

    def _python_lines(self, file: RawFile) -> str:
        """Take the lines apart now, and keep what is mapped: Python does it, a line at a time."""
        table = f"python_lines_{_checksum(file.path)}"
        self._connection.execute(f"DROP TABLE IF EXISTS {table}")
        into = f"CREATE TEMP TABLE {table} AS"
        for batch in _python_batches(file):
            self._connection.register("python_batch", pa.Table.from_batches([batch]))
            self._connection.execute(f"{into} SELECT * FROM python_batch")
            into = f"INSERT INTO {table}"
        if into.startswith("CREATE"):
            raise InputError(f"{file.path} is empty: it holds no record")
        return f"SELECT * FROM {table}"

    def _parquet(self, file: RawFile) -> str:
        import duckdb

        source = f"read_parquet({_text(file.path)})"
        try:
            described = f"FROM (DESCRIBE SELECT * FROM {source})"
            columns = self._query(f"SELECT column_name {described}")
            lists = self._query(f"SELECT column_name {described} WHERE column_type LIKE '%]'")
            rows = self._query(f"SELECT count(*) FROM {source}")[0]
        except duckdb.Error as error:
            raise InputError(
                f"{file.path} cannot be read as parquet\n  {str(error).splitlines()[0]}\n"
                f"See {file.setting}.format in globals.yml"
            ) from error
        _check_columns(file, columns)
        if not rows:
            raise InputError(f"{file.path} is empty: it holds no record")
        if rows > file.max_rows:
            raise too_large(file.path, f"{file.max_rows:,} rows")
        whole = f"concat_ws(',', {', '.join(f'{_name(column)}::VARCHAR' for column in columns)})"
        return f"""
            SELECT {_text(file.name)} AS source_file, row_number() OVER () AS row_number,
                {_start(whole)} AS raw, NULL::VARCHAR AS problem,
                {_fields(file, set(lists))}
            FROM {source}
        """

    def _list_bad_lines(self, file: RawFile, reader: str) -> str:
        """List the lines that DuckDB leaves out, so that each is rejected by name and none lost.

        Args:
            file: the file.
            reader: a call of ``read_csv`` without its closing bracket.

        Returns:
            Name of a table: ``line`` (number, from 1), ``csv_line`` and ``error``, of each once.

        Raises:
            InputError: if DuckDB cannot go on after a line.
        """
        import duckdb

        listed = f"bad_lines_{_checksum(file.path)}"
        options = f"{_AGAIN}, rejects_table = '{listed}_raw', rejects_scan = '{listed}_scan'"
        self._connection.execute(
            f"DROP TABLE IF EXISTS {listed}_raw; DROP TABLE IF EXISTS {listed}_scan"
        )
        try:
            self._query(f"SELECT count(COLUMNS(*)) FROM {reader}, {options})")
        except duckdb.Error as error:
            told = "\n  ".join(str(error).splitlines()[:2])
            raise InputError(
                f"{file.path} cannot be read\n  {told}\n"
                "Do all its lines end alike, in \\n or in \\r\\n? Write it anew as UTF-8 "
                f"with one kind of line end. See {file.setting}.format in globals.yml"
            ) from error
        self._connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE {listed} AS
            SELECT line::BIGINT AS line, any_value(csv_line) AS csv_line,
                any_value(error_type::VARCHAR) AS error
            FROM {listed}_raw GROUP BY line
        """)
        return listed

    def _check_quotes(self, file: RawFile, bad: str, n_columns: int, delimiter: str) -> None:
        """Refuse a file where a quote opens and nothing closes it.

        DuckDB then takes all lines up to the next quote for one value: it lists one bad line,
        or a piece of one, and the others would be lost without a count.
        """
        broken = self._connection.execute(
            f"SELECT line, csv_line FROM {bad} WHERE error = 'UNQUOTED VALUE' ORDER BY line"
        ).fetchall()
        for number, text in broken:
            if not _is_broken_alone(text, n_columns, delimiter):
                raise InputError(
                    f"{file.path}, line {number}: a quote opens and nothing closes it, so that "
                    f"the lines after it cannot be told apart\n  {text[:80]!r}\n"
                    'Mend that line; a quote within quotes is written twice ("")'
                )

    def _query(self, sql: str) -> list[Any]:
        """First column of a query's rows."""
        import duckdb

        try:
            return [row[0] for row in self._connection.execute(sql).fetchall()]
        except duckdb.Error as error:
            raise input_error(error) or error from None


def input_error(error: Exception) -> InputError | None:
    """The error of :class:`bazar.lines.Lines` that DuckDB tells of as one of its own."""
    told = str(error).partition("Unknown error: ")[2].partition(". Detail: Python exception: ")[0]
    return InputError(told) if "InputError" in str(error) else None


def check_file(file: RawFile) -> None:
    """Check a file to its end, with a DuckDB of its own.

    Raises:
        InputError: as :meth:`RawFileReader.records`.
    """
    import duckdb

    with duckdb.connect() as connection:
        RawFileReader(connection).records(file)
    if file.file_format == "jsonl":
        for _ in Lines(file.path, file.name, file.max_rows, file.max_bytes).batches():
            pass


def read_batches(file: RawFile) -> Iterator[pa.RecordBatch]:
    """Read the records of a file, a batch at a time, with a DuckDB of its own.

    Args:
        file: the file.

    Yields:
        The columns that :meth:`RawFileReader.records` tells.

    Raises:
        InputError: as :meth:`RawFileReader.records`.
    """
    import duckdb

    with duckdb.connect() as connection:
        sql = RawFileReader(connection).records(file)
        yield from connection.execute(sql).to_arrow_reader()


def records_schema(columns: Iterable[str]) -> pa.Schema:
    """Names and types of what :meth:`RawFileReader.records` tells, for our columns."""
    texts = [(name, pa.string()) for name in ("raw", "problem", *columns)]
    return pa.schema([("source_file", pa.string()), ("row_number", pa.int64()), *texts])


def _check_there(file: RawFile) -> None:
    path = file.path
    if not path.is_file():
        there = sorted(entry.name for entry in path.parent.glob("*"))[:10]
        found = f"it holds {', '.join(there)}" if there else "it is empty or not there"
        raise InputError(
            f"no file {path}\n  looked in {path.parent}: {found}\n"
            f"Set the folder with --params raw_dir=PATH, or raw_dir and "
            f"{file.setting}.files in globals.yml"
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    with path.open("rb") as opened:
        start = opened.read(4)
    if start.startswith(b"PK\x03\x04"):
        raise InputError(f"{path} is a zip archive: unpack it, and name the file that was in it")


def _check_columns(file: RawFile, found: list[str]) -> None:
    for ours, theirs in file.columns.items():
        for name in theirs:
            if name not in found:
                raise InputError(
                    f"{file.path} has no column {name!r}\n  found {', '.join(found)}\n"
                    f"Set {file.setting}.columns.{ours} in globals.yml to the one that holds the "
                    f"{ours}{_IF_NONE.get(ours, '')}"
                )


def _csv_header(file: RawFile) -> tuple[list[str], str]:
    """Column names of a CSV file and its delimiter: the one that gives the columns wanted.

    A column without a name, as a delimiter at the end of every line makes one, gets one.
    """
    opened = gzip.open if is_gzip(file.path) else open
    headers = {}
    for delimiter in _DELIMITERS:
        with opened(file.path, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
            header = next(csv.reader(text, delimiter=delimiter), [])
        headers[delimiter] = [
            name or f"column {number}" for number, name in enumerate(header, start=1)
        ]
    wanted = set(file.wanted)
    delimiter = next(
        (delimiter for delimiter, header in headers.items() if wanted <= set(header)),
        max(headers, key=lambda delimiter: len(headers[delimiter])),
    )
    header = headers[delimiter]
    if not header:
        raise InputError(f"{file.path} is empty: it holds no header")
    if len(set(header)) < len(header):
        raise InputError(f"{file.path}: two columns have one name\n  found {', '.join(header)}")
    return header, delimiter


def _is_broken_alone(line: str, n_columns: int, delimiter: str) -> bool:
    """Whether the quotes of a line are wrong by themselves, and lead no further than its end."""
    if "\n" in line.rstrip("\r\n") or line.count('"') % 2:
        return False
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True), [])) != n_columns
    except csv.Error:
        return True


def _python_batches(file: RawFile) -> Iterator[pa.RecordBatch]:
    """Lines that are Python literals, such as ``{'asin': '0205616461'}``; they are never run.

    Raises:
        InputError: if no line of the first batch is a dictionary, or none has a mapped column.
    """
    schema = records_schema(file.columns)
    opened = gzip.open if is_gzip(file.path) else open
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    checked = False
    with opened(file.path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            record, problem = _python_record(line)
            rows.append(
                {
                    "source_file": file.name,
                    "row_number": number,
                    "raw": line.decode(errors="replace").rstrip("\r\n")[:_EXAMPLE_LENGTH],
                    "problem": problem,
                    **{
                        ours: _as_one_text([record.get(name) for name in theirs])
                        for ours, theirs in file.columns.items()
                    },
                }
            )
            if not checked:
                seen.update(str(key) for key in record)
            if len(rows) == _LINES_AT_A_TIME:
                checked = checked or _check_python(file, rows, seen)
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
    if rows:
        if not checked:
            _check_python(file, rows, seen)
        yield pa.RecordBatch.from_pylist(rows, schema)


def _python_record(line: bytes) -> tuple[dict[Any, Any], str | None]:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return {}, "not UTF-8"
    try:
        value = ast.literal_eval(text.strip().lstrip("\ufeff"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {}, "broken Python literal"
    return (value, None) if isinstance(value, dict) else ({}, "not a Python dictionary")


def _check_python(file: RawFile, rows: list[dict[str, Any]], seen: set[str]) -> bool:
    if not seen:
        raise InputError(
            f"{file.path}: no line is a dictionary of Python; the first is\n"
            f"  {rows[0]['raw'][:80]}\nIs its format python? See {file.setting}.format"
        )
    _check_columns(file, sorted(seen))
    return True


def _as_one_text(values: Sequence[Any]) -> str | None:
    texts = [_as_text(value) for value in values]
    return json.dumps(texts) if len(texts) > 1 else next(iter(texts), None)


def _as_text(value: Any) -> str | None:
    # A lone surrogate is a letter of Python's and not of UTF-8.
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _fields(file: RawFile, lists: Set[str] = frozenset()) -> str:
    """SQL of our columns, of a table that has the file's; ``lists`` are those that hold lists."""

    def text(name: str) -> str:
        return f"to_json({_name(name)})::VARCHAR" if name in lists else f"{_name(name)}::VARCHAR"

    return ", ".join(
        f"{_together([text(name) for name in theirs])} AS {ours}"
        for ours, theirs in file.columns.items()
    )


def _together(texts: list[str]) -> str:
    """SQL of one text for the texts of several columns of a file, of one or of none."""
    if len(texts) > 1:
        return f"to_json([{', '.join(texts)}])::VARCHAR"
    return texts[0] if texts else "NULL::VARCHAR"


def _start(text: str) -> str:
    return f"substr({text}, 1, {_EXAMPLE_LENGTH})"


def _checksum(path: Path) -> int:
    return zlib.crc32(str(path).encode())


def _text(value: Path | str) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
