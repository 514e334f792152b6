"""Nodes of the comparison pipeline."""

from typing import Any

import ibis.expr.types as ir
from matplotlib.figure import Figure

from bazar.config.evaluation import ComparisonOptions
from bazar.data.item_index import count_dataset, list_item_ids
from bazar.data.splits import Splits
from bazar.evaluation.comparison import compare_results, read_results
from bazar.evaluation.evaluate import describe_test_part
from bazar.evaluation.results import ModelResults, check_measured_on, drop_outdated_oracle
from bazar.reporting.comparison_page import write_page
from bazar.reporting.figures import plot_comparison


def compare_models(
    previous_results: dict[str, ModelResults],
    splits: Splits,
    sequences: ir.Table,
    item_index: ir.Table,
    dataset: str,
    options: ComparisonOptions,
) -> dict[str, Any]:
    """Compare all models that have results on the test part."""
    expected = describe_test_part(splits, list_item_ids(item_index))
    results = read_results(drop_outdated_oracle(previous_results, expected))
    check_measured_on({result.label: result.results for result in results}, expected)
    return {
        "dataset": dataset,
        "protocol": splits.summary["protocol"],
        **count_dataset(sequences, item_index),
        "n_test_rows": len(splits.test),
        "bootstrap_resamples": options.bootstrap_resamples,
        **compare_results(
            results, splits.summary["filter_mode"], options.bootstrap_resamples, options.seed
        ),
    }


def write_comparison(comparison: dict[str, Any]) -> str:
    """Write the comparison as a Markdown page."""
    return write_page(comparison)


def draw_comparison(comparison: dict[str, Any]) -> Figure:
    """Plot the NDCG@10 of all models, with confidence intervals and seeds."""
    return plot_comparison(comparison)
