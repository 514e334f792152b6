"""Catalog types of kedro-datasets with atomic saves."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from kedro_datasets import json, matplotlib, pandas, partitions, text

from bazar.atomic import AtomicSave


class JSONDataset(AtomicSave, json.JSONDataset):
    """A JSON file."""


class TextDataset(AtomicSave, text.TextDataset):
    """A text file."""


class CSVDataset(AtomicSave, pandas.CSVDataset):
    """A CSV file as a pandas frame."""


class OptionalCSVDataset(CSVDataset):
    """A CSV file as a pandas frame. A missing file is an empty frame."""

    def load(self) -> pd.DataFrame:
        """Read the file if it exists."""
        self.release()
        return super().load() if self.exists() else pd.DataFrame()


class ParquetDataset(AtomicSave, pandas.ParquetDataset):
    """A Parquet file as a pandas frame, for tables that fit into memory."""


class FigureDataset(AtomicSave, matplotlib.MatplotlibDataset):
    """A Matplotlib figure as a picture."""


class PartitionedDataset(partitions.PartitionedDataset):
    """The files of one kind in a folder and the folders below it. No file is not an error."""

    def load(self) -> dict[str, Callable[[], Any]]:
        """Return a function that loads each file, by its path in the folder without the suffix."""
        self.release()
        return super().load() if self.exists() else {}
