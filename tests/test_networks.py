from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from bazar.networks import build_network
from bazar.options import ModelOptions, NetworkOptions

CONF = Path(__file__).parents[1] / "conf" / "base"


def options_of(model: str) -> ModelOptions:
    text = (CONF / f"parameters_modelling_{model}.yml").read_text()
    return ModelOptions.model_validate(yaml.safe_load(text)[model])


def layer_names(network: keras.Model) -> list[tuple[str, int | float | None]]:
    return [
        (type(layer).__name__, getattr(layer, "units", None) or getattr(layer, "rate", None))
        for layer in network.layers
        if type(layer).__name__ not in ("InputLayer", "NotEqual")
    ]


def test_model_one_is_the_reports() -> None:
    network = build_network(options_of("classifier").network, n_items=800)
    assert layer_names(network) == [
        ("Embedding", None), ("LSTM", 256), ("Dropout", 0.3), ("LSTM", 256), ("Dropout", 0.3),
        ("Dense", 801),
    ]  # fmt: skip
    assert network.layers[1].output_dim == 128
    # Embedding, two LSTMs (4 gates of input, state and bias), softmax.
    assert network.count_params() == (
        801 * 128 + 4 * 256 * (128 + 256 + 1) + 4 * 256 * (256 + 256 + 1) + 257 * 801
    )
    out = network(np.array([[0, 3, 5]], np.int32))
    assert out.shape == (1, 801)
    assert float(keras.ops.sum(out)) == pytest.approx(1, abs=1e-5)


def test_model_two_is_the_reports() -> None:
    network = build_network(options_of("regressor").network, 800, vector_dimension=384)
    assert layer_names(network) == [
        ("Masking", None), ("GRU", 312), ("LSTM", 312), ("GRU", 312), ("Dropout", 0.3),
        ("Dense", 384),
    ]  # fmt: skip
    assert network.layers[-1].activation.__name__ == "linear"
    assert network(np.zeros((2, 3, 384), np.float32)).shape == (2, 384)


@pytest.mark.parametrize("model", ["classifier", "regressor"])
def test_padding_changes_nothing(model: str) -> None:
    options = options_of(model).network
    network = build_network(options, 30, vector_dimension=16)
    rng = np.random.default_rng(0)
    if model == "classifier":
        history = rng.integers(1, 30, (4, 5)).astype(np.int32)
        padded = np.pad(history, ((0, 0), (6, 0)))
    else:
        history = rng.normal(size=(4, 5, 16)).astype(np.float32)
        padded = np.pad(history, ((0, 0), (6, 0), (0, 0)))
    np.testing.assert_allclose(network(history), network(padded), atol=1e-6)


def test_layers_of_every_kind() -> None:
    options = NetworkOptions.model_validate(
        {
            "item": "id",
            "item_dimension": 8,
            "layers": [
                {"type": "simple_rnn", "units": 4},
                {"type": "dense", "units": 6, "activation": "gelu"},
                {"type": "gru", "units": 5},
            ],
            "head": "vector",
        }
    )
    network = build_network(options, 10, vector_dimension=3)
    assert [name for name, _ in layer_names(network)] == [
        "Embedding", "SimpleRNN", "Dense", "GRU", "Dense",
    ]  # fmt: skip
    assert network(np.array([[0, 1, 2]], np.int32)).shape == (1, 3)


def test_title_networks_need_a_dimension() -> None:
    with pytest.raises(ValueError, match="dimension"):
        build_network(options_of("regressor").network, 10)
