"""Raw files as the source gave them: every record becomes a row of text, broken ones included.

Nothing is typed here: an id of digits keeps its zeros. DuckDB takes the files apart, in this
process or in a Spark worker.
"""

import ast
import codecs
import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
from tqdm import tqdm

from bazar.errors import InputError

if TYPE_CHECKING:
    import duckdb

LONGEST_LINE = 32 * 1024 * 1024
_EXAMPLE_LENGTH = 200
_KEYS_FROM = 10_000
_DELIMITERS = ",;\t|"
_LINES_AT_A_TIME = 10_000
# To leave bad lines out that are listed already. `ignore_errors` alone leaves good ones out too.
_AGAIN = "store_rejects = true, rejects_limit = 0"
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
        columns: our column names, every one that the table is to have, to the file's; None where
            the file has no such column.
        setting: where the user wrote that, for messages.
        max_rows: lines that the file may have.
        max_bytes: bytes that the file may have when it is unpacked.
    """

    path: Path
    name: str
    file_format: str
    columns: dict[str, str | None]
    setting: str
    max_rows: int
    max_bytes: int

    @property
    def mapped(self) -> dict[str, str]:
        """Our column names to the file's, of those that it has."""
        return {ours: theirs for ours, theirs in self.columns.items() if theirs is not None}


class RawFileReader:
    """Reads raw files with a DuckDB connection."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection

    def records(self, file: RawFile) -> str:
        """Check a file to its end, and write a query that reads its records.

        Returns:
            SQL that gives ``source_file`` (string), ``row_number`` (int64, from 1, in the order
            of the file), ``raw`` (string, the first 200 characters of the record), ``problem``
            (string, why the record could not be taken apart; null where it could), and a nullable
            string column for each of ``file.columns``.

        Raises:
            InputError: if the file is missing, empty, cut or too large, lacks a mapped column, or
                cannot be taken apart.
        """
        _check_there(file)
        if file.file_format == "parquet":
            return self._parquet(file)
        is_utf8 = _check_bytes(file)
        if file.file_format == "csv":
            return self._csv(file)
        if file.file_format == "python":
            return self._python_lines(file)
        return self._json_lines(file, is_utf8)

    def _json_lines(self, file: RawFile, is_utf8: bool) -> str:
        # One column, no quotes, and a delimiter that text never holds: the lines as they are.
        reader = (
            f"read_csv({_text(file.path)}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, "
            "header = false, delim = '\x01', quote = '', escape = '', comment = '', "
            f"strict_mode = false, {_LINE_SIZE}, compression = {_text(_compression(file.path))}"
        )
        unreadable = "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS csv_line LIMIT 0"
        if not is_utf8:
            unreadable, reader = f"FROM {self._list_bad_lines(file, reader)}", f"{reader}, {_AGAIN}"
        lines = f"""
            SELECT row_number() OVER () AS row_number, line, NULL::VARCHAR AS unread
            FROM {reader})
            UNION ALL
            SELECT line AS row_number, csv_line AS line, 'not UTF-8' AS unread FROM ({unreadable})
        """
        # Nearly every line begins with a brace: to trim them all takes longer than to read them.
        blank = "CASE WHEN starts_with(line, '{') THEN false ELSE trim(line, E' \\t\\r') = '' END"
        records = f"SELECT * FROM ({lines}) WHERE NOT {blank}"
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
        paths = ", ".join(_text(f'$."{name}"') for name in file.mapped.values())
        place = {ours: number for number, ours in enumerate(file.mapped, start=1)}
        fields = ", ".join(
            f"CASE WHEN whole THEN fields[{place[ours]}] END AS {ours}"
            if ours in place
            else f"NULL::VARCHAR AS {ours}"
            for ours in file.columns
        )
        # Whether a line is JSON is settled before it is taken apart: that fails on one that is not.
        return f"""
            SELECT {_text(file.name)} AS source_file, row_number, {_start("line")},
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
            f"{_LINE_SIZE}, compression = {_text(_compression(file.path))}"
        )
        bad = self._list_bad_lines(file, reader)
        self._check_quotes(file, bad, len(columns), delimiter)
        if not self._query(f"SELECT 1 FROM {reader}, {_AGAIN}) LIMIT 1") and not self._query(
            f"SELECT 1 FROM {bad} LIMIT 1"
        ):
            raise InputError(f"{file.path} is empty: it holds a header and no record")
        nothing = ", ".join(f"NULL::VARCHAR AS {ours}" for ours in file.columns)
        whole = f"concat_ws(',', {', '.join(_name(column) for column in columns)})"
        problem = " ".join(
            f"WHEN {_text(error)} THEN {_text(told)}" for error, told in _CSV_PROBLEMS.items()
        )
        return f"""
            SELECT {_text(file.name)} AS source_file, row_number() OVER () AS row_number,
                {_start(whole)}, NULL::VARCHAR AS problem,
                {_fields(file)}
            FROM {reader}, {_AGAIN})
            UNION ALL BY NAME
            SELECT {_text(file.name)} AS source_file, line AS row_number,
                {_start("csv_line")},
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
        import duckdb  # noqa: PLC0415

        source = f"read_parquet({_text(file.path)})"
        try:
            columns = self._query(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {source})")
            rows = self._query(f"SELECT count(*) FROM {source}")[0]
        except duckdb.Error as error:
            raise InputError(
                f"{file.path} cannot be read as parquet\n  {str(error).splitlines()[0]}\n"
                f"See {file.setting}.format in globals.yml"
            ) from error
        _check_columns(file, columns)
        if not rows:
            raise InputError(f"{file.path} is empty: it holds no record")
        _check_size(file, rows=rows)
        whole = f"concat_ws(',', {', '.join(f'{_name(column)}::VARCHAR' for column in columns)})"
        return f"""
            SELECT {_text(file.name)} AS source_file, row_number() OVER () AS row_number,
                {_start(whole)}, NULL::VARCHAR AS problem,
                {_fields(file)}
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
        import duckdb  # noqa: PLC0415

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
        return [row[0] for row in self._connection.execute(sql).fetchall()]


