"""Ranking metrics over the full catalogue, with one or several targets per row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

CUTOFFS = {"hr": (1, 5, 10, 20), "recall": (5, 10, 20), "ndcg": (5, 10, 20), "mrr": (10, 20)}
LIST_CUTOFF = 10
INTERVAL_METRICS = ("hr@10", "recall@10", "ndcg@10")

FILTER_MODES = ("filtered", "unfiltered")
"""Whether items that the user bought before are removed from the ranking."""

# Lower bound of each slice. The last slice has no upper bound.
HISTORY_EDGES = (0, 1, 3, 6, 11, 21)
POPULARITY_EDGES = (0, 1, 5, 10, 20, 50)
COLD_LABEL = "0 (cold)"
"""Label of the slice of the targets that are cold items."""

# Number of scores that are copied in one step. It limits the memory.
_SCORES_PER_STEP = 250_000


def compute_target_ranks(scores: np.ndarray, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return the rank of each target among all items. Tied items get their mean rank.

    Therefore, if all scores are equal, the rank of a target is the middle of the catalogue.

    Args:
        scores: shape (rows, items + 1), float. Column 0 (padding) is not ranked. Items with the
            score ``-inf`` are ranked last.
        rows: shape (targets,), int, the row of ``scores`` that each target belongs to.
        items: shape (targets,), int, item indices of the targets, from 1.

    Returns:
        Shape (targets,), float64, from 1.

    Raises:
        ValueError: if a score is NaN.
    """
    if np.isnan(scores[:, 1:]).any():
        raise ValueError("A score is NaN: the training of the model diverged.")
    target_scores = scores[rows, items]
    ranks = np.empty(len(rows), np.float64)
    size = max(1, _SCORES_PER_STEP // scores.shape[1])
    for start in range(0, len(rows), size):
        step = slice(start, start + size)
        others, own = scores[rows[step]][:, 1:], target_scores[step, None]
        above = np.count_nonzero(others > own, axis=1)
        tied = np.count_nonzero(others == own, axis=1) - 1
        ranks[step] = 1.0 + above + tied / 2
    return ranks


def compute_row_metrics(ranks: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics of each row, computed from the ranks of its targets.

    - HR@k: 1 if the rank of any target is at most k, else 0.
    - Recall@k: share of the targets whose rank is at most k.
    - NDCG@k: the sum of ``1 / log2(rank + 1)`` over the targets whose rank is at most k, divided by
      the sum for the best possible ranking (Järvelin and Kekäläinen 2002). Tied targets share a
      rank, so that the quotient can be slightly larger than 1; it is then set to 1.
    - MRR@k: ``1 / rank`` of the best target if its rank is at most k, else 0.

    With one target per row, Recall@k equals HR@k.

    Args:
        ranks: shape (targets,), float, from 1.
        rows: shape (targets,), int, ascending, the row number of each target. Numbers of rows
            without a target may be missing.

    Returns:
        ``hr@k``, ``recall@k``, ``ndcg@k`` and ``mrr@k`` for each of :data:`CUTOFFS`: one value per
        distinct row number, in ascending order of the row numbers, float64.
    """
    is_first = find_first_targets(rows)
    starts = np.flatnonzero(is_first)
    n_targets = np.diff(starts, append=len(rows))
    position = np.cumsum(is_first) - 1

    def add_up(values: np.ndarray) -> np.ndarray:
        return np.bincount(position, weights=values, minlength=len(starts))

    gains = 1.0 / np.log2(ranks + 1.0)
    best = np.minimum.reduceat(ranks, starts) if len(starts) else np.empty(0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(max(CUTOFFS["ndcg"])) + 2.0))
    metrics = {f"hr@{k}": np.where(best <= k, 1.0, 0.0) for k in CUTOFFS["hr"]}
    metrics |= {f"recall@{k}": add_up(ranks <= k) / n_targets for k in CUTOFFS["recall"]}
    for k in CUTOFFS["ndcg"]:
        found = add_up(np.where(ranks <= k, gains, 0.0))
        metrics[f"ndcg@{k}"] = np.minimum(found / ideal[np.minimum(n_targets, k) - 1], 1.0)
    return metrics | {f"mrr@{k}": np.where(best <= k, 1.0 / best, 0.0) for k in CUTOFFS["mrr"]}


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
    """Return the label of the slice of each value; see :func:`measure_slices`.

    Args:
        values: any shape, int, from 0: the values that define the slices.
        edges: smallest value of each slice, ascending from 0; the last slice has no upper bound.
        zero: label of the slice of the value 0.

    Returns:
        The shape of ``values``, object: strings.
    """
    labels = np.array([_format_slice(edges, number, zero) for number in range(len(edges))], object)
    return labels[np.searchsorted(edges, values, side="right") - 1]


def measure_slices(
    values: np.ndarray,
    edges: Sequence[int],
    ranks: np.ndarray,
    targets: pd.DataFrame,
    resamples: int,
    seed: int,
    zero: str = "0",
) -> list[dict[str, Any]]:
    """Return metrics for slices of the targets, such as targets of similar popularity.

    In a slice, only its targets are relevant. A row counts if it has a target in the slice.

    Args:
        values: shape (targets,), int, from 0: the values that define the slices.
        edges: smallest value of each slice, ascending from 0; the last slice has no upper bound.
        ranks: shape (targets,), float, rank of each target.
        targets: columns ``row`` and ``user_id``, one line per target, sorted by row.
        resamples: number of bootstrap samples for the intervals.
        seed: seed of the bootstrap.
        zero: label of the slice of the value 0.

    Returns:
        One dictionary per slice with targets: ``label``, ``rows`` (count), the mean of each of
        :data:`INTERVAL_METRICS`, and ``hr@10_ci95``, the 95% interval of HR@10.
    """
    slice_numbers = np.searchsorted(edges, values, side="right") - 1
    measured = []
    for number in np.unique(slice_numbers):
        per_row, users = _measure_rows(ranks, targets, slice_numbers == number)
        hits = per_row["hr@10"]
        measured.append(
            {"label": _format_slice(edges, number, zero), "rows": len(hits)}
            | {name: float(per_row[name].mean()) for name in INTERVAL_METRICS}
            | {"hr@10_ci95": compute_bootstrap_interval(hits, users, resamples, seed)}
        )
    return measured


def measure_part(
    is_relevant: np.ndarray, ranks: np.ndarray, targets: pd.DataFrame, resamples: int, seed: int
) -> dict[str, Any] | None:
    """Return metrics for a part of the targets, such as the repeats.

    Only these targets are relevant. A row counts if it has such a target.

    Args:
        is_relevant: shape (targets,), bool.
        ranks: shape (targets,), float, rank of each target.
        targets: columns ``row`` and ``user_id``, one line per target, sorted by row.
        resamples: number of bootstrap samples for the intervals.
        seed: seed of the bootstrap.

    Returns:
        ``rows`` and ``targets`` (counts), and for each of :data:`INTERVAL_METRICS` its mean and its
        95% interval, such as ``hr@10`` and ``hr@10_ci95``. None if there are no such targets.
    """
    if not is_relevant.any():
        return None
    per_row, users = _measure_rows(ranks, targets, is_relevant)
    return {
        "rows": len(users),
        "targets": int(np.count_nonzero(is_relevant)),
        **_estimate_means(per_row, users, resamples, seed),
    }


def find_new_day_targets(targets: pd.DataFrame) -> np.ndarray:
    """Return which targets were bought on a later day than the item before them.

    Args:
        targets: the column ``is_new_day`` (nullable boolean, null if a day is unknown), if the data
            has days.

    Returns:
        Shape (targets,), bool. All values are False without the column. They are False as well if
        no target is known to have the day of the item before it: there is then nothing to separate.
    """
    if "is_new_day" not in targets or targets["is_new_day"].all():
        return np.zeros(len(targets), bool)
    return targets["is_new_day"].fillna(False).to_numpy(bool)


def find_first_targets(rows: np.ndarray) -> np.ndarray:
    """Return whether each target is the first one of its row.

    Args:
        rows: shape (targets,), int, ascending, the row number of each target.

    Returns:
        Shape (targets,), bool.
    """
    return np.diff(rows, prepend=rows[:1] - 1) != 0


def _measure_rows(
    ranks: np.ndarray, targets: pd.DataFrame, is_relevant: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the metrics and the user of each row with a relevant target."""
    rows = targets["row"].to_numpy()[is_relevant]
    users = targets["user_id"].to_numpy()[is_relevant][find_first_targets(rows)]
    return compute_row_metrics(ranks[is_relevant], rows), users


def _estimate_means(
    per_row: dict[str, np.ndarray], users: np.ndarray, resamples: int, seed: int
) -> dict[str, Any]:
    """Return the mean of each of :data:`INTERVAL_METRICS`, and its interval."""
    estimates: dict[str, Any] = {}
    for name in INTERVAL_METRICS:
        values = per_row[name]
        estimates[name] = float(values.mean())
        estimates[f"{name}_ci95"] = compute_bootstrap_interval(values, users, resamples, seed)
    return estimates


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
    targets: pd.DataFrame,
    recommendations: pd.DataFrame,
    training_counts: pd.Series,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Return all metrics of a model for one filter mode.

    Args:
        ranks: shape (targets,), float, rank of each target.
        targets: one line per target, sorted by row, with the columns ``row``, ``user_id``,
            ``n_seen`` (interactions before the row's targets), ``target_count`` (number of times
            the target occurs in the training part), ``is_repeat`` (whether the user bought the
            target before) and, optionally, ``is_new_day`` (see :func:`find_new_day_targets`).
        recommendations: the recommended items, columns ``rank`` (from 1) and ``item_id``.
        training_counts: number of times each item of the catalogue occurs in the training part,
            by ``item_id``.
        resamples: number of bootstrap samples for the intervals.
        seed: seed of the bootstrap.

    Returns:
        The mean of each metric of :func:`compute_row_metrics`; ``coverage@10`` and ``novelty@10``;
        the 95% interval of each of :data:`INTERVAL_METRICS`, such as ``hr@10_ci95``;
        ``by_history_length`` and ``by_target_popularity``, each the result of
        :func:`measure_slices`; ``repeat``, ``explore`` and ``new_day``, each the result of
        :func:`measure_part`.
    """
    per_row, users = _measure_rows(ranks, targets, np.ones(len(ranks), bool))
    metrics: dict[str, Any] = {name: float(values.mean()) for name, values in per_row.items()}
    metrics[f"coverage@{LIST_CUTOFF}"] = compute_catalogue_coverage(
        recommendations, len(training_counts), LIST_CUTOFF
    )
    metrics[f"novelty@{LIST_CUTOFF}"] = compute_novelty(
        recommendations, training_counts, LIST_CUTOFF
    )
    metrics |= _estimate_means(per_row, users, resamples, seed)
    for name, column, edges, zero in (
        ("by_history_length", "n_seen", HISTORY_EDGES, "0"),
        ("by_target_popularity", "target_count", POPULARITY_EDGES, COLD_LABEL),
    ):
        values = targets[column].to_numpy()
        metrics[name] = measure_slices(values, edges, ranks, targets, resamples, seed, zero)
    is_repeat = targets["is_repeat"].to_numpy()
    metrics["repeat"] = measure_part(is_repeat, ranks, targets, resamples, seed)
    metrics["explore"] = measure_part(~is_repeat, ranks, targets, resamples, seed)
    metrics["new_day"] = measure_part(
        find_new_day_targets(targets), ranks, targets, resamples, seed
    )
    return metrics


def _compute_ratio(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
