"""Node functions of the pipeline tuning."""

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bazar.config.networks import ModelOptions
from bazar.config.tuning import TuningOptions
from bazar.data.item_index import check_catalogue_size, count_items, read_item_texts
from bazar.data.ordering import index_items
from bazar.data.splits import Splits
from bazar.reporting.figures import plot_tuning
from bazar.training.previous_training import PreviousTraining
from bazar.training.search_space import get_tuned_network
from bazar.training.tuning import format_best_network, tune_network


def tune(
    splits: Splits,
    products: ir.Table,
    item_vectors: np.ndarray,
    classifier: ModelOptions,
    regressor: ModelOptions,
    options: TuningOptions,
    seed: int,
    previous_training: PreviousTraining,
) -> tuple[str, pd.DataFrame, dict[str, float]]:
    """Tune the parameters of a network on the validation part. The test part is not read.

    Returns:
        The best parameters as YAML, the table of trials, and the importance of each parameter.
    """
    item_index = index_items(products)
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    models = {"classifier": classifier, "regressor": regressor}
    network = get_tuned_network(options, models)
    result = tune_network(
        splits.train,
        splits.validation,
        models[options.model].networks[network],
        options,
        count_items(item_index),
        seed,
        item_vectors,
        previous_training.get_study_path(),
        splits.filter_seen,
        read_item_texts(products, item_index),
    )
    return format_best_network(result, options.model, network), result.trials, result.importances


def draw_tuning(
    trials: pd.DataFrame, importances: dict[str, float], options: TuningOptions
) -> Figure:
    """Plot the importance of each parameter, and the NDCG@10 of each value."""
    return plot_tuning(trials, importances, options.active_ranges)
