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
) -> tuple[ir.Table, ir.Table, dict[str, ir.Table]]:
    """Convert raw interactions and products to typed rows, and reject invalid rows.

    One node reads both, so that an error in either keeps both tables of the earlier run.

    Returns:
        The accepted interactions; the accepted products; and the summary: ``rejects`` by file and
        reason, and ``counts`` of rows by file.
    """
    interactions = _type_interactions(raw_interactions, options)
    products = _type_products(raw_products, options)
    rejects = _union(
        ingest.collect_rejects(interactions),
        ingest.collect_rejects(products),
        "source_file",
        "reason",
    )
    counts = _union(ingest.count_rows(interactions), ingest.count_rows(products), "source_file")
    return (
        ingest.select_accepted(interactions, options.max_reject_share),
        ingest.select_accepted(products, options.max_reject_share),
        {"rejects": rejects, "counts": counts},
    )


def _type_interactions(raw: dict[str, ir.Table], options: IngestionOptions) -> ir.Table:
    now_ms = int(time.time() * 1000)
    sources = {name: options.interactions[name] for name in raw}
    ingest.check_timestamps_in_all_sources(sources)
    typed = []
    for name, source in sources.items():
        rows = ingest.cache_table(ingest.type_interactions(raw[name], source, now_ms))
        typed.append(ingest.convert_time_units(rows, source, now_ms))
    return ibis.union(*typed)


def _type_products(raw: dict[str, ir.Table], options: IngestionOptions) -> ir.Table:
    # The sources are listed in order of trust. Optional sources may be missing.
    return ibis.union(
        *(
            ingest.cache_table(ingest.type_products(raw[name], source, name, trust))
            for trust, (name, source) in enumerate(options.products.items())
            if name in raw
        )
    )


def _union(interactions: ir.Table, products: ir.Table, *order: str) -> ir.Table:
    """Union two tables. The column ``read_as`` is added, because a file may be read as both."""
    named = [
        table.select(ibis.literal(name).name("read_as"), *table.columns)
        for name, table in (("interactions", interactions), ("products", products))
    ]
    return ibis.union(*named).order_by("read_as", *order)
