import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from kedro.io import DatasetError
from scipy.special import erf

from bazar.config.networks import ModelOptions, NetworkBlock, NetworkOptions
from bazar.datasets.network import NetworkDataset
from bazar.errors import InputError
from bazar.models.network_inputs import InputOptions, NetworkInput, build_network_input
from bazar.models.networks.layers import ResidualBlock
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import NetworkClassifier, NetworkRegressor, make_scorer
from bazar.models.networks.vocabulary import check_network_items, remap_network
from bazar.training.warm_start import NetworkState
from tests.evaluation.test_ranking import make_windows, unit

CONF = Path(__file__).parents[3] / "conf" / "base"
N_ITEMS, DIMENSION = 20, 6
GRU = {"type": "gru", "units": 5}


def load_options(model: str) -> ModelOptions:
    text = (CONF / f"parameters_modelling_{model}.yml").read_text()
    return ModelOptions.model_validate(yaml.safe_load(text)[model])


def load_block(model: str, name: str) -> NetworkBlock:
    return load_options(model).networks[name]


def describe_network(**keys: Any) -> NetworkOptions:
    """Return a small network's description with some keys changed."""
    small: dict[str, Any] = {"item": "id", "item_dimension": 4, "layers": [GRU], "head": "softmax"}
    return NetworkOptions.model_validate(small | keys)


def make_title_vectors(size: int = N_ITEMS + 1, dimension: int = DIMENSION) -> np.ndarray:
    return unit(np.random.default_rng(3).normal(size=(size, dimension)))


def build_random_network(
    options: NetworkOptions, vectors: np.ndarray | None = None
) -> RecurrentNetwork:
    """Build a network with random weights and biases."""
    keras.utils.set_random_seed(5)
    network = build_network(options, N_ITEMS, DIMENSION)
    rng = np.random.default_rng(6)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(scale=0.8, size=weight.shape))
    if vectors is not None and options.adapts_titles:
        network.fit_whitening(vectors)
    return network


READS_ITEMS = InputOptions(None, reads_times=False, reads_seen=False, typical_gap=1.0)


def make_input(histories: Any, options: InputOptions = READS_ITEMS) -> NetworkInput:
    """Make the input for histories in which each item is an order; 0 is padding."""
    lists = [[int(item) for item in history if item] for history in histories]
    return build_network_input(make_windows(lists, [1] * len(lists), 20), options)


def call_network(network: RecurrentNetwork, history: Any, vectors: np.ndarray | None = None) -> Any:
    inputs = make_input(history, network.get_input_options(vectors))
    return np.asarray(network.call(inputs, network.prepare_vectors(vectors)))


def embed_histories(
    network: RecurrentNetwork, histories: Any, vectors: np.ndarray | None = None
) -> Any:
    """Return the vectors of the orders of histories, shape (rows, steps, item size)."""
    inputs = make_input(histories)
    return network.embed_orders(
        network.embed_items(inputs.items, network.prepare_vectors(vectors)), inputs
    )


# The two networks of the original study, on histories that are padded on the left and masked.


def build_original_model_one(n_items: int) -> keras.Model:
    history = keras.Input((None,), dtype="int32")
    states = keras.layers.Embedding(n_items + 1, 128, mask_zero=True)(history)
    states = keras.layers.LSTM(256, return_sequences=True)(states)
    states = keras.layers.Dropout(0.3)(states)
    states = keras.layers.LSTM(256)(states)
    states = keras.layers.Dropout(0.3)(states)
    return keras.Model(history, keras.layers.Dense(n_items + 1, activation="softmax")(states))


def build_original_model_two(dimension: int) -> keras.Model:
    history = keras.Input((None, dimension))
    states = keras.layers.Masking(0.0)(history)
    states = keras.layers.GRU(312, return_sequences=True)(states)
    states = keras.layers.LSTM(312, return_sequences=True)(states)
    states = keras.layers.GRU(312)(states)
    states = keras.layers.Dropout(0.3)(states)
    return keras.Model(history, keras.layers.Dense(dimension)(states))


def list_layer_sizes(layers: list[keras.Layer]) -> list[tuple[str, int | float | None]]:
    return [
        (type(layer).__name__, getattr(layer, "units", None) or getattr(layer, "rate", None))
        for layer in layers
        if type(layer).__name__ not in ("InputLayer", "NotEqual", "Masking")
    ]


HISTORIES = np.array([[0, 0, 3, 5], [1, 2, 3, 4], [0, 0, 0, 7]], np.int32)


