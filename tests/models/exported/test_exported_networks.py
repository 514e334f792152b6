"""Exported networks score like the Keras networks that they come from."""

from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from bazar.config.networks import NetworkOptions
from bazar.data.catalogue import Products
from bazar.data.item_words import ItemTexts
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.exported.files import read_exported_network, write_exported_network
from bazar.models.exported.layers import PackedSteps
from bazar.models.exported.network import ExportedNetwork
from bazar.models.network_inputs import build_network_input
from bazar.models.networks.export import check_export, export_network
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.vocabulary import remap_network
from tests.models.networks.test_networks import CATALOGUE, OTHER, make_title_vectors
from tests.models.order_rows import make_requests

N_ITEMS, DIMENSION = 20, 6
UNTRAINED, UNTITLED = 17, [0, 5, 17]
VOCABULARY = np.array(["=brand p0", "=brand p1", "=care", "1", "2", "7", "soap"], object)
GRU = {"type": "gru", "units": 5}
LAYERS: dict[str, list[dict[str, Any]]] = {
    cell: [{"type": cell, "units": 5}] for cell in ("simple_rnn", "lstm", "gru")
} | {
    f"residual {cell}": [
        {"type": "residual", "cell": cell, "units": 5, "feed_forward": 7, "dropout": 0.3}
    ]
    for cell in ("simple_rnn", "lstm", "gru")
}
LAYERS["several"] = [
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": 6, "activation": "gelu"},
    *LAYERS["residual lstm"],
    *LAYERS["gru"],
    {"type": "dense", "units": 6, "activation": "tanh"},
    *LAYERS["residual gru"],
    {"type": "dense", "units": 8, "activation": "relu"},
    {"type": "dropout", "rate": 0.4},
    {"type": "dense", "units": 3, "activation": "linear"},
]
CHOICES: dict[str, list[Any]] = {
    "item": ["id", "title", "id+title"],
    "item_dimension": [None, 4],
    "words": [None, "title_and_attributes"],
    "history_vectors": [False, True],
    "head": ["softmax", "tied_softmax", "vector"],
    "temperature": [None, 0.1],
    "history_decay": [None, 0.6],
    "add_title_similarity": [False, True],
    "time": [False, True],
    "repeats": [None, {"units": 3, "dropout": 0.2}],
}


EVERYTHING = NetworkOptions.model_validate(
    {
        "item": "id+title", "item_dimension": 4, "words": "title_and_attributes",
        "head": "tied_softmax", "temperature": 0.1,
        "history_decay": 0.6, "add_title_similarity": True, "time": True,
        "repeats": {"units": 3, "dropout": 0}, "layers": LAYERS["several"],
    }
)  # fmt: skip


def list_options() -> list[NetworkOptions]:
    """List every valid combination of the keys of a network."""
    valid = []
    for values in product(*CHOICES.values()):
        try:
            keys = dict(zip(CHOICES, values, strict=True))
            valid.append(NetworkOptions.model_validate(keys | {"layers": [GRU]}))
        except ValidationError:
            continue
    return valid


def describe(options: NetworkOptions) -> str:
    changed = options.model_dump(exclude={"layers"}, exclude_defaults=True)
    return ", ".join(f"{key} {value}" for key, value in changed.items() if key != "repeats") + (
        ", repeats" if options.repeats else ""
    )


def build(options: NetworkOptions, vectors: np.ndarray) -> RecurrentNetwork:
    """Build a network whose weights are all random, with an item that was not trained."""
    keras.utils.set_random_seed(5)
    network = build_network(options, N_ITEMS, DIMENSION, len(VOCABULARY))
    if options.words:
        network.set_texts(VOCABULARY, make_texts(CATALOGUE))
    rng = np.random.default_rng(6)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(scale=0.8, size=weight.shape))
    if options.adapts_titles:
        network.fit_whitening(vectors)
    if network.title_weight is not None:
        network.title_weight.assign(0.3)
    if network.typical_gap is not None:
        network.typical_gap.assign(12)
    if network.repeat_layer is not None:
        network.repeat_layer.offset.assign(-0.3)
    id_weights = np.linspace(0.2, 1, N_ITEMS + 1)
    id_weights[[0, UNTRAINED]] = 0
    network.id_weights.assign(id_weights)
    network.item_ids = CATALOGUE
    return network


