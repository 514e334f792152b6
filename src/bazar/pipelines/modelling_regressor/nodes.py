"""Nodes of Model II, the regressor."""

import ibis.expr.types as ir
import keras
import numpy as np
import pandas as pd

from bazar.options import EvaluationOptions, ModelOptions
from bazar.pipelines.modelling import check_size, count_items, recommend_to_rows
from bazar.recommenders import NetworkRegressor
from bazar.training import train_network
from bazar.windows import Windows


def train_regressor(
    train: Windows,
    validation: Windows,
    item_index: ir.Table,
    options: ModelOptions,
    item_vectors: np.ndarray,
) -> tuple[keras.Model, pd.DataFrame, dict[str, float]]:
    """Train a network that predicts the title vector of the next product."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    trained = train_network(train, validation, options, count_items(item_index), item_vectors)
    return trained.network, trained.history, trained.facts


def recommend_by_regressor(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    network: keras.Model,
    item_vectors: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by nearness to the predicted vector."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    return recommend_to_rows(
        NetworkRegressor(network, item_vectors), test, item_index, training_counts, evaluation
    )
