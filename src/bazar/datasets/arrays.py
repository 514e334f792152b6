"""Catalog types of NumPy arrays and small Arrow tables. Loading a file never executes code."""

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
        # With a path instead of a file, NumPy would append the suffix .npy.
        with Path(self._filepath).open("wb") as file:
            np.save(file, data, allow_pickle=False)


class ArrayDataset(AtomicSave, _ArrayFile):
    """A NumPy array in a ``.npy`` file."""


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
    """Products that ``kedro add-products`` added to the catalogue. The file may be missing."""

    empty = ADDED_PRODUCTS_SCHEMA.empty_table()

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows for Kedro-Viz.

        Args:
            nrows: number of rows.
        """
        return TablePreview(self.load().slice(0, nrows).to_pandas().to_dict(orient="split"))


class TitleVectorsDataset(AtomicSave, _ArrowTableFile):
    """Vectors of all texts that were embedded so far. The file may be missing."""

    empty = EMPTY_TITLE_VECTORS
