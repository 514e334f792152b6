"""Titles onto purchases, and what can be used of them, as Ibis expressions."""

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from bazar.config.data import KeepUsers
from bazar.errors import InputError

UNTITLED = "without title"
UNKNOWN = "unknown product"
EXAMPLES = 20
_SAME = ["user_id", "item_id", "timestamp", "position"]
ADDED_PRODUCTS = "added by hand"
_TRUST = ["trust", "source_file", "source_order"]


def choose_titles(products: ir.Table) -> ir.Table:
    """Give every product the title of the source that is trusted most and has one.

    So with its attributes, which may be another source's. Of one source, the first counts, in order
    of its files' names and of their rows.

    Args:
        products: ``item_id, title, attributes, title_source, trust, source_file, source_order``;
            an item may stand there often.

    Returns:
        ``item_id, title, attributes, title_source``, each item once; the title is null and its
        source ``without title`` where no row has one, the attributes are null likewise.
    """
    titled = _first_rows(products, products.title.isnull(), *_TRUST)
    described = _first_rows(products.filter(products.attributes.notnull()), *_TRUST)
    titles = titled.select(
        "item_id",
        "title",
        title_source=titled.title.isnull().ifelse(UNTITLED, titled.title_source),
    )
    joined = titles.left_join(described.select("item_id", "attributes"), "item_id")
    return joined.select("item_id", "title", "attributes", "title_source")


def append_added_products(titles: ir.Table, added: pa.Table) -> ir.Table:
    """Give products that the raw files have no title of the one that they were added with.

    Args:
        titles: what :func:`choose_titles` gave.
        added: columns of :data:`bazar.products.ADDED_PRODUCTS`, each item once.

    Returns:
        The columns of ``titles``, each item once.
    """
    if added.num_rows == 0:
        return titles
    told = (
        ibis.memtable(added)
        .mutate(title_source=ibis.literal(ADDED_PRODUCTS))
        .select(*titles.columns)
    )
    titled = titles.filter(titles.title.notnull())
    untitled = titles.filter(titles.title.isnull()).anti_join(told, "item_id")
    return ibis.union(titled, told.anti_join(titled, "item_id"), untitled)


def drop_titled_products(added: pa.Table, products: ir.Table) -> pa.Table:
    """Leave those of some products that the raw files have no title of.

    Args:
        added: columns of :data:`bazar.products.ADDED_PRODUCTS`, each item once.
        products: the catalogue: ``item_id, title_source``, as :func:`list_products` gave it.

    Returns:
        Rows of ``added``.
    """
    own = products.filter(products.title_source.notin([UNTITLED, UNKNOWN, ADDED_PRODUCTS]))
    named = ibis.memtable(added.select(["item_id"]))
    titled = own.semi_join(named, "item_id").select("item_id").to_pyarrow()["item_id"]
    return added.filter(pc.invert(pc.is_in(added["item_id"], titled.cast(pa.string()))))


def drop_duplicates(interactions: ir.Table) -> ir.Table:
    """Keep the first of rows with the same user, item and time (or position without a clock).

    Args:
        interactions: ``user_id, item_id, timestamp, position, source_file, source_order`` and
            others.
    """
    place = ibis.row_number().over(
        group_by=_SAME, order_by=[interactions.source_file, interactions.source_order]
    )
    numbered = interactions.mutate(place=place)
    return numbered.filter(numbered.place == 0).drop("place")


def keep_titled(interactions: ir.Table, keep_users: KeepUsers) -> ir.Table:
    """Leave out purchases without a title, or the users who made one.

    Args:
        interactions: ``user_id, title_source`` and others.
        keep_users: see :class:`bazar.options.JoiningOptions`.
    """
    if keep_users == "all":
        return interactions
    has_title = interactions.title_source.notin([UNTITLED, UNKNOWN])
    if keep_users == "any":
        return interactions.filter(has_title)
    untitled = interactions.filter(~has_title).select("user_id").distinct()
    return interactions.anti_join(untitled, "user_id")


def drop_short_histories(interactions: ir.Table, min_interactions: int) -> ir.Table:
    """Leave out users with fewer interactions than ``min_interactions``."""
    counted = interactions.group_by("user_id").aggregate(n_interactions=interactions.count())
    return interactions.semi_join(
        counted.filter(counted.n_interactions >= min_interactions), "user_id"
    )


def name_title_sources(interactions: ir.Table, titles: ir.Table) -> ir.Table:
    """Say of each purchase where its product's title comes from.

    Args:
        interactions: ``item_id`` and others.
        titles: what :func:`choose_titles` gave.

    Returns:
        ``interactions`` with ``title_source``: a source's name, or ``without title`` or
        ``unknown product`` where there is no title.
    """
    joined = interactions.left_join(titles.select("item_id", "title_source"), "item_id")
    return joined.select(*interactions.columns, title_source=joined.title_source.fill_null(UNKNOWN))


