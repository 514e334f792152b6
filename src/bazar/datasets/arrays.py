"""What the models read: arrays and rows of integers, in files that cannot run code."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from bazar.atomic import AtomicSave
from bazar.data.catalogue import ADDED_PRODUCTS
from bazar.data.title_embeddings import EMPTY
from bazar.data.windows import Windows


class _FileDataset(AbstractDataset):
    """A local file at ``filepath``."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return Path(self._filepath).is_file()


class _WindowsFile(_FileDataset):
    def load(self) -> Windows:
        with pa.memory_map(str(self._filepath)) as source:
            return Windows.from_arrow(pa.ipc.open_file(source).read_all())

    def save(self, data: Windows) -> None:
        table = data.to_arrow()
        with pa.ipc.new_file(str(self._filepath), table.schema) as writer:
            writer.write_table(table)


class WindowsDataset(AtomicSave, _WindowsFile):
    """Rows of (history, target) and their sequences as an Arrow file, memory-mapped when loaded."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows for kedro-viz.

        Args:
            nrows: Rows to show.
        """
        rows = self.load().rows(0, nrows)
        return TablePreview(
            {
                "index": list(range(len(rows))),
                "columns": ["user_id", "history", "target"],
                "data": [
                    [user, " ".join(str(item) for item in history if item), int(target)]
                    for user, history, target in zip(
                        rows.user_ids.to_pylist(), rows.histories(), rows.targets, strict=True
                    )
                ],
            }
        )


class _ArrayFile(_FileDataset):
    def load(self) -> np.ndarray:
        return np.load(str(self._filepath), allow_pickle=False)

    def save(self, data: np.ndarray) -> None:
        # Given a path, NumPy would add a suffix to it.
        with Path(self._filepath).open("wb") as file:
            np.save(file, data, allow_pickle=False)


class ArrayDataset(AtomicSave, _ArrayFile):
    """A NumPy array as ``.npy``."""


class _AddedProductsFile(_FileDataset):
    def load(self) -> pa.Table:
        if not self._exists():
            return ADDED_PRODUCTS.empty_table()
        return pq.read_table(str(self._filepath)).cast(ADDED_PRODUCTS)

    def save(self, data: pa.Table) -> None:
        pq.write_table(data.cast(ADDED_PRODUCTS), str(self._filepath))


class AddedProductsDataset(AtomicSave, _AddedProductsFile):
    """Products that joined the catalogue since the last run; no file yet means none."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows for kedro-viz.

        Args:
            nrows: Rows to show.
        """
        return TablePreview(**self.load().slice(0, nrows).to_pandas().to_dict(orient="split"))


class _TitleVectorsFile(_FileDataset):
    def load(self) -> pa.Table:
        if not self._exists():
            return EMPTY
        # By place: what is a text now was called a title when titles alone were embedded.
        return (
            pq.read_table(str(self._filepath)).rename_columns(EMPTY.schema.names).cast(EMPTY.schema)
        )

    def save(self, data: pa.Table) -> None:
        pq.write_table(data, str(self._filepath))


class TitleVectorsDataset(AtomicSave, _TitleVectorsFile):
    """Vectors of titles embedded so far; no file yet means none."""
