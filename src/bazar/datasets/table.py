"""Tables of any size: Parquet read and written through Ibis."""

from collections.abc import Callable, Iterator
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from kedro_datasets._typing import TablePreview
from kedro_datasets.ibis import FileDataset

from bazar.atomic import AtomicSave, atomic_path, latest
from bazar.datasets.connection import SharedConnection

_ROWS_OF_A_GROUP = 100_000


class TableDataset(AtomicSave, SharedConnection, FileDataset):
    """Parquet as a lazy Ibis table, with atomic saves.

    DuckDB writes a file, Spark a folder of part files in the order of the rows; both engines
    read both. All entries with the same ``connection`` share it, so that their tables can be
    joined.
    """

    def load(self) -> ir.Table:
        """Return the table, which is read when it is used.

        Only DuckDB reads the rows in their order: sort where order counts.
        """
        path = latest(Path(self._get_load_path()))
        source = path / "*.parquet" if path.is_dir() else path
        return self.connection.read_parquet(
            str(source), table_name=self._table_name, **self._load_args
        )

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows for kedro-viz, without reading the rest.

        Args:
            nrows: Rows to show.
        """
        path = latest(Path(self._get_load_path()))
        table = pads.dataset(path, format="parquet").head(nrows)
        return TablePreview(
            {
                "index": list(range(table.num_rows)),
                "columns": table.column_names,
                "data": [[str(value) for value in row.values()] for row in table.to_pylist()],
            }
        )

    def _exists(self) -> bool:
        return latest(Path(self._filepath)).exists()


class BatchesDataset(TableDataset):
    """A table that is written a batch at a time, as it is made, and read as any other.

    What is saved is a function that makes a reader of batches: the rows are never all in memory.
    """

    def save(self, data: Callable[[], pa.RecordBatchReader]) -> None:
        """Make the rows and write them, to a file that is put in place once it is whole."""
        with (
            atomic_path(Path(self._get_save_path())) as temporary,
            data() as reader,
            pq.ParquetWriter(str(temporary), reader.schema) as writer,
        ):
            for rows in _grouped(reader):
                writer.write_table(rows)


def _grouped(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Batches as they come, put together: a file of many small groups is slow to read."""
    batches: list[pa.RecordBatch] = []
    for batch in reader:
        batches.append(batch)
        if sum(one.num_rows for one in batches) >= _ROWS_OF_A_GROUP:
            yield pa.Table.from_batches(batches)
            batches = []
    if batches:
        yield pa.Table.from_batches(batches)
