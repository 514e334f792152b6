"""Nodes of the embedding pipeline."""

import logging

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from bazar.config.data import EmbeddingOptions
from bazar.data import title_embeddings as vectors
from bazar.data.encoder_check import check_texts

logger = logging.getLogger(__name__)


def embed_titles(
    products: ir.Table, previous_title_vectors: pa.Table, options: EmbeddingOptions
) -> pa.Table:
    """Embed the distinct texts of products with a title, except those embedded before.

    A warning is logged if the encoder cannot read the texts.
    """
    selected = products.select(text=vectors.select_texts(products, options.text)).distinct()
    ordered = selected.filter(selected.text.notnull()).order_by("text")
    texts = ordered.to_pyarrow()["text"].to_pylist()
    encoder = vectors.find_encoder(options.encoder, options.sha256)
    embedded = vectors.embed_texts(texts, previous_title_vectors, encoder, options.batch_size)
    if warning := check_texts(texts, encoder).warning:
        logger.warning(warning)
    return embedded


def build_item_vectors(
    products: ir.Table, item_index: ir.Table, title_vectors: pa.Table, options: EmbeddingOptions
) -> np.ndarray:
    """Build the matrix of title vectors by item index.

    Returns:
        Shape (items + 1, dimension), float32, unit vectors, zeros for padding and for items without
        a title.
    """
    texts = products.select("item_id", text=vectors.select_texts(products, options.text))
    by_index = item_index.join(texts, "item_id").order_by("item_index").select("text")
    return vectors.get_vectors(
        [None, *by_index.to_pyarrow()["text"].to_pylist()],
        title_vectors,
        vectors.find_encoder(options.encoder, options.sha256),
    )