def test_model_one_equals_the_original_network() -> None:
    original, network = (
        build_original_model_one(800),
        build_network(load_block("classifier", "model_i").network, 800),
    )
    assert list_layer_sizes(network.layers) == list_layer_sizes(original.layers)
    # Embedding, two LSTMs (4 gates of input, state and bias), softmax.
    assert network.count_trainable_parameters() == original.count_params() == (
        801 * 128 + 4 * 256 * (128 + 256 + 1) + 4 * 256 * (256 + 256 + 1) + 257 * 801
    )  # fmt: skip
    for ours, theirs in zip(network.trainable_weights, original.trainable_weights, strict=True):
        assert ours.shape == theirs.shape
        ours.assign(theirs)
    logits = call_network(network, HISTORIES)
    np.testing.assert_allclose(keras.ops.softmax(logits), original(HISTORIES), rtol=1e-4, atol=1e-7)


def test_model_two_equals_the_original_network() -> None:
    options = load_block("regressor", "model_ii").network
    original, network = build_original_model_two(384), build_network(options, 20, 384)
    assert list_layer_sizes(network.layers) == list_layer_sizes(original.layers)
    assert network.count_trainable_parameters() == original.count_params()
    for ours, theirs in zip(network.trainable_weights, original.trainable_weights, strict=True):
        ours.assign(theirs)
    vectors = make_title_vectors(21, 384)
    predicted = call_network(network, HISTORIES, vectors)
    np.testing.assert_allclose(predicted, original(vectors[HISTORIES]), rtol=1e-4, atol=1e-6)

    # An item without a title is skipped at every position.
    vectors[[2, 5]] = 0
    inputs = make_input(HISTORIES, network.get_input_options(vectors))
    assert inputs.items.tolist() == [3, 1, 3, 4, 7]
    assert inputs.steps.tolist() == [0, 3, 4, 5, 6]
    assert inputs.shape.tolist() == [3, 3]
    assert inputs.positions.tolist() == [0, 5, 6]
    predicted = network.call(inputs, network.prepare_vectors(vectors))
    np.testing.assert_allclose(predicted, original(vectors[HISTORIES]), rtol=1e-4, atol=1e-6)


RESIDUAL = {"type": "residual", "cell": "lstm", "units": 5, "feed_forward": 7, "dropout": 0.3}
RECURRENT = [
    {"type": "simple_rnn", "units": 7},
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": 6, "activation": "gelu"},
    {"type": "lstm", "units": 8},
    GRU,
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": 8, "activation": "relu"},
]
RESIDUALS = [
    RESIDUAL,
    {"type": "residual", "cell": "gru", "units": 6, "feed_forward": 3, "dropout": 0.1},
    {"type": "residual", "cell": "simple_rnn", "units": 4, "feed_forward": 5, "dropout": 0.1},
]
NETWORKS = {
    "softmax": describe_network(layers=RECURRENT),
    "vector": describe_network(layers=RECURRENT, item="id+title", head="vector"),
    "titles without adapter": describe_network(
        item="title", item_dimension=None, head="tied_softmax"
    ),
    "adapted titles": describe_network(item="title", head="tied_softmax", temperature=0.1),
    "ids and titles": describe_network(layers=RESIDUALS, item="id+title", head="tied_softmax"),
    "tied ids": describe_network(head="tied_softmax", layers=[RESIDUAL]),
    "skip connection": describe_network(
        item="id+title", head="tied_softmax", temperature=0.1, history_decay=0.6, layers=[RESIDUAL]
    ),
    "history vectors": describe_network(
        head="tied_softmax",
        temperature=0.1,
        history_decay=0.6,
        history_vectors=True,
        layers=[RESIDUAL],
    ),
}
OUTPUTS = {"softmax": N_ITEMS + 1, "tied_softmax": N_ITEMS + 1, "vector": DIMENSION}
every_network = pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS.keys())


@every_network
def test_output_depends_on_items_and_their_order(options: NetworkOptions) -> None:
    vectors = make_title_vectors()
    network = build_random_network(options, vectors)
    out = call_network(network, [[1, 2, 3, 0], [4, 0, 0, 0]], vectors)
    assert out.shape == (2, OUTPUTS[options.head])
    # Other items, or another order, give another output.
    for other in ([[1, 5, 3, 0]], [[3, 2, 1, 0]], [[2, 1, 3, 0]]):
        assert np.abs(call_network(network, other, vectors)[0] - out[0]).max() > 1e-4, other


