"""Nodes of Model I, the classifier."""

import ibis.expr.types as ir
import keras
import numpy as np
import pandas as pd

from bazar.options import EvaluationOptions, ModelOptions
from bazar.pipelines.modelling import check_size, count_items, recommend_to_rows
from bazar.recommenders import NetworkClassifier
from bazar.training import train_network
from bazar.windows import Windows


def train_classifier(
    train: Windows, validation: Windows, item_index: ir.Table, options: ModelOptions
) -> tuple[keras.Model, pd.DataFrame, dict[str, float]]:
    """Train a network that gives every item a probability."""
    trained = train_network(train, validation, options, count_items(item_index))
    return trained.network, trained.history, trained.facts


def recommend_by_classifier(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    network: keras.Model,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by probability."""
    check_size(
        network.output_shape[-1] - 1, item_index, "classifier.network", "modelling_classifier"
    )
    return recommend_to_rows(
        NetworkClassifier(network), test, item_index, training_counts, evaluation
    )
