"""NDCG@10 on validation rows: the criterion of model selection."""

import numpy as np

from bazar.data.windows import Windows
from bazar.evaluation.metrics import compute_row_metrics, compute_target_ranks
from bazar.models.scorer import Scorer


def sample_rows(rows: Windows, max_rows: int, seed: int) -> Windows:
    """Return all rows, or a random sample in the same order if there are more than ``max_rows``."""
    if len(rows) <= max_rows:
        return rows
    rng = np.random.default_rng(seed)
    return rows.take(np.sort(rng.choice(len(rows), max_rows, replace=False)))


def measure_ndcg(scorer: Scorer, rows: Windows, batch_size: int, filter_seen: bool) -> float:
    """Return the mean NDCG@10 of a model over the full catalogue.

    Args:
        scorer: the model.
        rows: at least one row.
        batch_size: number of rows that are scored at a time.
        filter_seen: whether items that the user bought before are removed from the rankings.
    """
    parts = [
        compute_ndcg(scorer.score(batch), batch, filter_seen)
        for batch in rows.iter_batches(batch_size)
    ]
    return float(np.concatenate(parts).mean())


def compute_ndcg(scores: np.ndarray, rows: Windows, filter_seen: bool) -> np.ndarray:
    """Return the NDCG@10 of each row.

    Args:
        scores: shape (rows, items + 1), float32. With ``filter_seen``, the scores of seen items are
            set to ``-inf`` in place.
        rows: the rows.
        filter_seen: whether items that the user bought before are removed from the rankings.

    Returns:
        Shape (rows,), float64.
    """
    if filter_seen:
        scores[rows.list_seen_pairs()] = -np.inf
    row_numbers, targets = rows.list_targets()
    ranks = compute_target_ranks(scores, row_numbers, targets)
    return compute_row_metrics(ranks, row_numbers)["ndcg@10"]
