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
    """A CSV file as a pandas DataFrame."""


class OptionalCSVDataset(CSVDataset):
    """A CSV file as a pandas DataFrame. A missing file is loaded as an empty DataFrame."""

    def load(self) -> pd.DataFrame:
        """Return the content of the file, or an empty DataFrame if it is missing."""
        self.release()
        return super().load() if self.exists() else pd.DataFrame()


class ParquetDataset(AtomicSave, pandas.ParquetDataset):
    """A Parquet file as a pandas DataFrame, for tables that fit into memory."""


class FigureDataset(AtomicSave, matplotlib.MatplotlibDataset):
    """A Matplotlib figure as an image file."""


class PartitionedDataset(partitions.PartitionedDataset):
    """The files of one type in a folder and its subfolders. There may be no files."""

    def load(self) -> dict[str, Callable[[], Any]]:
        """Return a load function for each file, by its relative path without the suffix."""
        self.release()
        return super().load() if self.exists() else {}