@every_network
def test_padding_does_not_change_the_output(options: NetworkOptions) -> None:
    vectors = make_title_vectors()
    network = build_random_network(options, vectors)
    history = np.random.default_rng(0).integers(1, N_ITEMS, (4, 5))
    longer = np.random.default_rng(2).integers(1, N_ITEMS, (1, 11))
    # The history of another row has more steps.
    padded = np.vstack([np.pad(history, ((0, 0), (0, 6))), longer])
    np.testing.assert_allclose(
        call_network(network, padded, vectors)[:4],
        call_network(network, history, vectors),
        atol=1e-5,
    )
    # Entries without weight, as in stacked batches, change nothing.
    inputs = make_input(history, network.get_input_options(vectors))
    added = replace(
        inputs,
        items=np.pad(inputs.items, (0, 3)),
        steps=np.pad(inputs.steps, (0, 3)),
        weights=np.pad(inputs.weights, (0, 3)),
    )
    prepared = network.prepare_vectors(vectors)
    np.testing.assert_allclose(
        network.call(added, prepared), network.call(inputs, prepared), atol=1e-5
    )


@every_network
def test_each_position_equals_the_history_that_ends_there(options: NetworkOptions) -> None:
    vectors = make_title_vectors()
    network = build_random_network(options, vectors)
    history = np.random.default_rng(1).integers(1, N_ITEMS, (2, 4)).astype(np.int32)
    positions = np.array([5, 0, 3, 6], np.int32)
    encoded = network.encode_histories(embed_histories(network, history, vectors), positions)
    for index, position in enumerate(positions):
        row, step = divmod(int(position), 4)
        alone = embed_histories(network, history[row : row + 1, : step + 1], vectors)
        expected = network.encode_histories(alone, np.array([step], np.int32))
        np.testing.assert_allclose(encoded[index], expected[0], atol=1e-5)


@every_network
def test_dropout_is_applied_in_training_alone(options: NetworkOptions) -> None:
    vectors = make_title_vectors()
    network = build_random_network(options, vectors)
    history = [[1, 2, 3]]
    inputs = make_input(history, network.get_input_options(vectors))
    drops = any(layer.type in {"dropout", "residual"} for layer in options.layers)
    prepared = network.prepare_vectors(vectors)
    rounds = [np.asarray(network.call(inputs, prepared, training=True)) for _ in "ab"]
    assert np.allclose(*rounds) == (not drops)
    np.testing.assert_array_equal(
        call_network(network, history, vectors), call_network(network, history, vectors)
    )


@every_network
def test_a_saved_network_loads_with_the_same_output(
    tmp_path: Path, options: NetworkOptions
) -> None:
    vectors = make_title_vectors()
    network = build_random_network(options, vectors)
    network.id_weights.assign(np.arange(N_ITEMS + 1) % 3 > 0)
    # The data set type of the catalog loads in safe mode.
    dataset = NetworkDataset(filepath=str(tmp_path / "network.keras"))
    dataset.save(NetworkState(network))
    loaded = dataset.load()
    assert loaded.options == options
    assert loaded.n_items == N_ITEMS
    history = [[1, 2, 3], [9, 0, 0]]
    np.testing.assert_array_equal(
        call_network(loaded, history, vectors), call_network(network, history, vectors)
    )
    for loaded_weight, weight in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(loaded_weight, weight)


def test_orders_are_at_the_front_of_their_row() -> None:
    inputs = make_input(HISTORIES)
    assert inputs.shape.tolist() == [3, 4]
    assert inputs.items.tolist() == [3, 5, 1, 2, 3, 4, 7]
    assert inputs.steps.tolist() == [0, 1, 4, 5, 6, 7, 8]
    assert inputs.weights.tolist() == [1] * 7
    assert inputs.positions.tolist() == [1, 7, 8]


