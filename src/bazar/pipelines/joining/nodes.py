"""Nodes of the joining pipeline."""

import ibis.expr.types as ir
import pyarrow as pa

from bazar.config.data import JoiningOptions
from bazar.data import joining as join
from bazar.ingestion.cache import cache_table


def join_titles(
    ingested_tables: dict[str, ir.Table],
    added_products: pa.Table,
    options: JoiningOptions,
) -> tuple[ir.Table, ir.Table, dict[str, ir.Table]]:
    """Join titles onto the interactions, and filter users, interactions and products.

    Returns:
        The interactions with their titles; the catalogue; and the summary: ``counts`` of the
        interactions after each step, and ``title_coverage``, the numbers of products and
        interactions by the source of their title.
    """
    accepted = ingested_tables["interactions"]
    chosen = join.choose_titles(ingested_tables["products"], options.title_choice)
    titles = cache_table(join.append_added_products(chosen, added_products))
    distinct = join.drop_duplicates(accepted)
    sourced = cache_table(join.add_title_sources(distinct, titles))
    titled = join.keep_titled_interactions(sourced, options.keep_users)
    kept = join.drop_users_with_few_interactions(titled, options.min_interactions)
    products = join.list_products(kept, titles, options.keep_unsold_products)
    steps = {"accepted": accepted, "without duplicates": sourced}
    if options.keep_users != "all":
        steps[f"titled, keep_users: {options.keep_users}"] = titled
    steps[f"users with at least {options.min_interactions} interactions"] = kept
    return (
        join.join_titles(kept, titles),
        products,
        {
            "counts": join.count_interactions_per_step(steps, options.min_interactions),
            "title_coverage": join.count_title_coverage(sourced, products),
        },
    )
