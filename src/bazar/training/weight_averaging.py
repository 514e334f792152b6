"""Training a network on rows of (history, target)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
import numpy as np


class _MeanWeights:
    """The mean of weights over the steps of a training, its start among them.

    Stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407), over every few steps.

    Attributes:
        of_weights: float32, in the order and of the shapes of the weights.
        steps: how many are in the mean.
    """

    def __init__(self, weights: Sequence[keras.Variable]) -> None:
        self._weights = weights
        self.of_weights = [weight.numpy() for weight in weights]
        self.steps = 1

    def update(self, steps: int) -> None:
        """Count the weights as they are now for so many steps."""
        self.steps += steps
        share = np.float32(steps / self.steps)
        self.of_weights = [
            mean + share * (weight.numpy() - mean)
            for mean, weight in zip(self.of_weights, self._weights, strict=True)
        ]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the mean in the place of the weights, for as long as the context lasts."""
        own = [weight.numpy() for weight in self._weights]
        self._put(self.of_weights)
        yield
        self._put(own)

    def _put(self, values: list[np.ndarray]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)
