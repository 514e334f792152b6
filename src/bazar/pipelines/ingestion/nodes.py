"""Nodes of the ingestion pipeline."""

import time

import ibis
import ibis.expr.types as ir

from bazar.config.data import IngestionOptions
from bazar.ingestion import typing_rules as ingest


def ingest_raw_files(
    raw_interactions: dict[str, ir.Table],
    raw_products: dict[str, ir.Table],
    options: IngestionOptions,
) -> tuple[ir.Table, ir.Table, ir.Table, ir.Table]:
    """Type the purchases and the products, and sort out what cannot be used.

    One node for both: if either cannot be used, what an earlier run wrote stays as it is.

    Returns:
        The accepted purchases, the accepted products, the rejects, and the counts of rows.
    """
    interactions = _type_interactions(raw_interactions, options)
    products = _type_products(raw_products, options)
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


def _type_interactions(raw: dict[str, ir.Table], options: IngestionOptions) -> ir.Table:
    now_ms = int(time.time() * 1000)
    sources = {name: options.interactions[name] for name in raw}
    ingest.check_one_clock(sources)
    typed = []
    for name, source in sources.items():
        rows = ingest.cache_table(ingest.type_interactions(raw[name], source, now_ms))
        typed.append(ingest.convert_time_units(rows, source, now_ms))
    return ibis.union(*typed)


def _type_products(raw: dict[str, ir.Table], options: IngestionOptions) -> ir.Table:
    # The order of trust is that of the settings, of which optional sources may be missing.
    return ibis.union(
        *(
            ingest.cache_table(ingest.type_products(raw[name], source, name, trust))
            for trust, (name, source) in enumerate(options.products.items())
            if name in raw
        )
    )


def _both(of_interactions: ir.Table, get_product_vectors: ir.Table, *order: str) -> ir.Table:
    """One table of two, saying what a file was read as: one file may hold both."""
    named = [
        table.select(ibis.literal(name).name("read_as"), *table.columns)
        for name, table in (("interactions", of_interactions), ("products", get_product_vectors))
    ]
    return ibis.union(*named).order_by("read_as", *order)