def test_a_history_without_a_readable_item_has_no_entries() -> None:
    readable = np.ones(N_ITEMS + 1, bool)
    readable[7] = False
    inputs = make_input(HISTORIES, replace(READS_ITEMS, readable_items=readable))
    assert inputs.shape.tolist() == [3, 4]
    assert inputs.steps.tolist() == [0, 1, 4, 5, 6, 7]
    assert inputs.positions.tolist() == [1, 7, 8]


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_residual_block_equals_a_hand_calculation(cell: str) -> None:
    rng = np.random.default_rng(2)
    block = ResidualBlock(cell, units=5, feed_forward=7, dropout=0.5)
    block.build((None, None, 3))
    for weight in block.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    states = rng.normal(size=(2, 4, 3)).astype(np.float32)

    def dense(layer: keras.layers.Dense, x: np.ndarray) -> np.ndarray:
        return x @ np.asarray(layer.kernel) + np.asarray(layer.bias)

    def normalised(layer: keras.layers.LayerNormalization, x: np.ndarray) -> np.ndarray:
        deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-3)
        scaled = (x - x.mean(axis=-1, keepdims=True)) / deviation
        return scaled * np.asarray(layer.gamma) + np.asarray(layer.beta)

    layer = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM}.get(
        cell, keras.layers.GRU
    )(5, return_sequences=True)
    layer.build((None, None, 3))
    layer.set_weights(block.recurrent.get_weights())
    after_cell = normalised(
        block.recurrent_norm, states + dense(block.back, np.asarray(layer(states)))
    )
    hidden = dense(block.hidden, after_cell)
    hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    expected = normalised(block.feed_forward_norm, after_cell + dense(block.out, hidden))
    np.testing.assert_allclose(block(states), expected, rtol=1e-4, atol=1e-5)
    assert block.compute_output_shape((None, None, 3)) == (None, None, 3)
    assert len(block.trainable_weights) == len(layer.weights) + 3 * 2 + 2 * 2


def test_whitening_gives_no_mean_and_unit_covariance() -> None:
    rng = np.random.default_rng(4)
    # Directions of very different variance, around a point far from 0.
    vectors = unit(rng.normal(size=(400, DIMENSION)) * [3, 2, 1, 0.5, 0.3, 0.2] + 2)
    vectors[7] = 0
    network = build_random_network(describe_network(item="title", head="tied_softmax"), vectors)
    titled = np.delete(vectors, [0, 7], axis=0)
    white = (titled - np.asarray(network.centre)) @ np.asarray(network.whitening)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white, rowvar=False, bias=True), np.eye(6), atol=1e-2)

    prepared = np.asarray(network.prepare_vectors(vectors))
    assert not prepared[[0, 7]].any()
    expected = white / np.linalg.norm(white, axis=1, keepdims=True)
    np.testing.assert_allclose(np.delete(prepared, [0, 7], axis=0), expected, atol=1e-5)


def test_untrained_network_scores_by_the_titles_of_the_history() -> None:
    vectors = make_title_vectors()
    options = describe_network(item="title", head="tied_softmax", temperature=1, history_decay=0.5)
    network = build_network(options, N_ITEMS, DIMENSION)
    network.fit_whitening(vectors)
    # An item vector keeps the four directions in which titles differ most.
    centred = vectors[1:] - vectors[1:].mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    white = centred @ directions.T / lengths
    table = unit(np.vstack([np.zeros(DIMENSION), white]))[:, :4]
    point = 0.25 * table[3] + 0.5 * table[9] + table[4]
    expected = table[1:] @ point / np.linalg.norm(table[1:], axis=1) / np.linalg.norm(point)
    np.testing.assert_allclose(
        call_network(network, [[3, 9, 4, 0]], vectors)[0, 1:], expected, atol=1e-4
    )

    # The output of the head is added to that direction.
    embedded = embed_histories(network, [[3, 9, 4, 0]], vectors)
    alone = np.asarray(network.encode_histories(embedded, np.array([2], np.int32)))
    assert np.linalg.norm(alone) == pytest.approx(1, rel=1e-5)
    network.head.bias.assign([3, 0, -1, 2])
    both = np.asarray(network.encode_histories(embedded, np.array([2], np.int32)))
    np.testing.assert_allclose(both - alone, [[3, 0, -1, 2]], atol=1e-5)


def test_title_similarity_is_added_to_the_learned_scores() -> None:
    vectors = make_title_vectors()
    keys = {"item": "title", "head": "tied_softmax", "temperature": 0.2, "history_decay": 0.5}
    learned = build_random_network(describe_network(**keys), vectors)
    similar = build_random_network(describe_network(**keys, add_title_similarity=True), vectors)
    history = [[3, 9, 4, 0]]
    before = call_network(learned, history, vectors)
    np.testing.assert_allclose(call_network(similar, history, vectors), before, rtol=1e-5)
    similar.title_weight.assign(0.3)
    titles = np.asarray(similar.prepare_vectors(vectors))
    direction = 0.25 * titles[3] + 0.5 * titles[9] + titles[4]
    cosines = titles @ direction / np.linalg.norm(direction)
    expected = before[0] + 0.3 * cosines / 0.2
    np.testing.assert_allclose(
        call_network(similar, history, vectors)[0], expected, rtol=1e-4, atol=1e-5
    )
    scorer = NetworkClassifier(similar, vectors)
    shares = scorer.score(make_windows([[3, 9, 4]], [1]))[0, 1:]
    odds = np.exp(expected[1:] - expected[1:].max())
    np.testing.assert_allclose(shares, odds / odds.sum(), rtol=1e-3, atol=1e-6)


