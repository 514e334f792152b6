"""Sort interactions and index items, with Ibis expressions that run on any backend."""

import ibis
import ibis.expr.types as ir


def index_items(products: ir.Table) -> ir.Table:
    """Number the items from 1, in order of their ids; 0 is reserved for padding.

    Args:
        products: column ``item_id``, each item once.

    Returns:
        ``item_id`` (string) and ``item_index`` (int32).
    """
    number = ibis.row_number().over(order_by=products.item_id) + 1
    return products.select("item_id", item_index=number.cast("int32"))


def sort_interactions(interactions: ir.Table, item_index: ir.Table) -> ir.Table:
    """Sort the interactions of each user by time.

    Interactions at the same time are sorted by position, then by file name, then by row number.
    They are never sorted by item id.

    Args:
        interactions: ``user_id, item_id, timestamp, position, is_guest, source_file,
            source_order``.
        item_index: ``item_id, item_index``.

    Returns:
        ``user_id, position`` (int64, from 1 within a user), ``item_id, item_index`` (int32),
        ``timestamp`` (int64, UTC milliseconds, null if unknown), ``is_guest`` (bool).
    """
    order = ["timestamp", "position", "source_file", "source_order"]
    number = ibis.row_number().over(group_by=interactions.user_id, order_by=order) + 1
    # Cast to int32 first: Ibis assumes that the number is an int64 and drops a cast to int64, but
    # Spark counts in int32.
    position = number.cast("int32").cast("int64")
    numbered = interactions.select("user_id", "item_id", "timestamp", "is_guest", position=position)
    joined = numbered.join(item_index, "item_id")
    return joined.select(
        "user_id", "position", "item_id", "item_index", "timestamp", "is_guest"
    ).order_by("user_id", "position")


def list_users(sequences: ir.Table) -> ir.Table:
    """List the users, in the order of :func:`list_items`.

    Args:
        sequences: ``user_id, is_guest``, one row per interaction.

    Returns:
        ``user_id``, each once, ``length`` (int64), the number of interactions of the user, and
        ``is_guest`` (bool).
    """
    counted = sequences.group_by("user_id").aggregate(
        length=sequences.count(), is_guest=sequences.is_guest.any()
    )
    return counted.order_by("user_id")


def list_items(sequences: ir.Table) -> ir.Table:
    """List the items of all users, one user after another, in chronological order.

    Args:
        sequences: ``user_id, position, item_index, timestamp``.

    Returns:
        ``item_index`` and ``timestamp``. User ids would take most of the memory, so that they are
        not returned. :func:`list_users` returns the users in the same order.
    """
    return sequences.order_by("user_id", "position").select("item_index", "timestamp")


def count_windows(sequences: ir.Table) -> ir.Table:
    """Count the overlapping windows of each length from 2 to 10 items.

    Args:
        sequences: ``user_id, is_guest``, one row per interaction. Guests are not counted.

    Returns:
        ``window_length``, ``windows`` and ``sequences`` (sequences with at least one window),
        int64.
    """
    customers = list_users(sequences.filter(~sequences.is_guest))
    lengths = customers.group_by("length").aggregate(users=ibis._.count())
    by_length = lengths.mutate(window_length=ibis.range(ibis.literal(2, "int64"), 11).unnest())
    per_sequence = ibis.greatest(by_length.length - by_length.window_length + 1, 0)
    counts = {
        "windows": by_length.users * per_sequence,
        "sequences": (per_sequence > 0).ifelse(by_length.users, 0),
    }
    # Cast to another type first: Ibis drops a cast to the type that it assumes for a column. DuckDB
    # sums in 128 bits, and Spark creates ranges of 32-bit integers.
    return (
        by_length.group_by("window_length")
        .aggregate(
            **{name: count.sum().cast("float64").cast("int64") for name, count in counts.items()}
        )
        .mutate(window_length=ibis._.window_length.cast("int32").cast("int64"))
        .order_by("window_length")
    )
