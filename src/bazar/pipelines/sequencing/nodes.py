"""Nodes of the sequencing pipeline."""

import logging

import ibis.expr.types as ir
import numpy as np

from bazar import sequences as ordering
from bazar import windows
from bazar.options import SequencingOptions, Split

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
) -> tuple[windows.Windows, windows.Windows, windows.Windows, np.ndarray, np.ndarray]:
    """Make the rows to learn from, to choose by and to measure on.

    Returns:
        Training, validation and test rows; how often each item index stands in training, and how
        often it is a user's last purchase there.
    """
    # One after the other: a query ends the one that its connection is still reading from.
    users = ordering.list_users(sequences).to_pyarrow()
    items = ordering.list_items(sequences).to_pyarrow_batches()
    in_memory = windows.Sequences.from_arrow(users, items)
    n_items = int(item_index.count().to_pyarrow().as_py())
    if split == "leave_one_out":
        parts = windows.leave_one_out(in_memory, n_items, options.history_length)
    else:
        parts = windows.paper_windows(
            in_memory,
            n_items,
            options.window_length,
            options.test_share,
            options.validation_share,
            options.seed,
        )
    logger.info(
        "%s: %d training, %d validation, %d test rows",
        split,
        len(parts.train),
        len(parts.validation),
        len(parts.test),
    )
    last = np.zeros(len(in_memory.user_ids), np.int64)
    np.maximum.at(last, parts.train.users, parts.train.places)
    recent_counts = np.bincount(in_memory.items[last[last > 0]], minlength=n_items + 1)
    return parts.train, parts.validation, parts.test, parts.training_counts, recent_counts
