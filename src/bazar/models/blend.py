"""Blends: what several models make of the catalogue, put on one scale, weighed and summed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bazar.data.windows import Windows
from bazar.models.nearest_titles import TitleVectorScorer
from bazar.models.networks.scorers import NetworkClassifier
from bazar.models.scorer import Scorer

# Weight of what nothing speaks for, in parts of the best: it stays in order, far behind.
_BEHIND = 1e-9
# Shares computed in one go: what they are computed by then stays in the processor's cache.
_NUMBERS_AT_A_TIME = 2**17


@dataclass(frozen=True)
class Component:
    """A model in a blend.

    Attributes:
        scorer: the model.
        history_length: longest history that it reads, in items, if shorter than the rows'.
    """

    scorer: Scorer
    history_length: int | None = None

    def score(self, windows: Windows) -> np.ndarray:
        """Score the catalogue as the model does; see :meth:`Scorer.score`."""
        if self.history_length is not None:
            length = min(self.history_length, windows.history_length)
            windows = replace(windows, history_length=length)
        return self.scorer.score(windows)

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Turn the model's scores into shares of the catalogue, in the same order.

        Probabilities are taken as they are. Cosines are standardised over the items of a row,
        then go through a softmax. Anything else is taken as evidence: a score above 0 counts in
        proportion, and what is not above 0 stands far behind, in its order.

        Args:
            scores: what :meth:`score` gave.

        Returns:
            Shape (rows, items + 1), float32, from 0; 0 where the score is ``-inf``. Each row sums
            to 1, its column 0 (padding) included.
        """
        if isinstance(self.scorer, NetworkClassifier):
            return np.maximum(scores, 0)
        if isinstance(self.scorer, TitleVectorScorer):
            return _softmax_of_standardised(scores, self.scorer.is_titled)
        best = scores.max(axis=1, keepdims=True)
        shares = np.subtract(1, np.minimum(scores, 0))
        np.divide(_BEHIND * np.where(best > 0, best, 1), shares, out=shares)
        shares += np.maximum(scores, 0)
        return _normalised(shares)


def _softmax_of_standardised(scores: np.ndarray, is_titled: np.ndarray) -> np.ndarray:
    is_open = is_titled.astype(np.float32)
    n_open = np.float32(max(int(np.count_nonzero(is_titled)), 1))
    centred = np.where(is_titled, scores, np.float32(0))
    centred -= centred.sum(axis=1, keepdims=True) / n_open
    centred *= is_open
    deviation = np.sqrt(np.vecdot(centred, centred)[:, None] / n_open)
    # Where all are alike, what they differ by is rounding.
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    highest = centred.max(axis=1, keepdims=True)
    return _normalised(np.exp((centred - highest) * scale) * is_open)


def _normalised(shares: np.ndarray) -> np.ndarray:
    total = shares.sum(axis=1, keepdims=True)
    return (shares / np.where(total == 0, 1, total)).astype(np.float32, copy=False)


class Blend:
    """The weighed sum of its components' shares of the catalogue.

    Components of weight 0 are left out. What one component has no means to recommend gets nothing
    from it, and may still be recommended by the others.

    Attributes:
        telling: items that say anything to a component; see :class:`~bazar.scorers.Scorer`.
    """

    informative_items: np.ndarray | None

    def __init__(self, components: Mapping[str, Component], weights: Mapping[str, float]) -> None:
        """Make ready to score.

        Args:
            components: by name; those of weight 0 need not be there.
            weights: by the name of the component, from 0, one above 0 at least.
        """
        self._weighed = [
            (components[name], weight) for name, weight in weights.items() if weight > 0
        ]
        informative = [component.scorer.informative_items for component, _ in self._weighed]
        some = [one for one in informative if one is not None]
        self.informative_items = np.any(some, axis=0) if len(some) == len(informative) else None

    def score(self, windows: Windows) -> np.ndarray:
        """Return shares, or the scores of the one component; see :meth:`Scorer.score`."""
        if len(self._weighed) == 1:
            return self._weighed[0][0].score(windows)
        scored = [
            (component, np.float32(weight), component.score(windows))
            for component, weight in self._weighed
        ]
        blended = np.zeros_like(scored[0][2])
        n_rows = max(1, _NUMBERS_AT_A_TIME // blended.shape[1])
        for start in range(0, len(blended), n_rows):
            rows = slice(start, start + n_rows)
            for component, weight, scores in scored:
                blended[rows] += weight * component.to_shares(scores[rows])
            # Of those without a share, some are only too unlikely for a number.
            nothing = np.nonzero(blended[rows] == 0)
            is_closed = np.all(
                [scores[rows][nothing] == -np.inf for _, _, scores in scored], axis=0
            )
            blended[rows][tuple(places[is_closed] for places in nothing)] = -np.inf
        return blended
