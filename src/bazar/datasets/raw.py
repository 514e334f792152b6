"""Raw files as the source gave them: every record becomes a row, broken ones included."""

import csv
import gzip
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import ibis
import ibis.expr.types as ir
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets._utils import ConnectionMixin

from bazar.errors import InputError

_EXAMPLE_LENGTH = 200
_LONGEST_LINE = 32 * 1024 * 1024
_KEYS_FROM = 10_000


class RawTableDataset(ConnectionMixin, AbstractDataset[None, ir.Table]):
    """A CSV, JSON lines or Parquet file, gzip or not, as an Ibis table of text.

    The table has a row for each record of the file and the columns ``source_file`` (string),
    ``row_number`` (int64, from 1, in the order of the file), ``raw`` (string, the first 200
    characters of the record), ``problem`` (string, why the record could not be taken
    apart; null where it could), and one nullable string column for each of ``columns``.

    Nothing is typed here: an id of digits keeps its zeros. The file is not read before the
    table is, except for its first records and, for gzip, its checksum.
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
        path = Path(self._filepath)
        self._check_file(path)
        if self._file_format == "jsonl":
            return self._json_lines(path)
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

    def _json_lines(self, path: Path) -> ir.Table:
        # One column, no quotes, and a delimiter that text never holds: the lines as they are.
        lines = f"""
            SELECT row_number() OVER () AS row_number, line FROM read_csv({_text(path)},
                columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false,
                delim = '\x01', quote = '', escape = '', comment = '', strict_mode = false,
                max_line_size = {_LONGEST_LINE}, buffer_size = {2 * _LONGEST_LINE})
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
                CASE WHEN json IS NULL THEN 'broken JSON'
                     WHEN NOT whole THEN 'not a JSON object' END AS problem,
                {fields}
            FROM (
                SELECT *, json_type(json) = 'OBJECT' AS whole,
                    json_extract_string(json, [{paths}]) AS fields
                FROM (SELECT *, CASE WHEN json_valid(line) THEN line END AS json FROM ({records}))
            )
        """)

    def _csv(self, path: Path) -> ir.Table:
        columns = _csv_header(path)
        self._check_columns(path, columns)
        # The header settles the columns: a guess from the first rows fails on a dirty file.
        types = ", ".join(f"{_text(column)}: 'VARCHAR'" for column in columns)
        options = (
            f"columns = {{{types}}}, auto_detect = false, header = true, delim = ',', "
            "quote = '\"', escape = '\"'"
        )
        # Lines that do not fit the header are not given as rows but listed: one pass to list
        # them, so that each is rejected by name and none is lost.
        bad = f"rejects_{zlib.crc32(str(path).encode())}"
        listing = (
            f"store_rejects = true, rejects_limit = 0, rejects_table = '{bad}', "
            f"rejects_scan = '{bad}_scan'"
        )
        self.connection.raw_sql(f"DROP TABLE IF EXISTS {bad}; DROP TABLE IF EXISTS {bad}_scan")
        rows = self._query(
            f"SELECT count(COLUMNS(*))::BIGINT FROM read_csv({_text(path)}, {options}, {listing})"
        )
        fields = ", ".join(f"{_name(theirs)} AS {ours}" for ours, theirs in self._columns.items())
        nothing = ", ".join(f"NULL::VARCHAR AS {ours}" for ours in self._columns)
        whole = ", ".join(_name(column) for column in columns)
        table = self.connection.sql(f"""
            SELECT {_text(path.name)} AS source_file, row_number() OVER () AS row_number,
                concat_ws(',', {whole})[:{_EXAMPLE_LENGTH}] AS raw, NULL::VARCHAR AS problem,
                {fields}
            FROM read_csv({_text(path)}, {options}, ignore_errors = true)
            UNION ALL BY NAME
            SELECT {_text(path.name)} AS source_file, line::BIGINT AS row_number,
                any_value(csv_line)[:{_EXAMPLE_LENGTH}] AS raw,
                'wrong number of columns, or broken quotes' AS problem, {nothing}
            FROM {bad} GROUP BY line
        """)
        if not rows or (rows[0] == 0 and not self._query(f"SELECT 1 FROM {bad} LIMIT 1")):
            raise InputError(f"{path} is empty: it holds a header and no record")
        return table

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

    def _check_file(self, path: Path) -> None:
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
        if path.suffix == ".gz":
            _check_gzip(path)

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


def _check_gzip(path: Path) -> None:
    """Read a gzip file to its end: DuckDB takes one that was cut for a shorter one."""
    with path.open("rb") as file:
        member = zlib.decompressobj(wbits=31)
        try:
            while chunk := file.read(1 << 20):
                while chunk:
                    member.decompress(chunk)
                    chunk = member.unused_data
                    if member.eof and chunk.strip(b"\0"):
                        member = zlib.decompressobj(wbits=31)
                    elif member.eof:
                        break
        except zlib.error as error:
            raise InputError(f"{path} is not a whole gzip file: {error}; fetch it again") from error
    if not member.eof:
        raise InputError(f"{path} is cut: its gzip stream has no end; fetch it again")


def _csv_header(path: Path) -> list[str]:
    """Column names of a CSV file."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    if not header:
        raise InputError(f"{path} is empty: it holds no header")
    if len(set(header)) < len(header):
        raise InputError(f"{path}: two columns have one name\n  found {', '.join(header)}")
    return header


def _text(value: Path | str) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