def test_whitening_of_few_titles_gives_unit_vectors() -> None:
    vectors = make_title_vectors(5, 40)
    network = build_network(describe_network(item="title", head="tied_softmax"), 4, 40)
    network.fit_whitening(vectors)
    prepared = np.asarray(network.prepare_vectors(vectors))
    np.testing.assert_allclose(np.linalg.norm(prepared[1:], axis=1), 1, rtol=1e-5)


def test_titles_without_adapter_are_not_changed() -> None:
    vectors = make_title_vectors()
    network = build_random_network(
        describe_network(item="title", item_dimension=None, head="vector"), vectors
    )
    np.testing.assert_array_equal(network.prepare_vectors(vectors), vectors)
    np.testing.assert_array_equal(
        network.embed_items(np.array([[3, 0]], np.int32), vectors), vectors[[[3, 0]]]
    )


def test_temperature_divides_cosines() -> None:
    vectors = make_title_vectors()
    warm, cold = (
        build_random_network(
            describe_network(item="id+title", head="tied_softmax", temperature=temperature), vectors
        )
        for temperature in (1.0, 0.05)
    )
    history = [[1, 2, 3], [4, 0, 0]]
    cosines = call_network(warm, history, vectors)
    assert np.abs(cosines).max() <= 1 + 1e-6
    np.testing.assert_allclose(call_network(cold, history, vectors), cosines / 0.05, rtol=1e-4)

    plain = build_random_network(describe_network(item="id+title", head="tied_softmax"), vectors)
    table = np.asarray(plain.embed_items(np.arange(N_ITEMS + 1), plain.prepare_vectors(vectors)))
    embedded = embed_histories(plain, history, vectors)
    encoded = np.asarray(plain.encode_histories(embedded, np.array([2, 3], np.int32)))
    np.testing.assert_allclose(call_network(plain, history, vectors), encoded @ table.T, atol=1e-5)
    lengths = np.linalg.norm(encoded, axis=1)[:, None] * np.linalg.norm(table, axis=1)
    np.testing.assert_allclose(cosines, encoded @ table.T / lengths, atol=1e-5)


def test_item_numbering_does_not_change_scores() -> None:
    vectors = make_title_vectors()
    options = describe_network(item="id+title", head="tied_softmax", layers=[RESIDUAL])
    network, renumbered = (
        build_random_network(options, vectors),
        build_random_network(options, vectors),
    )
    rng = np.random.default_rng(8)
    known = rng.integers(0, 2, N_ITEMS + 1)
    # Item i of the first network is item new[i] of the second.
    new = np.concatenate([[0], rng.permutation(N_ITEMS) + 1])
    old = np.argsort(new)
    table = np.asarray(network.item_embedding.embeddings)
    renumbered.item_embedding.embeddings.assign(table[old])
    network.id_weights.assign(known)
    renumbered.id_weights.assign(known[old])
    histories = [[1, 2, 3], [4], [5, 6]]
    scores = make_scorer(network, vectors).score(make_windows(histories, [1, 1, 1]))
    rows = make_windows([new[history].tolist() for history in histories], [1, 1, 1])
    others = make_scorer(renumbered, vectors[old]).score(rows)
    np.testing.assert_allclose(others[:, new], scores, rtol=1e-4, atol=1e-7)


UNKNOWN = 5


def test_history_vectors_are_added_in_histories_alone() -> None:
    options = describe_network(head="tied_softmax", history_vectors=True)
    network = build_random_network(options)
    # The same item has other vectors in a history and as an output. Item 5 was not trained.
    network.id_weights.assign(np.where(np.arange(N_ITEMS + 1) == UNKNOWN, 0, 0.5))
    table = 0.5 * np.asarray(network.item_embedding.embeddings)
    in_histories = table + 0.5 * np.asarray(network.history_embedding.embeddings)
    table[UNKNOWN] = in_histories[UNKNOWN] = 0

    history = [1, UNKNOWN, 2]
    steps = in_histories[history][None]
    encoded = np.asarray(network.encode_histories(steps, np.array([2], np.int32)))
    logits = call_network(network, [history])
    np.testing.assert_allclose(logits, encoded @ table.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["softmax", "tied_softmax"])
