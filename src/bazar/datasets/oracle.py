"""Catalog type of the oracle of a synthetic store."""

from pathlib import Path
from typing import Never

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import DatasetError

from bazar.datasets.local import LocalDataset
from bazar.synthetic.files import ORACLE_SCHEMA


class OracleDataset(LocalDataset):
    """The probability of each product in the next order of each customer. It is read-only."""

    def load(self) -> pa.Table:
        """Return the table of :data:`bazar.synthetic.files.ORACLE_SCHEMA`.

        It has no rows if there is no file.
        """
        if not Path(self._filepath).is_file():
            return ORACLE_SCHEMA.empty_table()
        return pq.read_table(self._filepath, schema=ORACLE_SCHEMA)

    def save(self, data: Never) -> None:
        """Raise DatasetError: bazar.synthetic.sample_store writes the file."""
        raise DatasetError(f"{self._filepath} is read-only.")
