"""Ranking the full catalogue for rows of any number, a batch at a time."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from bazar.data.windows import Windows
from bazar.evaluation.metrics import FILTER_MODES, target_ranks
from bazar.evaluation.top_k import _padded, select_top_k
from bazar.models.nearest_titles import TitleVectorScorer
from bazar.models.scorer import Scorer

T = TypeVar("T")

PARALLEL_BATCHES = 2
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
    """Rank the full catalogue for each row, with the history filtered and not.

    Filtered: everything that the user bought before the target is put last, in both the
    ranks and the recommendations. A target that was bought before is then a miss.

    Args:
        scorer: the model.
        windows: the rows.
        k: recommendations per row.
        batch_size: rows scored at a time; bounds the memory to this times the catalogue.

    Returns:
        A :class:`Ranking` for ``filtered`` and one for ``unfiltered``.
    """

    def rank(batch: Windows) -> dict[str, Ranking]:
        scores, top = _score(scorer, batch, k)
        unfiltered = Ranking(target_ranks(scores, batch.targets), *top(scores, False))
        scores[batch.seen_pairs()] = -np.inf
        filtered = Ranking(target_ranks(scores, batch.targets), *top(scores, True))
        return {"filtered": filtered, "unfiltered": unfiltered}

    # A search of the index is on all cores already: two at once are slower than one by one.
    at_once = 1 if isinstance(scorer, TitleVectorScorer) else PARALLEL_BATCHES
    parts = list(map_batches(rank, windows, batch_size, "ranking", at_once))
    return {
        filter_mode: Ranking(
            *(
                np.concatenate([getattr(part[filter_mode], field) for part in parts])
                for field in ("ranks", "items", "scores")
            )
        )
        for filter_mode in FILTER_MODES
    }


def map_batches(
    work: Callable[[Windows], T],
    rows: Windows,
    batch_size: int,
    doing: str,
    at_once: int = PARALLEL_BATCHES,
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


def recommend_items(
    scorer: Scorer,
    windows: Windows,
    k: int,
    filter_seen: bool,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the best items for each row.

    Args:
        scorer: the model.
        windows: the rows, few enough for a score of every item for each of them.
        k: items per row.
        filter_seen: whether what the user bought before is left out.
        allowed: shape (items + 1,), bool: items that may be recommended; None allows all.

    Returns:
        Item indices in order, shape (rows, k), int64, 0 where there are no more, and scores, the
        same shape, float32.
    """
    scores = scorer.score(windows)
    if filter_seen:
        scores[windows.seen_pairs()] = -np.inf
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return select_top_k(scores, k)


def _score(
    scorer: Scorer, windows: Windows, k: int
) -> tuple[np.ndarray, Callable[[np.ndarray, bool], tuple[np.ndarray, np.ndarray]]]:
    """Scores of all items, and how the k best are found: in the index, or among the scores."""
    if isinstance(scorer, TitleVectorScorer):
        points = scorer.point(windows)
        rows, _ = windows.seen_pairs()
        # One search for both treatments: enough to be k when all that was seen is left out.
        extra = int(np.bincount(rows, minlength=1).max())
        n_items = len(scorer.item_vectors) - 1
        found = scorer.nearest(points, min(k + extra, n_items))
        return (
            scorer.cosines(points),
            lambda _, filtered: (
                _unseen(*found, windows, n_items, k) if filtered else _padded(*found, k)
            ),
        )
    return scorer.score(windows), lambda scores, _: select_top_k(scores, k)


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
