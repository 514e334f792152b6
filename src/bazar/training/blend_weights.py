"""Choice of the weights of a blend by validation NDCG@10."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import compute_row_metrics
from bazar.evaluation.validation import compute_ndcg, measure_ndcg, sample_rows
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
# Number of best items that METRIC counts.
_CUTOFF = 10
# Maximum number of values that are compared with targets at a time. It limits the memory.
_MAX_VALUES = 2**20
# Values of seen items and of duplicates, below all shares.
_SEEN, _EXCLUDED = -1.0, -2.0


@dataclass(frozen=True)
class BlendWeights:
    """The weights of a blend, and their validation results.

    Attributes:
        weights: by the name of the component, not negative, with sum 1.
        ndcg: NDCG@10 of the blend over the full catalogue.
        component_ndcg: NDCG@10 of each compared component alone.
        n_rows: number of validation rows.
    """

    weights: dict[str, float]
    ndcg: float
    component_ndcg: dict[str, float]
    n_rows: int


@dataclass(frozen=True)
class _Contenders:
    """The items of some rows that decide the ranks of their targets in a blend.

    A target is open if it may be among the 10 best items, depending on the weights.

    Attributes:
        shares: shape (components, rows, contenders), float32, shares of the best items.
        open_shares: shape (components, open targets), float32, shares of the open targets.
        open_rows: shape (open targets,), int64, row of each open target.
        is_contender: shape (open targets,), bool, whether the target is a contender of its row.
        target_rows: shape (targets,), int64, ascending, row of each target, open or not.
        is_open: shape (targets,), bool.
    """

    shares: np.ndarray
    open_shares: np.ndarray
    open_rows: np.ndarray
    is_contender: np.ndarray
    target_rows: np.ndarray
    is_open: np.ndarray


def choose_weights(
    components: Mapping[str, Component],
    validation: Windows,
    max_rows: int,
    rounds: int,
    batch_size: int,
    seed: int,
    *,
    filter_seen: bool,
) -> BlendWeights:
    """Choose the weights with the highest validation NDCG@10.

    The search is a coordinate ascent over the simplex, which starts with the best component alone.
    In turn, each component gets its best share, while the others keep their proportions. Candidate
    weights are compared on the 100 best items of each component: the search itself scores no rows.

    If seen items are removed, the models that predict repeats get the weight 0, unless there is no
    other component. They would cost computing time without a gain.

    Args:
        components: at least one component, by name.
        validation: rows to choose by.
        max_rows: maximum number of rows. A random sample is used if there are more.
        rounds: maximum number of turns of each component.
        batch_size: number of rows whose scores are in memory, summed over all components.
        seed: seed of the sample of rows.
        filter_seen: whether items that the user bought before are removed from the rankings.

    Raises:
        InputError: if there are no validation rows.
    """
    if len(validation) == 0:
        raise InputError(
            "There are no validation rows to choose the weights of the blend by. Use more data or "
            "another split."
        )
    candidates = components
    if filter_seen:
        others = {
            name: component
            for name, component in components.items()
            if not component.scorer.predicts_repeats
        }
        candidates = others or components
    rows = sample_rows(validation, max_rows, seed)
    parts, batch_ndcg = [], []
    for batch in rows.iter_batches(max(1, batch_size // len(candidates))):
        contenders, ndcg = _select_contenders(list(candidates.values()), batch, filter_seen)
        parts.append(contenders)
        batch_ndcg.append(ndcg)
    component_ndcg = np.concatenate(batch_ndcg, axis=1).mean(axis=1)
    found = _search_weights(_concatenate(parts), component_ndcg, len(rows), rounds)
    weights = dict.fromkeys(components, 0.0) | dict(zip(candidates, found.tolist(), strict=True))
    return BlendWeights(
        weights,
        measure_ndcg(Blend(components, weights), rows, batch_size, filter_seen),
        dict(zip(candidates, component_ndcg.tolist(), strict=True)),
        len(rows),
    )


def _select_contenders(
    components: list[Component], rows: Windows, filter_seen: bool
) -> tuple[_Contenders, np.ndarray]:
    """Select the items of each row that decide the ranks of its targets in a blend.

    Targets are not open if at least 10 contenders are above them in all components: they are not
    among the 10 best items, whatever the weights. Rows without an open target are left out.

    Returns:
        The contenders; and NDCG@10 of each component alone, shape (components, rows).
    """
    target_rows, targets = rows.list_targets()
    shares, ndcg = [], []
    for component in components:
        scores = component.score(rows)
        component_shares = component.to_shares(scores)
        component_shares[:, 0] = _EXCLUDED
        if filter_seen:
            component_shares[rows.list_seen_pairs()] = _SEEN
        shares.append(component_shares)
        ndcg.append(compute_ndcg(scores, rows, filter_seen))
    best_items = np.concatenate([find_top_positions(each, _CONTENDERS) for each in shares], axis=1)
    best_items.sort(axis=1)
    contender_shares = np.stack([np.take_along_axis(each, best_items, axis=1) for each in shares])
    contender_shares[:, :, 1:][:, best_items[:, 1:] == best_items[:, :-1]] = _EXCLUDED
    target_shares = np.stack([each[target_rows, targets] for each in shares])
    n_above = np.empty(len(targets), np.int64)
    is_contender = np.empty(len(targets), bool)
    for part in _iter_parts(len(targets), best_items.shape[1] * len(components)):
        own_rows = target_rows[part]
        is_above = contender_shares[:, own_rows] > target_shares[:, part, None]
        n_above[part] = np.count_nonzero(is_above.all(axis=0), axis=1)
        is_contender[part] = (best_items[own_rows] == targets[part, None]).any(axis=1)
    is_open = n_above < _CUTOFF
    kept = np.unique(target_rows[is_open])
    is_kept = np.isin(target_rows, kept)
    return (
        _Contenders(
            contender_shares[:, kept],
            target_shares[:, is_open],
            np.searchsorted(kept, target_rows[is_open]),
            is_contender[is_open],
            np.searchsorted(kept, target_rows[is_kept]),
            is_open[is_kept],
        ),
        np.stack(ndcg),
    )


def _concatenate(parts: list[_Contenders]) -> _Contenders:
    """Return the contenders of several batches of rows."""
    n_rows = [part.shares.shape[1] for part in parts]
    first = np.cumsum(n_rows) - n_rows
    return _Contenders(
        np.concatenate([part.shares for part in parts], axis=1),
        np.concatenate([part.open_shares for part in parts], axis=1),
        np.concatenate([part.open_rows + row for part, row in zip(parts, first, strict=True)]),
        np.concatenate([part.is_contender for part in parts]),
        np.concatenate([part.target_rows + row for part, row in zip(parts, first, strict=True)]),
        np.concatenate([part.is_open for part in parts]),
    )


def _iter_parts(n_targets: int, width: int) -> Iterator[slice]:
    """Iterate over slices of targets that are compared with ``width`` values each."""
    size = max(1, _MAX_VALUES // width)
    return (slice(start, start + size) for start in range(0, n_targets, size))


def _search_weights(
    contenders: _Contenders, component_ndcg: np.ndarray, n_rows: int, rounds: int
) -> np.ndarray:
    """Search the weights of the components, shape (components,), float64, with sum 1.

    Args:
        contenders: the items that decide the ranks of the targets.
        component_ndcg: shape (components,), NDCG@10 of each component alone.
        n_rows: number of rows, including those without an open target.
        rounds: maximum number of turns of each component.
    """

    def measure(shares: np.ndarray, open_shares: np.ndarray) -> float:
        ranks = np.full(len(contenders.target_rows), np.inf)
        ranks[contenders.is_open] = _compute_ranks(contenders, shares, open_shares)
        return float(compute_row_metrics(ranks, contenders.target_rows)[METRIC].sum()) / n_rows

    values = list(zip(contenders.shares, contenders.open_shares, strict=True))
    weights = np.zeros(len(values))
    first = int(np.argmax(component_ndcg))
    weights[first] = 1.0
    best = measure(*values[first])
    for _ in range(rounds):
        best_before = best
        for index, own in enumerate(values):
            others = weights.copy()
            others[index] = 0
            if not others.any():
                continue
            others /= others.sum()
            rest = [_add_weighted(others, arrays) for arrays in zip(*values, strict=True)]
            for share in _SHARES:
                blended = [
                    _add_weighted([1 - share, share], arrays)
                    for arrays in zip(rest, own, strict=True)
                ]
                ndcg = measure(*blended)
                if ndcg >= best + _MIN_GAIN:
                    best, weights = ndcg, (1 - share) * others
                    weights[index] = share
        if best == best_before:
            break
    return weights


def _add_weighted(weights: Iterable[float], arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Return the weighted sum of arrays of the same shape, float32.

    The arrays are added one by one, so that equal shares stay exactly equal, whatever their
    positions.
    """
    terms = [
        np.float32(weight) * array
        for weight, array in zip(weights, arrays, strict=True)
        if weight > 0
    ]
    return sum(terms[1:], start=terms[0])


def _compute_ranks(
    contenders: _Contenders, shares: np.ndarray, open_shares: np.ndarray
) -> np.ndarray:
    """Return the rank of each open target among the contenders, shape (open targets,), float64.

    Args:
        contenders: the contenders.
        shares: shape (rows, contenders), float32, blended shares of the contenders.
        open_shares: shape (open targets,), float32, blended shares of the open targets.
    """
    ranks = np.empty(len(open_shares))
    for part in _iter_parts(len(open_shares), shares.shape[1]):
        others, own = shares[contenders.open_rows[part]], open_shares[part, None]
        above = np.count_nonzero(others > own, axis=1)
        tied = np.count_nonzero(others == own, axis=1) - contenders.is_contender[part]
        ranks[part] = 1.0 + above + tied / 2
    return ranks
