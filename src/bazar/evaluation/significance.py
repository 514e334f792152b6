"""Which model is better, and whether that is more than chance: several seeds, several models.

What is compared are the means of the same test rows. A model that was trained with several seeds
counts by the mean over them of what each row gives. Chance is that of the users: the same
resampled users are given to every model (a paired bootstrap).
"""

from typing import Any

import numpy as np

# Bounds the memory in which users are drawn.
_DRAWN_AT_A_TIME = 4_000_000
_ROUNDING = 1e-12


def paired_bootstrap(
    values: np.ndarray, users: np.ndarray, resamples: int, seed: int
) -> np.ndarray:
    """Means over rows of resampled users with all their rows, the same users for every column.

    Args:
        values: shape (rows, columns), float.
        users: shape (rows,), whose row it is.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.

    Returns:
        shape (resamples, columns), float64.
    """
    _, codes = np.unique(users, return_inverse=True)
    counts = np.bincount(codes).astype(np.float64)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in values.T] + [counts])
    n_users = len(counts)
    rng = np.random.default_rng(seed)
    at_a_time = max(1, _DRAWN_AT_A_TIME // n_users)
    means = []
    for start in range(0, resamples, at_a_time):
        n = min(at_a_time, resamples - start)
        # How often each user was drawn: a mean of a sample is then a product of matrices.
        chosen = rng.integers(0, n_users, (n, n_users)) + np.arange(n)[:, None] * n_users
        times = np.bincount(chosen.ravel(), minlength=n * n_users).reshape(n, n_users)
        totals = times.astype(np.float64) @ sums
        means.append(totals[:, :-1] / totals[:, -1:])
    return np.concatenate(means)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values for their number (Holm 1979).

    Args:
        p_values: shape (tests,), float.

    Returns:
        The same shape: below a level where the step-down procedure rejects at that level.
    """
    order = np.argsort(p_values, kind="stable")
    n_left = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(p_values[order] * n_left))
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def _interval(drawn: np.ndarray) -> list[float]:
    return [float(end) for end in np.quantile(drawn, (0.025, 0.975))]


def _difference(per_row: np.ndarray, drawn: np.ndarray) -> dict[str, Any]:
    # What two equal models differ by is rounding.
    drawn = np.where(np.abs(drawn) < _ROUNDING, 0.0, drawn)
    # Two-sided, with the sample itself counted in: never 0 (Davison and Hinkley 1997, 4.2).
    beyond = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p = min(1.0, float(2 * (1 + beyond) / (1 + len(drawn))))
    return {"difference": float(per_row.mean()), "ci95": _interval(drawn), "p": p}
