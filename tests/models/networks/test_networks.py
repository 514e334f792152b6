import subprocess
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from kedro.io import DatasetError
from scipy.special import erf

from bazar.config.networks import ModelOptions, NetworkBlock, NetworkOptions
from bazar.data.windows import left_align
from bazar.datasets.network import NetworkDataset
from bazar.models.networks.layers import ResidualBlock
from bazar.models.networks.recurrent import RecurrentNetwork, build_network, last_step_positions
from bazar.models.networks.scorers import NetworkClassifier, make_scorer
from bazar.models.networks.vocabulary import remap_network
from tests.evaluation.test_ranking import unit, windows_of

CONF = Path(__file__).parents[3] / "conf" / "base"
N_ITEMS, DIMENSION = 20, 6
GRU = {"type": "gru", "units": 5}


def options_of(model: str) -> ModelOptions:
    text = (CONF / f"parameters_modelling_{model}.yml").read_text()
    return ModelOptions.model_validate(yaml.safe_load(text)[model])


def block_of(model: str, name: str) -> NetworkBlock:
    return options_of(model).networks[name]


def described(**keys: Any) -> NetworkOptions:
    """A small network with some keys of its own."""
    small: dict[str, Any] = {"item": "id", "item_dimension": 4, "layers": [GRU], "head": "softmax"}
    return NetworkOptions.model_validate(small | keys)


def title_vectors(size: int = N_ITEMS + 1, dimension: int = DIMENSION) -> np.ndarray:
    return unit(np.random.default_rng(3).normal(size=(size, dimension)))


def made(options: NetworkOptions, vectors: np.ndarray | None = None) -> RecurrentNetwork:
    """A network with weights of no special kind: no bias is 0."""
    keras.utils.set_random_seed(5)
    network = build_network(options, N_ITEMS, DIMENSION)
    rng = np.random.default_rng(6)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(scale=0.8, size=weight.shape))
    if vectors is not None and options.adapts_titles:
        network.fit_whitening(vectors)
    return network


def called(network: RecurrentNetwork, history: Any, vectors: np.ndarray | None = None) -> Any:
    return np.asarray(network(np.array(history, np.int32), network.prepare(vectors)))


# The two networks as the report has them, on histories padded on the left under a mask.


def model_one(n_items: int) -> keras.Model:
    history = keras.Input((None,), dtype="int32")
    states = keras.layers.Embedding(n_items + 1, 128, mask_zero=True)(history)
    states = keras.layers.LSTM(256, return_sequences=True)(states)
    states = keras.layers.Dropout(0.3)(states)
    states = keras.layers.LSTM(256)(states)
    states = keras.layers.Dropout(0.3)(states)
    return keras.Model(history, keras.layers.Dense(n_items + 1, activation="softmax")(states))


def model_two(dimension: int) -> keras.Model:
    history = keras.Input((None, dimension))
    states = keras.layers.Masking(0.0)(history)
    states = keras.layers.GRU(312, return_sequences=True)(states)
    states = keras.layers.LSTM(312, return_sequences=True)(states)
    states = keras.layers.GRU(312)(states)
    states = keras.layers.Dropout(0.3)(states)
    return keras.Model(history, keras.layers.Dense(dimension)(states))


def kinds(layers: list[keras.Layer]) -> list[tuple[str, int | float | None]]:
    return [
        (type(layer).__name__, getattr(layer, "units", None) or getattr(layer, "rate", None))
        for layer in layers
        if type(layer).__name__ not in ("InputLayer", "NotEqual", "Masking")
    ]


HISTORIES = np.array([[0, 0, 3, 5], [1, 2, 3, 4], [0, 0, 0, 7]], np.int32)


def test_model_one_is_the_reports() -> None:
    report, network = model_one(800), build_network(block_of("classifier", "model_i").network, 800)
    assert kinds(network.layers) == kinds(report.layers)
    # Embedding, two LSTMs (4 gates of input, state and bias), softmax.
    assert network.count_trainable() == report.count_params() == (
        801 * 128 + 4 * 256 * (128 + 256 + 1) + 4 * 256 * (256 + 256 + 1) + 257 * 801
    )  # fmt: skip
    for ours, theirs in zip(network.trainable_weights, report.trainable_weights, strict=True):
        assert ours.shape == theirs.shape
        ours.assign(theirs)
    logits = network(left_align(HISTORIES))
    np.testing.assert_allclose(keras.ops.softmax(logits), report(HISTORIES), rtol=1e-4, atol=1e-7)


