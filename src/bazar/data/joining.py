"""Join titles and interactions, with Ibis expressions."""

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from bazar.config.data import KeepUsers, TitleChoice
from bazar.errors import InputError
from bazar.ingestion.variants import make_variant_keys

UNTITLED = "without title"
UNKNOWN = "unknown product"
ADDED_BY_HAND = "added by hand"
MAX_EXAMPLES = 20
_DUPLICATE_KEY = ["user_id", "item_id", "order_id", "timestamp", "position"]


def choose_titles(products: ir.Table, title_choice: TitleChoice) -> ir.Table:
    """Choose the title of each product from the most trusted source that has one.

    A source may have several titles for a product. Attributes are chosen in the same way, possibly
    from another source.

    Args:
        products: ``item_id, title, attributes, title_source, trust, source_file, source_order``;
            an item may have several rows.
        title_choice: ``most_frequent`` (of equally frequent titles, the one that comes first),
            ``latest`` (of the last row) or ``first``. Rows are sorted by file name and row number.

    Returns:
        ``item_id, title, attributes, title_source``, each item once. If no row has a title, the
        title is null and the source is ``without title``. If no row has attributes, they are null.
    """
    titled = _choose_rows(products, "title", title_choice)
    described = _choose_rows(
        products.filter(products.attributes.notnull()), "attributes", title_choice
    )
    titles = titled.select(
        "item_id",
        "title",
        title_source=titled.title.isnull().ifelse(UNTITLED, titled.title_source),
    )
    joined = titles.left_join(described.select("item_id", "attributes"), "item_id")
    return joined.select("item_id", "title", "attributes", "title_source")


def append_added_products(titles: ir.Table, added: pa.Table) -> ir.Table:
    """Append products that were added by hand, unless the raw files have a title for them.

    Args:
        titles: output of :func:`choose_titles`.
        added: columns of :data:`bazar.data.catalogue.ADDED_PRODUCTS_SCHEMA`, each item once.

    Returns:
        The columns of ``titles``, each item once.
    """
    if added.num_rows == 0:
        return titles
    added_titles = (
        ibis.memtable(added)
        .mutate(title_source=ibis.literal(ADDED_BY_HAND))
        .select(*titles.columns)
    )
    titled = titles.filter(titles.title.notnull())
    untitled = titles.filter(titles.title.isnull()).anti_join(added_titles, "item_id")
    return ibis.union(titled, added_titles.anti_join(titled, "item_id"), untitled)


def drop_titled_products(added: pa.Table, products: ir.Table) -> pa.Table:
    """Drop added products for which the raw files have a title.

    Args:
        added: columns of :data:`bazar.data.catalogue.ADDED_PRODUCTS_SCHEMA`, each item once.
        products: the catalogue, ``item_id, title_source``, output of :func:`list_products`.

    Returns:
        The remaining rows of ``added``.
    """
    in_files = products.filter(products.title_source.notin([UNTITLED, UNKNOWN, ADDED_BY_HAND]))
    added_ids = ibis.memtable(added.select(["item_id"]))
    titled = in_files.semi_join(added_ids, "item_id").select("item_id").to_pyarrow()["item_id"]
    return added.filter(pc.invert(pc.is_in(added["item_id"], titled.cast(pa.string()))))


def drop_duplicates(interactions: ir.Table) -> ir.Table:
    """Keep the first row of each user, item, order, timestamp and position.

    Args:
        interactions: ``user_id, item_id, order_id, timestamp, position, source_file,
            source_order`` and other columns.
    """
    occurrence = ibis.row_number().over(
        group_by=_DUPLICATE_KEY, order_by=[interactions.source_file, interactions.source_order]
    )
    numbered = interactions.mutate(occurrence=occurrence)
    return numbered.filter(numbered.occurrence == 0).drop("occurrence")


def keep_titled_interactions(interactions: ir.Table, keep_users: KeepUsers) -> ir.Table:
    """Drop interactions without a title, or the users who have such an interaction.

    Args:
        interactions: ``user_id, title_source`` and other columns.
        keep_users: see :class:`bazar.config.data.JoiningOptions`.
    """
    if keep_users == "all":
        return interactions
    has_title = interactions.title_source.notin([UNTITLED, UNKNOWN])
    if keep_users == "any":
        return interactions.filter(has_title)
    untitled = interactions.filter(~has_title).select("user_id").distinct()
    return interactions.anti_join(untitled, "user_id")


def drop_users_with_few_interactions(interactions: ir.Table, min_interactions: int) -> ir.Table:
    """Drop users with fewer than ``min_interactions`` interactions."""
    counted = interactions.group_by("user_id").aggregate(n_interactions=interactions.count())
    return interactions.semi_join(
        counted.filter(counted.n_interactions >= min_interactions), "user_id"
    )


def add_title_sources(interactions: ir.Table, titles: ir.Table) -> ir.Table:
    """Add the source of the title to each interaction.

    Args:
        interactions: ``item_id`` and other columns.
        titles: output of :func:`choose_titles`.

    Returns:
        ``interactions`` with ``title_source``: the name of a source, ``without title``, or
        ``unknown product`` for a product that no source lists.
    """
    joined = interactions.left_join(titles.select("item_id", "title_source"), "item_id")
    return joined.select(*interactions.columns, title_source=joined.title_source.fill_null(UNKNOWN))


