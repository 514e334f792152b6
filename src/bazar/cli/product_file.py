"""Products read from one file that has the format of a configured source."""

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
from kedro.io import DatasetError

from bazar.config.data import IngestionOptions
from bazar.config.sources import ProductSource
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.joining import choose_titles
from bazar.datasets.raw import RawDataset
from bazar.errors import InputError, suggest_names
from bazar.ingestion.cache import cache_table
from bazar.ingestion.row_counts import collect_rejects, select_accepted
from bazar.ingestion.typing_rules import type_products

_MAX_ROWS, _MAX_BYTES = 100_000_000, 100_000_000_000


@dataclass(frozen=True)
class ProductFile:
    """The products of a file.

    Attributes:
        products: columns of :data:`~bazar.data.catalogue.ADDED_PRODUCTS_SCHEMA`, each item once;
            all have a title.
        untitled: ids of the products without a title.
        rejects: rows that cannot be used: ``reason``, ``count`` and ``examples``.
        missing_attributes: attribute columns of the source that the file does not have.
    """

    products: pa.Table
    untitled: list[str]
    rejects: list[dict[str, Any]]
    missing_attributes: list[str]


def read_product_file(file: Path, source: str | None, options: IngestionOptions) -> ProductFile:
    """Read and clean the products of a file.

    Args:
        file: the file.
        source: the source whose format the file has; None for the first.
        options: the configured sources.

    Raises:
        InputError: if the source is unknown, the file cannot be read, or no product has a title.
    """
    name = source or next(iter(options.products))
    if name not in options.products:
        raise InputError(
            f"There is no source {name!r} of products (products in conf/<env>/globals.yml)."
            f"{suggest_names(name, options.products)}"
        )
    file = file.resolve()
    # The name may contain characters that mean a pattern in the configuration.
    changes = {"files": glob.escape(file.name), "optional": False}
    typed, missing = _type_rows(file, name, options.products[name].model_copy(update=changes))
    chosen = choose_titles(select_accepted(typed, options.max_reject_share), "first")
    titled = chosen.filter(chosen.title.notnull()).order_by("item_id")
    products = titled.select(*ADDED_PRODUCTS_SCHEMA.names).to_pyarrow().cast(ADDED_PRODUCTS_SCHEMA)
    untitled = chosen.filter(chosen.title.isnull()).order_by("item_id").to_pyarrow()["item_id"]
    if products.num_rows == 0:
        columns = ", ".join(_list_columns(options.products[name]))
        raise InputError(
            f"{file} has no product with a title. Nothing was added.\n"
            f"The source {name!r} reads the columns {columns}."
        )
    rejects = collect_rejects(typed).to_pyarrow().to_pylist()
    return ProductFile(products, untitled.to_pylist(), rejects, missing)


def _type_rows(file: Path, name: str, source: ProductSource) -> tuple[ir.Table, list[str]]:
    """Return the typed rows, and the attribute columns that the file does not have."""
    try:
        return _read_rows(file, name, source), []
    except (DatasetError, InputError) as error:
        configured = source.columns.get("attributes", [])
        attributes = [configured] if isinstance(configured, str) else list(configured)
        # A file of new products need not have every attribute.
        if not _can_read(file, name, _with_attributes(source, [])):
            raise _explain(error, file, name, source) from error
    found = [
        attribute
        for attribute in attributes
        if _can_read(file, name, _with_attributes(source, [attribute]))
    ]
    missing = [attribute for attribute in attributes if attribute not in found]
    return _read_rows(file, name, _with_attributes(source, found)), missing


def _with_attributes(source: ProductSource, attributes: list[str]) -> ProductSource:
    columns: dict[str, str | list[str]] = {
        ours: theirs for ours, theirs in source.columns.items() if ours != "attributes"
    }
    if attributes:
        columns["attributes"] = attributes
    return source.model_copy(update={"columns": columns})


def _can_read(file: Path, name: str, source: ProductSource) -> bool:
    try:
        _read_rows(file, name, source)
    except (DatasetError, InputError):
        return False
    return True


def _read_rows(file: Path, name: str, source: ProductSource) -> ir.Table:
    raw = RawDataset(
        path=str(file.parent),
        sources={name: source.model_dump()},
        kind="products",
        max_rows=_MAX_ROWS,
        max_bytes=_MAX_BYTES,
        connection={"backend": "duckdb"},
    )
    return cache_table(type_products(raw.load()[name], source, name, 0))


def _explain(error: Exception, file: Path, name: str, source: ProductSource) -> InputError:
    """Return an error that speaks of the file, and not of the configuration."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__ or cause.__context__
    # The last line advises to change the configuration of the data set's own files.
    lines = [line for line in str(cause or error).splitlines() if not line.startswith("Set ")]
    problem = "\n  ".join(line.strip() for line in lines)
    columns = ", ".join(_list_columns(source))
    return InputError(
        f"{file} cannot be read as products of the source {name!r}:\n  {problem}\n"
        f"The file needs the columns {columns} (attributes are optional). Rename its columns, or "
        "choose another source with --source."
    )


def _list_columns(source: ProductSource) -> list[str]:
    """Return the columns that a source reads, in the words of its files."""
    return [
        name
        for theirs in source.columns.values()
        for name in ([theirs] if isinstance(theirs, str) else theirs)
    ]
