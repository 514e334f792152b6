"""Nodes of the sequencing pipeline."""

import logging
from typing import Any

import ibis.expr.types as ir
import numpy as np

from bazar.config.data import SequencingOptions, Split
from bazar.data import ordering, splits
from bazar.data.sequences import Sequences, read_sequences
from bazar.data.windows import Windows
from bazar.labels import describe_split

logger = logging.getLogger(__name__)


def index_items(products: ir.Table) -> ir.Table:
    """Number the products; 0 is padding."""
    return ordering.index_items(products)


def order_sequences(interactions: ir.Table, item_index: ir.Table) -> ir.Table:
    """Put each user's interactions in chronological order."""
    return ordering.order_interactions(interactions, item_index)


def count_windows(sequences: ir.Table) -> ir.Table:
    """Count the windows that each window length gives."""
    return ordering.count_windows(sequences)


def split_sequences(
    sequences: ir.Table, item_index: ir.Table, split: Split, options: SequencingOptions
) -> tuple[Windows, Windows, Windows, np.ndarray, np.ndarray, dict[str, Any]]:
    """Make the rows to learn from, to choose by and to measure on.

    Returns:
        Training, validation and test rows; how often each item index stands in training, in all
        of it and recently; what was held out, in figures.
    """
    # One after the other: a query ends the one that its connection is still reading from.
    users = ordering.list_users(sequences).to_pyarrow()
    items = ordering.list_items(sequences).to_pyarrow_batches()
    in_memory, timestamps = read_sequences(users, items)
    n_items = int(item_index.count().to_pyarrow().as_py())
    parts, facts = _split(split, options, in_memory, timestamps, n_items)
    is_cold = parts.training_counts[parts.test.targets] == 0
    summary = {
        "protocol": split,
        "training_rows": len(parts.train),
        "validation_rows": len(parts.validation),
        "test_rows": len(parts.test),
        "cold_test_rows": int(np.count_nonzero(is_cold)),
        **facts,
    }
    logger.info(
        "%s: %d training, %d validation, %d test rows",
        split,
        len(parts.train),
        len(parts.validation),
        len(parts.test),
    )
    logger.info(describe_split(summary))
    return (
        parts.train,
        parts.validation,
        parts.test,
        parts.training_counts,
        parts.recent_counts,
        summary,
    )


def _split(
    split: Split,
    options: SequencingOptions,
    sequences: Sequences,
    timestamps: np.ndarray | None,
    n_items: int,
) -> tuple[splits.Split, dict[str, Any]]:
    """Split by a protocol; return what it made, and what it cut at or drew."""
    length, recent = options.history_length, options.recent_share
    if split == "leave_one_out":
        return splits.leave_one_out(sequences, n_items, length, timestamps, recent), {}
    if split == "temporal":
        clock = splits.require_timestamps(timestamps)
        cuts = splits.find_cuts(clock, options.temporal.validation_from, options.temporal.test_from)
        parts = splits.temporal(sequences, n_items, length, clock, *cuts, recent)
        validation_from, test_from = map(splits.format_time, cuts)
        return parts, {"validation_from": validation_from, "test_from": test_from}
    if split == "cold_items":
        cold = splits.sample_cold_items(sequences, options.cold_share, options.seed)
        parts = splits.cold_items(sequences, n_items, length, cold, timestamps, recent)
        return parts, {"cold_items": len(cold)}
    parts = splits.shuffled_windows(
        sequences,
        n_items,
        options.window_length,
        options.test_share,
        options.validation_share,
        options.seed,
        timestamps,
        recent,
    )
    return parts, {}