def test_model_two_is_the_reports() -> None:
    options = block_of("regressor", "model_ii").network
    report, network = model_two(384), build_network(options, 20, 384)
    assert kinds(network.layers) == kinds(report.layers)
    assert network.count_trainable() == report.count_params()
    for ours, theirs in zip(network.trainable_weights, report.trainable_weights, strict=True):
        ours.assign(theirs)
    vectors = title_vectors(21, 384)
    predicted = network(left_align(HISTORIES), network.prepare(vectors))
    np.testing.assert_allclose(predicted, report(vectors[HISTORIES]), rtol=1e-4, atol=1e-6)

    # A product without a title is passed over, wherever it stands.
    vectors[[2, 5]] = 0
    histories = left_align(HISTORIES, network.find_readable_items(vectors))
    assert histories.tolist() == [[3, 0, 0, 0], [1, 3, 4, 0], [7, 0, 0, 0]]
    predicted = network(histories, network.prepare(vectors))
    np.testing.assert_allclose(predicted, report(vectors[HISTORIES]), rtol=1e-4, atol=1e-6)


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
    "softmax": described(layers=RECURRENT),
    "vector": described(layers=RECURRENT, item="id+title", head="vector"),
    "titles as they are": described(item="title", item_dimension=None, head="tied_softmax"),
    "adapted titles": described(item="title", head="tied_softmax", temperature=0.1),
    "ids and titles": described(layers=RESIDUALS, item="id+title", head="tied_softmax"),
    "tied ids": described(head="tied_softmax", layers=[RESIDUAL]),
    "a way around": described(
        item="id+title", head="tied_softmax", temperature=0.1, history_decay=0.6, layers=[RESIDUAL]
    ),
}
OUTPUTS = {"softmax": N_ITEMS + 1, "tied_softmax": N_ITEMS + 1, "vector": DIMENSION}
every_network = pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS.keys())


@every_network
def test_every_layer_works_with_every_head(options: NetworkOptions) -> None:
    vectors = title_vectors()
    network = made(options, vectors)
    out = called(network, [[1, 2, 3, 0], [4, 0, 0, 0]], vectors)
    assert out.shape == (2, OUTPUTS[options.head])
    # What is read decides, and so does the order in which it is.
    for other in ([[1, 5, 3, 0]], [[3, 2, 1, 0]], [[2, 1, 3, 0]]):
        assert np.abs(called(network, other, vectors)[0] - out[0]).max() > 1e-4, other


@every_network
def test_padding_changes_nothing(options: NetworkOptions) -> None:
    vectors = title_vectors()
    network = made(options, vectors)
    history = np.random.default_rng(0).integers(1, N_ITEMS, (4, 5))
    padded = np.pad(history, ((0, 2), (0, 6)))
    np.testing.assert_allclose(
        called(network, padded, vectors)[:4], called(network, history, vectors), atol=1e-5
    )


@every_network
def test_each_step_is_what_its_own_history_gives(options: NetworkOptions) -> None:
    vectors = title_vectors()
    network = made(options, vectors)
    history = np.random.default_rng(1).integers(1, N_ITEMS, (2, 4)).astype(np.int32)
    positions = np.array([5, 0, 3, 6], np.int32)
    read = network.read(network.represent(history, network.prepare(vectors)), positions)
    for place, position in enumerate(positions):
        row, step = divmod(int(position), 4)
        alone = network.represent(history[row : row + 1, : step + 1], network.prepare(vectors))
        expected = network.read(alone, np.array([step], np.int32))
        np.testing.assert_allclose(read[place], expected[0], atol=1e-5)


@every_network
def test_dropout_is_for_training_alone(options: NetworkOptions) -> None:
    vectors = title_vectors()
    network = made(options, vectors)
    history = np.array([[1, 2, 3]], np.int32)
    drops = any(layer.type in {"dropout", "residual"} for layer in options.layers)
    rounds = [np.asarray(network(history, network.prepare(vectors), training=True)) for _ in "ab"]
    assert np.allclose(*rounds) == (not drops)
    np.testing.assert_array_equal(
        called(network, history, vectors), called(network, history, vectors)
    )


