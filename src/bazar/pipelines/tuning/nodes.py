"""Nodes of the search pipeline."""

from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bazar.config.networks import ModelOptions
from bazar.config.tuning import TuningOptions
from bazar.data.item_index import check_size, count_items
from bazar.data.windows import Windows
from bazar.reporting.figures import plot_tuning
from bazar.training.search_space import get_tuned_network
from bazar.training.tuning import format_best_network, tune_network


def tune(
    train: Windows,
    validation: Windows,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    classifier: ModelOptions,
    regressor: ModelOptions,
    options: TuningOptions,
    seed: int,
    study: Path,
) -> tuple[str, pd.DataFrame, dict[str, float]]:
    """Tune a network's block.

    Returns:
        The best block as YAML, the table of trials, and the importances of the keys.
    """
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    models = {"classifier": classifier, "regressor": regressor}
    network = get_tuned_network(options, models)
    result = tune_network(
        train,
        validation,
        models[options.model].networks[network],
        options,
        count_items(item_index),
        seed,
        item_vectors,
        study,
    )
    return format_best_network(result, options.model, network), result.trials, result.importances


def draw_tuning(
    trials: pd.DataFrame, importances: dict[str, float], options: TuningOptions
) -> Figure:
    """Draw which keys mattered, and what NDCG@10 their values had."""
    return plot_tuning(trials, importances, options.searched)
