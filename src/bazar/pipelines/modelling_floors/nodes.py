"""Nodes of the floors."""

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.options import EvaluationOptions
from bazar.pipelines.modelling import check_size, recommend_to_rows
from bazar.recommenders import LastItemCooccurrence, Popularity, TitleNeighbours
from bazar.windows import Windows


def recommend_by_popularity(
    test: Windows, item_index: ir.Table, training_counts: np.ndarray, evaluation: EvaluationOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by what is bought most."""
    return recommend_to_rows(
        Popularity(training_counts), test, item_index, training_counts, evaluation
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
        LastItemCooccurrence(train, training_counts),
        test,
        item_index,
        training_counts,
        evaluation,
    )


def recommend_by_title(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    item_vectors: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by nearness to the title of the last item."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    return recommend_to_rows(
        TitleNeighbours(item_vectors), test, item_index, training_counts, evaluation
    )
