"""Query the item index: the mapping between external item ids and item indices."""

import ibis.expr.types as ir
import numpy as np

from bazar.data.item_words import ItemTexts
from bazar.errors import InputError


def check_catalogue_size(found: int, item_index: ir.Table, what: str, pipeline: str) -> None:
    """Raise InputError if an input was made for a catalogue of another size.

    Args:
        found: number of items that it was made for.
        item_index: the item index of the current catalogue.
        what: name of the checked input, for the message.
        pipeline: name of the pipeline that makes it.

    Raises:
        InputError: if the catalogue has more or fewer items.
    """
    if found != (n_items := count_items(item_index)):
        raise InputError(
            f"{what} was made for {found:,} items, but the catalogue has {n_items:,} items.\n"
            f"Run the pipeline {pipeline} again, and the pipelines that depend on it."
        )


def count_items(item_index: ir.Table) -> int:
    """Count the items of the catalogue."""
    return int(item_index.count().to_pyarrow().as_py())


def count_dataset(sequences: ir.Table, item_index: ir.Table) -> dict[str, int]:
    """Count the data set.

    Returns:
        ``n_users`` (without guests), ``n_guests`` (their orders), ``n_interactions`` (of both) and
        ``n_items``.
    """
    sizes = sequences.aggregate(
        n_users=sequences.user_id.nunique(where=~sequences.is_guest),
        n_guests=sequences.user_id.nunique(where=sequences.is_guest),
        n_interactions=sequences.count(),
    )
    return {**sizes.to_pyarrow().to_pylist()[0], "n_items": count_items(item_index)}


def list_item_ids(item_index: ir.Table) -> np.ndarray:
    """Return external ids by item index, shape (items + 1,), object; index 0 has an empty id."""
    ordered = item_index.order_by("item_index").to_pyarrow()["item_id"].to_pylist()
    return np.array(["", *ordered], dtype=object)


def read_item_texts(products: ir.Table, item_index: ir.Table) -> ItemTexts:
    """Return the texts of all items, by item index.

    Args:
        products: ``item_id, title, attributes``.
        item_index: ``item_id, item_index``.
    """
    joined = item_index.left_join(products, "item_id").order_by("item_index")
    table = joined.select("title", "attributes").to_pyarrow()
    return ItemTexts(
        np.array([None, *table["title"].to_pylist()], dtype=object),
        np.array([None, *table["attributes"].to_pylist()], dtype=object),
    )