@every_network
def test_a_saved_network_scores_the_same(tmp_path: Path, options: NetworkOptions) -> None:
    vectors = title_vectors()
    network = made(options, vectors)
    network.in_training.assign(np.arange(N_ITEMS + 1) % 3 > 0)
    # The catalog's own type, which loads in safe mode.
    dataset = NetworkDataset(filepath=str(tmp_path / "network.keras"))
    dataset.save(network)
    loaded = dataset.load()
    assert loaded.options == options
    assert loaded.n_items == N_ITEMS
    history = [[1, 2, 3], [9, 0, 0]]
    np.testing.assert_array_equal(
        called(loaded, history, vectors), called(network, history, vectors)
    )
    for one, two in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_histories_go_to_the_front() -> None:
    np.testing.assert_array_equal(
        left_align(np.vstack([HISTORIES, [[0, 0, 0, 0]]])),
        [[3, 5, 0, 0], [1, 2, 3, 4], [7, 0, 0, 0], [0, 0, 0, 0]],
    )
    assert np.asarray(last_step_positions(left_align(HISTORIES))).tolist() == [1, 7, 8]


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_a_residual_block_by_hand(cell: str) -> None:
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
    network = made(described(item="title", head="tied_softmax"), vectors)
    titled = np.delete(vectors, [0, 7], axis=0)
    white = (titled - np.asarray(network.centre)) @ np.asarray(network.whitening)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white, rowvar=False, bias=True), np.eye(6), atol=1e-2)

    prepared = np.asarray(network.prepare(vectors))
    assert not prepared[[0, 7]].any()
    expected = white / np.linalg.norm(white, axis=1, keepdims=True)
    np.testing.assert_allclose(np.delete(prepared, [0, 7], axis=0), expected, atol=1e-5)


def test_training_starts_from_the_titles_of_the_history() -> None:
    vectors = title_vectors()
    options = described(item="title", head="tied_softmax", temperature=1, history_decay=0.5)
    network = build_network(options, N_ITEMS, DIMENSION)
    network.fit_whitening(vectors)
    # The directions in which titles differ most, of which an item has room for four.
    read = vectors[1:] - vectors[1:].mean(axis=0)
    _, lengths, directions = np.linalg.svd(read, full_matrices=False)
    white = read @ directions.T / lengths
    table = unit(np.vstack([np.zeros(DIMENSION), white]))[:, :4]
    point = 0.25 * table[3] + 0.5 * table[9] + table[4]
    expected = table[1:] @ point / np.linalg.norm(table[1:], axis=1) / np.linalg.norm(point)
    np.testing.assert_allclose(called(network, [[3, 9, 4, 0]], vectors)[0, 1:], expected, atol=1e-4)

    # What the head gives is added to that direction.
    represented = network.represent(np.array([[3, 9, 4, 0]], np.int32), network.prepare(vectors))
    alone = np.asarray(network.read(represented, np.array([2], np.int32)))
    assert np.linalg.norm(alone) == pytest.approx(1, rel=1e-5)
    network.head.bias.assign([3, 0, -1, 2])
    both = np.asarray(network.read(represented, np.array([2], np.int32)))
    np.testing.assert_allclose(both - alone, [[3, 0, -1, 2]], atol=1e-5)


def test_whole_titles_add_to_what_was_learned() -> None:
    vectors = title_vectors()
    keys = {"item": "title", "head": "tied_softmax", "temperature": 0.2, "history_decay": 0.5}
    learned = made(described(**keys), vectors)
    whole = made(described(**keys, add_title_similarity=True), vectors)
    history = [[3, 9, 4, 0]]
    before = called(learned, history, vectors)
    np.testing.assert_allclose(called(whole, history, vectors), before, rtol=1e-5)
    whole.title_weight.assign(0.3)
    titles = np.asarray(whole.prepare(vectors))
    read = 0.25 * titles[3] + 0.5 * titles[9] + titles[4]
    near = titles @ read / np.linalg.norm(read)
    expected = before[0] + 0.3 * near / 0.2
    np.testing.assert_allclose(called(whole, history, vectors)[0], expected, rtol=1e-4, atol=1e-5)
    scorer = NetworkClassifier(whole, vectors)
    shares = scorer.score(windows_of([[3, 9, 4]], [1]))[0, 1:]
    odds = np.exp(expected[1:] - expected[1:].max())
    np.testing.assert_allclose(shares, odds / odds.sum(), rtol=1e-3, atol=1e-6)


