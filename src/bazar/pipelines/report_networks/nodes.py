"""Nodes of the report's networks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar import report_networks, report_networks_table
from bazar.checkpoints import Checkpoint
from bazar.options import EvaluationOptions, ReportNetworks, Split
from bazar.pipelines.modelling import check_size
from bazar.windows import Windows

Json = dict[str, Any]


def train_report_networks(
    train: Windows,
    validation: Windows,
    test: Windows,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    known_report_results: Json,
    networks: ReportNetworks,
    seed: int,
    evaluation: EvaluationOptions,
    checkpoint: Path,
) -> Iterator[Json]:
    """Train and measure the networks that have no result yet; each result is saved at once."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    yield from report_networks.train_networks(
        networks,
        known_report_results,
        train,
        validation,
        test,
        item_vectors,
        seed,
        evaluation.batch_size,
        Checkpoint(checkpoint),
    )


def measure_mean_title(
    train: Windows, test: Windows, item_vectors: np.ndarray, evaluation: EvaluationOptions
) -> Json:
    """Measure a prediction that is the same for everybody: the mean of the training targets."""
    return report_networks.measure_mean_title(train, test, item_vectors, evaluation.batch_size)


def tabulate_report_networks(
    report_results: Json,
    networks: ReportNetworks,
    mean_title_figures: Json,
    test: Windows,
    item_vectors: np.ndarray,
) -> pd.DataFrame:
    """Put the report's figures and ours side by side."""
    return report_networks_table.tabulate(
        networks, report_results, mean_title_figures, len(test), len(item_vectors) - 1
    )


def write_report_networks(
    table: pd.DataFrame,
    test: Windows,
    item_vectors: np.ndarray,
    dataset: str,
    split: Split,
    seed: int,
) -> str:
    """Write the table as Markdown."""
    return report_networks_table.page(table, dataset, split, seed, len(test), len(item_vectors) - 1)
