"""Blends: what several models make of the catalogue, put on one scale, weighed and summed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import row_metrics, target_ranks
from bazar.models.blend import (
    Blend,
    Component,
)

METRIC = "ndcg@10"

# Items of each component, its best, among which weights are tried out.
_CONTENDERS = 100
# Shares of the blend that are tried for a component; the others keep their proportions.
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# What a change of the weights must gain in NDCG@10: below it is chance, and more to compute.
_LEAST_GAIN = 1e-4
# Scores of what was bought before, and of what is not to be counted, below all shares.
_SEEN, _UNCOUNTED = -1.0, -2.0


@dataclass(frozen=True)
class Choice:
    """The weights of a blend, and what they were chosen by.

    Attributes:
        weights: by the name of the component, from 0, summing to 1.
        ndcg: NDCG@10 of the blend over the full catalogue, with the history filtered.
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
    """Choose the weights with the highest validation NDCG@10, with the history filtered.

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
