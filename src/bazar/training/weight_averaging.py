"""Average of a network's weights over the training steps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np


class MeanWeights:
    """The mean of the weights over all training steps, the initial weights included.

    Stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407), updated every few steps.

    Attributes:
        values: the means, float32, in the order and with the shapes of the weights.
        steps: number of steps that the means cover.
    """

    def __init__(self, weights: Sequence[keras.Variable]) -> None:
        """Start with the current weights as the mean."""
        self._weights = weights
        self.values = [weight.numpy() for weight in weights]
        self.steps = 1

    def update(self, steps: int) -> None:
        """Add the current weights to the mean, counted for the given number of steps."""
        self.steps += steps
        share = np.float32(steps / self.steps)
        self.values = [
            mean + share * (weight.numpy() - mean)
            for mean, weight in zip(self.values, self._weights, strict=True)
        ]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the weights by their mean within the context."""
        current = [weight.numpy() for weight in self._weights]
        self._assign(self.values)
        yield
        self._assign(current)

    def _assign(self, values: list[np.ndarray]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)