def join_titles(interactions: ir.Table, titles: ir.Table) -> ir.Table:
    """Put the title onto each purchase; it stays, without one, if there is none.

    Rows are put in order, so that the same input gives the same file.

    Returns:
        ``user_id, item_id, timestamp, position, source_file, source_order, rating, title,
        title_source``.
    """
    joined = interactions.left_join(titles.select("item_id", "title"), "item_id")
    return joined.select(
        "user_id",
        "item_id",
        "timestamp",
        "position",
        "source_file",
        "source_order",
        "rating",
        "title",
        "title_source",
    ).order_by("user_id", "timestamp", "position", "source_file", "source_order")


def list_products(interactions: ir.Table, titles: ir.Table, keep_unsold: bool) -> ir.Table:
    """List the catalogue: what was bought and, if ``keep_unsold``, what has a title.

    Args:
        interactions: ``item_id, title_source`` and others.
        titles: what :func:`choose_titles` gave.
        keep_unsold: whether titled products that nobody has bought are part of it.

    Returns:
        ``item_id, title, attributes, title_source``, each item once, in order of ``item_id``.
    """
    bought = interactions.select("item_id", "title_source").distinct()
    known = titles.select("item_id", "title", "attributes")
    listed = bought.left_join(known, "item_id").select(
        "item_id", "title", "attributes", "title_source"
    )
    if keep_unsold:
        unsold = titles.filter(titles.title.notnull()).anti_join(bought, "item_id")
        listed = listed.union(unsold.select(*listed.columns))
    return listed.order_by("item_id")


def cover(interactions: ir.Table, products: ir.Table) -> ir.Table:
    """Count products and purchases by the source of their title.

    Args:
        interactions: ``item_id, title_source`` and others, before any was left out for want of a
            title.
        products: ``item_id, title_source`` of the catalogue; what was bought and is not in it is
            counted, too.

    Returns:
        ``title_source`` (a source's name, ``without title`` or ``unknown product``), ``products``,
        ``interactions`` (int64) and ``examples`` (array of string): up to 20 ids of products, the
        most bought first.
    """
    bought = interactions.group_by("item_id", "title_source").aggregate(
        interactions=interactions.count()
    )
    unsold = products.anti_join(bought, "item_id").select(
        "item_id", "title_source", interactions=ibis.literal(0, "int64")
    )
    counted = bought.union(unsold)
    place = ibis.row_number().over(
        group_by="title_source", order_by=[counted.interactions.desc(), counted.item_id]
    )
    first = counted.mutate(place=place)
    first = first.filter(first.place < EXAMPLES).order_by("title_source", "place")
    examples: dict[str, list[str]] = {}
    for row in first.select("title_source", "item_id").to_pyarrow().to_pylist():
        examples.setdefault(row["title_source"], []).append(row["item_id"])
    sums = counted.group_by("title_source").aggregate(
        products=counted.count(), interactions=counted.interactions.sum()
    )
    rows = [
        {**row, "examples": examples[row["title_source"]]}
        for row in sums.order_by(ibis.desc("products"), "title_source").to_pyarrow().to_pylist()
    ]
    return ibis.memtable(
        rows,
        schema={
            "title_source": "string",
            "products": "int64",
            "interactions": "int64",
            "examples": "array<string>",
        },
    )


def count_steps(steps: dict[str, ir.Table], min_interactions: int) -> ir.Table:
    """Count interactions and users after each step.

    Args:
        steps: the interactions that are left, by what was done.
        min_interactions: of a user, for the message.

    Returns:
        ``step, interactions, users`` in the order of the steps.

    Raises:
        InputError: if nothing is left.
    """
    rows = []
    for step, table in steps.items():
        counts = table.aggregate(interactions=table.count(), users=table.user_id.nunique())
        rows.append({"step": step, **counts.to_pyarrow().to_pylist()[0]})
    if rows[-1]["interactions"] == 0:
        told = "\n".join(
            f"  {row['step']}: {row['interactions']} interactions of {row['users']} users"
            for row in rows
        )
        raise InputError(
            f"no user with {min_interactions} interactions or more is left:\n{told}\n"
            "Is interactions.<source>.columns.user_id in globals.yml the column of the customer? "
            "See joining.min_interactions and joining.keep_users"
        )
    return ibis.memtable(rows, schema={"step": "string", "interactions": "int64", "users": "int64"})


def _first_rows(products: ir.Table, *order: ir.Value | str) -> ir.Table:
    """The first row of each item."""
    place = ibis.row_number().over(group_by=products.item_id, order_by=order)
    numbered = products.mutate(place=place)
    return numbered.filter(numbered.place == 0)
