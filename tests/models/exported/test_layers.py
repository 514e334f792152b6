"""Functions of the layers that SciPy has, too."""

import hypothesis.extra.numpy as arrays
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, ndtr

from bazar.models.exported.layers import PackedSteps, apply_gelu
from bazar.models.network_inputs import NetworkInput

VALUES = arrays.arrays(
    np.float32, st.integers(1, 30), elements=st.floats(-1e6, 1e6, width=32, allow_nan=False)
)


@given(VALUES)
def test_gelu_is_the_value_times_its_normal_probability(values: np.ndarray) -> None:
    expected = values.astype(np.float64) * ndtr(values.astype(np.float64))
    np.testing.assert_allclose(apply_gelu(values), expected, rtol=1e-6, atol=1e-6)


@given(VALUES)
def test_the_gates_of_an_lstm_are_sigmoids(values: np.ndarray) -> None:
    """With a candidate of 1 and an open forget gate, the cell shows the input gate."""
    zeros = np.zeros(0, np.int32)
    inputs = NetworkInput(
        zeros, zeros, zeros, np.array([1, 1]), np.zeros(1, np.int32), zeros, zeros, zeros, zeros
    )
    units = len(values)
    gates = np.concatenate([values, np.zeros(units), np.full(units, 50), np.full(units, 50)])
    weights = {
        "kernel": gates[None].astype(np.float32),
        "recurrent_kernel": np.zeros((units, 4 * units), np.float32),
        "bias": np.zeros(4 * units, np.float32),
    }
    packed = PackedSteps.from_input(inputs)
    hidden = packed.run_recurrent("lstm", weights, np.ones((1, 1), np.float32))[0]
    np.testing.assert_allclose(hidden, np.tanh(expit(values.astype(np.float64))), atol=1e-6)
