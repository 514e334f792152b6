"""Ranking the full catalogue for rows of any number, a batch at a time."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from bazar.metrics import summarise, target_ranks
from bazar.names import HISTORIES
from bazar.scorers import NearestTitles, Scorer
from bazar.windows import Windows

T = TypeVar("T")

SIDE_BY_SIDE = 2
"""Batches that are worked on at a time."""


@dataclass(frozen=True)
class Ranking:
    """What a model makes of the test rows, under one treatment of the history.

    Attributes:
        ranks: shape (rows,), float64, rank of each row's target.
        items: shape (rows, k), int64, recommended item indices in order, 0 where there are
            no more.
        scores: shape (rows, k), float32.
    """

    ranks: np.ndarray
    items: np.ndarray
    scores: np.ndarray


def rank_catalogue(scorer: Scorer, windows: Windows, k: int, batch_size: int) -> dict[str, Ranking]:
    """Rank the full catalogue for each row, with the history masked and not.

    Masked: everything that the user bought before the target is put last, in both the
    ranks and the recommendations. A target that was bought before is then a miss.

    Args:
        scorer: the model.
        windows: the rows.
        k: recommendations per row.
        batch_size: rows scored at a time; bounds the memory to this times the catalogue.

    Returns:
        A :class:`Ranking` for ``masked`` and one for ``unmasked``.
    """

    def rank(batch: Windows) -> dict[str, Ranking]:
        scores, top = _score(scorer, batch, k)
        unmasked = Ranking(target_ranks(scores, batch.targets), *top(scores, False))
        scores[batch.seen_pairs()] = -np.inf
        masked = Ranking(target_ranks(scores, batch.targets), *top(scores, True))
        return {"masked": masked, "unmasked": unmasked}

    # A search of the index is on all cores already: two at once are slower than one by one.
    at_once = 1 if isinstance(scorer, NearestTitles) else SIDE_BY_SIDE
    parts = list(side_by_side(rank, windows, batch_size, "ranking", at_once))
    return {
        history: Ranking(
            *(
                np.concatenate([getattr(part[history], field) for part in parts])
                for field in ("ranks", "items", "scores")
            )
        )
        for history in HISTORIES
    }


def side_by_side(
    work: Callable[[Windows], T],
    rows: Windows,
    batch_size: int,
    doing: str,
    at_once: int = SIDE_BY_SIDE,
) -> Iterator[T]:
    """Work on rows a batch at a time, with a progress bar.

    Much of a model's work is on one core: batches that together are of the size asked for are
    worked on in threads. What is made is given in the order of the rows, and little ahead of who
    takes it, since it is held in memory.

    Args:
        work: makes something of a batch; threads call it at once.
        rows: what to go through.
        batch_size: rows that are worked on at a time; bounds the memory.
        doing: what the progress bar says.
        at_once: batches that are worked on at a time.
    """
    size = math.ceil(batch_size / at_once)
    pending: deque[Future[T]] = deque()
    threads = ThreadPoolExecutor(at_once)
    n_batches = math.ceil(len(rows) / size)
    try:
        with tqdm(total=n_batches, desc=doing, unit="batch", mininterval=1) as bar:
            for place, batch in enumerate(rows.batches(size)):
                pending.append(threads.submit(work, batch))
                if place >= at_once:
                    yield pending.popleft().result()
                    bar.update()
            while pending:
                yield pending.popleft().result()
                bar.update()
    finally:
        threads.shutdown(cancel_futures=True)


def best_items(
    scorer: Scorer,
    windows: Windows,
    k: int,
    exclude_seen: bool,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the best items for each row.

    Args:
        scorer: the model.
        windows: the rows, few enough for a score of every item for each of them.
        k: items per row.
        exclude_seen: whether what the user bought before is left out.
        allowed: shape (items + 1,), bool: items that may be recommended; None allows all.

    Returns:
        Item indices in order, shape (rows, k), int64, 0 where there are no more, and scores, the
        same shape, float32.
    """
    scores = scorer.score(windows)
    if exclude_seen:
        scores[windows.seen_pairs()] = -np.inf
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return best_of(scores, k)


def _score(
    scorer: Scorer, windows: Windows, k: int
) -> tuple[np.ndarray, Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray]]]:
    """Scores of all items, and how the k best are found: in the index, or among the scores."""
    if isinstance(scorer, NearestTitles):
        points = scorer.point(windows)
        rows, _ = windows.seen_pairs()
        # One search for both treatments: enough to be k when all that was seen is left out.
        extra = int(np.bincount(rows, minlength=1).max())
        n_items = len(scorer.item_vectors) - 1
        found = scorer.nearest(points, min(k + extra, n_items))
        return scorer.cosines(
            points
        ), lambda _, masked: _unseen(*found, windows, n_items, k) if masked else _padded(*found, k)
    return scorer.score(windows), lambda scores, _: best_of(scores, k)


