"""Nodes of the sequencing pipeline."""

import logging
import time
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import ibis.expr.types as ir
import pyarrow as pa
from pydantic import BaseModel

from bazar.config.data import IngestionOptions, Protocol, SequencingOptions, Split
from bazar.config.recommendation import RecommendationOptions
from bazar.data import ordering, splits
from bazar.data.item_index import count_dataset
from bazar.data.order_statistics import count_catalogue, count_orders
from bazar.data.protocols import (
    check_equal_days,
    choose_filter_mode,
    choose_protocol,
    count_new_days,
    count_targets,
)
from bazar.data.sequences import Sequences, read_sequences
from bazar.data.splits import Splits
from bazar.data.suspicious import (
    find_suspicious_items,
    find_suspicious_titles,
    find_unreadable_titles,
)
from bazar.labels import describe_split
from bazar.reporting.data_checks import DataSettings, list_checks
from bazar.reporting.data_requirements import list_requirements
from bazar.reporting.data_summary import (
    DataFacts,
    DataSummary,
    FileCounts,
    IdForms,
    RemovedRows,
    SuspiciousItem,
    TitleSource,
    list_steps,
)

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)


def index_items(products: ir.Table) -> ir.Table:
    """Assign an item index to each product; 0 is padding."""
    return ordering.index_items(products)


def order_sequences(interactions: ir.Table, item_index: ir.Table) -> ir.Table:
    """Sort the interactions of each user by time."""
    return ordering.sort_interactions(interactions, item_index)


def split_sequences(
    sequences: ir.Table, item_index: ir.Table, split: Split, options: SequencingOptions
) -> Splits:
    """Split the sequences into training, validation and test rows.

    Returns:
        The rows of each part, the item counts of the training part, and a summary with the sizes
        of the data set and of the parts.
    """
    # Read each result completely before the next query, which would close it.
    sizes = count_dataset(sequences, item_index)
    windows = ordering.count_windows(sequences).to_pyarrow().to_pylist()
    users = ordering.list_users(sequences).to_pyarrow()
    items = ordering.list_items(sequences).to_pyarrow_batches()
    in_memory = read_sequences(users, items, options.seed, options.shuffle_equal_days)
    protocol, reason = choose_protocol(split, in_memory)
    if options.shuffle_equal_days:
        predicts_orders = protocol == "next_order"
        check_equal_days("sequencing.shuffle_equal_days", predicts_orders, in_memory)
    if reason:
        logger.info("split=auto chooses %s: %s", protocol, reason)
    parts, facts = _split(protocol, options, in_memory, sizes["n_items"])
    summary = {
        "protocol": protocol,
        "split": split,
        "split_reason": reason,
        **sizes,
        "history_length": parts.test.history_length,
        "training_rows": len(parts.train),
        "validation_rows": len(parts.validation),
        "test_rows": len(parts.test),
        **count_targets(parts),
        "filter_mode": choose_filter_mode(parts.validation),
        **facts,
        "windows": windows,
    }
    logger.info(
        "%s: %d training, %d validation, %d test rows",
        protocol,
        len(parts.train),
        len(parts.validation),
        len(parts.test),
    )
    logger.info(describe_split(summary))
    return replace(parts, summary=summary)


def summarize_data(
    interactions: ir.Table,
    products: ir.Table,
    ingested_tables: dict[str, ir.Table],
    joining_summary: dict[str, ir.Table],
    splits: Splits,
    dataset: str,
    ingestion: IngestionOptions,
    recommendation: RecommendationOptions,
) -> DataSummary:
    """Summarize the data: what was removed, what to change, and whether there is enough data."""
    files = _read_models(ingested_tables["counts"].to_pyarrow(), FileCounts)
    removed = _read_models(ingested_tables["rejects"].to_pyarrow(), RemovedRows)
    steps, is_one_run = list_steps(
        files,
        removed,
        joining_summary["counts"].to_pyarrow().to_pylist(),
        any(source.events != "purchase" for source in ingestion.interactions.values()),
    )
    summary = splits.summary
    test_from = summary.get("test_from")
    facts = DataFacts(
        dataset=dataset,
        protocol=summary["protocol"],
        test_rows=summary["test_rows"],
        orders=count_orders(
            interactions,
            now_ms=int(time.time() * 1000),
            test_from=None if test_from is None else _to_milliseconds(test_from),
        ),
        catalogue=count_catalogue(products),
        files=files,
        removed=removed,
        steps=steps,
        is_one_run=is_one_run,
        title_sources=_read_models(joining_summary["title_coverage"].to_pyarrow(), TitleSource),
        id_forms=_read_models(ingested_tables["id_forms"].to_pyarrow(), IdForms),
        suspicious_items=_read_models(
            find_suspicious_items(interactions, products), SuspiciousItem
        ),
        suspicious_titles=_read_models(
            find_suspicious_titles(interactions, products), SuspiciousItem
        ),
        unreadable_titles=find_unreadable_titles(products)["title"].to_pylist(),
    )
    filter_seen = recommendation.resolve_filter_seen(splits.filter_seen)
    settings = DataSettings(ingestion.interactions, filter_seen)
    return DataSummary(
        facts=facts, requirements=list_requirements(facts), checks=list_checks(facts, settings)
    )


def _to_milliseconds(iso_time: str) -> int:
    """Convert a time in ISO 8601 to UTC milliseconds."""
    return round(datetime.fromisoformat(iso_time).timestamp() * 1000)


def _read_models(table: pa.Table, model: type[M]) -> list[M]:
    """Return the rows of a small table as models. Columns that the model lacks are ignored."""
    return [model.model_validate(row) for row in table.to_pylist()]


def _split(
    protocol: Protocol, options: SequencingOptions, sequences: Sequences, n_items: int
) -> tuple[Splits, dict[str, Any]]:
    """Return the parts of a split, and its start times or its numbers of days or cold items."""
    length, recent = options.history_length, options.recent_share
    if protocol == "next_order":
        return splits.split_next_order(sequences, n_items, length, recent), {}
    # The other protocols predict one interaction at a time.
    sequences = replace(sequences, orders=None)
    if protocol == "leave_one_out":
        parts = splits.split_leave_one_out(sequences, n_items, length, recent)
        return parts, count_new_days(parts.test)
    if protocol == "temporal":
        times = splits.require_timestamps(sequences)
        cuts = splits.find_cut_times(
            times, options.temporal.validation_from, options.temporal.test_from
        )
        parts = splits.split_temporal(sequences, n_items, length, *cuts, recent)
        validation_from, test_from = map(splits.format_time, cuts)
        return parts, {"validation_from": validation_from, "test_from": test_from}
    if protocol == "cold_items":
        cold = splits.sample_cold_items(sequences, options.cold_share, options.seed)
        parts = splits.split_cold_items(sequences, n_items, length, cold, recent)
        return parts, {"cold_items": len(cold)}
    parts = splits.split_shuffled_windows(
        sequences,
        n_items,
        options.window_length,
        options.test_share,
        options.validation_share,
        options.seed,
        recent,
    )
    return parts, {}
