"""Nodes of the comparison pipeline."""

from typing import Any

import ibis.expr.types as ir
import numpy as np
from matplotlib.figure import Figure

from bazar.config.data import Split
from bazar.config.parameters import ComparisonOptions
from bazar.data.item_index import count_data, external_ids
from bazar.data.windows import Windows
from bazar.evaluation.comparison import Files, check_same_rows, compare, read_results
from bazar.reporting.comparison_page import write_page
from bazar.reporting.figures import plot_comparison


def compare_models(
    ranks: Files,
    metrics: Files,
    training: Files,
    test: Windows,
    sequences: ir.Table,
    item_index: ir.Table,
    dataset: str,
    split: Split,
    options: ComparisonOptions,
) -> dict[str, Any]:
    """Compare all models that have results on the test part, and say on what."""
    results = read_results(ranks, metrics, training)
    sizes = count_data(sequences, item_index)
    users = np.asarray(test.user_ids.to_pylist(), object)
    targets = external_ids(item_index)[test.targets]
    check_same_rows(results, users, targets, sizes["n_items"])
    return {
        "dataset": dataset,
        "protocol": split,
        **sizes,
        "n_test_rows": len(test),
        "bootstrap_resamples": options.bootstrap_resamples,
        **compare(results, users, options.bootstrap_resamples, options.seed),
    }


def write_comparison(comparison: dict[str, Any]) -> str:
    """Write the comparison as a page of Markdown."""
    return write_page(comparison)


def draw_comparison(comparison: dict[str, Any]) -> Figure:
    """Draw NDCG@10 of all models, with intervals and seeds."""
    return plot_comparison(comparison)
