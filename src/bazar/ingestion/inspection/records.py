"""The records of all files of a source in one table, for counts over complete columns."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import ibis
import ibis.expr.types as ir

from bazar.config.sources import InteractionColumn, InteractionSource
from bazar.ingestion.inspection.mapping import ShopFile
from bazar.ingestion.parsing import strip_text
from bazar.ingestion.readers.sample import open_records

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_OWN = ("source_file", "row_number", "raw", "problem")


@contextmanager
def open_workspace() -> Iterator["Backend"]:
    """Yield a DuckDB connection whose tables are in a temporary file, so that they may be large."""
    with TemporaryDirectory(prefix="bazar-") as folder:
        connection = ibis.duckdb.connect(Path(folder) / "records.duckdb")
        try:
            yield connection
        finally:
            connection.disconnect()


@dataclass
class Records:
    """The records of some files, with the columns that may be used.

    Attributes:
        connection: the connection of the table.
        name: name of the table.
        keys: column of the table by the name in the files. Names in files may differ by case only,
            which names of SQL may not.
    """

    connection: "Backend"
    name: str
    keys: dict[str, str]

    @property
    def table(self) -> ir.Table:
        """All records. Blank cells are null, and texts have no surrounding whitespace."""
        return self.connection.table(self.name)

    def query(
        self, sql: str, parameters: list[Any] | None = None, /, **columns: str
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query.

        Args:
            sql: the query. ``{records}`` stands for the table, and ``{name}`` for the column of the
                argument ``name``.
            parameters: values of ``$1``, ``$2`` and so on.
            columns: names of columns in the files.
        """
        keys = {name: self.keys[column] for name, column in columns.items()}
        query = sql.format(records=self.name, **keys)
        return self.connection.con.execute(query, parameters).fetchall()

    def count(self, condition: str = "true", **columns: str) -> int:
        """Return the number of records that satisfy a condition in SQL; see :meth:`query`."""
        count = f"SELECT count(*) FROM {{records}} WHERE {condition}"
        return int(self.query(count, **columns)[0][0])

    def count_values(self, column: str, condition: str = "true", **columns: str) -> dict[str, int]:
        """Return the number of records by value of a column, the most frequent value first."""
        sql = (
            f"SELECT {{counted}}, count(*) FROM {{records}} WHERE {{counted}} IS NOT NULL "
            f"AND ({condition}) GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return dict(self.query(sql, counted=column, **columns))

    def select_raw(self, source: InteractionSource) -> ir.Table:
        """Return the raw table that a source of interactions reads."""
        table = self.table
        nothing = ibis.null("string")
        mapped: dict[str, str] = dict(source.columns)  # type: ignore[arg-type]
        columns = {
            ours: table[self.keys[mapped[ours]]] if ours in mapped else nothing
            for ours in get_args(InteractionColumn)
        }
        conditions = {
            f"condition_{number}": table[self.keys[name]]
            for number, name in enumerate(source.condition_columns)
        }
        return table.select(*_OWN, **columns, **conditions)


def load_records(
    connection: "Backend", name: str, files: Iterable[ShopFile], columns: Iterable[str]
) -> Records:
    """Read some columns of all records of files into a table.

    Args:
        connection: where the table is created.
        name: name of the table.
        files: files with the same header.
        columns: the columns that are read, by their names in the files.

    Raises:
        InputError: if a file cannot be read.
    """
    keys = {column: f"c{number}" for number, column in enumerate(dict.fromkeys(columns))}
    duckdb = connection.con
    for number, file in enumerate(files):
        records = open_records(file.path, file.shape)
        positions = {column: file.shape.columns.index(column) for column in keys}
        texts = {
            key: strip_text(records[f"column_{positions[column]}"]) for column, key in keys.items()
        }
        batches = records.select(*_OWN, **texts).to_pyarrow_batches()
        duckdb.register("batches", batches)
        into = f"INSERT INTO {name}" if number else f"CREATE TABLE {name} AS"
        duckdb.execute(f"{into} SELECT * FROM batches")
        duckdb.unregister("batches")
    return Records(connection, name, keys)
