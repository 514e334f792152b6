"""Sequences and the item index, as Ibis expressions that run on any backend."""

import ibis
import ibis.expr.types as ir


def index_items(products: ir.Table) -> ir.Table:
    """Number the products from 1, in order of their ids; 0 is left for padding.

    Args:
        products: column ``item_id``, each once.

    Returns:
        ``item_id`` (string) and ``item_index`` (int32).
    """
    number = ibis.row_number().over(order_by=products.item_id) + 1
    return products.select("item_id", item_index=number.cast("int32"))


def order_interactions(interactions: ir.Table, item_index: ir.Table) -> ir.Table:
    """Put each user's interactions in chronological order.

    The clock decides, then the position that the source gives, then the order of the source's
    rows: never the item id.

    Args:
        interactions: ``user_id, item_id, timestamp, position, source_order``.
        item_index: ``item_id, item_index``.

    Returns:
        ``user_id, position`` (int64, from 1 within a user), ``item_id, item_index`` (int32),
        ``timestamp`` (int64, UTC milliseconds, null without a clock).
    """
    order = [interactions.timestamp, interactions.position, interactions.source_order]
    number = ibis.row_number().over(group_by=interactions.user_id, order_by=order) + 1
    # By way of int32: Ibis takes the number for an int64 and drops the cast, Spark counts in int32.
    position = number.cast("int32").cast("int64")
    numbered = interactions.select("user_id", "item_id", "timestamp", position=position)
    joined = numbered.join(item_index, "item_id")
    return joined.select("user_id", "position", "item_id", "item_index", "timestamp").order_by(
        "user_id", "position"
    )
