"""Nodes of the joining pipeline."""

import ibis.expr.types as ir

from bazar import join
from bazar.options import JoiningOptions


def select_interactions(
    accepted_interactions: ir.Table, accepted_products: ir.Table, options: JoiningOptions
) -> tuple[ir.Table, ir.Table]:
    """Drop duplicates and short users, and put the titles onto the purchases.

    Returns:
        The interactions, and how many are left after each step.
    """
    distinct = join.drop_duplicates(accepted_interactions)
    kept = join.drop_short(distinct, options.min_interactions)
    counts = join.count_steps(accepted_interactions, distinct, kept, options.min_interactions)
    return join.join_titles(kept, join.first_titles(accepted_products)), counts


def list_products(
    interactions: ir.Table, accepted_products: ir.Table, options: JoiningOptions
) -> ir.Table:
    """List the catalogue with its titles."""
    titles = join.first_titles(accepted_products)
    return join.list_products(interactions, titles, options.keep_unsold_products)


def cover_titles(interactions: ir.Table, products: ir.Table) -> ir.Table:
    """Count products and purchases by the source of their title."""
    return join.cover(interactions, products)
