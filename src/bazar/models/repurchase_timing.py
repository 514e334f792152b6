"""Repurchase timing: the probability that a user buys an item again, and buys it now.

This module imports neither TensorFlow nor SciPy.
"""

import numpy as np

from bazar.config.models import RepurchaseTimingOptions
from bazar.data.seen_items import SeenItems, list_seen_items
from bazar.data.windows import Windows
from bazar.models.histories import build_training_histories
from bazar.models.popularity import fill_with_popularity, scale_popularity
from bazar.models.scorer import Scorer

# Minimum coefficient of variation of the purchase rates of an item. A prior with less variation
# would ignore the purchases of the user.
_MIN_VARIATION = 0.1


class RepurchaseTiming(Scorer):
    """Recommend the items that the user probably buys again now.

    This follows the modified Poisson-Gamma model of Bhagat, Muralidharan, Lobzhanidze and
    Vishwanath (2018, "Buy It Again: Modeling Repeat Purchase Recommendations"). The score of an
    item is the repeat customer probability of the item, times the probability
    ``1 - exp(-rate)`` that the user buys the item within a day.

    - The repeat customer probability is the share of the customers of the item who bought it in
      more than one order.
    - The rate is ``(k + alpha) / (span + 2 * abs(gap - age) + beta)`` until the age is twice the
      gap, and ``(k + alpha) / (span + age + beta)`` later. ``k`` is the number of orders with the
      item, ``span`` the days from the first to the last of them, ``age`` the days since the last
      one, and ``gap`` the mean days between two of them. The rate is highest if the age equals the
      gap. If the user bought the item once, the gap is 0.
    - ``alpha`` and ``beta`` are the parameters of a gamma distribution. Its mean and variance are
      those of the rates of the repeat customers of the item. The rate of a customer is ``k``
      divided by the days since the first purchase, at least one day.

    One detail is not in the paper: ``smoothing`` average customers are added to each item, both for
    the probability and for the mean and variance. This helps with items that few customers bought.

    All orders before the targets count, not only those of the history. Without timestamps, an order
    is a day. If only the rows have no timestamps, an order takes the mean days between two training
    orders. Items that the user never bought are ordered by popularity.
    """

    predicts_repeats = True

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: RepurchaseTimingOptions
    ) -> None:
        self._popularity = scale_popularity(training_counts)
        seen = list_seen_items(build_training_histories(train))
        size = len(training_counts)
        self._repeat_probability = _compute_repeat_probability(seen, size, options.smoothing)
        self._alpha, self._beta = _fit_gamma(seen, size, options.smoothing)
        self._has_clock = train.sequences.timestamps is not None
        self._days_per_order = _compute_days_per_order(seen)

    def score(self, windows: Windows) -> np.ndarray:
        """Return the probabilities of a purchase within a day; see :meth:`Scorer.score`."""
        seen = list_seen_items(windows)
        days = 1.0
        if self._has_clock and windows.sequences.timestamps is None:
            days = self._days_per_order
        alpha, beta = self._alpha[seen.items], self._beta[seen.items]
        first, age = days * seen.first_days, days * seen.last_days
        span = first - age
        gap = span / np.maximum(seen.counts - 1, 1)
        # At twice the gap, both denominators are equal.
        elapsed = np.where(age < 2 * gap, span + 2 * np.abs(gap - age), first)
        rates = (seen.counts + alpha) / (elapsed + beta)
        scores = np.zeros((len(windows), len(self._popularity)), np.float32)
        scores[seen.rows, seen.items] = self._repeat_probability[seen.items] * -np.expm1(-rates)
        return fill_with_popularity(scores, self._popularity)


def _compute_repeat_probability(seen: SeenItems, size: int, smoothing: float) -> np.ndarray:
    """Return the repeat customer probability of each item, shape (size,), float64, above 0."""
    n_customers = np.bincount(seen.items, minlength=size)
    n_repeat = np.bincount(seen.items[seen.counts > 1], minlength=size)
    average = (n_repeat.sum() + 1) / (n_customers.sum() + 2)
    return np.asarray((n_repeat + smoothing * average) / (n_customers + smoothing))


def _fit_gamma(seen: SeenItems, size: int, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit a gamma distribution to the purchase rates of the repeat customers of each item.

    Returns:
        The shapes and the rates of the distributions, two arrays of shape (size,), float64. Without
        any repeat customer, the mean is one purchase per day and the shape is 1.
    """
    repeated = seen.filter(seen.counts > 1)
    rates = repeated.counts / np.maximum(repeated.first_days, 1.0)
    average = float(rates.mean()) if len(rates) else 1.0
    spread = float(np.mean((rates - average) ** 2)) if len(rates) else 1.0
    n_customers = np.bincount(repeated.items, minlength=size) + smoothing
    sums = np.bincount(repeated.items, rates, size)
    means = (sums + smoothing * average) / n_customers
    squares = np.bincount(repeated.items, (rates - means[repeated.items]) ** 2, size)
    of_average = smoothing * (spread + (average - means) ** 2)
    variances = np.maximum((squares + of_average) / n_customers, (_MIN_VARIATION * means) ** 2)
    return means**2 / variances, means / variances


def _compute_days_per_order(seen: SeenItems) -> float:
    """Return the mean days from the first order of a customer to the request, per order."""
    if not len(seen):
        return 1.0
    begins = np.flatnonzero(np.diff(seen.rows, prepend=-1))
    days = np.maximum.reduceat(seen.first_days, begins).sum() / seen.n_orders[begins].sum()
    return float(days) if days > 0 else 1.0