def test_few_titles_are_not_blown_up() -> None:
    vectors = title_vectors(5, 40)
    network = build_network(described(item="title", head="tied_softmax"), 4, 40)
    network.fit_whitening(vectors)
    prepared = np.asarray(network.prepare(vectors))
    np.testing.assert_allclose(np.linalg.norm(prepared[1:], axis=1), 1, rtol=1e-5)


def test_titles_as_they_are_stay_so() -> None:
    vectors = title_vectors()
    network = made(described(item="title", item_dimension=None, head="vector"), vectors)
    np.testing.assert_array_equal(network.prepare(vectors), vectors)
    np.testing.assert_array_equal(
        network.represent(np.array([[3, 0]], np.int32), vectors), vectors[[[3, 0]]]
    )


def test_temperature() -> None:
    vectors = title_vectors()
    warm, cold = (
        made(described(item="id+title", head="tied_softmax", temperature=temperature), vectors)
        for temperature in (1.0, 0.05)
    )
    history = [[1, 2, 3], [4, 0, 0]]
    cosines = called(warm, history, vectors)
    assert np.abs(cosines).max() <= 1 + 1e-6
    np.testing.assert_allclose(called(cold, history, vectors), cosines / 0.05, rtol=1e-4)

    plain = made(described(item="id+title", head="tied_softmax"), vectors)
    table = np.asarray(plain.represent(np.arange(N_ITEMS + 1), plain.prepare(vectors)))
    represented = plain.represent(np.array(history, np.int32), plain.prepare(vectors))
    read = np.asarray(plain.read(represented, np.array([2, 3], np.int32)))
    np.testing.assert_allclose(called(plain, history, vectors), read @ table.T, atol=1e-5)
    lengths = np.linalg.norm(read, axis=1)[:, None] * np.linalg.norm(table, axis=1)
    np.testing.assert_allclose(cosines, read @ table.T / lengths, atol=1e-5)


def test_items_may_be_numbered_in_any_order() -> None:
    vectors = title_vectors()
    options = described(item="id+title", head="tied_softmax", layers=[RESIDUAL])
    network, renumbered = made(options, vectors), made(options, vectors)
    rng = np.random.default_rng(8)
    known = rng.integers(0, 2, N_ITEMS + 1)
    # Item i of the first is item new[i] of the second.
    new = np.concatenate([[0], rng.permutation(N_ITEMS) + 1])
    old = np.argsort(new)
    table = np.asarray(network.item_embedding.embeddings)
    renumbered.item_embedding.embeddings.assign(table[old])
    network.in_training.assign(known)
    renumbered.in_training.assign(known[old])
    histories = [[1, 2, 3], [4], [5, 6]]
    scores = make_scorer(network, vectors).score(windows_of(histories, [1, 1, 1]))
    rows = windows_of([new[history].tolist() for history in histories], [1, 1, 1])
    others = make_scorer(renumbered, vectors[old]).score(rows)
    np.testing.assert_allclose(others[:, new], scores, rtol=1e-4, atol=1e-7)


UNKNOWN = 5


@pytest.mark.parametrize("head", ["softmax", "tied_softmax"])
def test_the_embedding_of_an_unknown_item_is_not_read(head: str) -> None:
    network = made(described(head=head))
    rows = windows_of([[1, UNKNOWN, 3], [2]], [1, 1])
    before_known = NetworkClassifier(network).score(rows)
    known = np.ones(N_ITEMS + 1)
    known[UNKNOWN] = 0
    network.in_training.assign(known)
    scores = NetworkClassifier(network).score(rows)
    assert not np.allclose(scores[0], before_known[0])
    table = np.asarray(network.item_embedding.embeddings)
    table[UNKNOWN] = 1_000
    network.item_embedding.embeddings.assign(table)
    np.testing.assert_array_equal(NetworkClassifier(network).score(rows), scores)


