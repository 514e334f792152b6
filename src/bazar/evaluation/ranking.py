"""Ranking of the full catalogue for any number of rows, in batches."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from bazar.data.windows import Windows
from bazar.evaluation.metrics import FILTER_MODES, compute_target_ranks
from bazar.models.scorer import PARALLEL_BATCHES, Scorer
from bazar.models.top_k import fill_top_k, select_top_k

T = TypeVar("T")


@dataclass(frozen=True)
class Ranking:
    """The rankings of a model for the test rows, for one filter mode.

    Attributes:
        ranks: shape (targets,), float64, the rank of each target, in the order of
            :meth:`~bazar.data.windows.Windows.list_targets`.
        items: shape (rows, k), int64, the recommended item indices in order, padded with 0.
        scores: shape (rows, k), float32, the scores of ``items``, padded with ``-inf``.
    """

    ranks: np.ndarray
    items: np.ndarray
    scores: np.ndarray


def rank_catalogue(scorer: Scorer, windows: Windows, k: int, batch_size: int) -> dict[str, Ranking]:
    """Return the rankings of the full catalogue for each row, filtered and unfiltered.

    ``filtered`` ranks all items that the user bought before the targets last, and does not
    recommend them. A repeat (a target that the user bought before) is then a miss.

    Args:
        scorer: the model.
        windows: the rows.
        k: number of recommendations per row.
        batch_size: number of rows that are scored at a time. The memory use is proportional to
            ``batch_size`` times the number of items.

    Returns:
        One :class:`Ranking` per filter mode: ``filtered`` and ``unfiltered``.
    """

    def rank(batch: Windows) -> dict[str, Ranking]:
        seen = batch.list_seen_pairs()
        # One search serves both modes: at least k items remain after the seen items are removed.
        most_seen = int(np.bincount(seen[0], minlength=1).max())
        scores, items, item_scores = scorer.rank(batch, k + most_seen)
        best = fill_top_k(items, item_scores, k)
        best_unseen = _select_unseen(items, item_scores, seen, scores.shape[1], k)
        targets = batch.list_targets()
        unfiltered = Ranking(compute_target_ranks(scores, *targets), *best)
        scores[seen] = -np.inf
        filtered = Ranking(compute_target_ranks(scores, *targets), *best_unseen)
        return {"filtered": filtered, "unfiltered": unfiltered}

    parts = list(map_batches(rank, windows, batch_size, "ranking", scorer.max_parallel_batches))
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
    process: Callable[[Windows], T],
    rows: Windows,
    batch_size: int,
    description: str,
    max_parallel_batches: int = PARALLEL_BATCHES,
) -> Iterator[T]:
    """Process rows in parallel batches, with a progress bar.

    A model uses a single core for much of its work. Therefore each batch is split, and several
    smaller batches are processed in parallel threads. Results are in the order of the rows. Only a
    few results are computed in advance, to limit the memory.

    Args:
        process: function that is called with each batch, from several threads.
        rows: the rows.
        batch_size: total number of rows that are processed at a time. It limits the memory.
        description: label of the progress bar.
        max_parallel_batches: number of batches that are processed in parallel.

    Yields:
        The result of ``process`` for each batch.
    """
    size = math.ceil(batch_size / max_parallel_batches)
    pending: deque[Future[T]] = deque()
    threads = ThreadPoolExecutor(max_parallel_batches)
    n_batches = math.ceil(len(rows) / size)
    try:
        # disable=None: no bar if stderr is not a terminal.
        with tqdm(
            total=n_batches, desc=description, unit="batch", mininterval=1, disable=None
        ) as bar:
            for n_submitted, batch in enumerate(rows.iter_batches(size)):
                pending.append(threads.submit(process, batch))
                if n_submitted >= max_parallel_batches:
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
    """Return the best items for each row.

    Args:
        scorer: the model.
        windows: the rows. All of them are scored in one batch.
        k: number of items per row.
        filter_seen: whether items that the user bought before are removed.
        allowed: shape (items + 1,), bool: the items that may be recommended. None allows all items.

    Returns:
        Item indices in order, shape (rows, k), int64, padded with 0; and their scores, the same
        shape, float32, padded with ``-inf``.
    """
    scores = scorer.score(windows)
    if filter_seen:
        scores[windows.list_seen_pairs()] = -np.inf
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    return select_top_k(scores, k)


def _select_unseen(
    items: np.ndarray,
    scores: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    n_columns: int,
    k: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first ``k`` items of each list that the user has not seen.

    Args:
        items: item indices in order, shape (rows, any), padded with 0.
        scores: the same shape.
        seen: row numbers and item indices, the result of :meth:`Windows.list_seen_pairs`.
        n_columns: number of items + 1.
        k: number of items per row.

    Returns:
        Item indices and scores, both of shape (rows, k); see :func:`fill_top_k`.
    """
    is_seen = np.zeros((len(items), n_columns), bool)
    is_seen[seen] = True
    is_dropped = np.take_along_axis(is_seen, items, axis=1) | (items == 0)
    order = np.argsort(is_dropped, axis=1, kind="stable")
    kept = np.take_along_axis(np.where(is_dropped, 0, items), order, axis=1)
    return fill_top_k(kept, np.take_along_axis(scores, order, axis=1), k)
