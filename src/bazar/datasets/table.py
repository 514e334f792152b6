"""Tables of any size: Parquet files read and written through Ibis."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from kedro_datasets._typing import TablePreview
from kedro_datasets.ibis import FileDataset

from bazar.datasets.atomic import AtomicSave


class TableDataset(AtomicSave, FileDataset):
    """A Parquet file as a lazy Ibis table, with atomic saves.

    All entries with the same ``connection`` share it, so that their tables can be joined.
    """

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows for kedro-viz, without reading the rest of the file.

        Args:
            nrows: Rows to show.
        """
        file = pq.ParquetFile(Path(self._get_load_path()))
        batch = next(file.iter_batches(batch_size=nrows), None)
        rows: list[dict[str, Any]] = [] if batch is None else batch.to_pylist()
        columns = file.schema_arrow.names
        return TablePreview(
            {
                "index": list(range(len(rows))),
                "columns": columns,
                "data": [[str(row[column]) for column in columns] for row in rows],
            }
        )
