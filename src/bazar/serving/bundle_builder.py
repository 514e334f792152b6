"""The catalogue of a bundle, built from the tables of a run and from added products."""

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from bazar.config.data import EmbeddingOptions
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.item_index import check_catalogue_size, count_items
from bazar.data.joining import drop_titled_products
from bazar.data.sequences import Sequences
from bazar.data.title_embeddings import get_product_vectors


def build_catalogue(
    sequences: Sequences,
    item_index: ir.Table,
    products: ir.Table,
    item_vectors: np.ndarray,
    recent_share: float,
) -> Products:
    """Build the catalogue from the tables of a run, in the order of the item index.

    Args:
        sequences: the chronological sequences of all users.
        item_index: ``item_id, item_index``.
        products: ``item_id, title, attributes, variant_group``.
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros at 0 and for items
            without a title.
        recent_share: the share of the interactions that is recent.

    Raises:
        InputError: if the vectors belong to another item index.
    """
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    counts, recent_counts = count_interactions(sequences, count_items(item_index), recent_share)
    titled = item_index.left_join(products, "item_id").order_by("item_index")
    texts = titled.select("item_id", "title", "attributes", "variant_group").to_pyarrow()
    table = texts.append_column("purchases", pa.array(counts[1:])).append_column(
        "recent_purchases", pa.array(recent_counts[1:])
    )
    return Products.from_table(table, item_vectors)


def extend_catalogue(
    catalogue: Products,
    added_products: pa.Table,
    products: ir.Table,
    title_vectors: pa.Table,
    embedding: EmbeddingOptions,
) -> Products:
    """Add the products of `kedro add-products` to a catalogue.

    A product that the raw files have a title for keeps what the raw files say.

    Args:
        catalogue: the catalogue, with or without products that were added before.
        added_products: columns of :data:`~bazar.data.catalogue.ADDED_PRODUCTS_SCHEMA`, each item
            once.
        products: the products of the run: ``item_id, title_source``.
        title_vectors: vectors of texts that were embedded before; other texts are embedded now.
        embedding: the text that is embedded, and the encoder.
    """
    if added_products.num_rows:
        added_products = drop_titled_products(added_products, products)
    if added_products.num_rows == 0:
        return catalogue
    vectors = get_product_vectors(added_products, title_vectors, embedding)
    return catalogue.add(added_products, vectors)
