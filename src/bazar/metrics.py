"""Ranking metrics over the full catalogue, with one target per row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

CUTOFFS = {"hr": (1, 5, 10, 20), "ndcg": (5, 10, 20), "mrr": (20,)}
COVERAGE_CUTOFF = 10
WITH_INTERVAL = ("hr@10", "ndcg@10")


def target_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rank of the target among all items; tied items share the mean of their ranks.

    A scorer that gives every item the same score so gets the middle of the catalogue, not
    the first place.

    Args:
        scores: shape (rows, items + 1), float; column 0 (padding) is not ranked. ``-inf`` is a
            score like another: the last.
        targets: shape (rows,), int, item indices from 1.

    Returns:
        shape (rows,), float64, from 1.

    Raises:
        ValueError: if a score is NaN.
    """
    items = scores[:, 1:]
    if np.isnan(items).any():
        raise ValueError("a score is NaN: the model has not learnt numbers")
    of_target = np.take_along_axis(scores, targets[:, None].astype(np.int64), axis=1)
    above = np.count_nonzero(items > of_target, axis=1)
    tied = np.count_nonzero(items == of_target, axis=1) - 1
    return 1.0 + above + tied / 2


def row_metrics(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of each row by the rank of its target.

    With one relevant item, HR@k is whether the rank is at most k, NDCG@k is
    ``1 / log2(rank + 1)`` and the reciprocal rank ``1 / rank``, both 0 beyond k (Järvelin and
    Kekäläinen 2002 with a single relevant item: the ideal gain is 1).

    Args:
        ranks: shape (rows,), float, from 1.

    Returns:
        ``hr@k``, ``ndcg@k``, ``mrr@k`` for each cutoff, each of shape (rows,), float64.
    """
    gains = {
        "hr": np.ones_like(ranks),
        "ndcg": 1.0 / np.log2(ranks + 1.0),
        "mrr": 1.0 / ranks,
    }
    return {
        f"{name}@{k}": np.where(ranks <= k, gains[name], 0.0)
        for name, cutoffs in CUTOFFS.items()
        for k in cutoffs
    }


def catalogue_coverage(recommendations: pd.DataFrame, n_items: int, k: int) -> float:
    """Share of the catalogue that stands in anybody's top k.

    Args:
        recommendations: columns ``rank`` (from 1) and ``item_id``.
        n_items: size of the catalogue.
        k: how far down the lists to look.
    """
    return recommendations.loc[recommendations["rank"] <= k, "item_id"].nunique() / n_items


def bootstrap_interval(
    values: np.ndarray, users: Sequence[str] | np.ndarray, resamples: int, seed: int
) -> list[float]:
    """95% percentile interval of a mean over rows, by resampling users with all their rows.

    Args:
        values: shape (rows,), float.
        users: shape (rows,), whose row it is.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.

    Returns:
        ``[low, high]``; both are the mean when there is one user alone.
    """
    _, codes = np.unique(np.asarray(users), return_inverse=True)
    counts = np.bincount(codes).astype(np.float64)
    sums = np.bincount(codes, weights=values)
    if len(counts) < 2:
        return [float(values.mean())] * 2
    result = stats.bootstrap(
        (sums, counts),
        _ratio,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(counts)),
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def summarise(
    ranks: np.ndarray,
    users: Sequence[str] | np.ndarray,
    recommendations: pd.DataFrame,
    n_items: int,
    resamples: int,
    seed: int,
) -> dict[str, float | list[float]]:
    """All metrics of one model under one treatment of the history.

    Args:
        ranks: shape (rows,), float, rank of each row's target.
        users: shape (rows,), whose row it is.
        recommendations: what was recommended; columns ``rank`` (from 1) and ``item_id``.
        n_items: size of the catalogue.
        resamples: bootstrap samples for the intervals.
        seed: seed of the bootstrap.

    Returns:
        The mean of each of :func:`row_metrics`, ``coverage@10``, and the 95% intervals
        ``hr@10_ci95`` and ``ndcg@10_ci95``.
    """
    per_row = row_metrics(ranks)
    figures: dict[str, float | list[float]] = {
        name: float(values.mean()) for name, values in per_row.items()
    }
    figures[f"coverage@{COVERAGE_CUTOFF}"] = catalogue_coverage(
        recommendations, n_items, COVERAGE_CUTOFF
    )
    for name in WITH_INTERVAL:
        figures[f"{name}_ci95"] = bootstrap_interval(per_row[name], users, resamples, seed)
    return figures


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
