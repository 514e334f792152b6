"""Nodes of the report's networks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.data import Split
from bazar.config.parameters import EvaluationOptions
from bazar.config.reproduction import ReproductionVariants
from bazar.data.item_index import check_size
from bazar.data.windows import Windows
from bazar.reproduction import experiment as reproduction
from bazar.reproduction import table as reproduction_table
from bazar.training.checkpoints import Checkpoint

Json = dict[str, Any]


def train_variants(
    train: Windows,
    validation: Windows,
    test: Windows,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    previous_reproduction_results: Json,
    networks: ReproductionVariants,
    seed: int,
    evaluation: EvaluationOptions,
    checkpoint: Path,
) -> Iterator[Json]:
    """Train and measure the networks that have no result yet; each result is saved at once."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    yield from reproduction.train_networks(
        networks,
        previous_reproduction_results,
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
    return reproduction.measure_mean_title(train, test, item_vectors, evaluation.batch_size)


def tabulate_variants(
    reproduction_results: Json,
    networks: ReproductionVariants,
    mean_title_metrics: Json,
    test: Windows,
    item_vectors: np.ndarray,
) -> pd.DataFrame:
    """Put the report's figures and ours side by side."""
    return reproduction_table.tabulate(
        networks, reproduction_results, mean_title_metrics, len(test), len(item_vectors) - 1
    )


def write_reproduction_page(
    table: pd.DataFrame,
    test: Windows,
    item_vectors: np.ndarray,
    dataset: str,
    split: Split,
    seed: int,
) -> str:
    """Write the table as Markdown."""
    return reproduction_table.page(table, dataset, split, seed, len(test), len(item_vectors) - 1)
