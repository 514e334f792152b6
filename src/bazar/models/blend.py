"""Blend of models: a weighted sum of the normalised scores (shares) of several models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bazar.data.windows import Windows
from bazar.models.scorer import Scorer

# Maximum number of shares that are computed at a time. They fit into the processor's cache.
_MAX_SHARES = 2**17


@dataclass(frozen=True)
class Component:
    """A model in a blend.

    Attributes:
        scorer: the model.
        history_length: maximum number of orders in a history that the model reads. None reads the
            histories of the rows. Models that predict repeats, and the repeat scores of networks,
            read all orders.
    """

    scorer: Scorer
    history_length: int | None = None

    def score(self, windows: Windows) -> np.ndarray:
        """Score the catalogue; see :meth:`Scorer.score`."""
        if self.history_length is not None:
            length = min(self.history_length, windows.history_length)
            windows = replace(windows, history_length=length)
        return self.scorer.score(windows)

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Convert the scores to shares of the catalogue; see :meth:`Scorer.to_shares`."""
        return self.scorer.to_shares(scores)


class Blend(Scorer):
    """A weighted sum of the shares of several models.

    :meth:`Scorer.to_shares` defines shares. Components with weight 0 are not used. If a component
    cannot recommend an item, its share is 0. Other components can still recommend the item.

    Attributes:
        informative_items: items that are informative for at least one component; see
            :class:`Scorer`.
    """

    def __init__(self, components: Mapping[str, Component], weights: Mapping[str, float]) -> None:
        """Prepare to score.

        Args:
            components: components by name. Components with weight 0 may be missing.
            weights: weights by the name of the component, not negative, at least one above 0.
        """
        self._weighted = [
            (components[name], weight) for name, weight in weights.items() if weight > 0
        ]
        masks = [component.scorer.informative_items for component, _ in self._weighted]
        known = [mask for mask in masks if mask is not None]
        self.informative_items = np.any(known, axis=0) if len(known) == len(masks) else None

    def score(self, windows: Windows) -> np.ndarray:
        """Return the weighted sums of shares; see :meth:`Scorer.score`.

        A single component returns its own scores.
        """
        if len(self._weighted) == 1:
            return self._weighted[0][0].score(windows)
        scored = [
            (component, np.float32(weight), component.score(windows))
            for component, weight in self._weighted
        ]
        blended = np.zeros_like(scored[0][2])
        n_rows = max(1, _MAX_SHARES // blended.shape[1])
        for start in range(0, len(blended), n_rows):
            rows = slice(start, start + n_rows)
            for component, weight, scores in scored:
                blended[rows] += weight * component.to_shares(scores[rows])
            # A tiny share may be rounded to 0. Exclude only the items that no component can
            # recommend.
            without_share = np.nonzero(blended[rows] == 0)
            is_excluded = np.all(
                [scores[rows][without_share] == -np.inf for _, _, scores in scored], axis=0
            )
            blended[rows][tuple(indices[is_excluded] for indices in without_share)] = -np.inf
        return blended
