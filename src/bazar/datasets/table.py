"""Catalog types of tables of any size: Parquet files that Ibis reads and writes."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets.ibis import FileDataset

from bazar.atomic import AtomicSave, atomic_path, find_saved_path
from bazar.datasets.connection import SharedConnection
from bazar.datasets.preview import TablePreview
from bazar.ingestion.readers.sql import escape_pattern

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_ROW_GROUP_SIZE = 100_000


class TableDataset(AtomicSave, SharedConnection, FileDataset):
    """A Parquet table as a lazy Ibis table, saved atomically.

    DuckDB writes a file. Spark writes a folder of part files in the order of the rows. Both engines
    read both. Data sets with the same ``connection`` share it, so that their tables can be joined.
    """

    def load(self) -> ir.Table:
        """Return the table. Its rows are read when the table is used.

        Only DuckDB keeps the order of the rows. Sort the table if you need the order.
        """
        path = find_saved_path(Path(self._get_load_path()))
        source = _escape_path(path, self.connection.name)
        if path.is_dir():
            source = f"{source}/*.parquet"
        return self.connection.read_parquet(source, table_name=self._table_name, **self._load_args)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz without reading the rest.

        Args:
            nrows: number of rows.
        """
        table = pads.dataset(find_saved_path(Path(self._filepath)), format="parquet").head(nrows)
        return TablePreview(
            {
                "index": list(range(table.num_rows)),
                "columns": table.column_names,
                "data": [[str(value) for value in row.values()] for row in table.to_pylist()],
            }
        )

    def _exists(self) -> bool:
        return find_saved_path(Path(self._filepath)).exists()


class BatchesDataset(TableDataset):
    """A table that is written in batches and read like any other table.

    A node returns a function that opens a reader of batches, or a Spark frame, so that the rows are
    never all in memory.
    """

    def save(self, data: "Callable[[], pa.RecordBatchReader] | DataFrame") -> None:
        """Write a temporary file, or folder of a Spark frame, then rename it."""
        with atomic_path(Path(self._filepath)) as temporary:
            if callable(data):
                _write_batches(data, temporary)
            else:
                # The workers write the files.
                data.write.parquet(str(temporary))


class TablesDataset(AbstractDataset):
    """Several related tables in one folder, as a dictionary of lazy Ibis tables by name."""

    def __init__(
        self,
        *,
        filepath: str,
        tables: list[str],
        connection: dict[str, Any],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Store the folder and the names of the tables.

        Args:
            filepath: path of the folder.
            tables: names of the tables, each a file ``<name>.parquet``.
            connection: name and arguments of the Ibis backend.
            metadata: metadata for Kedro-Viz.
        """
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata
        self._tables = {
            name: TableDataset(
                filepath=str(self._filepath / f"{name}.parquet"),
                file_format="parquet",
                connection=connection,
            )
            for name in tables
        }

    def load(self) -> dict[str, ir.Table]:
        """Return the tables by name."""
        return {name: table.load() for name, table in self._tables.items()}

    def save(self, data: dict[str, ir.Table]) -> None:
        """Write each table atomically.

        Raises:
            DatasetError: if the names differ from those of the catalog entry.
        """
        if set(data) != set(self._tables):
            raise DatasetError(
                f"{self._filepath} must have the tables {', '.join(self._tables)}, found "
                f"{', '.join(data)}. Change the node or the catalog entry."
            )
        for name, table in self._tables.items():
            table.save(data[name])

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows of the first table for Kedro-Viz.

        Args:
            nrows: number of rows.
        """
        return next(iter(self._tables.values())).preview(nrows)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "tables": list(self._tables)}

    def _exists(self) -> bool:
        return all(table.exists() for table in self._tables.values())


def _escape_path(path: Path, engine: str) -> str:
    """Return a path that an engine reads literally, and not as a pattern."""
    if engine == "pyspark":
        return re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))
    return escape_pattern(path)


def _write_batches(open_reader: Callable[[], pa.RecordBatchReader], path: Path) -> None:
    with open_reader() as reader, pq.ParquetWriter(str(path), reader.schema) as writer:
        for rows in _merge_batches(reader):
            writer.write_table(rows)


def _merge_batches(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yield merged batches, because a file with many small row groups is slow to read."""
    batches: list[pa.RecordBatch] = []
    for batch in reader:
        batches.append(batch)
        if sum(merged.num_rows for merged in batches) >= _ROW_GROUP_SIZE:
            yield pa.Table.from_batches(batches)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches)
