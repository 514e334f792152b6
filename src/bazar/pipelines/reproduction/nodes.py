"""Node functions of the pipeline reproduction."""

from collections.abc import Iterator
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.evaluation import EvaluationOptions
from bazar.config.reproduction import ReproductionVariants
from bazar.data.item_index import check_catalogue_size
from bazar.data.splits import Splits
from bazar.reproduction import experiment
from bazar.reproduction.table import format_page, make_variant_table
from bazar.training.previous_training import PreviousTraining

Json = dict[str, Any]


def train_variants(
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    previous_variant_results: Json,
    variants: ReproductionVariants,
    seed: int,
    evaluation: EvaluationOptions,
    previous_training: PreviousTraining,
) -> Iterator[Json]:
    """Train and evaluate the networks that have no result yet, and yield each result to save it."""
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    yield from experiment.train_variants(
        variants,
        previous_variant_results,
        splits,
        item_vectors,
        seed,
        evaluation.batch_size,
        previous_training.get_checkpoint("reproduction"),
    )


def measure_mean_title(
    splits: Splits, item_vectors: np.ndarray, evaluation: EvaluationOptions
) -> Json:
    """Evaluate a constant prediction: the mean title vector of the training targets."""
    return experiment.measure_mean_title(
        splits.train, splits.test, item_vectors, evaluation.batch_size
    )


def tabulate_variants(
    variant_results: Json,
    variants: ReproductionVariants,
    mean_title_metrics: Json,
    splits: Splits,
    item_vectors: np.ndarray,
) -> pd.DataFrame:
    """Return a table of the published figures and our figures."""
    return make_variant_table(
        variants,
        variant_results,
        mean_title_metrics,
        len(splits.test),
        len(item_vectors) - 1,
    )


def write_reproduction_page(
    table: pd.DataFrame,
    splits: Splits,
    item_vectors: np.ndarray,
    dataset: str,
    seed: int,
) -> str:
    """Format the table as Markdown."""
    return format_page(
        table,
        dataset,
        splits.summary["protocol"],
        seed,
        len(splits.test),
        len(item_vectors) - 1,
    )
