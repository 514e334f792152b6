"""Ranking metrics over the full catalogue, with one target per row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

CUTOFFS = {"hr": (1, 5, 10, 20), "ndcg": (5, 10, 20), "mrr": (20,)}
LIST_CUTOFF = 10
INTERVAL_METRICS = ("hr@10", "ndcg@10")
SLICE_METRICS = ("hr@10", "ndcg@10")

FILTER_MODES = ("filtered", "unfiltered")
"""Whether items that the user bought before are removed from the ranking."""

# Lower bound of each slice. The last slice has no upper bound.
HISTORY_EDGES = (0, 1, 3, 6, 11, 21)
POPULARITY_EDGES = (0, 1, 5, 10, 20, 50)


def compute_target_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the rank of the target of each row among all items. Tied items get their mean rank.

    Therefore, if all scores are equal, the rank of the target is the middle of the catalogue.

    Args:
        scores: shape (rows, items + 1), float. Column 0 (padding) is not ranked. Items with the
            score ``-inf`` are ranked last.
        targets: shape (rows,), int, item indices from 1.

    Returns:
        Shape (rows,), float64, from 1.

    Raises:
        ValueError: if a score is NaN.
    """
    items = scores[:, 1:]
    if np.isnan(items).any():
        raise ValueError("A score is NaN: the training of the model diverged.")
    target_scores = np.take_along_axis(scores, targets[:, None].astype(np.int64), axis=1)
    above = np.count_nonzero(items > target_scores, axis=1)
    tied = np.count_nonzero(items == target_scores, axis=1) - 1
    return 1.0 + above + tied / 2


