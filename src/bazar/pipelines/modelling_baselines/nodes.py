"""Nodes of the baselines."""

import logging

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.models import DecayedCooccurrenceOptions, EaseOptions, SessionKnnOptions
from bazar.config.parameters import EvaluationOptions
from bazar.data.item_index import check_size
from bazar.data.windows import Windows
from bazar.modelling.nodes import recommend_to_rows
from bazar.models.baselines import (
    DecayedCooccurrence,
    Ease,
    LastItemCooccurrence,
    NearestTitles,
    Popularity,
    RecentPopularity,
    SessionKnn,
)

logger = logging.getLogger(__name__)


def recommend_by_popularity(
    test: Windows, item_index: ir.Table, training_counts: np.ndarray, evaluation: EvaluationOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what is bought most."""
    return recommend_to_rows(
        Popularity(training_counts), test, item_index, training_counts, evaluation
    )


def recommend_by_recent_popularity(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    recent_counts: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what was bought most of late."""
    return recommend_to_rows(
        RecentPopularity(recent_counts, training_counts),
        test,
        item_index,
        training_counts,
        evaluation,
    )


def recommend_by_cooccurrence(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    train: Windows,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what is bought by those who bought the last item."""
    return recommend_to_rows(
        LastItemCooccurrence(train, training_counts), test, item_index, training_counts, evaluation
    )


def recommend_by_decayed_cooccurrence(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    train: Windows,
    options: DecayedCooccurrenceOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what is bought near the items of the history."""
    return recommend_to_rows(
        DecayedCooccurrence(train, training_counts, options),
        test,
        item_index,
        training_counts,
        evaluation,
    )


def recommend_by_session_knn(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    train: Windows,
    options: SessionKnnOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what the nearest training sequences hold."""
    return recommend_to_rows(
        SessionKnn(train, training_counts, options), test, item_index, training_counts, evaluation
    )


def recommend_by_ease(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    train: Windows,
    options: EaseOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by the linear model that rebuilds the training sequences."""
    n_warm = int(np.count_nonzero(training_counts))
    if n_warm > options.max_items:
        logger.warning(
            "ease: %s items occur in training; the model knows the %s most popular of them, and "
            "puts all others last (ease.max_items)",
            f"{n_warm:,}",
            f"{options.max_items:,}",
        )
    return recommend_to_rows(
        Ease(train, training_counts, options), test, item_index, training_counts, evaluation
    )


def recommend_by_nearest_titles(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    item_vectors: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by nearness to the title of the last item."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    return recommend_to_rows(
        NearestTitles(item_vectors), test, item_index, training_counts, evaluation
    )
