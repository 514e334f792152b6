"""Statistical tests for the difference between models: paired bootstrap and Holm's correction."""

from typing import Any

import numpy as np

# Maximum number of users that are drawn in one step. It limits the memory.
_DRAWS_PER_STEP = 4_000_000
_ROUNDING_ERROR = 1e-12


def run_paired_bootstrap(
    values: np.ndarray, users: np.ndarray, resamples: int, seed: int
) -> np.ndarray:
    """Return bootstrap means over the rows of resampled users. All columns use the same users.

    Args:
        values: shape (rows, columns), float.
        users: shape (rows,), user of each row. All rows of a drawn user are in the sample.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.

    Returns:
        Shape (resamples, columns), float64: the mean of each column in each sample.
    """
    _, codes = np.unique(users, return_inverse=True)
    counts = np.bincount(codes).astype(np.float64)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in values.T] + [counts])
    n_users = len(counts)
    rng = np.random.default_rng(seed)
    samples_per_step = max(1, _DRAWS_PER_STEP // n_users)
    means = []
    for start in range(0, resamples, samples_per_step):
        n = min(samples_per_step, resamples - start)
        # Count how often each user was drawn. A matrix product then gives the sums of each sample.
        drawn = rng.integers(0, n_users, (n, n_users)) + np.arange(n)[:, None] * n_users
        n_drawn = np.bincount(drawn.ravel(), minlength=n * n_users).reshape(n, n_users)
        totals = n_drawn.astype(np.float64) @ sums
        means.append(totals[:, :-1] / totals[:, -1:])
    return np.concatenate(means)


def apply_holm_correction(p_values: np.ndarray) -> np.ndarray:
    """Return p-values that are corrected for the number of tests (Holm 1979).

    Args:
        p_values: shape (tests,), float.

    Returns:
        Corrected p-values, the same shape. A corrected p-value is below a level if and only if
        Holm's step-down procedure rejects its hypothesis at that level.
    """
    order = np.argsort(p_values, kind="stable")
    n_remaining = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(1.0, np.maximum.accumulate(p_values[order] * n_remaining))
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def compute_interval(samples: np.ndarray) -> list[float]:
    """Return the 95% percentile interval of bootstrap samples, shape (resamples,)."""
    return [float(end) for end in np.quantile(samples, (0.025, 0.975))]


def summarise_difference(
    per_row: np.ndarray, samples: np.ndarray, users: np.ndarray
) -> dict[str, Any]:
    """Return the difference of two models, its interval and its p-value.

    If two models differ for only n users, most or all samples have the same sign, and the p-value
    of the bootstrap is too small. The returned p-value is therefore at least 2 / 2^n, the smallest
    possible p-value of a sign-flip permutation test.

    Args:
        per_row: shape (rows,), difference of each row.
        samples: shape (resamples,), mean difference in each bootstrap sample.
        users: shape (rows,), user of each row.

    Returns:
        ``difference`` (the mean over rows), ``ci95`` (95% interval) and ``p`` (two-sided).
    """
    # Two equal models differ only by rounding errors.
    samples = np.where(np.abs(samples) < _ROUNDING_ERROR, 0.0, samples)
    # The observed sample counts as a bootstrap sample, so that p is never 0 (Davison and Hinkley
    # 1997, section 4.2).
    beyond = min(np.count_nonzero(samples <= 0), np.count_nonzero(samples >= 0))
    p = float(2 * (1 + beyond) / (1 + len(samples)))
    by_user = np.bincount(np.unique(users, return_inverse=True)[1], weights=per_row)
    n_different = np.count_nonzero(np.abs(by_user) > _ROUNDING_ERROR)
    p = min(1.0, max(p, 2.0 ** (1 - n_different)))
    return {"difference": float(per_row.mean()), "ci95": compute_interval(samples), "p": p}