def test_the_embedding_of_an_unknown_item_is_not_used(head: str) -> None:
    network = build_random_network(describe_network(head=head))
    rows = make_windows([[1, UNKNOWN, 3], [2]], [1, 1])
    before_known = NetworkClassifier(network).score(rows)
    known = np.ones(N_ITEMS + 1)
    known[UNKNOWN] = 0
    network.id_weights.assign(known)
    scores = NetworkClassifier(network).score(rows)
    assert not np.allclose(scores[0], before_known[0])
    table = np.asarray(network.item_embedding.embeddings)
    table[UNKNOWN] = 1_000
    network.item_embedding.embeddings.assign(table)
    np.testing.assert_array_equal(NetworkClassifier(network).score(rows), scores)


def test_tied_ids_never_recommend_an_unknown_item() -> None:
    network = build_random_network(describe_network(head="tied_softmax"))
    network.id_weights.assign(np.arange(N_ITEMS + 1) != UNKNOWN)
    scores = NetworkClassifier(network).score(make_windows([[1, 2], [UNKNOWN]], [1, 1]))
    assert (scores[:, [0, UNKNOWN]] == -np.inf).all()
    others = np.delete(scores, [0, UNKNOWN], axis=1)
    assert (others > 0).all()
    np.testing.assert_allclose(others.sum(axis=1), 1, rtol=1e-5)


def test_an_unknown_item_is_scored_by_its_title_alone() -> None:
    vectors = make_title_vectors()
    vectors[7] = 0
    network = build_random_network(describe_network(item="id+title", head="tied_softmax"), vectors)
    # Items 5 and 7 do not occur in training. Items 7 and 8 have no title.
    vectors[8] = 0
    network.id_weights.assign(~np.isin(np.arange(N_ITEMS + 1), [UNKNOWN, 7]))
    scores = make_scorer(network, vectors).score(make_windows([[1, 2]], [1]))[0]
    assert np.flatnonzero(scores == -np.inf).tolist() == [0, 7]
    # Logits are the logarithms of the scores, up to a constant.
    prepared = np.asarray(network.prepare_vectors(vectors))
    titles = prepared @ np.asarray(network.title_adapter.kernel)
    table = np.asarray(network.item_embedding.embeddings) + titles
    table[UNKNOWN] = titles[UNKNOWN]
    embedded = embed_histories(network, [[1, 2]], vectors)
    encoded = np.asarray(network.encode_histories(embedded, np.array([1], np.int32)))[0]
    logits = table @ encoded
    shown = [1, 2, UNKNOWN, 8]
    np.testing.assert_allclose(
        np.log(scores[shown] / scores[1]), logits[shown] - logits[1], atol=1e-4
    )


def test_titles_alone_can_recommend_every_titled_item() -> None:
    vectors = make_title_vectors()
    vectors[7] = 0
    network = build_random_network(describe_network(item="title", head="tied_softmax"), vectors)
    network.id_weights.assign(np.arange(N_ITEMS + 1) != UNKNOWN)
    scores = make_scorer(network, vectors).score(make_windows([[1, 2]], [1]))[0]
    assert np.flatnonzero(scores == -np.inf).tolist() == [0, 7]


def test_a_catalogue_with_one_title_is_ranked() -> None:
    vectors = np.zeros((N_ITEMS + 1, DIMENSION), np.float32)
    vectors[2] = DIMENSION**-0.5
    options = describe_network(item="title", head="tied_softmax", temperature=0.5)
    network = build_random_network(options, vectors)
    (shares,) = NetworkClassifier(network, vectors).score(make_windows([[2]], [2]))
    # The only title is the mean of all titles: once it is centred, it has no direction.
    assert shares[2] == pytest.approx(1)
    assert np.isneginf(np.delete(shares, 2)).all()


def test_description_lists_layers_and_parameters() -> None:
    network = build_network(load_block("classifier", "model_i").network, 800)
    lines = [line.rsplit(maxsplit=1) for line in network.describe().splitlines()]
    assert [(name.split(), count) for name, count in lines] == [
        (["layer", "output"], "parameters"),
        (["item_embedding", "(None,", "128)"], "102,528"),
        (["lstm_1", "(None,", "None,", "256)"], "394,240"),
        (["dropout_2", "(None,", "None,", "256)"], "0"),
        (["lstm_3", "(None,", "None,", "256)"], "525,312"),
        (["dropout_4", "(None,", "256)"], "0"),
        (["head", "(None,", "801)"], "205,857"),
        (["total", "trainable"], "1,227,937"),
    ]
    assert max(map(len, network.describe().splitlines())) <= 50
    # The summary of Keras lists the same layers.
    printed: list[str] = []
    network.summary(print_fn=printed.append)
    for part in ("lstm_1 (LSTM)", "394,240", "(None, 801)", "205,857"):
        assert part in printed[0]


