"""Products that join the catalogue of a trained shop."""

import glob
from dataclasses import dataclass
from pathlib import Path

import ibis.expr.types as ir
import pyarrow as pa
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol, DatasetError

from bazar.config.data import ProductSource
from bazar.data import joining as join
from bazar.data import title_embeddings as vectors
from bazar.data.catalogue import ADDED_PRODUCTS
from bazar.datasets.raw import RawDataset
from bazar.errors import InputError
from bazar.ingestion import typing_rules as ingest

_MAX_ROWS, _MAX_BYTES = 100_000_000, 100_000_000_000


@dataclass(frozen=True)
class Outcome:
    """What became of the products of a file.

    Attributes:
        added: ids of those that can be recommended now, and could not before.
        updated: ids of those that were added before.
        already_titled: ids of those that the data set's own files have a title of.
        rejects: rows that could not be used: reason and count.
        missing: columns of attributes that the file does not have.
        n_products: size of the catalogue now.
    """

    added: list[str]
    updated: list[str]
    already_titled: list[str]
    rejects: dict[str, int]
    missing: list[str]
    n_products: int

    def tell(self, options: str) -> str:
        """Say it in a few lines.

        Args:
            options: of the commands that follow, a space before each: which run they are about.
        """
        lines = [f"{len(self.added):,} products added; the catalogue has {self.n_products:,}"]
        if self.updated:
            lines.append(
                f"{len(self.updated):,} were added before: what this file says of them counts"
            )
        if self.already_titled:
            shown = ", ".join(self.already_titled[:5]) + (
                ", …" if len(self.already_titled) > 5 else ""
            )
            lines.append(
                f"{len(self.already_titled):,} have a title already, and stay as they are: {shown}"
            )
        lines += [f"{count:,} left out: {reason}" for reason, count in self.rejects.items()]
        if self.missing:
            missing = ", ".join(self.missing)
            lines.append(f"the file has no column {missing}: of these products it is not known")
        if self.added:
            lines.append(
                f"Next: `kedro similar {self.added[0]}{options}` shows what it is near to; the "
                "pipeline recommendation writes the recommendations of all customers anew"
            )
        return "\n".join(lines)


def add_products_to_bundle(catalog: CatalogProtocol, file: Path, source: str | None) -> Outcome:
    """Read products, embed their titles, and put them into the shop.

    Args:
        catalog: of the environment.
        file: the products.
        source: the source of products that the file is shaped as; None for the first.

    Raises:
        InputError: if there is no such source, or the file cannot be used.
    """
    told, rejects, missing = _read(catalog, file, source)
    new = join.drop_titled_products(told, catalog.load("products")).to_pylist()
    before = {row["item_id"]: row for row in catalog.load("added_products").to_pylist()}
    after = before | {row["item_id"]: row for row in new}
    added = pa.Table.from_pylist(list(after.values()), ADDED_PRODUCTS)
    embedded = vectors.embed_products(
        added, catalog.load("previous_title_vectors"), catalog.load("params:embedding")
    )
    node = next(node for node in pipelines["recommendation"].nodes if node.name == "build_bundle")
    made = {"added_products": added, "title_vectors": embedded}
    # What cannot be packed is not kept.
    packed = node.run(
        {name: made[name] if name in made else catalog.load(name) for name in node.inputs}
    )
    for name, content in (made | packed).items():
        catalog.save(name, content)
    counted = {row["item_id"] for row in new}
    return Outcome(
        [row["item_id"] for row in new if row["item_id"] not in before],
        [row["item_id"] for row in new if row["item_id"] in before],
        [item_id for item_id in told["item_id"].to_pylist() if item_id not in counted],
        rejects,
        missing,
        len(packed["bundle_products"]),
    )


def _read(
    catalog: CatalogProtocol, file: Path, source: str | None
) -> tuple[pa.Table, dict[str, int], list[str]]:
    """Titled products of a file, how many rows are left out for which reason, missing columns."""
    options = catalog.load("params:ingestion")
    name = source or next(iter(options.products))
    if name not in options.products:
        raise InputError(
            f"there is no source {name} of products\nThere are {', '.join(options.products)} "
            "(products in conf/<env>/globals.yml)"
        )
    file = file.resolve()
    # By its very name, which may hold what is a pattern elsewhere.
    named = {"files": glob.escape(file.name), "optional": False}
    shape = options.products[name].model_copy(update=named)
    missing: list[str] = []
    try:
        typed = _type(file, name, shape)
    except DatasetError:
        if "attributes" not in shape.columns:
            raise
        # A file of new products may know nothing but titles, or some attributes alone.
        asked = shape.columns["attributes"]
        attributes = [asked] if isinstance(asked, str) else asked
        there = [one for one in attributes if _can_read(file, name, _with_attributes(shape, [one]))]
        typed = _type(file, name, _with_attributes(shape, there))
        missing = [one for one in attributes if one not in there]
    accepted = ingest.accept(typed, options.max_reject_share)
    told = join.choose_titles(accepted)
    titled = told.filter(told.title.notnull()).order_by("item_id")
    columns = titled.select(*ADDED_PRODUCTS.names).to_pyarrow().cast(ADDED_PRODUCTS)
    rejected = ingest.collect_rejects(typed).to_pyarrow().to_pylist()
    rejects = {row["reason"]: row["count"] for row in rejected}
    if untitled := int(told.count().to_pyarrow().as_py()) - columns.num_rows:
        rejects["no title"] = untitled
    if columns.num_rows == 0:
        raise InputError(f"{file} names no product with a title, and nothing was added")
    return columns, rejects, missing


def _with_attributes(shape: ProductSource, attributes: list[str]) -> ProductSource:
    columns = {ours: theirs for ours, theirs in shape.columns.items() if ours != "attributes"}
    named = columns | ({"attributes": attributes} if attributes else {})
    return shape.model_copy(update={"columns": named})


def _can_read(file: Path, name: str, shape: ProductSource) -> bool:
    try:
        _type(file, name, shape)
    except DatasetError:
        return False
    return True


def _type(file: Path, name: str, shape: ProductSource) -> ir.Table:
    """Every row of a file of products, typed."""
    raw = RawDataset(
        path=str(file.parent),
        sources={name: shape.model_dump()},
        kind="products",
        max_rows=_MAX_ROWS,
        max_bytes=_MAX_BYTES,
        connection={"backend": "duckdb"},
    )
    return ingest.cache_table(ingest.type_products(raw.load()[name], shape, name, 0))
