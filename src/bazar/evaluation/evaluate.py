"""Evaluation of a model on the test part, and on validation rows for model selection."""

from typing import Any

import numpy as np
import pandas as pd

from bazar.config.evaluation import EvaluationOptions
from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.evaluation.ranking import rank_catalogue
from bazar.evaluation.results import (
    ModelResults,
    build_ranks_table,
    build_recommendations_table,
    compute_model_metrics,
    fingerprint_rows,
    list_targets,
)
from bazar.evaluation.validation import measure_ndcg, sample_rows
from bazar.models.scorer import Scorer


def evaluate_scorer(
    scorer: Scorer,
    splits: Splits,
    item_ids: np.ndarray,
    options: EvaluationOptions,
    training: dict[str, Any] | None = None,
    training_log: pd.DataFrame | None = None,
) -> ModelResults:
    """Return the results of a model: rankings of the full catalogue for all test rows, and metrics.

    Args:
        scorer: the model.
        splits: the splits. The metrics are computed on the test part. ``validation_ndcg@10``, the
            criterion of model selection, is computed on a sample of the validation part.
        item_ids: shape (items + 1,), external ids by item index.
        options: the batch size, the length of recommendation lists, and the bootstrap settings.
        training: training metadata to store with the results.
        training_log: training log to store with the results.
    """
    rankings = rank_catalogue(scorer, splits.test, options.top_k, options.batch_size)
    is_leave_one_out = splits.summary.get("protocol") == "leave_one_out"
    ranks = build_ranks_table(
        rankings, splits.test, item_ids, splits.training_counts, has_new_days=is_leave_one_out
    )
    recommendations = build_recommendations_table(rankings, splits.test, item_ids)
    counts = pd.Series(splits.training_counts[1:], index=item_ids[1:])
    metrics: dict[str, Any] = compute_model_metrics(
        ranks, recommendations, counts, options.bootstrap_resamples, options.seed
    )
    metrics |= {
        "filter_mode": "filtered" if splits.filter_seen else "unfiltered",
        "validation_ndcg@10": compute_validation_ndcg(
            scorer, splits.validation, options, splits.filter_seen
        ),
        "bootstrap_resamples": options.bootstrap_resamples,
        "measured_on": describe_test_part(splits, item_ids),
    }
    return ModelResults(metrics, ranks, recommendations, training, training_log)


def describe_test_part(splits: Splits, item_ids: np.ndarray) -> dict[str, Any]:
    """Return a description of the test part, to detect results on other data.

    Args:
        splits: the splits.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        ``test_rows`` and ``items`` (counts), and ``rows_fingerprint``.
    """
    return {
        "test_rows": len(splits.test),
        "items": len(item_ids) - 1,
        "rows_fingerprint": fingerprint_rows(list_targets(splits.test, item_ids)),
    }


def compute_validation_ndcg(
    scorer: Scorer, validation: Windows, options: EvaluationOptions, filter_seen: bool
) -> float | None:
    """Return NDCG@10 on validation rows.

    Args:
        scorer: the model.
        validation: the validation part. If it has more than ``options.validation_rows`` rows, a
            sample is drawn with ``options.seed``. The sample is the same for all models.
        options: the number of rows, the seed and the batch size.
        filter_seen: whether items that the user bought before are removed from the rankings.

    Returns:
        The mean over the rows, or None if there are no validation rows.
    """
    if len(validation) == 0:
        return None
    rows = sample_rows(validation, options.validation_rows, options.seed)
    return measure_ndcg(scorer, rows, options.batch_size, filter_seen)
