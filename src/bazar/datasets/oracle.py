"""Catalog type of the oracle of a synthetic store."""

from pathlib import Path
from typing import Any, Never

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from kedro.io import DatasetError

from bazar.datasets.local import LocalDataset
from bazar.errors import InputError
from bazar.synthetic.files import ORACLE_SCHEMA


class OracleDataset(LocalDataset):
    """The probability of each product in the next order of each customer. It is read-only."""

    def __init__(self, *, filepath: str | None, metadata: dict[str, Any] | None = None) -> None:
        """Store the path. It is None or empty if the data set has no oracle.

        Raises:
            DatasetError: if it is not a text.
        """
        if not isinstance(filepath, str | None):
            raise DatasetError(f"oracle in globals.yml must be a path or null, found {filepath!r}.")
        super().__init__(filepath=filepath or "", metadata=metadata)

    def load(self) -> pa.Table:
        """Return the table of :data:`bazar.synthetic.files.ORACLE_SCHEMA`.

        It has no rows if there is no file.

        Raises:
            InputError: if the file cannot be read, or has other columns or invalid values.
        """
        if not Path(self._filepath).is_file():
            return ORACLE_SCHEMA.empty_table()
        try:
            # With a schema, a missing column would be read as nulls.
            table = pq.read_table(self._filepath).select(ORACLE_SCHEMA.names).cast(ORACLE_SCHEMA)
        except (pa.ArrowException, KeyError, OSError) as error:
            raise self._explain(f"cannot be read: {str(error).rstrip('.')}") from error
        scores = pc.is_finite(table["score"])
        if any(column.null_count for column in table.columns) or not pc.all(scores).as_py():
            raise self._explain("has missing values, or scores that are not finite numbers")
        return table

    def _explain(self, problem: str) -> InputError:
        return InputError(
            f"{self._filepath} {problem}.\nDelete the file to run without the oracle, or write the "
            "sample store again. Another path can be set with the key oracle in globals.yml."
        )

    def save(self, data: Never) -> None:
        """Raise DatasetError: bazar.synthetic.sample_store writes the file."""
        raise DatasetError(f"{self._filepath} is read-only.")
