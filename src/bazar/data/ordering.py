"""Sort interactions, number orders and index items, with Ibis expressions for any backend."""

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


def number_orders(interactions: ir.Table) -> ir.Table:
    """Assign an order to each interaction, and number the orders of each user by time.

    An order is all interactions of a user with one ``order_id``. Interactions without an
    ``order_id`` are one order if they have the same timestamp; without times, if they have the same
    position.

    If an interaction of a user has no timestamp, all interactions of the user are ordered by
    position, provided that each of them has one. Otherwise, interactions without a timestamp come
    before the others.

    Args:
        interactions: ``user_id, item_id, timestamp, position, order_id, is_guest``. Other columns
            are kept.

    Returns:
        The columns of ``interactions``; ``order_number`` (int64, from 1 within a user);
        ``ordered_at`` (int64): the earliest time of the order, or its first position if the user
        is ordered by position; ``is_repeat``: whether the user bought the item in an earlier order.
    """
    user = ibis.window(group_by="user_id")
    lacks_time = interactions.timestamp.isnull().any().over(user)
    lacks_position = interactions.position.isnull().any().over(user)
    lines = interactions.mutate(
        moment=(lacks_time & ~lacks_position).ifelse(
            interactions.position, ibis.coalesce(interactions.timestamp, interactions.position)
        )
    )
    first_moment = lines.moment.min().over(group_by=["user_id", "order_id"])
    lines = lines.mutate(ordered_at=lines.order_id.isnull().ifelse(lines.moment, first_moment))
    number = ibis.dense_rank().over(group_by="user_id", order_by=["ordered_at", "order_id"])
    # Cast to int32 first: Ibis drops a cast to the type that it assumes, but Spark counts in int32.
    lines = lines.mutate(order_number=(number + 1).cast("int32").cast("int64"))
    first_number = lines.order_number.min().over(group_by=["user_id", "item_id"])
    return lines.mutate(is_repeat=lines.order_number > first_number).drop("moment")


def sort_interactions(interactions: ir.Table, item_index: ir.Table) -> ir.Table:
    """Sort the interactions of each user by order, and the interactions of an order by position.

    The remaining ties have no order among themselves. They are sorted by file name, then by row
    number, so that the result is the same on every backend. They are never sorted by item id.

    Args:
        interactions: ``user_id, item_id, timestamp, position, order_id, is_guest, source_file,
            source_order``.
        item_index: ``item_id, item_index``.

    Returns:
        ``user_id, position`` (int64, from 1 within a user), ``item_id, item_index`` (int32),
        ``timestamp`` (int64, UTC milliseconds, null if unknown; the lines of an order have the
        earliest known time of the order, so that times ascend), ``is_guest`` (bool),
        ``order_number`` and ``tie_number`` (int64, from 1 within a user). Interactions with the
        same ``tie_number`` have no order among themselves.
    """
    lines = number_orders(interactions)
    # One order_id may have several dates, such as those of partial deliveries.
    first_time = lines.timestamp.min().over(group_by=["user_id", "order_id"])
    timestamp = lines.order_id.isnull().ifelse(lines.timestamp, first_time)
    known = ["order_number", "position"]
    number = ibis.row_number().over(
        group_by="user_id", order_by=[*known, "source_file", "source_order"]
    )
    tie_number = ibis.dense_rank().over(group_by="user_id", order_by=known)
    # Cast to int32 first: Ibis assumes that the number is an int64 and drops a cast to int64, but
    # Spark counts in int32.
    numbered = lines.select(
        "user_id",
        "item_id",
        "is_guest",
        "order_number",
        timestamp=timestamp,
        position=(number + 1).cast("int32").cast("int64"),
        tie_number=(tie_number + 1).cast("int32").cast("int64"),
    )
    joined = numbered.join(item_index, "item_id")
    return joined.select(
        "user_id",
        "position",
        "item_id",
        "item_index",
        "timestamp",
        "is_guest",
        "order_number",
        "tie_number",
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
        sequences: output of :func:`sort_interactions`.

    Returns:
        ``item_index, timestamp, order_number`` and ``tie_number``. User ids would take most of the
        memory, so that they are not returned. :func:`list_users` returns the users in the same
        order.
    """
    ordered = sequences.order_by("user_id", "position")
    return ordered.select("item_index", "timestamp", "order_number", "tie_number")


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