def best_of(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the best of scored items, equal scores in order of their index.

    Args:
        scores: shape (rows, items + 1), float32, ``-inf`` where an item is not to be found. Column
            0 means nothing.
        k: items per row.

    Returns:
        Item indices in order, shape (rows, k), int64, 0 where there are no more, and scores, the
        same shape, float32.
    """
    items = scores[:, 1:]
    k_found = min(k, items.shape[1])
    if len(items) == 1:
        places = _best_of_row(items[0], k_found)[None]
        values = np.take_along_axis(items, places, axis=1)
    else:
        best = tf.math.top_k(items, k_found)
        values, places = (found.numpy() for found in best)
    places = np.where(np.isneginf(values), 0, places.astype(np.int64) + 1)
    return _padded(places, values, k)


def _best_of_row(row: np.ndarray, k: int) -> np.ndarray:
    """Places of the k highest, equal ones in order of their place, in one fast look at the row.

    The k highest maxima of blocks are k values of the row: what is below them all is not among its
    k highest.
    """
    n_blocks = max(k, math.isqrt(len(row)))
    maxima = np.maximum.reduceat(row, np.arange(n_blocks) * len(row) // n_blocks)
    least = np.partition(maxima, -k)[-k]
    places = np.flatnonzero(row >= least)
    return places[np.argsort(-row[places], kind="stable")[:k]]


def _unseen(
    found: np.ndarray, cosines: np.ndarray, windows: Windows, n_items: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of the products found that were not seen."""
    rows, items = windows.seen_pairs()
    seen = np.zeros((len(windows), n_items + 1), bool)
    seen[rows, items] = True
    drop = np.take_along_axis(seen, found, axis=1) | (found == 0)
    order = np.argsort(drop, axis=1, kind="stable")
    kept = np.take_along_axis(np.where(drop, 0, found), order, axis=1)
    values = np.take_along_axis(cosines, order, axis=1)
    return _padded(kept, values, k)


def _padded(items: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    missing = max(0, k - items.shape[1])
    items = np.pad(items[:, :k], ((0, 0), (0, missing)))
    scores = np.pad(scores[:, :k], ((0, 0), (0, missing)), constant_values=-np.inf)
    return items, np.where(items == 0, -np.inf, scores).astype(np.float32)


def ranks_table(
    rankings: dict[str, Ranking],
    windows: Windows,
    item_ids: np.ndarray,
    training_counts: np.ndarray,
) -> pd.DataFrame:
    """Rank of the target of each test row.

    Args:
        rankings: what :func:`rank_catalogue` gave.
        windows: the rows that were ranked.
        item_ids: shape (items + 1,), external ids by item index.
        training_counts: shape (items + 1,), int, times that each item index stands in the
            training part.

    Returns:
        Columns ``row, user_id, item_id`` (the target), ``n_seen`` (purchases before it),
        ``target_count`` (times that it stands in the training part; 0 is a cold item),
        ``rank_masked, rank_unmasked``.
    """
    return pd.DataFrame(
        {
            "row": np.arange(len(windows)),
            "user_id": windows.user_ids.to_pandas(),
            "item_id": item_ids[windows.targets],
            "n_seen": windows.n_seen,
            "target_count": training_counts[windows.targets],
            "rank_masked": rankings["masked"].ranks,
            "rank_unmasked": rankings["unmasked"].ranks,
        }
    )


def mark_of_rows(rows: pd.DataFrame) -> str:
    """Tell test rows from others: by their users, targets, and what was bought before.

    Args:
        rows: ``user_id, item_id, n_seen``, in order.

    Returns:
        16 hexadecimal digits.
    """
    # Texts are of another type where they were read from a file.
    plain = rows.astype({"user_id": object, "item_id": object, "n_seen": "int64"})
    hashes = pd.util.hash_pandas_object(plain[["user_id", "item_id", "n_seen"]], index=False)
    return hashlib.sha256(hashes.to_numpy().tobytes()).hexdigest()[:16]


def recommendations_table(
    rankings: dict[str, Ranking], windows: Windows, item_ids: np.ndarray
) -> pd.DataFrame:
    """Recommendations of each test row, one line each.

    Args:
        rankings: what :func:`rank_catalogue` gave.
        windows: the rows that were ranked.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        Columns ``row, user_id, history`` (``masked`` or ``unmasked``), ``rank`` (from 1),
        ``item_id, score``.
    """
    users = windows.user_ids.to_pandas()
    tables = []
    for history, ranking in rankings.items():
        rows, places = np.nonzero(ranking.items)
        tables.append(
            pd.DataFrame(
                {
                    "row": rows,
                    "user_id": users.to_numpy()[rows],
                    "history": history,
                    "rank": places + 1,
                    "item_id": item_ids[ranking.items[rows, places]],
                    "score": ranking.scores[rows, places],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def measure(
    ranks: pd.DataFrame,
    recommendations: pd.DataFrame,
    training_counts: pd.Series,
    bootstrap_resamples: int,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Metrics of one model from its two tables.

    Args:
        ranks: what :func:`ranks_table` gave.
        recommendations: what :func:`recommendations_table` gave.
        training_counts: times that each item of the catalogue stands in the training part, by
            ``item_id``.
        bootstrap_resamples: samples for the 95% intervals.
        seed: seed of the bootstrap.

    Returns:
        ``masked`` and ``unmasked``, each as :func:`bazar.metrics.summarise` gives it.
    """
    return {
        history: summarise(
            ranks[f"rank_{history}"].to_numpy(),
            ranks,
            recommendations[recommendations["history"] == history],
            training_counts,
            bootstrap_resamples,
            seed,
        )
        for history in HISTORIES
    }
