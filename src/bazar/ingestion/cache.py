"""Cache the rows of an expression, so that a raw file is parsed only once."""

import ibis
import ibis.expr.types as ir

from bazar.errors import InputError
from bazar.ingestion.readers.sql import extract_input_error


def cache_table(typed: ir.Table) -> ir.Table:
    """Run an expression, and return a table of its cached rows.

    Raises:
        InputError: if the backend cannot read the file.
    """
    fuse_selects = ibis.options.sql.fuse_selects
    try:
        # Fused selects would compute common inputs again for every column.
        ibis.options.sql.fuse_selects = False
        if typed.get_backend().name == "pyspark":
            # Ibis registers UDFs on Spark when it runs a query, but not when it caches one.
            typed.limit(0).to_pyarrow()
        return typed.cache()
    except Exception as error:
        if "duckdb" not in type(error).__module__:
            raise
        if (input_error := extract_input_error(error)) is not None:
            raise input_error from error
        message = "\n  ".join(str(error).splitlines()[:3])
        raise InputError(
            f"A raw file cannot be read\n  {message}\n"
            "Check the format and the encoding of the sources in globals.yml."
        ) from error
    finally:
        ibis.options.sql.fuse_selects = fuse_selects
