"""Raw files as the source gave them: every record becomes a row, broken ones included."""

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets._utils import ConnectionMixin

from bazar.errors import InputError
from bazar.spark_files import read_on_workers

_EXAMPLE_LENGTH = 200
_LONGEST_LINE = 32 * 1024 * 1024
_KEYS_FROM = 10_000
_DELIMITERS = ",;\t|"
# To leave bad lines out that are listed already. `ignore_errors` alone leaves good ones out too.
_AGAIN = "store_rejects = true, rejects_limit = 0"


class RawTableDataset(ConnectionMixin, AbstractDataset[None, ir.Table]):
    """A CSV, JSON lines or Parquet file, gzip or not, as an Ibis table of text.

    The table has a row for each record of the file and the columns ``source_file`` (string),
    ``row_number`` (int64, from 1, in the order of the file), ``raw`` (string, the first 200
    characters of the record), ``problem`` (string, why the record could not be taken
    apart; null where it could), and one nullable string column for each of ``columns``.

    Nothing is typed here: an id of digits keeps its zeros. The file is not read before the
    table is, except once to its end, to find what is cut, not UTF-8, or no line of CSV.
    """

    _CONNECTION_GROUP = "ibis"

    def __init__(
        self,
        *,
        filepath: str,
        file_format: str,
        columns: dict[str, str],
        mapping: str,
        connection: dict[str, Any],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point to a file.

        Args:
            filepath: the file; gzip if its name ends in ``.gz``.
            file_format: ``csv`` (with a header), ``jsonl`` or ``parquet``.
            columns: our column names to the file's.
            mapping: where the user wrote ``columns``, for error messages.
            connection: Ibis backend and its arguments, shared with the tables' entries.
            metadata: for kedro-viz.
        """
        self._filepath = PurePosixPath(filepath)
        self._file_format = file_format
        self._columns = columns
        self._mapping = mapping
        self._connection_config = connection
        self.metadata = metadata

    def load(self) -> ir.Table:
        """Check the file, and return it as a table that is read when it is used.

        Raises:
            InputError: if the file is missing, empty or cut, or lacks a mapped column.
        """
        if self._connection_config["backend"] == "pyspark":
            return self._read_on_workers()
        return self._read()

    def _read_on_workers(self) -> ir.Table:
        from pyspark.sql import SparkSession  # noqa: PLC0415

        on_duckdb = {"backend": "duckdb", "database": ":memory:"}
        arguments: dict[str, Any] = {
            "filepath": str(self._filepath),
            "file_format": self._file_format,
            "columns": self._columns,
            "mapping": self._mapping,
            "connection": on_duckdb,
        }
        texts = dict.fromkeys(["raw", "problem", *self._columns], pa.string())
        frame = read_on_workers(
            SparkSession.active(),
            [arguments],
            RawTableDataset._check,
            lambda file: RawTableDataset(**file)._read().to_pyarrow_batches(),
            pa.schema({"source_file": pa.string(), "row_number": pa.int64(), **texts}),
        )
        name = ibis.util.gen_name("raw")
        frame.createOrReplaceTempView(name)
        return self.connection.table(name)

    @staticmethod
    def _check(file: dict[str, Any]) -> None:
        RawTableDataset(**file)._read()

    def _read(self) -> ir.Table:
        path = Path(self._filepath)
        is_utf8 = self._check_file(path)
        if self._file_format == "jsonl":
            return self._json_lines(path, is_utf8)
        if self._file_format == "csv":
            return self._csv(path)
        return self._parquet(path)

    def save(self, data: None) -> None:
        """Raw files are never written."""
        raise DatasetError("raw files are read only")

    def preview(self, nrows: int = 5) -> TablePreview:
        """First records for kedro-viz.

        Args:
            nrows: Records to show.
        """
        names = list(self._columns)
        rows = self.load().select(*names).limit(nrows).to_pyarrow().to_pylist()
        return TablePreview(
            {
                "index": list(range(len(rows))),
                "columns": names,
                "data": [[row[name] for name in names] for row in rows],
            }
        )

    def _json_lines(self, path: Path, is_utf8: bool) -> ir.Table:
        # One column, no quotes, and a delimiter that text never holds: the lines as they are.
        reader = (
            f"read_csv({_text(path)}, columns = {{'line': 'VARCHAR'}}, auto_detect = false, "
            "header = false, delim = '\x01', quote = '', escape = '', comment = '', "
            f"strict_mode = false, max_line_size = {_LONGEST_LINE}, "
            f"buffer_size = {2 * _LONGEST_LINE}"
        )
        unreadable = "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS csv_line LIMIT 0"
        if not is_utf8:
            unreadable, reader = f"FROM {self._list_bad_lines(path, reader)}", f"{reader}, {_AGAIN}"
        lines = f"""
            SELECT row_number() OVER () AS row_number, line, NULL::VARCHAR AS unread
            FROM {reader})
            UNION ALL
            SELECT line AS row_number, csv_line AS line, 'not UTF-8' AS unread FROM ({unreadable})
        """
        records = f"SELECT * FROM ({lines}) WHERE trim(line) <> ''"
        first = f"SELECT line FROM ({records}) LIMIT {_KEYS_FROM}"
        valid = f"SELECT CASE WHEN json_valid(line) THEN line END AS json FROM ({first})"
        keys = self._query(
            "SELECT DISTINCT unnest(CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END) "
            f"AS name FROM ({valid}) ORDER BY name"
        )
        if not keys:
            some = self._query(f"SELECT line[:80] AS line FROM ({records}) LIMIT 1")
            if not some:
                raise InputError(f"{path} is empty: it holds no record")
            raise InputError(
                f"{path}: no line is a JSON object; the first is\n  {some[0]}\n"
                f"Is its format jsonl? See {self._mapping}.format"
            )
        self._check_columns(path, keys)
        paths = ", ".join(_text(f'$."{name}"') for name in self._columns.values())
        fields = ", ".join(
            f"CASE WHEN whole THEN fields[{place + 1}] END AS {ours}"
            for place, ours in enumerate(self._columns)
        )
        # Whether a line is JSON is settled before it is taken apart: that fails on one that is not.
        return self.connection.sql(f"""
            SELECT {_text(path.name)} AS source_file, row_number, line[:{_EXAMPLE_LENGTH}] AS raw,
                CASE WHEN unread IS NOT NULL THEN unread
                     WHEN json IS NULL THEN 'broken JSON'
                     WHEN NOT whole THEN 'not a JSON object' END AS problem,
                {fields}
            FROM (
                SELECT *, json_type(json) = 'OBJECT' AS whole,
                    json_extract_string(json, [{paths}]) AS fields
                FROM (
                    SELECT *, CASE WHEN unread IS NULL AND json_valid(line) THEN line END AS json
                    FROM ({records})
                )
            )
        """)

    def _csv(self, path: Path) -> ir.Table:
        columns, delimiter = _csv_header(path, set(self._columns.values()))
        self._check_columns(path, columns)
        # The header settles the columns: a guess from the first rows fails on a dirty file.
        types = ", ".join(f"{_text(column)}: 'VARCHAR'" for column in columns)
        reader = (
            f"read_csv({_text(path)}, columns = {{{types}}}, auto_detect = false, header = true, "
            f"delim = {_text(delimiter)}, quote = '\"', escape = '\"'"
        )
        bad = self._list_bad_lines(path, reader)
        self._check_quotes(path, bad, len(columns), delimiter)
        if not self._query(f"SELECT 1 FROM {reader}, {_AGAIN}) LIMIT 1") and not self._query(
            f"SELECT 1 FROM {bad} LIMIT 1"
        ):
            raise InputError(f"{path} is empty: it holds a header and no record")
        fields = ", ".join(f"{_name(theirs)} AS {ours}" for ours, theirs in self._columns.items())
        nothing = ", ".join(f"NULL::VARCHAR AS {ours}" for ours in self._columns)
        whole = ", ".join(_name(column) for column in columns)
        return self.connection.sql(f"""
            SELECT {_text(path.name)} AS source_file, row_number() OVER () AS row_number,
                concat_ws(',', {whole})[:{_EXAMPLE_LENGTH}] AS raw, NULL::VARCHAR AS problem,
                {fields}
            FROM {reader}, {_AGAIN})
            UNION ALL BY NAME
            SELECT {_text(path.name)} AS source_file, line AS row_number,
                csv_line[:{_EXAMPLE_LENGTH}] AS raw,
                CASE error WHEN 'INVALID ENCODING' THEN 'not UTF-8'
                    WHEN 'UNQUOTED VALUE' THEN 'broken quotes'
                    ELSE 'wrong number of columns' END AS problem, {nothing}
            FROM {bad}
        """)

    def _list_bad_lines(self, path: Path, reader: str) -> str:
        """List the lines that DuckDB leaves out, so that each is rejected by name and none lost.

        Args:
            path: the file.
            reader: a call of ``read_csv`` without its closing bracket.

        Returns:
            Name of a table: ``line`` (number, from 1), ``csv_line`` and ``error``, of each once.

        Raises:
            InputError: if DuckDB cannot go on after a line.
        """
        import duckdb  # noqa: PLC0415

        listed = f"bad_lines_{zlib.crc32(str(path).encode())}"
        options = f"{_AGAIN}, rejects_table = '{listed}_raw', rejects_scan = '{listed}_scan'"
        self.connection.raw_sql(
            f"DROP TABLE IF EXISTS {listed}_raw; DROP TABLE IF EXISTS {listed}_scan"
        )
        try:
            self._query(f"SELECT count(COLUMNS(*)) FROM {reader}, {options})")
        except duckdb.Error as error:
            told = "\n  ".join(str(error).splitlines()[:2])
            raise InputError(
                f"{path} cannot be read\n  {told}\n"
                "Do all its lines end alike, in \\n or in \\r\\n? Write it anew as UTF-8 "
                f"with one kind of line end. See {self._mapping}.format in globals.yml"
            ) from error
        self.connection.raw_sql(f"""
            CREATE OR REPLACE TEMP TABLE {listed} AS
            SELECT line::BIGINT AS line, any_value(csv_line) AS csv_line,
                any_value(error_type::VARCHAR) AS error
            FROM {listed}_raw GROUP BY line
        """)
        return listed

    def _check_quotes(self, path: Path, bad: str, n_columns: int, delimiter: str) -> None:
        """Refuse a file where a quote opens and nothing closes it.

        DuckDB then takes all lines up to the next quote for one value: it lists one bad line,
        or a piece of one, and the others would be lost without a count.
        """
        broken = self.connection.raw_sql(
            f"SELECT line, csv_line FROM {bad} WHERE error = 'UNQUOTED VALUE' ORDER BY line"
        ).fetchall()
        for number, text in broken:
            if not _is_broken_alone(text, n_columns, delimiter):
                raise InputError(
                    f"{path}, line {number}: a quote opens and nothing closes it, so that the "
                    f"lines after it cannot be told apart\n  {text[:80]!r}\n"
                    'Mend that line; a quote within quotes is written twice ("")'
                )

    def _parquet(self, path: Path) -> ir.Table:
        source = f"read_parquet({_text(path)})"
        columns = self._describe_source(path, source)
        self._check_columns(path, columns)
        if not self._query(f"SELECT 1 FROM {source} LIMIT 1"):
            raise InputError(f"{path} is empty: it holds no record")
        fields = ", ".join(
            f"{_name(theirs)}::VARCHAR AS {ours}" for ours, theirs in self._columns.items()
        )
        whole = ", ".join(f"{_name(column)}::VARCHAR" for column in columns)
        return self.connection.sql(f"""
            SELECT {_text(path.name)} AS source_file, row_number() OVER () AS row_number,
                concat_ws(',', {whole})[:{_EXAMPLE_LENGTH}] AS raw, NULL::VARCHAR AS problem,
                {fields}
            FROM {source}
        """)

    def _check_file(self, path: Path) -> bool:
        """Check that the file is there and whole, and say whether its text is UTF-8."""
        if not path.is_file():
            there = sorted(entry.name for entry in path.parent.glob("*"))[:10]
            found = f"it holds {', '.join(there)}" if there else "it is empty or not there"
            raise InputError(
                f"no file {path}\n  looked in {path.parent}: {found}\n"
                f"Set the folder with --params raw_dir=PATH, or raw_dir and "
                f"{self._mapping}.file in globals.yml"
            )
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty")
        return self._file_format == "parquet" or _is_utf8(path)

    def _check_columns(self, path: Path, found: list[str]) -> None:
        for ours, theirs in self._columns.items():
            if theirs not in found:
                raise InputError(
                    f"{path} has no column {theirs!r}\n  found {', '.join(found)}\n"
                    f"Set {self._mapping}.columns.{ours} in globals.yml to the one that holds "
                    f"the {ours}"
                )

    def _describe_source(self, path: Path, source: str) -> list[str]:
        import duckdb  # noqa: PLC0415

        try:
            return self._query(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {source})")
        except duckdb.Error as error:
            raise InputError(
                f"{path} cannot be read as {self._file_format}\n  {str(error).splitlines()[0]}\n"
                f"See {self._mapping}.format in globals.yml"
            ) from error

    def _query(self, sql: str) -> list[Any]:
        """First column of a query's rows."""
        return [row[0] for row in self.connection.raw_sql(sql).fetchall()]

    @property
    def connection(self) -> ibis.BaseBackend:
        """The backend, shared with every entry of the same configuration."""
        return self._connection

    def _connect(self) -> ibis.BaseBackend:
        config = dict(self._connection_config)
        return getattr(ibis, config.pop("backend")).connect(**config)

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._filepath),
            "file_format": self._file_format,
            "columns": self._columns,
        }

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()


