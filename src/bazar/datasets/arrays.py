"""Arrays and Arrow tables, in files that cannot run code when they are loaded."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bazar.atomic import AtomicSave
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS
from bazar.datasets.local import LocalDataset
from bazar.datasets.preview import TablePreview


class _ArrayFile(LocalDataset):
    def load(self) -> np.ndarray:
        return np.load(str(self._filepath), allow_pickle=False)

    def save(self, data: np.ndarray) -> None:
        # Given a path, NumPy would append a suffix to it.
        with Path(self._filepath).open("wb") as file:
            np.save(file, data, allow_pickle=False)


class ArrayDataset(AtomicSave, _ArrayFile):
    """A NumPy array as ``.npy``."""


class _ArrowTableFile(LocalDataset):
    """A small Parquet table with a fixed schema. A missing file is an empty table."""

    empty: pa.Table

    def load(self) -> pa.Table:
        if not self._exists():
            return self.empty
        return pq.read_table(str(self._filepath)).cast(self.empty.schema)

    def save(self, data: pa.Table) -> None:
        pq.write_table(data.cast(self.empty.schema), str(self._filepath))


class AddedProductsDataset(AtomicSave, _ArrowTableFile):
    """Products that ``kedro add-products`` added to the catalogue. A missing file means none."""

    empty = ADDED_PRODUCTS_SCHEMA.empty_table()

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz.

        Args:
            nrows: number of rows.
        """
        return TablePreview(self.load().slice(0, nrows).to_pandas().to_dict(orient="split"))


class TitleVectorsDataset(AtomicSave, _ArrowTableFile):
    """The vector of every text that was embedded so far. A missing file means none."""

    empty = EMPTY_TITLE_VECTORS
