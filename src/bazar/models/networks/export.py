"""Export of trained networks to NumPy arrays, with a check that the scores are equal."""

import keras
import numpy as np

from bazar.config.networks import DenseLayer, RecurrentLayer, ResidualLayer
from bazar.data.catalogue import Products
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.exported.network import ExportedNetwork
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.vocabulary import remap_network

MAX_DIFFERENCE = 1e-4
"""Maximum difference between the scores of a network and of its export."""

_N_CHECKED_ROWS = 64


def export_network(network: RecurrentNetwork) -> ExportedNetwork:
    """Return a trained network as NumPy arrays.

    Args:
        network: a network with ``item_ids``.
    """
    assert network.item_ids is not None
    weights: dict[str, np.ndarray] = {}

    def add(name: str, *variables: keras.Variable) -> None:
        for variable in variables:
            weights[f"{name}.{variable.name}"] = _copy(variable)

    for name in ("id_weights", "title_weight", "typical_gap"):
        if (variable := getattr(network, name)) is not None:
            weights[name] = _copy(variable)
    weights |= _copy_item_weights(network)
    layers = [*network.sequence_layers, *network.position_layers]
    for number, (layer, options) in enumerate(zip(layers, network.options.layers, strict=True)):
        match options:
            case RecurrentLayer():
                add(f"layers.{number}", *layer.cell.trainable_weights)
            case DenseLayer():
                add(f"layers.{number}", *layer.weights)
            case ResidualLayer():
                add(f"layers.{number}.recurrent", *layer.recurrent.cell.trainable_weights)
                for part in ("back", "hidden", "out", "recurrent_norm", "feed_forward_norm"):
                    add(f"layers.{number}.{part}", *getattr(layer, part).weights)
    add("head", *network.head.weights)
    if network.time_layer is not None:
        weights["time.has_clock"] = _copy(network.time_layer.has_clock)
        add("time.hidden", *network.time_layer.hidden.weights)
        add("time.out", *network.time_layer.out.weights)
    if network.repeat_layer is not None:
        weights["repeats.offset"] = _copy(network.repeat_layer.offset)
        for part in ("item_part", "feature_part", "hidden", "out", "gate"):
            add(f"repeats.{part}", *getattr(network.repeat_layer, part).weights)
    return ExportedNetwork(
        options=network.options,
        item_ids=network.item_ids,
        vector_dimension=network.vector_dimension,
        vector_samples=network.vector_samples,
        weights=weights,
        vocabulary=network.vocabulary,
        item_words=network.item_words,
    )


def _copy_item_weights(network: RecurrentNetwork) -> dict[str, np.ndarray]:
    """Return the weights that turn an item into a vector, by name."""
    weights = {}
    for name in ("item_embedding", "history_embedding", "word_embedding"):
        if (layer := getattr(network, name)) is not None:
            weights[name] = _copy(layer.embeddings)
    if network.title_adapter is not None:
        weights["centre"] = _copy(network.centre)
        weights["whitening"] = _copy(network.whitening)
        weights["title_adapter.kernel"] = _copy(network.title_adapter.kernel)
    return weights


def _copy(variable: keras.Variable) -> np.ndarray:
    """Return the values of a variable. NumPy may share the memory of the variable."""
    return np.asarray(variable).copy()


def check_export(
    network: RecurrentNetwork,
    exported: ExportedNetwork,
    catalogue: Products,
    customers: Windows,
    name: str,
) -> None:
    """Raise InputError if an exported network scores differently.

    Args:
        network: the network.
        exported: the exported network.
        catalogue: the products to score. They can differ from those of the training.
        customers: histories to compare the scores for. Some rows are compared.
        name: name of the network in the message, such as ``seed_42/classifier``.

    Raises:
        InputError: if cosines, or logarithms of probabilities, differ by more than
            :data:`MAX_DIFFERENCE`.
    """
    if len(customers) == 0:
        return
    sampled = np.unique(np.linspace(0, len(customers) - 1, _N_CHECKED_ROWS).astype(np.int64))
    rows = customers.take(sampled)
    remapped = remap_network(network, catalogue.item_ids, catalogue.texts)
    changed = exported.change_catalogue(catalogue.item_ids, catalogue.texts)
    scores = [other.make_scorer(catalogue.vectors).score(rows) for other in (remapped, changed)]
    is_scored, is_exported_scored = np.isfinite(scores)
    if network.options.head != "vector":
        # Probabilities are small: their logarithms are compared.
        scores = [np.log(np.maximum(array, 1e-30)) for array in scores]
    expected, found = (array[is_scored] for array in scores)
    differences = np.abs(expected - found)
    # Logarithms of any size are rounded to seven digits.
    is_equal = differences <= MAX_DIFFERENCE * np.maximum(1, np.abs(expected) / 10)
    if not np.array_equal(is_scored, is_exported_scored) or not is_equal.all():
        raise InputError(
            f"The export of the {name} differs from the trained network: scores differ by up to "
            f"{differences.max(initial=0):.2g}, and at most {MAX_DIFFERENCE:g} is allowed. The "
            "bundle was not written. Train the network again. If the error remains, report it with "
            "the options of the network."
        )
