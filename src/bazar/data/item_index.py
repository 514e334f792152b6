"""The template of the modelling pipelines: train, recommend, measure.

It is laid down once per model, under the model's name: ``classifier.network``,
``classifier.ranks``, ``classifier.metrics``.
"""

import ibis.expr.types as ir
import numpy as np

from bazar.errors import InputError


def check_size(found: int, item_index: ir.Table, what: str, pipeline: str) -> None:
    """Refuse what was made for another catalogue.

    Args:
        found: items that it was made for.
        item_index: the catalogue.
        what: what it is called in the message.
        pipeline: what makes it anew.

    Raises:
        InputError: if the catalogue has more or fewer items.
    """
    if found != (n_items := count_items(item_index)):
        raise InputError(
            f"{what} was made for {found:,} items, and the catalogue has {n_items:,}: it grew or "
            f"shrank since\nRun the pipeline {pipeline} again, and those after it"
        )


def count_items(item_index: ir.Table) -> int:
    """Size of the catalogue."""
    return int(item_index.count().to_pyarrow().as_py())


def count_data(sequences: ir.Table, item_index: ir.Table) -> dict[str, int]:
    """Sizes of the data: ``n_users``, ``n_interactions``, ``n_items``."""
    sizes = sequences.aggregate(
        n_users=sequences.user_id.nunique(), n_interactions=sequences.count()
    )
    return {**sizes.to_pyarrow().to_pylist()[0], "n_items": count_items(item_index)}


def external_ids(item_index: ir.Table) -> np.ndarray:
    """External ids by item index, shape (items + 1,); index 0 has none."""
    ordered = item_index.order_by("item_index").to_pyarrow()["item_id"].to_pylist()
    return np.array(["", *ordered], dtype=object)