def test_tied_ids_cannot_recommend_an_unknown_item() -> None:
    network = made(described(head="tied_softmax"))
    network.in_training.assign(np.arange(N_ITEMS + 1) != UNKNOWN)
    scores = NetworkClassifier(network).score(windows_of([[1, 2], [UNKNOWN]], [1, 1]))
    assert (scores[:, [0, UNKNOWN]] == -np.inf).all()
    others = np.delete(scores, [0, UNKNOWN], axis=1)
    assert (others > 0).all()
    np.testing.assert_allclose(others.sum(axis=1), 1, rtol=1e-5)


def test_an_unknown_item_is_scored_by_its_title_alone() -> None:
    vectors = title_vectors()
    vectors[7] = 0
    network = made(described(item="id+title", head="tied_softmax"), vectors)
    # Neither 5 nor 7 was ever bought; 7 has no title either; 8 has none, and was bought.
    vectors[8] = 0
    network.in_training.assign(~np.isin(np.arange(N_ITEMS + 1), [UNKNOWN, 7]))
    scores = make_scorer(network, vectors).score(windows_of([[1, 2]], [1]))[0]
    assert np.flatnonzero(scores == -np.inf).tolist() == [0, 7]
    # Logits are logs of the scores up to a constant.
    prepared = np.asarray(network.prepare(vectors))
    titles = prepared @ np.asarray(network.title_adapter.kernel)
    table = np.asarray(network.item_embedding.embeddings) + titles
    table[UNKNOWN] = titles[UNKNOWN]
    represented = network.represent(np.array([[1, 2]], np.int32), prepared)
    read = np.asarray(network.read(represented, np.array([1], np.int32)))[0]
    logits = table @ read
    shown = [1, 2, UNKNOWN, 8]
    np.testing.assert_allclose(
        np.log(scores[shown] / scores[1]), logits[shown] - logits[1], atol=1e-4
    )


def test_titles_alone_reach_every_titled_item() -> None:
    vectors = title_vectors()
    vectors[7] = 0
    network = made(described(item="title", head="tied_softmax"), vectors)
    network.in_training.assign(np.arange(N_ITEMS + 1) != UNKNOWN)
    scores = make_scorer(network, vectors).score(windows_of([[1, 2]], [1]))[0]
    assert np.flatnonzero(scores == -np.inf).tolist() == [0, 7]


def test_a_shop_of_one_title_is_ranked() -> None:
    vectors = np.zeros((N_ITEMS + 1, DIMENSION), np.float32)
    vectors[2] = DIMENSION**-0.5
    options = described(item="title", head="tied_softmax", temperature=0.5)
    network = made(options, vectors)
    (shares,) = NetworkClassifier(network, vectors).score(windows_of([[2]], [2]))
    # What is like the mean of all titles has no direction once that is taken away.
    assert shares[2] == pytest.approx(1)
    assert np.isneginf(np.delete(shares, 2)).all()


def test_a_network_describes_itself() -> None:
    network = build_network(block_of("classifier", "model_i").network, 800)
    lines = [line.rsplit(maxsplit=1) for line in network.describe().splitlines()]
    assert [(name.split(), count) for name, count in lines] == [
        (["layer", "output"], "parameters"),
        (["item_embedding", "(None,", "128)"], "102,528"),
        (["lstm_1", "(None,", "None,", "256)"], "394,240"),
        (["dropout_2", "(None,", "None,", "256)"], "0"),
        (["lstm_3", "(None,", "None,", "256)"], "525,312"),
        (["dropout_4", "(None,", "256)"], "0"),
        (["head", "(None,", "801)"], "205,857"),
        (["all", "that", "learn"], "1,227,937"),
    ]
    assert max(map(len, network.describe().splitlines())) <= 50
    # Keras' own table has the same layers.
    printed: list[str] = []
    network.summary(print_fn=printed.append)
    for part in ("lstm_1 (LSTM)", "394,240", "(None, 801)", "205,857"):
        assert part in printed[0]


@every_network
def test_every_network_describes_itself(options: NetworkOptions) -> None:
    lines = made(options).describe().splitlines()
    for place, layer in enumerate(options.layers, start=1):
        assert any(line.startswith(f"{layer.type}_{place} ") for line in lines)


@pytest.mark.parametrize("changes", [{"item": "title"}, {"item": "id+title"}, {"head": "vector"}])
def test_what_needs_titles_needs_their_dimension(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="dimension"):
        build_network(described(**changes), 10)