def _is_utf8(path: Path) -> bool:
    """Read a file to its end, and say whether it is UTF-8.

    Raises:
        InputError: if it is a gzip file that was cut, which DuckDB takes for a shorter one.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    chunks = _unpacked(path) if path.suffix == ".gz" else _chunks(path)
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        # What is left of a gzip file is read to its end all the same.
        for _ in chunks:
            pass
        return False
    return True


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk


def _unpacked(path: Path) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    try:
        for packed in _chunks(path):
            rest = packed
            while rest:
                yield member.decompress(rest)
                rest = member.unused_data
                if member.eof and rest.strip(b"\0"):
                    member = zlib.decompressobj(wbits=31)
                elif member.eof:
                    break
    except zlib.error as error:
        raise InputError(f"{path} is not a whole gzip file: {error}; fetch it again") from error
    if not member.eof:
        raise InputError(f"{path} is cut: its gzip stream has no end; fetch it again")


def _csv_header(path: Path, wanted: set[str]) -> tuple[list[str], str]:
    """Column names of a CSV file and its delimiter: the one that gives the columns wanted."""
    opened = gzip.open if path.suffix == ".gz" else open
    headers = {}
    for delimiter in _DELIMITERS:
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            headers[delimiter] = next(csv.reader(file, delimiter=delimiter), [])
    delimiter = next(
        (delimiter for delimiter, header in headers.items() if wanted <= set(header)),
        max(headers, key=lambda delimiter: len(headers[delimiter])),
    )
    header = headers[delimiter]
    if not header:
        raise InputError(f"{path} is empty: it holds no header")
    if len(set(header)) < len(header):
        raise InputError(f"{path}: two columns have one name\n  found {', '.join(header)}")
    return header, delimiter


def _is_broken_alone(line: str, n_columns: int, delimiter: str) -> bool:
    """Whether the quotes of a line are wrong by themselves, and lead no further than its end."""
    if "\n" in line.rstrip("\r\n") or line.count('"') % 2:
        return False
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True), [])) != n_columns
    except csv.Error:
        return True


def _text(value: Path | str) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