@every_network
def test_description_lists_every_layer(options: NetworkOptions) -> None:
    lines = build_random_network(options).describe().splitlines()
    for number, layer in enumerate(options.layers, start=1):
        assert any(line.startswith(f"{layer.type}_{number} ") for line in lines)


@pytest.mark.parametrize("changes", [{"item": "title"}, {"item": "id+title"}, {"head": "vector"}])
def test_networks_with_titles_need_the_vector_dimension(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="dimension"):
        build_network(describe_network(**changes), 10)


CATALOGUE = np.array(["", *(f"P{index:02d}" for index in range(1, N_ITEMS + 1))], dtype=object)
# Two items are removed, two are added, and all are renumbered.
OTHER = np.array(["", "A1", *CATALOGUE[:2:-1], "Z9"], dtype=object)


@pytest.mark.parametrize(
    "keys",
    [
        {"head": "softmax"},
        {"head": "tied_softmax"},
        {"head": "tied_softmax", "item": "id+title", "temperature": 0.1, "history_decay": 0.5},
        {"head": "tied_softmax", "temperature": 0.1, "history_vectors": True},
        {"head": "vector", "item": "title", "item_dimension": None},
    ],
    ids=["softmax", "ids", "ids and titles", "history vectors", "vector"],
)
def test_remapped_weights_follow_the_item_ids(keys: dict[str, Any]) -> None:
    vectors = make_title_vectors()
    network = build_random_network(describe_network(**keys), vectors)
    network.item_ids = CATALOGUE
    unknown = "P07"
    network.id_weights.assign([0] + [item_id != unknown for item_id in CATALOGUE[1:]])
    grown = remap_network(network, OTHER)
    assert grown.n_items == len(OTHER) - 1
    assert grown.item_ids.tolist() == OTHER.tolist()
    then = {item_id: index for index, item_id in enumerate(CATALOGUE)}
    now = {item_id: index for index, item_id in enumerate(OTHER)}
    kept = [item_id for item_id in OTHER[1:] if item_id in then]
    moved = np.zeros((len(OTHER), DIMENSION), np.float32)
    moved[[now[item_id] for item_id in kept]] = vectors[[then[item_id] for item_id in kept]]
    moved[now["A1"]], moved[now["Z9"]] = vectors[1], vectors[2]

    known = dict(zip(OTHER, grown.id_weights.numpy(), strict=True))
    assert {item_id for item_id in OTHER[1:] if not known[item_id]} == {unknown, "A1", "Z9"}
    history = ["P09", unknown, "P15", "P12"]
    before = call_network(network, [[then[item_id] for item_id in history]], vectors)[0]
    after = call_network(grown, [[now[item_id] for item_id in history]], moved)[0]
    if keys["head"] == "vector":
        np.testing.assert_allclose(after, before, rtol=1e-5)
        return
    np.testing.assert_allclose(
        after[[now[item_id] for item_id in kept]],
        before[[then[item_id] for item_id in kept]],
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip
    if keys["head"] == "softmax":
        lowest = network.head.bias.numpy().min()
        assert after[now["A1"]] == after[now["Z9"]] == pytest.approx(lowest)
    elif keys.get("item") == "id+title":
        # A new item is represented by its title alone.
        embedded = grown.embed_items(np.array([now["A1"]]), grown.prepare_vectors(moved))
        expected = network.title_adapter(network.prepare_vectors(vectors)[1][None])
        np.testing.assert_allclose(embedded, expected, rtol=1e-5)


def test_remapping_to_the_same_catalogue_returns_the_network() -> None:
    network = build_random_network(describe_network())
    network.item_ids = CATALOGUE
    assert remap_network(network, CATALOGUE.copy()) is network


def test_item_ids_are_saved_and_the_checksum_is_verified(tmp_path: Path) -> None:
    network = build_random_network(describe_network())
    network.item_ids = CATALOGUE
    path = tmp_path / "network.keras"
    dataset = NetworkDataset(filepath=str(path))
    dataset.save(NetworkState(network))
    assert dataset.load().item_ids.tolist() == CATALOGUE.tolist()
    check = subprocess.run(
        ["sha256sum", "--check", "network.keras.sha256"], cwd=tmp_path, check=False
    )
    assert check.returncode == 0
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="was changed after the training"):
        dataset.load()


