"""List the columns of a Parquet file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bazar.errors import InputError


def read_parquet_schema(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} cannot be read as Parquet\n  {str(error).splitlines()[0]}\n"
            "Export or download it again."
        ) from error


def list_parquet_columns(path: Path) -> list[str]:
    """Return the names of the columns in file order; see :func:`read_parquet_schema`."""
    return list(read_parquet_schema(path).names)