CATALOGUE = np.array(["", *(f"P{index:02d}" for index in range(1, N_ITEMS + 1))], dtype=object)
# Two are gone, two are new, and all are numbered anew.
OTHER = np.array(["", "A1", *CATALOGUE[:2:-1], "Z9"], dtype=object)


@pytest.mark.parametrize(
    "keys",
    [
        {"head": "softmax"},
        {"head": "tied_softmax"},
        {"head": "tied_softmax", "item": "id+title", "temperature": 0.1, "history_decay": 0.5},
        {"head": "vector", "item": "title", "item_dimension": None},
    ],
    ids=["softmax", "ids", "ids and titles", "vector"],
)
def test_what_was_learned_of_an_item_goes_with_its_id(keys: dict[str, Any]) -> None:
    vectors = title_vectors()
    network = made(described(**keys), vectors)
    network.item_ids = CATALOGUE
    unknown = "P07"
    network.in_training.assign([0] + [item_id != unknown for item_id in CATALOGUE[1:]])
    grown = remap_network(network, OTHER)
    assert grown.n_items == len(OTHER) - 1
    assert grown.item_ids.tolist() == OTHER.tolist()
    then = {item_id: index for index, item_id in enumerate(CATALOGUE)}
    now = {item_id: index for index, item_id in enumerate(OTHER)}
    kept = [item_id for item_id in OTHER[1:] if item_id in then]
    moved = np.zeros((len(OTHER), DIMENSION), np.float32)
    moved[[now[item_id] for item_id in kept]] = vectors[[then[item_id] for item_id in kept]]
    moved[now["A1"]], moved[now["Z9"]] = vectors[1], vectors[2]

    known = dict(zip(OTHER, grown.in_training.numpy(), strict=True))
    assert {item_id for item_id in OTHER[1:] if not known[item_id]} == {unknown, "A1", "Z9"}
    history = ["P09", unknown, "P15", "P12"]
    before = called(network, [[then[item_id] for item_id in history]], vectors)[0]
    after = called(grown, [[now[item_id] for item_id in history]], moved)[0]
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
        # Of a new product its title is read, and nothing that was learned of others.
        by_title = grown.represent(np.array([now["A1"]]), grown.prepare(moved))
        expected = network.title_adapter(network.prepare(vectors)[1][None])
        np.testing.assert_allclose(by_title, expected, rtol=1e-5)


def test_the_same_catalogue_is_the_same_network() -> None:
    network = made(described())
    network.item_ids = CATALOGUE
    assert remap_network(network, CATALOGUE.copy()) is network


def test_a_network_comes_back_with_its_items_and_its_checksum(tmp_path: Path) -> None:
    network = made(described())
    network.item_ids = CATALOGUE
    path = tmp_path / "network.keras"
    dataset = NetworkDataset(filepath=str(path))
    dataset.save(network)
    assert dataset.load().item_ids.tolist() == CATALOGUE.tolist()
    said = subprocess.run(
        ["sha256sum", "--check", "network.keras.sha256"], cwd=tmp_path, check=False
    )
    assert said.returncode == 0
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="not the file that was written"):
        dataset.load()


def test_a_run_killed_between_a_network_and_its_checksum_leaves_one_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = made(described())
    network.item_ids = CATALOGUE
    dataset = NetworkDataset(filepath=str(tmp_path / "network.keras"))
    dataset.save(network)
    network.head.bias.assign(network.head.bias + 1)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    for moment in ("bazar.atomic._put_in_place", "bazar.datasets.network.settle_checksum"):
        with monkeypatch.context() as patched:
            patched.setattr(moment, killed)
            with pytest.raises(KeyboardInterrupt):
                dataset.save(network)
        dataset.load()
    np.testing.assert_array_equal(dataset.load().head.bias, network.head.bias)


def test_a_block_gives_the_steps_that_are_asked_for() -> None:
    block = ResidualBlock("gru", units=6, feed_forward=8, dropout=0.5)
    states = np.random.default_rng(2).normal(size=(3, 5, 4)).astype(np.float32)
    block.build(states.shape)
    every = np.asarray(block(states)).reshape(15, 4)
    places = np.array([4, 11, 5], np.int32)
    asked = np.asarray(block(states, positions=places))
    np.testing.assert_allclose(asked, every[places], rtol=1e-5, atol=1e-6)
