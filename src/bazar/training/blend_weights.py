"""Choice of the weights of a blend by validation NDCG@10."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import compute_row_metrics, compute_target_ranks
from bazar.models.blend import Blend, Component
from bazar.models.top_k import find_top_positions

METRIC = "ndcg@10"

# Number of each component's best items with which candidate weights are compared.
_CONTENDERS = 100
# Candidate shares of one component in the blend. The other components keep their proportions.
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Minimum gain in NDCG@10 for a change of the weights. A smaller gain is probably noise, and a
# further component costs computing time.
_MIN_GAIN = 1e-4
# Values of seen items and of duplicates, below all shares.
_SEEN, _EXCLUDED = -1.0, -2.0


@dataclass(frozen=True)
class BlendWeights:
    """The weights of a blend, and their validation results.

    Attributes:
        weights: by the name of the component, not negative, with sum 1.
        ndcg: NDCG@10 of the blend over the full catalogue, seen items filtered.
        component_ndcg: NDCG@10 of each component alone.
        n_rows: number of validation rows.
    """

    weights: dict[str, float]
    ndcg: float
    component_ndcg: dict[str, float]
    n_rows: int


def choose_weights(
    components: Mapping[str, Component],
    validation: Windows,
    max_rows: int,
    rounds: int,
    batch_size: int,
    seed: int,
) -> BlendWeights:
    """Choose the weights with the highest validation NDCG@10, seen items filtered.

    The search is a coordinate ascent over the simplex, which starts with the best component alone.
    In turn, each component gets its best share, while the others keep their proportions. Each
    component scores the rows only once: candidate weights are compared on the 100 best items of
    each component.

    Args:
        components: at least one component, by name.
        validation: rows to choose by.
        max_rows: maximum number of rows. A random sample is used if there are more.
        rounds: maximum number of turns of each component.
        batch_size: number of rows whose scores are in memory, summed over all components.
        seed: seed of the sample of rows.

    Raises:
        InputError: if there are no validation rows.
    """
    if len(validation) == 0:
        raise InputError(
            "There are no validation rows to choose the weights of the blend by. Use more data or "
            "another split."
        )
    rows = _sample_rows(validation, max_rows, seed)
    batch_values, batch_ndcg = [], []
    for batch in rows.iter_batches(max(1, batch_size // len(components))):
        values, ndcg = _select_contenders(list(components.values()), batch)
        batch_values.append(values)
        batch_ndcg.append(ndcg)
    component_ndcg = np.concatenate(batch_ndcg, axis=1).mean(axis=1)
    found = _search_weights(np.concatenate(batch_values, axis=1), component_ndcg, len(rows), rounds)
    weights = dict(zip(components, found.tolist(), strict=True))
    return BlendWeights(
        weights,
        _compute_ndcg(Blend(components, weights), rows, batch_size),
        dict(zip(components, component_ndcg.tolist(), strict=True)),
        len(rows),
    )


def _sample_rows(validation: Windows, max_rows: int, seed: int) -> Windows:
    if len(validation) <= max_rows:
        return validation
    rng = np.random.default_rng(seed)
    return validation.take(np.sort(rng.choice(len(validation), max_rows, replace=False)))


def _compute_ndcg(blend: Blend, rows: Windows, batch_size: int) -> float:
    ranks = []
    for batch in rows.iter_batches(batch_size):
        scores = blend.score(batch)
        scores[batch.list_seen_pairs()] = -np.inf
        ranks.append(compute_target_ranks(scores, batch.targets))
    return float(compute_row_metrics(np.concatenate(ranks))[METRIC].mean())


def _select_contenders(components: list[Component], rows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Select the items of each row that decide the rank of its target in a blend.

    Rows are left out if at least 10 items are above the target in all components: the target is not
    among the 10 best items, whatever the weights.

    Returns:
        The shares of the target (first column) and of the contenders, shape (components, selected
        rows, 1 + contenders), float32; and NDCG@10 of each component alone, shape (components,
        rows).
    """
    seen, targets, row_numbers = rows.list_seen_pairs(), rows.targets, np.arange(len(rows))
    shares, ndcg = [], []
    for component in components:
        scores = component.score(rows)
        component_shares = component.to_shares(scores)
        component_shares[seen] = _SEEN
        component_shares[:, 0] = _EXCLUDED
        shares.append(component_shares)
        scores[seen] = -np.inf
        ndcg.append(compute_row_metrics(compute_target_ranks(scores, targets))[METRIC])
    best_items = np.concatenate([find_top_positions(each, _CONTENDERS) for each in shares], axis=1)
    best_items.sort(axis=1)
    is_excluded = best_items == targets[:, None]
    is_excluded[:, 1:] |= best_items[:, 1:] == best_items[:, :-1]
    items = np.concatenate([targets[:, None], best_items], axis=1)
    values = np.stack([each[row_numbers[:, None], items] for each in shares])
    values[:, :, 1:][:, is_excluded] = _EXCLUDED
    is_above_in_all = (values[:, :, 1:] > values[:, :, :1]).all(axis=0)
    return values[:, np.count_nonzero(is_above_in_all, axis=1) < 10], np.stack(ndcg)


def _search_weights(
    values: np.ndarray, component_ndcg: np.ndarray, n_rows: int, rounds: int
) -> np.ndarray:
    """Search the weights of the components, shape (components,), float64, with sum 1.

    Args:
        values: shares of :func:`_select_contenders`.
        component_ndcg: shape (components,), NDCG@10 of each component alone.
        n_rows: number of rows, including those that were left out.
        rounds: maximum number of turns of each component.
    """

    def compute_ndcg(blended: np.ndarray) -> float:
        target, contenders = blended[:, :1], blended[:, 1:]
        above = np.count_nonzero(contenders > target, axis=1)
        tied = np.count_nonzero(contenders == target, axis=1)
        return float(compute_row_metrics(1.0 + above + tied / 2)[METRIC].sum()) / n_rows

    weights = np.zeros(len(values))
    first = int(np.argmax(component_ndcg))
    weights[first] = 1.0
    best = compute_ndcg(values[first])
    for _ in range(rounds):
        best_before = best
        for index, own in enumerate(values):
            others = weights.copy()
            others[index] = 0
            if not others.any():
                continue
            others /= others.sum()
            # Summed one by one: equal shares stay exactly equal, whatever their columns.
            rest = np.zeros_like(own)
            for weight, other in zip(others, values, strict=True):
                if weight > 0:
                    rest += np.float32(weight) * other
            for share in _SHARES:
                ndcg = compute_ndcg(np.float32(1 - share) * rest + np.float32(share) * own)
                if ndcg >= best + _MIN_GAIN:
                    best, weights = ndcg, (1 - share) * others
                    weights[index] = share
        if best == best_before:
            break
    return weights
