"""Layers of a network in NumPy. They compute what the Keras layers compute without dropout.

The weights have the names, the shapes and the order of Keras. SciPy has some of these functions,
but its import would take a third of the start of the online service.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from bazar.models.network_inputs import NetworkInput

Weights = Mapping[str, np.ndarray]
"""The weights of a layer, float32, by name."""

# The default of Keras' LayerNormalization.
_NORM_EPSILON = 1e-3
# Approximation of the error function (Abramowitz and Stegun 1964, 7.1.26), error below 2e-7.
_ERROR_POINT = np.float32(0.3275911 * 0.5**0.5)
_ERROR_POLYNOMIAL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


@dataclass(frozen=True)
class PackedSteps:
    """The steps of histories, without padding: the first steps of all rows, then the second steps.

    Within a step, the rows are sorted by their number of steps, the largest first. Therefore the
    rows that have a step are the first ones of this order. PyTorch's ``PackedSequence`` has the
    same layout.

    Attributes:
        rows: shape (rows,), int64: row of the input at each place of the order.
        lengths: shape (rows,), int64: number of steps of each row, in the order of ``rows``.
        sizes: shape (steps,), int64: number of rows that have each step.
        starts: shape (steps,), int64: position of the first row of each step.
    """

    rows: np.ndarray
    lengths: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray

    @classmethod
    def from_input(cls, inputs: NetworkInput) -> Self:
        """Return the packed steps of an input with one state for each row."""
        n_steps = int(inputs.shape[1])
        lengths = inputs.positions % n_steps + 1
        rows = np.argsort(-lengths, kind="stable")
        lengths = lengths[rows]
        # In ascending order, the rows from this place on have more steps.
        sizes = len(rows) - np.searchsorted(lengths[::-1], np.arange(int(lengths[0])), side="right")
        return cls(rows, lengths, sizes, np.cumsum(sizes) - sizes)

    @property
    def last(self) -> np.ndarray:
        """Positions of the last step of each row, in the order of ``rows``, shape (rows,)."""
        return self.starts[self.lengths - 1] + np.arange(len(self.rows))

    def sum_entries(self, embedded: np.ndarray, inputs: NetworkInput) -> np.ndarray:
        """Return the vector of each order: the weighted sum of the vectors of its items.

        Args:
            embedded: vectors of ``inputs.items``, shape (entries, size).
            inputs: the histories.

        Returns:
            Shape (packed steps, size), float32. The step of an empty history is 0.
        """
        rows, steps = np.divmod(inputs.steps, int(inputs.shape[1]))
        places = np.empty(len(self.rows), np.int64)
        places[self.rows] = np.arange(len(self.rows))
        positions = self.starts[steps] + places[rows]
        weighted = embedded * inputs.weights[:, None]
        sums = np.zeros((int(self.sizes.sum()), embedded.shape[1]), np.float32)
        if len(positions) == 0:
            return sums
        order = np.argsort(positions, kind="stable")
        found, first = np.unique(positions[order], return_index=True)
        sums[found] = np.add.reduceat(weighted[order], first, axis=0)
        return sums

    def take_steps(self, values: np.ndarray) -> np.ndarray:
        """Return the steps of padded values.

        Args:
            values: shape (rows, steps, size).

        Returns:
            Shape (packed steps, size).
        """
        return np.concatenate(
            [values[self.rows[:size], step] for step, size in enumerate(self.sizes)]
        )

    def sum_with_decay(self, states: np.ndarray, decay: float) -> np.ndarray:
        """Return the exponentially decayed sum of the steps of each row.

        Args:
            states: shape (packed steps, size).
            decay: weight of a step relative to the step after it.

        Returns:
            Shape (rows, size), in the order of ``rows``.
        """
        sums = np.zeros((len(self.rows), states.shape[1]), np.float32)
        for start, size in zip(self.starts, self.sizes, strict=True):
            sums[:size] *= np.float32(decay)
            sums[:size] += states[start : start + size]
        return sums

    def run_recurrent(self, kind: str, weights: Weights, states: np.ndarray) -> np.ndarray:
        """Return the hidden state of a recurrent layer after each step.

        Args:
            kind: ``simple_rnn``, ``lstm`` or ``gru``.
            weights: ``kernel``, ``recurrent_kernel`` and ``bias``.
            states: shape (packed steps, size).

        Returns:
            Shape (packed steps, units), float32.
        """
        recurrent, bias = weights["recurrent_kernel"], np.atleast_2d(weights["bias"])
        projected = states @ weights["kernel"]
        projected += bias[0]
        units = recurrent.shape[0]
        hidden = np.zeros((len(self.rows), units), np.float32)
        step = _make_step(kind, recurrent, bias[-1], hidden)
        outputs = np.empty((len(states), units), np.float32)
        for start, size in zip(self.starts, self.sizes, strict=True):
            # Rows without this step keep their state, which nothing reads any more.
            step(projected[start : start + size])
            outputs[start : start + size] = hidden[:size]
        return outputs


def _make_step(
    kind: str, recurrent: np.ndarray, bias: np.ndarray, hidden: np.ndarray
) -> Callable[[np.ndarray], None]:
    """Return the function that updates the hidden states in place by one step.

    Args:
        kind: ``simple_rnn``, ``lstm`` or ``gru``.
        recurrent: the recurrent kernel.
        bias: the bias of the recurrent kernel; only ``gru`` has its own.
        hidden: the states of all rows.

    Returns:
        A function of the projected input of the first rows, which have this step.
    """
    if kind == "gru":
        return lambda projected: _step_gru(projected, recurrent, bias, hidden[: len(projected)])
    if kind == "lstm":
        cell = np.zeros_like(hidden)
        return lambda projected: _step_lstm(
            projected, recurrent, hidden[: len(projected)], cell[: len(projected)]
        )
    return lambda projected: _step_simple_rnn(projected, recurrent, hidden[: len(projected)])


def _step_simple_rnn(projected: np.ndarray, recurrent: np.ndarray, hidden: np.ndarray) -> None:
    """Update the hidden states in place (Elman 1990)."""
    hidden[:] = np.tanh(projected + hidden @ recurrent)


def _step_lstm(
    projected: np.ndarray, recurrent: np.ndarray, hidden: np.ndarray, cell: np.ndarray
) -> None:
    """Update the hidden and cell states in place (Hochreiter and Schmidhuber 1997).

    The gates are in the order of Keras: input, forget, cell, output.
    """
    units = hidden.shape[1]
    gates = projected + hidden @ recurrent
    candidate = np.tanh(gates[:, 2 * units : 3 * units])
    gates = _apply_sigmoid(gates)
    cell *= gates[:, units : 2 * units]
    cell += gates[:, :units] * candidate
    np.multiply(gates[:, 3 * units :], np.tanh(cell), out=hidden)


def _step_gru(
    projected: np.ndarray, recurrent: np.ndarray, bias: np.ndarray, hidden: np.ndarray
) -> None:
    """Update the hidden states in place (Cho et al. 2014).

    The gates are in the order of Keras: update, reset, candidate. The reset gate is applied after
    the matrix product, as in Keras' default ``reset_after=True``.
    """
    units = hidden.shape[1]
    inner = hidden @ recurrent
    inner += bias
    gates = _apply_sigmoid(projected[:, : 2 * units] + inner[:, : 2 * units])
    update, reset = gates[:, :units], gates[:, units:]
    candidate = np.tanh(projected[:, 2 * units :] + reset * inner[:, 2 * units :])
    # update * hidden + (1 - update) * candidate
    hidden -= candidate
    hidden *= update
    hidden += candidate


def _apply_sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-values)), computed in place. The form with tanh has no overflow."""
    values *= np.float32(0.5)
    np.tanh(values, out=values)
    values *= np.float32(0.5)
    values += np.float32(0.5)
    return values


