"""Ranking of the full catalogue for any number of rows, in batches."""

from dataclasses import dataclass

import numpy as np

from bazar.data.windows import Windows
from bazar.evaluation.metrics import FILTER_MODES, compute_target_ranks
from bazar.models.recommending import map_batches
from bazar.models.scorer import Scorer
from bazar.models.top_k import fill_top_k


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