def make_texts(item_ids: np.ndarray) -> ItemTexts:
    """Make texts from the ids: products share words, one has a new word, and one has no title."""
    titles = [f"Soap {item_id[-1]} {item_id}" if item_id else None for item_id in item_ids]
    titles[5] = None
    attributes = [f"Brand {item_id[:2]}, Care" for item_id in item_ids]
    return ItemTexts(np.array(titles, object), np.array(attributes, object))


def make_vectors() -> np.ndarray:
    vectors = make_title_vectors()
    vectors[UNTITLED] = 0
    return vectors


def make_rows(has_clock: bool = True) -> Windows:
    """Make rows of different lengths: long, empty, of one order, without a readable item."""
    users = [
        [[1, 2, 3], [4], [1, 5], [UNTRAINED], [6, 7, 1], [8]],
        [],
        [[9, 10, 11, 12]],
        [[5], [5]],
        [[13], [14], [13, 2], [UNTRAINED, 5]],
    ]
    days = [[0, 3, 3.5, 40, 41, 90], [], [7], [1, 100], [0, 10, 20, 30]]
    return make_requests(users, days if has_clock else None, 120)


def make_products(vectors: np.ndarray, item_ids: np.ndarray = CATALOGUE) -> Products:
    nothing, texts = np.full(len(item_ids), None, object), make_texts(item_ids)
    counts = np.ones(len(item_ids), np.int64)
    return Products(item_ids, texts.titles, texts.attributes, counts, counts, vectors, nothing)


def score_in_keras(network: RecurrentNetwork, vectors: np.ndarray, rows: Windows) -> np.ndarray:
    """Return logits, or cosines with head vector, without a graph: graphs take long to build."""
    inputs = build_network_input(rows, network.get_input_options(vectors))
    reads_vectors = network.options.needs_vectors
    output = network.call(inputs, network.prepare_vectors(vectors if reads_vectors else None))
    if network.options.head != "vector":
        return np.asarray(keras.ops.log_softmax(output))
    points = np.asarray(output)
    return points / np.linalg.norm(points, axis=1, keepdims=True) @ vectors.T


def compare(options: NetworkOptions, rows: Windows) -> None:
    vectors = make_vectors()
    network = build(options, vectors)
    scorer = export_network(network).make_scorer(vectors)
    expected, found = score_in_keras(network, vectors, rows), scorer.score(rows)
    is_scored = np.isfinite(found)
    if options.head == "tied_softmax":
        unknown = set(UNTITLED) if options.item == "title" else {0, UNTRAINED}
        assert set(np.flatnonzero(~is_scored[0])) == unknown
    if options.head != "vector":
        # The excluded items take part in the logits of Keras.
        total = np.exp(expected).sum(axis=1, keepdims=True, where=is_scored)
        # Probabilities below 1e-30 are not compared: in float32 they can be 0.
        expected = np.maximum(expected - np.log(total), np.log(1e-30))
        found = np.log(np.where(is_scored, np.maximum(found, 1e-30), 1))
    np.testing.assert_allclose(found[is_scored], expected[is_scored], atol=1e-4)
    informative = network.find_informative_items(vectors)
    np.testing.assert_array_equal(scorer.informative_items, informative)
    # Rows are scored alike in a batch and alone.
    alone = np.concatenate([scorer.score(row) for row in rows.iter_batches(1)])
    np.testing.assert_allclose(alone, scorer.score(rows), atol=1e-5)


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
def test_every_layer_equals_keras(layers: list[dict[str, Any]]) -> None:
    options = {"item": "id+title", "item_dimension": 4, "head": "softmax", "layers": layers}
    compare(NetworkOptions.model_validate(options), make_rows())


@pytest.mark.parametrize("options", list_options(), ids=describe)
def test_every_option_equals_keras(options: NetworkOptions) -> None:
    compare(options, make_rows())


def test_rows_without_a_clock_equal_keras() -> None:
    compare(EVERYTHING, make_rows(has_clock=False))


def test_an_export_that_differs_is_an_error() -> None:
    vectors = make_vectors()
    network = build(EVERYTHING, vectors)
    exported = export_network(network)
    check_export(network, exported, make_products(vectors), make_rows(), "network")
    exported.weights["layers.2.recurrent.bias"] += 0.1
    with pytest.raises(InputError, match=r"export of the seed_1/mine differs.*not written"):
        check_export(network, exported, make_products(vectors), make_rows(), "seed_1/mine")


