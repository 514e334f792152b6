"""Nodes of the ingestion pipeline."""

import time

import ibis
import ibis.expr.types as ir

from bazar import ingest
from bazar.options import IngestionOptions


def ingest_raw_files(
    raw_interactions: ir.Table, raw_products: ir.Table, options: IngestionOptions
) -> tuple[ir.Table, ir.Table, ir.Table, ir.Table]:
    """Type the purchases and the products, and sort out what cannot be used.

    One node for both: if either cannot be used, what an earlier run wrote stays as it is.

    Returns:
        The accepted purchases, the accepted products, the rejects, and the counts of rows.
    """
    now_ms = int(time.time() * 1000)
    interactions = ingest.read_once(
        ingest.type_interactions(raw_interactions, options.interactions, now_ms)
    )
    products = ingest.read_once(ingest.type_products(raw_products))
    return (
        ingest.accept(interactions, options.max_reject_share),
        ingest.accept(products, options.max_reject_share),
        _both(
            ingest.collect_rejects(interactions),
            ingest.collect_rejects(products),
            "source_file",
            "reason",
        ),
        _both(ingest.count_rows(interactions), ingest.count_rows(products), "source_file"),
    )


def _both(of_interactions: ir.Table, of_products: ir.Table, *order: str) -> ir.Table:
    """One table of two, saying what a file was read as: one file may hold both."""
    named = [
        table.select(ibis.literal(name).name("read_as"), *table.columns)
        for name, table in (("interactions", of_interactions), ("products", of_products))
    ]
    return ibis.union(*named).order_by("read_as", *order)
