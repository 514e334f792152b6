"""Catalog types of kedro-datasets, with atomic saves."""

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
    """A CSV file as a pandas frame; no file yet means a frame without columns."""

    def load(self) -> pd.DataFrame:
        """Read the file, if there is one."""
        self.release()
        return super().load() if self.exists() else pd.DataFrame()


class ParquetDataset(AtomicSave, pandas.ParquetDataset):
    """A Parquet file as a pandas frame, for tables small enough to be held in memory."""


class FigureDataset(AtomicSave, matplotlib.MatplotlibDataset):
    """A Matplotlib figure as a picture."""


class PartitionedDataset(partitions.PartitionedDataset):
    """All files of a kind in a folder and those inside it; no file is no error."""

    def load(self) -> dict[str, Callable[[], Any]]:
        """Return what loads each file, by its path in the folder, less the suffix."""
        self.release()
        return super().load() if self.exists() else {}
