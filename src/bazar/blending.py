"""Blends: what several models make of the catalogue, put on one scale, weighed and summed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from bazar.errors import InputError
from bazar.metrics import row_metrics, target_ranks
from bazar.scorers import NearestTitles, NetworkClassifier, Scorer
from bazar.windows import Windows

METRIC = "ndcg@10"

# Items of each component, its best, among which weights are tried out.
_CONTENDERS = 100
# Shares of the blend that are tried for a component; the others keep their proportions.
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# What a change of the weights must gain in NDCG@10: below it is chance, and more to compute.
_LEAST_GAIN = 1e-4
# Weight of what nothing speaks for, in parts of the best: it stays in order, far behind.
_BEHIND = 1e-9
# Shares computed in one go: what they are computed by then stays in the processor's cache.
_NUMBERS_AT_A_TIME = 2**17
# Scores of what was bought before, and of what is not to be counted, below all shares.
_SEEN, _UNCOUNTED = -1.0, -2.0


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
        if isinstance(self.scorer, NearestTitles):
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

    telling: np.ndarray | None

    def __init__(self, components: Mapping[str, Component], weights: Mapping[str, float]) -> None:
        """Make ready to score.

        Args:
            components: by name; those of weight 0 need not be there.
            weights: by the name of the component, from 0, one above 0 at least.
        """
        self._weighed = [
            (components[name], weight) for name, weight in weights.items() if weight > 0
        ]
        telling = [component.scorer.telling for component, _ in self._weighed]
        some = [one for one in telling if one is not None]
        self.telling = np.any(some, axis=0) if len(some) == len(telling) else None

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


@dataclass(frozen=True)
class Choice:
    """The weights of a blend, and what they were chosen by.

    Attributes:
        weights: by the name of the component, from 0, summing to 1.
        ndcg: NDCG@10 of the blend over the full catalogue, with the history masked.
        of_components: the same of each component alone.
        n_rows: validation rows that all of it was measured on.
    """

    weights: dict[str, float]
    ndcg: float
    of_components: dict[str, float]
    n_rows: int


def choose_weights(
    components: Mapping[str, Component],
    validation: Windows,
    max_rows: int,
    rounds: int,
    batch_size: int,
    seed: int,
) -> Choice:
    """Choose the weights with the highest validation NDCG@10, with the history masked.

    Coordinate ascent over the simplex, from the best component alone: one component after the
    other is given the share that is best, while the others keep their proportions. Each component
    scores the rows once; weights are then tried out on the 100 best items of each component.

    Args:
        components: by name, one at least.
        validation: the rows to choose by.
        max_rows: rows that are drawn of them if there are more.
        rounds: times that each component has its turn, at most.
        batch_size: scores of a component are held for this many rows at a time, in all.
        seed: of the draw of rows.

    Raises:
        InputError: if there are no validation rows.
    """
    if len(validation) == 0:
        raise InputError("the weights of a blend are chosen by validation rows, and there are none")
    rows = _draw(validation, max_rows, seed)
    parts, gains = [], []
    for batch in rows.batches(max(1, batch_size // len(components))):
        part, gain = _contenders(list(components.values()), batch)
        parts.append(part)
        gains.append(gain)
    alone = np.concatenate(gains, axis=1).mean(axis=1)
    found = _ascend(np.concatenate(parts, axis=1), alone, len(rows), rounds)
    weights = dict(zip(components, found.tolist(), strict=True))
    blend = Blend(components, weights)
    ranks = []
    for batch in rows.batches(batch_size):
        scores = blend.score(batch)
        scores[batch.seen_pairs()] = -np.inf
        ranks.append(target_ranks(scores, batch.targets))
    return Choice(
        weights,
        float(row_metrics(np.concatenate(ranks))[METRIC].mean()),
        dict(zip(components, alone.tolist(), strict=True)),
        len(rows),
    )


def _draw(validation: Windows, max_rows: int, seed: int) -> Windows:
    if len(validation) <= max_rows:
        return validation
    rng = np.random.default_rng(seed)
    return validation.take(np.sort(rng.choice(len(validation), max_rows, replace=False)))


def _contenders(components: list[Component], rows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Keep of each row what decides the rank of its target in any blend.

    Rows are left out whose target has 10 items above it in every component: whatever the weights,
    it is not among the 10 best.

    Returns:
        Shares of the target (first) and of the contenders, shape (components, rows kept,
        1 + contenders), float32; and NDCG@10 of each component alone, shape (components, rows).
    """
    seen, targets, every = rows.seen_pairs(), rows.targets, np.arange(len(rows))
    shares, gains = [], []
    for component in components:
        scores = component.score(rows)
        of_component = component.to_shares(scores)
        of_component[seen] = _SEEN
        of_component[:, 0] = _UNCOUNTED
        shares.append(of_component)
        scores[seen] = -np.inf
        gains.append(row_metrics(target_ranks(scores, targets))[METRIC])
    k = min(_CONTENDERS, shares[0].shape[1])
    places = np.concatenate([tf.math.top_k(of_one, k).indices for of_one in shares], axis=1)
    places.sort(axis=1)
    uncounted = places == targets[:, None]
    uncounted[:, 1:] |= places[:, 1:] == places[:, :-1]
    kept = np.concatenate([targets[:, None], places], axis=1)
    values = np.stack([of_one[every[:, None], kept] for of_one in shares])
    values[:, :, 1:][:, uncounted] = _UNCOUNTED
    above_in_all = (values[:, :, 1:] > values[:, :, :1]).all(axis=0)
    return values[:, np.count_nonzero(above_in_all, axis=1) < 10], np.stack(gains)


def _ascend(values: np.ndarray, alone: np.ndarray, n_rows: int, rounds: int) -> np.ndarray:
    """Find the weights of the components, shape (components,), float64, summing to 1."""

    def ndcg(blended: np.ndarray) -> float:
        target, contenders = blended[:, :1], blended[:, 1:]
        above = np.count_nonzero(contenders > target, axis=1)
        tied = np.count_nonzero(contenders == target, axis=1)
        return float(row_metrics(1.0 + above + tied / 2)[METRIC].sum()) / n_rows

    weights = np.zeros(len(values))
    first = int(np.argmax(alone))
    weights[first] = 1.0
    best = ndcg(values[first])
    for _ in range(rounds):
        before = best
        for place, own in enumerate(values):
            others = weights.copy()
            others[place] = 0
            if not others.any():
                continue
            others /= others.sum()
            # One after the other, so that equal shares stay equal, whichever column they are in.
            rest = np.zeros_like(own)
            for weight, of_other in zip(others, values, strict=True):
                if weight > 0:
                    rest += np.float32(weight) * of_other
            for share in _SHARES:
                reached = ndcg(np.float32(1 - share) * rest + np.float32(share) * own)
                if reached >= best + _LEAST_GAIN:
                    best, weights = reached, (1 - share) * others
                    weights[place] = share
        if best == before:
            break
    return weights
