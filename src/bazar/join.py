"""Titles onto purchases, and what can be used of them, as Ibis expressions."""

import ibis
import ibis.expr.types as ir

from bazar.errors import InputError

MISSING = "missing"


def first_titles(products: ir.Table) -> ir.Table:
    """Give every product its first title in the order of the source.

    Args:
        products: ``item_id, title, source_file, source_order``; an item may stand there often.

    Returns:
        ``item_id, title, title_source``, each item once; both null where no row has a title.
    """
    ranked = products.mutate(
        place=ibis.row_number().over(
            group_by=products.item_id,
            order_by=[products.title.isnull(), products.source_order],
        )
    )
    return ranked.filter(ranked.place == 0).select(
        "item_id",
        "title",
        title_source=ranked.title.isnull().ifelse(ibis.null("string"), ranked.source_file),
    )


def drop_duplicates(interactions: ir.Table) -> ir.Table:
    """Keep the first of rows with the same user, item and time (or position without a clock).

    Args:
        interactions: ``user_id, item_id, timestamp, position, source_order`` and others.
    """
    same = ["user_id", "item_id", "timestamp", "position"]
    place = ibis.row_number().over(group_by=same, order_by=interactions.source_order)
    numbered = interactions.mutate(place=place)
    return numbered.filter(numbered.place == 0).drop("place")


def drop_short(interactions: ir.Table, min_interactions: int) -> ir.Table:
    """Leave out users with fewer interactions than ``min_interactions``."""
    counted = interactions.mutate(
        n_interactions=interactions.count().over(group_by=interactions.user_id)
    )
    return counted.filter(counted.n_interactions >= min_interactions).drop("n_interactions")


def join_titles(interactions: ir.Table, titles: ir.Table) -> ir.Table:
    """Put the title onto each purchase; it stays, without one, if there is none.

    Rows are put in order, so that the same input gives the same file.

    Returns:
        ``user_id, item_id, timestamp, position, source_order, rating, title, title_source``.
    """
    joined = interactions.left_join(titles, "item_id")
    return joined.select(
        "user_id",
        "item_id",
        "timestamp",
        "position",
        "source_order",
        "rating",
        "title",
        "title_source",
    ).order_by("user_id", "timestamp", "position", "source_order")


def list_products(interactions: ir.Table, titles: ir.Table, keep_unsold: bool) -> ir.Table:
    """List the catalogue: what was bought and, if ``keep_unsold``, what has a title.

    Returns:
        ``item_id, title, title_source``, each item once, in order of ``item_id``.
    """
    bought = interactions.select("item_id", "title", "title_source").distinct()
    if not keep_unsold:
        return bought.order_by("item_id")
    unsold = titles.filter(titles.title.notnull()).anti_join(bought, "item_id")
    return bought.union(unsold).order_by("item_id")


def cover(interactions: ir.Table, products: ir.Table) -> ir.Table:
    """Count products and purchases by the source of their title.

    Returns:
        ``title_source`` (a file's name, or ``missing``), ``products`` and ``interactions``
        (int64).
    """

    def count(table: ir.Table, name: str) -> ir.Table:
        source = table.title_source.fill_null(MISSING)
        return table.group_by(title_source=source).aggregate(**{name: table.count()})

    counted = count(products, "products").left_join(
        count(interactions, "interactions"), "title_source"
    )
    return counted.select(
        "title_source", "products", interactions=counted.interactions.fill_null(0)
    ).order_by(ibis.desc("products"), "title_source")


def count_steps(
    accepted: ir.Table, distinct: ir.Table, kept: ir.Table, min_interactions: int
) -> ir.Table:
    """Count interactions and users after each step.

    Returns:
        ``step, interactions, users`` in the order of the steps.

    Raises:
        InputError: if nothing is left.
    """
    steps = {
        "accepted": accepted,
        "without duplicates": distinct,
        f"users with at least {min_interactions} interactions": kept,
    }
    rows = []
    for step, table in steps.items():
        counts = table.aggregate(interactions=table.count(), users=table.user_id.nunique())
        rows.append({"step": step, **counts.to_pyarrow().to_pylist()[0]})
    if rows[-1]["interactions"] == 0:
        raise InputError(
            f"no user has {min_interactions} interactions or more "
            f"({rows[1]['interactions']} interactions of {rows[1]['users']} users): "
            "is interactions.columns.user_id in globals.yml the column of the customer?"
        )
    return ibis.memtable(rows, schema={"step": "string", "interactions": "int64", "users": "int64"})