def test_a_run_killed_during_a_save_leaves_a_network_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_random_network(describe_network())
    network.item_ids = CATALOGUE
    dataset = NetworkDataset(filepath=str(tmp_path / "network.keras"))
    dataset.save(NetworkState(network))
    network.head.bias.assign(network.head.bias + 1)

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    for function in ("bazar.atomic._replace", "bazar.models.networks.files.remove_old_checksums"):
        with monkeypatch.context() as patched:
            patched.setattr(function, kill)
            with pytest.raises(KeyboardInterrupt):
                dataset.save(NetworkState(network))
        dataset.load()
    np.testing.assert_array_equal(dataset.load().head.bias, network.head.bias)


def test_residual_block_returns_the_requested_positions() -> None:
    block = ResidualBlock("gru", units=6, feed_forward=8, dropout=0.5)
    states = np.random.default_rng(2).normal(size=(3, 5, 4)).astype(np.float32)
    block.build(states.shape)
    every = np.asarray(block(states)).reshape(15, 4)
    positions = np.array([4, 11, 5], np.int32)
    found = np.asarray(block(states, positions=positions))
    np.testing.assert_allclose(found, every[positions], rtol=1e-5, atol=1e-6)


def test_classifier_losses_are_cross_entropies() -> None:
    network = build_random_network(describe_network())
    windows = make_windows([[1, 2], [4]], [3, 5])
    scores, losses = make_scorer(network, None).score_with_losses(windows, _fail)
    np.testing.assert_array_equal(scores, make_scorer(network, None).score(windows))
    np.testing.assert_allclose(losses, -np.log(scores[[0, 1], [3, 5]]), rtol=1e-5)


def _fail(*_: Any) -> Any:
    raise AssertionError


def test_regressor_losses_compare_vectors_that_are_not_scaled() -> None:
    vectors = make_title_vectors()
    network = build_random_network(describe_network(head="vector"), vectors)
    windows = make_windows([[1, 2], [4]], [3, 5])
    scorer = make_scorer(network, vectors)
    assert isinstance(scorer, NetworkRegressor)
    scores, losses = scorer.score_with_losses(
        windows, lambda predicted, expected: np.abs(predicted - expected).sum(axis=1)
    )
    predicted = scorer.predict_vectors(windows)
    np.testing.assert_allclose(losses, np.abs(predicted - vectors[[3, 5]]).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(scores[:, 1:], predicted @ vectors[1:].T, rtol=1e-4, atol=1e-5)
    # The order of the items is that of the cosines.
    np.testing.assert_array_equal(
        np.argsort(scores, axis=1), np.argsort(scorer.score(windows), axis=1)
    )


@pytest.mark.parametrize("head", ["tied_softmax", "vector"])
def test_refresh_uses_the_current_weights(head: str) -> None:
    vectors = make_title_vectors()
    network = build_random_network(describe_network(head=head), vectors)
    windows = make_windows([[1, 2], [4]], [3, 5])
    scorer = make_scorer(network, vectors)
    before = scorer.score(windows)
    for weight in network.trainable_weights:
        weight.assign(-weight)
    scorer.refresh()
    after = scorer.score(windows)
    assert np.abs(after[:, 1:] - before[:, 1:]).max() > 1e-4
    np.testing.assert_array_equal(after, make_scorer(network, vectors).score(windows))


def test_a_network_of_another_catalogue_is_rejected() -> None:
    network = build_random_network(describe_network())
    network.item_ids = CATALOGUE
    check_network_items(network, CATALOGUE.copy(), "the classifier", "modelling_classifier")
    renumbered = CATALOGUE[[0, *range(N_ITEMS, 0, -1)]]
    expected = "The classifier was trained for another catalogue.* pipeline modelling_classifier"
    with pytest.raises(InputError, match=expected):
        check_network_items(network, renumbered, "the classifier", "modelling_classifier")


def test_weights_are_created_in_a_fixed_order() -> None:
    # The order decides which random numbers each weight starts with, and the file of the optimizer
    # relies on it.
    options = describe_network(
        item="id+title", head="tied_softmax", temperature=0.1, history_decay=0.5,
        add_title_similarity=True,
    )  # fmt: skip
    network = build_network(options, N_ITEMS, DIMENSION)
    trainable = [
        "embeddings", "kernel", "kernel", "recurrent_kernel", "bias", "kernel", "bias",
    ]  # fmt: skip
    assert [weight.name for weight in network.trainable_weights] == trainable
    fixed = ["id_weights", "centre", "whitening", "title_weight"]
    assert [weight.name for weight in network.non_trainable_weights] == fixed
    assert [layer.name for layer in network.layers] == [
        "item_embedding", "title_adapter", "gru_1", "head",
    ]  # fmt: skip