def compute_row_metrics(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics of each row, computed from the rank of its target.

    If the rank is at most k, HR@k is 1, NDCG@k is ``1 / log2(rank + 1)`` and MRR@k is
    ``1 / rank``. Otherwise all are 0. NDCG follows Järvelin and Kekäläinen (2002). A row has a
    single relevant item, so the ideal gain is 1.

    Args:
        ranks: shape (rows,), float, from 1.

    Returns:
        ``hr@k``, ``ndcg@k`` and ``mrr@k`` for each of :data:`CUTOFFS`, each of shape (rows,),
        float64.
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


def compute_catalogue_coverage(recommendations: pd.DataFrame, n_items: int, k: int) -> float:
    """Return the share of the catalogue that is recommended to at least one user.

    Args:
        recommendations: columns ``rank`` (from 1) and ``item_id``.
        n_items: size of the catalogue.
        k: number of recommendations per row that count.
    """
    return recommendations.loc[recommendations["rank"] <= k, "item_id"].nunique() / n_items


def compute_novelty(recommendations: pd.DataFrame, training_counts: pd.Series, k: int) -> float:
    """Return the mean self-information of the recommended items, in bits (Zhou et al. 2010).

    The self-information of an item is ``-log2`` of its share of the training interactions. One is
    added to the count of each item, so that the value of a cold item is finite.

    Args:
        recommendations: columns ``rank`` (from 1) and ``item_id``.
        training_counts: number of times each item of the catalogue occurs in the training part,
            by ``item_id``.
        k: number of recommendations per row that count.

    Returns:
        The mean over all recommendations; 0 if there are none.
    """
    smoothed = training_counts + 1
    bits = -np.log2(smoothed / smoothed.sum())
    recommended = recommendations.loc[recommendations["rank"] <= k, "item_id"]
    return float(bits.loc[recommended].mean()) if len(recommended) else 0.0


def count_shared_items(
    first: pd.DataFrame, second: pd.DataFrame, n_rows: int, k: int
) -> np.ndarray:
    """Return the number of items that two models both recommend, for each row.

    Args:
        first: recommendations of one model: ``row, rank, item_id``, each item once per row.
        second: recommendations of the other model, with the same columns.
        n_rows: number of rows. Rows are numbered from 0.
        k: number of recommendations per row that count.

    Returns:
        Shape (n_rows,), int64, from 0 to ``k``.
    """
    tops = [lists.loc[lists["rank"] <= k, ["row", "item_id"]] for lists in (first, second)]
    return np.bincount(tops[0].merge(tops[1])["row"], minlength=n_rows)


def label_slices(values: np.ndarray, edges: Sequence[int], zero: str = "0") -> np.ndarray:
    """Return the label of each row's slice; see :func:`measure_slices`.

    Args:
        values: shape (rows,), int, from 0: the values that define the slices.
        edges: smallest value of each slice, ascending from 0; the last slice has no upper bound.
        zero: label of the slice of the value 0.

    Returns:
        Shape (rows,), object: strings.
    """
    labels = np.array([_format_slice(edges, number, zero) for number in range(len(edges))], object)
    return labels[np.searchsorted(edges, values, side="right") - 1]


def measure_slices(
    values: np.ndarray,
    edges: Sequence[int],
    per_row: dict[str, np.ndarray],
    users: Sequence[str] | np.ndarray,
    resamples: int,
    seed: int,
    zero: str = "0",
) -> list[dict[str, Any]]:
    """Return metrics for slices of the rows, such as rows with histories of similar length.

    Args:
        values: shape (rows,), int, from 0: the values that define the slices.
        edges: smallest value of each slice, ascending from 0; the last slice has no upper bound.
        per_row: the result of :func:`compute_row_metrics`.
        users: shape (rows,), user of each row.
        resamples: number of bootstrap samples for the intervals.
        seed: seed of the bootstrap.
        zero: label of the slice of the value 0.

    Returns:
        One dictionary per slice with rows: ``label``, ``rows`` (count), ``hr@10``, ``ndcg@10`` and
        ``hr@10_ci95``, the 95% interval of HR@10.
    """
    row_users = np.asarray(users)
    slice_numbers = np.searchsorted(edges, values, side="right") - 1
    measured = []
    for number in np.unique(slice_numbers):
        inside = slice_numbers == number
        hits = per_row["hr@10"][inside]
        measured.append(
            {"label": _format_slice(edges, number, zero), "rows": len(hits)}
            | {name: float(per_row[name][inside].mean()) for name in SLICE_METRICS}
            | {"hr@10_ci95": compute_bootstrap_interval(hits, row_users[inside], resamples, seed)}
        )
    return measured


def _format_slice(edges: Sequence[int], number: int, zero: str) -> str:
    first = edges[number]
    if number == len(edges) - 1:
        return f"{first}+"
    last = edges[number + 1] - 1
    if last == 0:
        return zero
    return str(first) if first == last else f"{first}–{last}"


def compute_bootstrap_interval(
    values: np.ndarray, users: Sequence[str] | np.ndarray, resamples: int, seed: int
) -> list[float]:
    """Return the 95% percentile bootstrap interval of a mean over rows. Users are resampled.

    Args:
        values: shape (rows,), float.
        users: shape (rows,), user of each row. All rows of a drawn user are in the sample.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.

    Returns:
        ``[low, high]``. Both are the mean if there is only one user.
    """
    _, codes = np.unique(np.asarray(users), return_inverse=True)
    counts = np.bincount(codes).astype(np.float64)
    sums = np.bincount(codes, weights=values)
    if len(counts) < 2:
        return [float(values.mean())] * 2
    result = stats.bootstrap(
        (sums, counts),
        _compute_ratio,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // len(counts)),
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def compute_ranking_metrics(
    ranks: np.ndarray,
    rows: pd.DataFrame,
    recommendations: pd.DataFrame,
    training_counts: pd.Series,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return all metrics of a model for one filter mode.

    Args:
        ranks: shape (rows,), float, rank of each row's target.
        rows: a table with one line per row and the columns ``user_id``, ``n_seen`` (interactions
            before the target) and ``target_count`` (number of times the target occurs in the
            training part).
        recommendations: the recommended items, columns ``rank`` (from 1) and ``item_id``.
        training_counts: number of times each item of the catalogue occurs in the training part,
            by ``item_id``.
        resamples: number of bootstrap samples for the intervals.
        seed: seed of the bootstrap.

    Returns:
        The mean of each metric of :func:`compute_row_metrics`; ``coverage@10`` and ``novelty@10``;
        the 95% intervals ``hr@10_ci95`` and ``ndcg@10_ci95``; and ``by_history_length`` and
        ``by_target_popularity``, each the result of :func:`measure_slices`.
    """
    per_row = compute_row_metrics(ranks)
    users = rows["user_id"].to_numpy()
    metrics: dict[str, Any] = {name: float(values.mean()) for name, values in per_row.items()}
    metrics[f"coverage@{LIST_CUTOFF}"] = compute_catalogue_coverage(
        recommendations, len(training_counts), LIST_CUTOFF
    )
    metrics[f"novelty@{LIST_CUTOFF}"] = compute_novelty(
        recommendations, training_counts, LIST_CUTOFF
    )
    for name in INTERVAL_METRICS:
        metrics[f"{name}_ci95"] = compute_bootstrap_interval(per_row[name], users, resamples, seed)
    for name, column, edges, zero in (
        ("by_history_length", "n_seen", HISTORY_EDGES, "0"),
        ("by_target_popularity", "target_count", POPULARITY_EDGES, "0 (cold)"),
    ):
        values = rows[column].to_numpy()
        metrics[name] = measure_slices(values, edges, per_row, users, resamples, seed, zero)
    return metrics


def _compute_ratio(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
