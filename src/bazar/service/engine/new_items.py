"""Products that are added to the catalogue of an engine."""

from collections.abc import Sequence

import numpy as np

from bazar.data.vector_search import normalize_rows
from bazar.errors import InputError
from bazar.service.engine.sources import Encoder
from bazar.service.live import NewItem


def collect_vectors(
    items: Sequence[NewItem], dimension: int, encode: Encoder | None, embeds_attributes: bool
) -> np.ndarray:
    """Return the title vectors of new products.

    Args:
        items: the products.
        dimension: length of a vector.
        encode: encoder of the titles without a vector; None if there is none.
        embeds_attributes: whether the attributes are a part of the text that is encoded.

    Returns:
        Shape (items, dimension), float32, unit vectors; zeros for a product without a title and a
        vector.

    Raises:
        InputError: if an id is empty or occurs twice, or a vector has another dimension.
    """
    vectors = np.zeros((len(items), dimension), np.float32)
    ids = [item.item_id for item in items]
    without_vector: list[int] = []
    for position, item in enumerate(items):
        if not item.item_id:
            raise InputError("item_id must not be empty.")
        if ids.count(item.item_id) > 1:
            raise InputError(f"item_id must be unique, found {item.item_id!r} twice.")
        if item.vector is None:
            if item.title:
                without_vector.append(position)
        elif item.vector.shape != (dimension,) or not np.isfinite(item.vector).all():
            raise InputError(
                f"vector of {item.item_id!r} must have {dimension} finite numbers, got the "
                f"shape {item.vector.shape}."
            )
        else:
            vectors[position] = item.vector
    if without_vector and encode is not None:
        texts = [_get_text(items[position], embeds_attributes) for position in without_vector]
        vectors[without_vector] = encode(texts)
    return normalize_rows(vectors)


def _get_text(item: NewItem, embeds_attributes: bool) -> str:
    """Return the text of a product that is encoded, as the bundle's products were."""
    parts = [item.title, item.attributes if embeds_attributes else None]
    return ". ".join(filter(None, parts))