def join_titles(interactions: ir.Table, titles: ir.Table) -> ir.Table:
    """Add the title to each interaction, or null if there is none.

    Rows are sorted, so that the same input gives the same file.

    Returns:
        The columns of ``interactions``, with ``title`` before ``title_source``.
    """
    joined = interactions.left_join(titles.select("item_id", "title"), "item_id")
    columns = [name for name in interactions.columns if name != "title_source"]
    return joined.select(*columns, "title", "title_source").order_by(
        "user_id", "timestamp", "position", "source_file", "source_order"
    )


def list_products(interactions: ir.Table, titles: ir.Table, keep_unsold: bool) -> ir.Table:
    """List the catalogue: all products with interactions and, optionally, unsold products.

    Args:
        interactions: ``item_id, title_source`` and other columns.
        titles: output of :func:`choose_titles`.
        keep_unsold: whether to include products with a title and without interactions.

    Returns:
        ``item_id, title, attributes, title_source, variant_group``, each item once, in order of
        ``item_id``. See :func:`add_variant_groups`.
    """
    bought = interactions.select("item_id", "title_source").distinct()
    known = titles.select("item_id", "title", "attributes")
    listed = bought.left_join(known, "item_id").select(
        "item_id", "title", "attributes", "title_source"
    )
    if keep_unsold:
        unsold = titles.filter(titles.title.notnull()).anti_join(bought, "item_id")
        listed = listed.union(unsold.select(*listed.columns))
    return add_variant_groups(listed).order_by("item_id")


def add_variant_groups(products: ir.Table) -> ir.Table:
    """Add the group of variants, such as the sizes and colours of one product, to each product.

    Products are variants of each other if their titles have the same key (see
    :func:`~bazar.ingestion.variants.make_variant_key`) and their attributes are equal, or none of
    them has attributes.

    Args:
        products: ``item_id, title, attributes`` and other columns, each item once.

    Returns:
        ``products`` with ``variant_group`` (string): the smallest ``item_id`` of the group. A
        product without variants has its own; a product without a title has null.
    """
    keyed = products.mutate(variant_key=make_variant_keys(products.title).nullif(""))
    same = ibis.window(group_by=["variant_key", "attributes"])
    group = keyed.variant_key.notnull().ifelse(keyed.item_id.min().over(same), keyed.item_id)
    return keyed.mutate(
        variant_group=keyed.title.notnull().ifelse(group, ibis.null("string"))
    ).drop("variant_key")


def count_title_coverage(interactions: ir.Table, products: ir.Table) -> ir.Table:
    """Count products and interactions by the source of their title.

    Args:
        interactions: ``item_id, title_source`` and other columns, before
            :func:`keep_titled_interactions`.
        products: ``item_id, title_source`` of the catalogue. Products with interactions that are
            not in the catalogue are counted as well.

    Returns:
        ``title_source`` (the name of a source, ``without title`` or ``unknown product``),
        ``products``, ``interactions`` (int64) and ``examples`` (array of string): up to 20 product
        ids, those with the most interactions first.
    """
    bought = interactions.group_by("item_id", "title_source").aggregate(
        interactions=interactions.count()
    )
    unsold = products.anti_join(bought, "item_id").select(
        "item_id", "title_source", interactions=ibis.literal(0, "int64")
    )
    counted = bought.union(unsold)
    number = ibis.row_number().over(
        group_by="title_source", order_by=[counted.interactions.desc(), counted.item_id]
    )
    first = counted.mutate(number=number)
    first = first.filter(first.number < MAX_EXAMPLES).order_by("title_source", "number")
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


def count_interactions_per_step(steps: dict[str, ir.Table], min_interactions: int) -> ir.Table:
    """Count the interactions and users that remain after each step.

    Args:
        steps: the interactions after each step, by the name of the step.
        min_interactions: minimum number of interactions of a user, for the message.

    Returns:
        ``step, interactions, users`` in the order of the steps.

    Raises:
        InputError: if no interactions remain.
    """
    rows = []
    for step, table in steps.items():
        counts = table.aggregate(interactions=table.count(), users=table.user_id.nunique())
        rows.append({"step": step, **counts.to_pyarrow().to_pylist()[0]})
    if rows and rows[0]["interactions"] == 0:
        raise InputError(
            "The files have no purchase: all accepted rows are events of other types, such as "
            "views.\nSet interactions.<source>.events in globals.yml to the values of event_type "
            "that are purchases."
        )
    if rows[-1]["interactions"] == 0:
        table_of_steps = "\n".join(
            f"  {row['step']}: {row['interactions']} interactions of {row['users']} users"
            for row in rows
        )
        raise InputError(
            f"No user with at least {min_interactions} interactions is left:\n{table_of_steps}\n"
            "Check that interactions.<source>.columns.user_id in globals.yml is the column with "
            "the customer ids. See also joining.min_interactions and joining.keep_users."
        )
    return ibis.memtable(rows, schema={"step": "string", "interactions": "int64", "users": "int64"})


def _choose_rows(products: ir.Table, column: str, choice: TitleChoice) -> ir.Table:
    """Return one row of each item: the chosen one of the most trusted source with a value."""
    rows = [products.source_file, products.source_order]
    if choice == "latest":
        rows = [ibis.desc(row) for row in rows]
    elif choice == "most_frequent":
        same = ibis.window(group_by=["item_id", "trust", column])
        products = products.mutate(frequency=products.count().over(same))
        rows = [products.frequency.desc(), products.source_file, products.source_order]
    order = [products[column].isnull(), products.trust, *rows]
    numbered = products.mutate(number=ibis.row_number().over(group_by="item_id", order_by=order))
    return numbered.filter(numbered.number == 0)
