"""The work of ``kedro add-products``: read a file of products and extend the bundle with them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from kedro.io import CatalogProtocol

from bazar.cli.product_file import ProductFile, read_product_file
from bazar.cli.run_options import RunOptions
from bazar.config.data import EmbeddingOptions, IngestionOptions
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.joining import drop_titled_products
from bazar.data.title_embeddings import embed_products
from bazar.labels import make_printable
from bazar.serving.bundle_builder import extend_catalogue

_SHOWN_IDS = 5


@dataclass(frozen=True)
class CatalogueUpdate:
    """The outcome of adding the products of a file.

    Attributes:
        added: ids of new products.
        updated: ids of products that were added before; the new file replaces their texts.
        already_titled: ids of products that keep the title of the raw files.
        file: the file, with what was left out of it.
        n_products: size of the catalogue now.
    """

    added: list[str]
    updated: list[str]
    already_titled: list[str]
    file: ProductFile
    n_products: int

    def format(self, run: RunOptions) -> str:
        """Return the outcome in a few lines, with the commands that follow."""
        lines = [f"{len(self.added):,} products added; the catalogue has {self.n_products:,}."]
        if self.updated:
            lines.append(
                f"{len(self.updated):,} were added before and are updated: {_shorten(self.updated)}"
            )
        if self.already_titled:
            lines.append(
                f"{len(self.already_titled):,} have a title in the raw files and keep it: "
                f"{_shorten(self.already_titled)}"
            )
        if self.file.untitled:
            lines.append(
                f"{len(self.file.untitled):,} left out (no title): {_shorten(self.file.untitled)}"
            )
        lines += [
            f"{reject['count']:,} rows left out ({reject['reason']}), such as: "
            f"{make_printable(reject['examples'][0])}"
            for reject in self.file.rejects
        ]
        if self.file.missing_attributes:
            lines.append(
                f"The file has no column {', '.join(self.file.missing_attributes)}: the products "
                "have no such attributes."
            )
        if self.added:
            # An id may start with a minus sign, like an option.
            argument = ("-- " if self.added[0].startswith("-") else "") + shlex.quote(self.added[0])
            lines.append(
                f"Next: `kedro similar{run.format_options()} {argument}` shows similar products; "
                f"`{run.format_run_command('recommendation')}` updates the recommendations of all "
                "customers."
            )
        return "\n".join(lines)


def update_catalogue(catalog: CatalogProtocol, file: Path, source: str | None) -> CatalogueUpdate:
    """Read products, embed their titles, and add them to the bundle.

    Nothing is kept if a step fails.

    Args:
        catalog: the catalog of the run.
        file: the file of products.
        source: the source of products that the file has the format of; None for the first.

    Raises:
        InputError: if the source is unknown or the file cannot be used.
    """
    # The catalog of a command has plain parameters: Kedro types those of pipelines.
    ingestion = IngestionOptions.model_validate(catalog.load("params:ingestion"))
    embedding = EmbeddingOptions.model_validate(catalog.load("params:embedding"))
    read = read_product_file(file, source, ingestion)
    products = catalog.load("products")
    earlier = {
        "title_vectors": catalog.load("previous_title_vectors"),
        "added_products": catalog.load("added_products"),
    }
    new = {row["item_id"]: row for row in drop_titled_products(read.products, products).to_pylist()}
    before = {row["item_id"]: row for row in earlier["added_products"].to_pylist()}
    added = pa.Table.from_pylist(list((before | new).values()), ADDED_PRODUCTS_SCHEMA)

    vectors = embed_products(added, earlier["title_vectors"], embedding)
    bundle = catalog.load("bundle")
    extended = extend_catalogue(bundle.products, added, products, vectors, embedding)
    _save_all(
        catalog,
        {
            "title_vectors": vectors,
            "added_products": added,
            "bundle": replace(bundle, products=extended),
        },
        earlier,
    )
    return CatalogueUpdate(
        [item_id for item_id in new if item_id not in before],
        [item_id for item_id in new if item_id in before],
        [item_id for item_id in read.products["item_id"].to_pylist() if item_id not in new],
        read,
        len(extended),
    )


def _save_all(
    catalog: CatalogProtocol, contents: dict[str, object], earlier: dict[str, pa.Table]
) -> None:
    """Save data sets in order. If one fails, put the earlier contents of the others back."""
    saved: list[str] = []
    try:
        for name, content in contents.items():
            catalog.save(name, content)
            saved.append(name)
    except BaseException:
        for name in saved:
            catalog.save(name, earlier[name])
        raise


def _shorten(item_ids: Sequence[str]) -> str:
    more = ", …" if len(item_ids) > _SHOWN_IDS else ""
    return ", ".join(map(make_printable, item_ids[:_SHOWN_IDS])) + more
