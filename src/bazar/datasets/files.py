"""Catalog types of kedro-datasets, with atomic saves."""

from kedro_datasets import json, matplotlib, pandas, text

from bazar.datasets.atomic import AtomicSave


class JSONDataset(AtomicSave, json.JSONDataset):
    """A JSON file."""


class TextDataset(AtomicSave, text.TextDataset):
    """A text file."""


class CSVDataset(AtomicSave, pandas.CSVDataset):
    """A CSV file as a pandas frame."""


class ParquetDataset(AtomicSave, pandas.ParquetDataset):
    """A Parquet file as a pandas frame, for tables small enough to be held in memory."""


class FigureDataset(AtomicSave, matplotlib.MatplotlibDataset):
    """A Matplotlib figure as a picture."""