def apply_dense(weights: Weights, states: np.ndarray, activation: str = "linear") -> np.ndarray:
    """Return the output of a dense layer.

    Args:
        weights: ``kernel``, and ``bias`` if the layer has one.
        states: shape (rows, size).
        activation: ``linear``, ``relu``, ``gelu`` or ``tanh``.

    Returns:
        Shape (rows, units), float32.
    """
    output = states @ weights["kernel"]
    if "bias" in weights:
        output += weights["bias"]
    match activation:
        case "gelu":
            return apply_gelu(output)
        case "relu":
            return np.maximum(output, 0)
        case "tanh":
            return np.tanh(output)
    return output


def apply_gelu(values: np.ndarray) -> np.ndarray:
    """Return the exact GELU (Hendrycks and Gimpel 2016): x times the normal distribution of x."""
    # Above 16, the tail is 0 in float32.
    sizes = np.minimum(np.abs(values), np.float32(16))
    points = 1 / (1 + _ERROR_POINT * sizes)
    # The probability of a normal value above the size, times 2.
    tails = points * np.float32(_ERROR_POLYNOMIAL[0])
    for coefficient in _ERROR_POLYNOMIAL[1:]:
        tails += np.float32(coefficient)
        tails *= points
    tails *= np.exp(np.float32(-0.5) * sizes * sizes)
    tails *= sizes
    tails *= np.float32(0.5)
    return np.subtract(np.maximum(values, 0), tails, out=tails)


def normalize_layer(weights: Weights, states: np.ndarray) -> np.ndarray:
    """Return the layer normalisation (Ba et al. 2016) of the last axis.

    Args:
        weights: ``gamma`` and ``beta``, shape (size,).
        states: shape (rows, size).
    """
    centred = states - states.mean(axis=1, keepdims=True)
    variance = np.mean(centred * centred, axis=1, keepdims=True)
    centred /= np.sqrt(variance + np.float32(_NORM_EPSILON))
    return centred * weights["gamma"] + weights["beta"]


def scale_to_unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (last axis) of unit length. Zeros stay zeros."""
    squares = np.vecdot(vectors, vectors)[..., None]
    return vectors / np.sqrt(np.maximum(squares, np.float32(1e-12)))
