"""Nodes of the ingestion pipeline."""

import time

import ibis.expr.types as ir

from bazar import ingest
from bazar.options import IngestionOptions


def ingest_interactions(
    raw_interactions: ir.Table, options: IngestionOptions
) -> tuple[ir.Table, ir.Table, ir.Table]:
    """Type the purchases.

    Returns:
        The accepted purchases, the rejects, and the counts of rows.
    """
    now_ms = int(time.time() * 1000)
    return _sort_out(
        ingest.type_interactions(raw_interactions, options.interactions, now_ms), options
    )


def ingest_products(
    raw_products: ir.Table, options: IngestionOptions
) -> tuple[ir.Table, ir.Table, ir.Table]:
    """Type the products.

    Returns:
        The accepted products, the rejects, and the counts of rows.
    """
    return _sort_out(ingest.type_products(raw_products), options)


def collect_rejects(interaction_rejects: ir.Table, product_rejects: ir.Table) -> ir.Table:
    """Put the rejects of all files into one table."""
    return interaction_rejects.union(product_rejects).order_by("source_file", "reason")


def collect_counts(interaction_counts: ir.Table, product_counts: ir.Table) -> ir.Table:
    """Put the counts of rows of all files into one table."""
    return interaction_counts.union(product_counts).order_by("source_file")


def _sort_out(typed: ir.Table, options: IngestionOptions) -> tuple[ir.Table, ir.Table, ir.Table]:
    rows = ingest.read_once(typed)
    return (
        ingest.accept(rows, options.max_reject_share),
        ingest.collect_rejects(rows),
        ingest.count_rows(rows),
    )
