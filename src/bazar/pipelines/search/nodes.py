"""Nodes of the search pipeline."""

from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bazar.figures import search_panels
from bazar.options import ModelOptions, SearchOptions
from bazar.pipelines.modelling import check_size, count_items
from bazar.search import best_as_yaml, search_block
from bazar.search_space import searched_network
from bazar.windows import Windows


def search(
    train: Windows,
    validation: Windows,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    classifier: ModelOptions,
    regressor: ModelOptions,
    options: SearchOptions,
    seed: int,
    study: Path,
) -> tuple[str, pd.DataFrame, dict[str, float]]:
    """Tune a network's block.

    Returns:
        The best block as YAML, the table of trials, and the importances of the keys.
    """
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    models = {"classifier": classifier, "regressor": regressor}
    network = searched_network(options, models)
    result = search_block(
        train,
        validation,
        models[options.model].networks[network],
        options,
        count_items(item_index),
        seed,
        item_vectors,
        study,
    )
    return best_as_yaml(result, options.model, network), result.trials, result.importances


def draw_search(
    trials: pd.DataFrame, importances: dict[str, float], options: SearchOptions
) -> Figure:
    """Draw which keys mattered, and what NDCG@10 their values had."""
    return search_panels(trials, importances, options.searched)
