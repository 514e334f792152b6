"""Ranking metrics over the full catalogue, with one target per row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

CUTOFFS = {"hr": (1, 5, 10, 20), "ndcg": (5, 10, 20), "mrr": (20,)}
LIST_CUTOFF = 10
WITH_INTERVAL = ("hr@10", "ndcg@10")
IN_SLICES = ("hr@10", "ndcg@10")

# The least value of each bin; the last bin has no end.
HISTORY_EDGES = (0, 1, 3, 6, 11, 21)
POPULARITY_EDGES = (0, 1, 5, 10, 20, 50)


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


def novelty(recommendations: pd.DataFrame, training_counts: pd.Series, k: int) -> float:
    """Mean ``-log2`` of the share of the training part that is the recommended item, in bits.

    The mean self-information of Zhou et al. (2010), with one added to every item's count: so
    an item that was never bought has the novelty of the rarest, and not an infinite one.

    Args:
        recommendations: columns ``rank`` (from 1) and ``item_id``.
        training_counts: times that each item of the catalogue stands in the training part, by
            ``item_id``.
        k: how far down the lists to look.

    Returns:
        0 if nothing is recommended.
    """
    smoothed = training_counts + 1
    bits = -np.log2(smoothed / smoothed.sum())
    recommended = recommendations.loc[recommendations["rank"] <= k, "item_id"]
    return float(bits.loc[recommended].mean()) if len(recommended) else 0.0


def shared_items(one: pd.DataFrame, other: pd.DataFrame, n_rows: int, k: int) -> np.ndarray:
    """Count what two models recommend to the same row, in whichever order.

    Args:
        one: what a model recommends: ``row, rank, item_id``, each item once in a row.
        other: the same of another model.
        n_rows: number of rows, which are counted from 0.
        k: how far down the lists to look.

    Returns:
        shape (n_rows,), int64, from 0 to ``k``.
    """
    tops = [lists.loc[lists["rank"] <= k, ["row", "item_id"]] for lists in (one, other)]
    return np.bincount(tops[0].merge(tops[1])["row"], minlength=n_rows)


def slice_labels(values: np.ndarray, edges: Sequence[int], zero: str = "0") -> np.ndarray:
    """Label of the slice that each row is in; see :func:`slices`.

    Args:
        values: shape (rows,), int, from 0: what the rows are sliced by.
        edges: the least value of each slice, ascending from 0; the last slice has no end.
        zero: label of the slice of the value 0.

    Returns:
        shape (rows,), object: texts.
    """
    labels = np.array([_label(edges, place, zero) for place in range(len(edges))], object)
    return labels[np.searchsorted(edges, values, side="right") - 1]


def slices(
    values: np.ndarray,
    edges: Sequence[int],
    per_row: dict[str, np.ndarray],
    users: Sequence[str] | np.ndarray,
    resamples: int,
    seed: int,
    zero: str = "0",
) -> list[dict[str, Any]]:
    """Metrics of the rows that are alike in something, such as the length of the history.

    Args:
        values: shape (rows,), int, from 0: what the rows are sliced by.
        edges: the least value of each slice, ascending from 0; the last slice has no end.
        per_row: what :func:`row_metrics` gave.
        users: shape (rows,), whose row it is.
        resamples: bootstrap samples for the intervals.
        seed: seed of the bootstrap.
        zero: label of the slice of the value 0.

    Returns:
        For each slice that has rows its ``label``, ``rows``, ``hr@10``, ``ndcg@10`` and the 95%
        interval ``hr@10_ci95``.
    """
    owners = np.asarray(users)
    places = np.searchsorted(edges, values, side="right") - 1
    found = []
    for place in np.unique(places):
        inside = places == place
        hits = per_row["hr@10"][inside]
        found.append(
            {"label": _label(edges, place, zero), "rows": len(hits)}
            | {name: float(per_row[name][inside].mean()) for name in IN_SLICES}
            | {"hr@10_ci95": bootstrap_interval(hits, owners[inside], resamples, seed)}
        )
    return found


def _label(edges: Sequence[int], place: int, zero: str) -> str:
    first = edges[place]
    if place == len(edges) - 1:
        return f"{first}+"
    last = edges[place + 1] - 1
    if last == 0:
        return zero
    return str(first) if first == last else f"{first}–{last}"


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
    rows: pd.DataFrame,
    recommendations: pd.DataFrame,
    training_counts: pd.Series,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """All metrics of one model under one treatment of the history.

    Args:
        ranks: shape (rows,), float, rank of each row's target.
        rows: what is known of each row: ``user_id``, ``n_seen`` (purchases before the target),
            ``target_count`` (times that the target stands in the training part).
        recommendations: what was recommended; columns ``rank`` (from 1) and ``item_id``.
        training_counts: times that each item of the catalogue stands in the training part, by
            ``item_id``.
        resamples: bootstrap samples for the intervals.
        seed: seed of the bootstrap.

    Returns:
        The mean of each of :func:`row_metrics`, ``coverage@10``, ``novelty@10``, the 95% intervals
        ``hr@10_ci95`` and ``ndcg@10_ci95``, and as :func:`slices` gives them
        ``by_history_length`` and ``by_target_popularity``.
    """
    per_row = row_metrics(ranks)
    users = rows["user_id"].to_numpy()
    figures: dict[str, Any] = {name: float(values.mean()) for name, values in per_row.items()}
    figures[f"coverage@{LIST_CUTOFF}"] = catalogue_coverage(
        recommendations, len(training_counts), LIST_CUTOFF
    )
    figures[f"novelty@{LIST_CUTOFF}"] = novelty(recommendations, training_counts, LIST_CUTOFF)
    for name in WITH_INTERVAL:
        figures[f"{name}_ci95"] = bootstrap_interval(per_row[name], users, resamples, seed)
    for name, column, edges, zero in (
        ("by_history_length", "n_seen", HISTORY_EDGES, "0"),
        ("by_target_popularity", "target_count", POPULARITY_EDGES, "0 (cold)"),
    ):
        values = rows[column].to_numpy()
        figures[name] = slices(values, edges, per_row, users, resamples, seed, zero)
    return figures


def _ratio(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)


# How what was bought before the target is treated: put last, or recommended like the rest.
FILTER_MODES = ("filtered", "unfiltered")