def check_file(file: RawFile) -> None:
    """Check a file to its end, with a DuckDB of its own.

    Raises:
        InputError: as :meth:`RawFileReader.records`.
    """
    import duckdb  # noqa: PLC0415

    with duckdb.connect() as connection:
        RawFileReader(connection).records(file)


def read_batches(file: RawFile) -> Iterator[pa.RecordBatch]:
    """Read the records of a file, a batch at a time, with a DuckDB of its own.

    Args:
        file: the file.

    Yields:
        The columns that :meth:`RawFileReader.records` tells.

    Raises:
        InputError: as :meth:`RawFileReader.records`.
    """
    import duckdb  # noqa: PLC0415

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
    for ours, theirs in file.mapped.items():
        if theirs not in found:
            raise InputError(
                f"{file.path} has no column {theirs!r}\n  found {', '.join(found)}\n"
                f"Set {file.setting}.columns.{ours} in globals.yml to the one that holds the {ours}"
            )


def _check_size(file: RawFile, rows: int = 0, unpacked: int = 0) -> None:
    for found, most, what in (
        (rows, file.max_rows, "rows"),
        (unpacked, file.max_bytes, "bytes when it is unpacked"),
    ):
        if found > most:
            raise InputError(
                f"{file.path} has more than {most:,} {what}: is it what it should be?\n"
                f"If so, allow more in conf/base/catalog_ingestion.yml (max_rows, max_bytes), "
                "or cut it into several files"
            )


def _check_bytes(file: RawFile) -> bool:
    """Read a file to its end, and say whether it is UTF-8.

    Raises:
        InputError: if it is a gzip file that was cut, which DuckDB takes for a shorter one, or
            if it or one of its lines is too large.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    rows = unpacked = of_line = 0
    with tqdm(desc=f"checking {file.name}", unit="B", unit_scale=True, delay=2) as bar:
        for chunk in _chunks(file.path):
            bar.update(len(chunk))
            unpacked += len(chunk)
            first = chunk.find(b"\n")
            if of_line + (len(chunk) if first < 0 else first) > LONGEST_LINE:
                raise InputError(
                    f"{file.path}, line {rows + 1}: longer than {LONGEST_LINE // 2**20} MB. "
                    f"Is its format {file.file_format}? See {file.setting}.format in globals.yml"
                )
            of_line = of_line + len(chunk) if first < 0 else len(chunk) - chunk.rfind(b"\n") - 1
            rows += chunk.count(b"\n")
            _check_size(file, rows, unpacked)
            if is_utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    return is_utf8


def _compression(path: Path) -> str:
    """What the first bytes say, whatever the name does."""
    with path.open("rb") as opened:
        return "gzip" if opened.read(2) == b"\x1f\x8b" else "none"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        if _compression(path) == "gzip":
            yield from _unpacked(path, opened)
        else:
            while chunk := opened.read(1 << 20):
                yield chunk


def _unpacked(path: Path, opened: BinaryIO) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    try:
        while packed := opened.read(1 << 18):
            while packed:
                # At most so much at a time: a small file may unpack to a huge one.
                yield member.decompress(packed, 1 << 24)
                packed = member.unconsumed_tail or member.unused_data
                if member.eof and packed.strip(b"\0"):
                    member = zlib.decompressobj(wbits=31)
                elif member.eof:
                    break
        while not member.eof and (rest := member.decompress(b"", 1 << 24)):
            yield rest
    except zlib.error as error:
        raise InputError(f"{path} is not a whole gzip file: {error}; fetch it again") from error
    if not member.eof:
        raise InputError(f"{path} is cut: its gzip stream has no end; fetch it again")


def _csv_header(file: RawFile) -> tuple[list[str], str]:
    """Column names of a CSV file and its delimiter: the one that gives the columns wanted.

    A column without a name, as a delimiter at the end of every line makes one, gets one.
    """
    opened = gzip.open if _compression(file.path) == "gzip" else open
    headers = {}
    for delimiter in _DELIMITERS:
        with opened(file.path, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
            header = next(csv.reader(text, delimiter=delimiter), [])
        headers[delimiter] = [
            name or f"column {number}" for number, name in enumerate(header, start=1)
        ]
    wanted = set(file.mapped.values())
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
    opened = gzip.open if _compression(file.path) == "gzip" else open
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
                    **{ours: _as_text(record.get(theirs)) for ours, theirs in file.mapped.items()},
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


def _as_text(value: Any) -> str | None:
    # A lone surrogate is a letter of Python's and not of UTF-8.
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _fields(file: RawFile) -> str:
    return ", ".join(
        f"{'NULL' if theirs is None else _name(theirs)}::VARCHAR AS {ours}"
        for ours, theirs in file.columns.items()
    )


def _start(text: str) -> str:
    return f"substr({text}, 1, {_EXAMPLE_LENGTH}) AS raw"


def _checksum(path: Path) -> int:
    return zlib.crc32(str(path).encode())


def _text(value: Path | str) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
