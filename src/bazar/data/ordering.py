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
    rows, files in order of their names: never the item id.

    Args:
        interactions: ``user_id, item_id, timestamp, position, source_file, source_order``.
        item_index: ``item_id, item_index``.

    Returns:
        ``user_id, position`` (int64, from 1 within a user), ``item_id, item_index`` (int32),
        ``timestamp`` (int64, UTC milliseconds, null without a clock).
    """
    order = ["timestamp", "position", "source_file", "source_order"]
    number = ibis.row_number().over(group_by=interactions.user_id, order_by=order) + 1
    # By way of int32: Ibis takes the number for an int64 and drops the cast, Spark counts in int32.
    position = number.cast("int32").cast("int64")
    numbered = interactions.select("user_id", "item_id", "timestamp", position=position)
    joined = numbered.join(item_index, "item_id")
    return joined.select("user_id", "position", "item_id", "item_index", "timestamp").order_by(
        "user_id", "position"
    )


def list_users(sequences: ir.Table) -> ir.Table:
    """List the users, in the order of :func:`list_items`.

    Args:
        sequences: column ``user_id``, a row per item.

    Returns:
        ``user_id``, each once, and ``length`` (int64), the items of the user.
    """
    return sequences.group_by("user_id").aggregate(length=sequences.count()).order_by("user_id")


def list_items(sequences: ir.Table) -> ir.Table:
    """List the items of all users, users one after another, each in chronological order.

    Args:
        sequences: ``user_id, position, item_index, timestamp``.

    Returns:
        ``item_index`` and ``timestamp``, and no ids: a user's, often repeated, is most of what a
        row weighs.
    """
    return sequences.order_by("user_id", "position").select("item_index", "timestamp")


def count_windows(sequences: ir.Table) -> ir.Table:
    """Count the overlapping windows of each length from 2 to 10 items.

    Args:
        sequences: column ``user_id``, a row per item.

    Returns:
        ``window_length``, ``windows`` and ``sequences`` (those long enough for one), int64.
    """
    lengths = list_users(sequences).group_by("length").aggregate(users=ibis._.count())
    each = lengths.mutate(window_length=ibis.range(ibis.literal(2, "int64"), 11).unnest())
    per_sequence = ibis.greatest(each.length - each.window_length + 1, 0)
    counts = {
        "windows": each.users * per_sequence,
        "sequences": (per_sequence > 0).ifelse(each.users, 0),
    }
    # Through another type: Ibis drops a cast to what it takes a column for. Of a sum, DuckDB makes
    # 128 bits; of a range, Spark makes 32.
    return (
        each.group_by("window_length")
        .aggregate(
            **{name: count.sum().cast("float64").cast("int64") for name, count in counts.items()}
        )
        .mutate(window_length=ibis._.window_length.cast("int32").cast("int64"))
        .order_by("window_length")
    )