def test_an_export_that_excludes_other_items_is_an_error() -> None:
    vectors = make_vectors()
    network = build(EVERYTHING, vectors)
    exported = export_network(network)
    exported.weights["id_weights"][5] = 0
    with pytest.raises(InputError, match="differs"):
        check_export(network, exported, make_products(vectors), make_rows(), "network")


NO_COSINES = {
    "temperature": None, "history_decay": None, "repeats": None, "add_title_similarity": False,
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"head": "softmax", **NO_COSINES},
        {"head": "tied_softmax"},
        {"item": "id", "history_vectors": True, "add_title_similarity": False},
    ],
    ids=["softmax", "tied_softmax", "history vectors"],
)
def test_a_changed_catalogue_is_scored_like_keras(changes: dict[str, Any]) -> None:
    options = NetworkOptions.model_validate(EVERYTHING.model_dump() | changes)
    vectors = make_vectors()
    network = build(options, vectors)
    exported = export_network(network)
    position = {item_id: index for index, item_id in enumerate(CATALOGUE)}
    grown = np.array([vectors[position.get(item_id, 3)] for item_id in OTHER], np.float32)
    grown[0] = 0
    n_items = len(OTHER) - 1
    rows = make_requests([[[1, 2], [n_items]], [[n_items - 1]]], [[0, 3], [5]], 9)
    texts = make_texts(OTHER)
    changed = exported.change_catalogue(OTHER, texts)
    expected = remap_network(network, OTHER, texts).make_scorer(grown).score(rows)
    found = changed.make_scorer(grown).score(rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    same = exported.change_catalogue(CATALOGUE.copy(), make_texts(CATALOGUE))
    assert same.weights is exported.weights
    # A new title of a product changes its words, and with them the scores.
    texts.titles[1] = "Soap 7"
    other = exported.change_catalogue(OTHER, texts).make_scorer(grown).score(rows)
    assert not np.array_equal(other, found)
    with pytest.raises(ValueError, match="texts are required"):
        exported.change_catalogue(OTHER)


def test_a_file_gives_the_same_network(tmp_path: Path) -> None:
    vectors = make_vectors()
    network = build(EVERYTHING, vectors)
    network.record_vector_samples(vectors)
    exported = export_network(network)
    path = tmp_path / "network.safetensors"
    write_exported_network(exported, path)
    again = read_exported_network(path).change_catalogue(CATALOGUE, make_texts(CATALOGUE))
    assert again.options == exported.options
    assert again.item_ids.tolist() == CATALOGUE.tolist()
    assert again.vector_samples == exported.vector_samples
    np.testing.assert_array_equal(
        again.make_scorer(vectors).score(make_rows()),
        exported.make_scorer(vectors).score(make_rows()),
    )
    with pytest.raises(InputError, match="other title vectors"):
        again.make_scorer(-vectors)


@pytest.mark.parametrize("n_bytes", [0, 5, 200])
def test_a_damaged_file_is_named(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "network.safetensors"
    write_exported_network(export_network(build(EVERYTHING, make_vectors())), path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(InputError, match=r"network.safetensors cannot be read"):
        read_exported_network(path)


def test_steps_are_packed_without_padding() -> None:
    inputs = export_network(build(EVERYTHING, make_vectors())).get_input_options(make_vectors())
    packed = PackedSteps.from_input(build_network_input(make_rows(), inputs))
    assert packed.rows.tolist() == [0, 4, 3, 1, 2]
    assert packed.lengths.tolist() == [6, 4, 2, 1, 1]
    assert packed.sizes.tolist() == [5, 3, 2, 2, 1, 1]
    assert packed.starts.tolist() == [0, 5, 8, 10, 12, 13]
    assert packed.last.tolist() == [13, 11, 7, 3, 4]


def test_weights_of_a_network_are_exported_once() -> None:
    network = build(EVERYTHING, make_vectors())
    exported = export_network(network)
    assert isinstance(exported, ExportedNetwork)
    n_exported = sum(weight.size for weight in exported.weights.values())
    states = [weight for weight in network.weights if "seed" not in weight.name]
    assert n_exported == sum(int(np.prod(weight.shape)) for weight in states)
