"""A trained network as NumPy arrays, with the computations that need no item table.

The computations are those of :class:`bazar.models.networks.recurrent.RecurrentNetwork` for one
state per row, after the complete history. This module does not import TensorFlow.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from bazar.config.networks import (
    DenseLayer,
    NetworkOptions,
    RecurrentLayer,
    ResidualLayer,
)
from bazar.data.item_words import ItemTexts, ItemWords, find_words
from bazar.data.vector_search import has_title
from bazar.errors import InputError
from bazar.models.exported.layers import (
    PackedSteps,
    apply_dense,
    apply_gelu,
    normalize_layer,
    scale_to_unit,
)
from bazar.models.nearest_titles import TitleIndex
from bazar.models.network_inputs import InputOptions, NetworkInput
from bazar.models.scorer import Scorer
from bazar.models.vector_samples import VectorSamples, match_samples
from bazar.models.whitening import whiten_vectors

# Number of items whose title vectors are whitened at a time. It limits the memory.
_CHUNK = 8_192
# Number of items whose words are added up at a time.
_WORD_CHUNK = 1_024


@dataclass(frozen=True)
class ExportedNetwork:
    """The weights of a trained network, and what they belong to.

    Attributes:
        options: options of the network.
        item_ids: shape (items + 1,), external ids by item index.
        vector_dimension: size of a title vector; None if the network uses no titles.
        vector_samples: samples of the title vectors of the training; see
            :mod:`bazar.models.vector_samples`. None if there are none.
        weights: the weights by name, float32. Weights of a layer have the name of the layer, a
            point, and the name of the weight in Keras, such as ``head.kernel``. The layers of the
            options are ``layers.0``, ``layers.1``, and so on.
        vocabulary: shape (words,), the words that have a learned vector. None without ``words``.
        item_words: the words of the items. None without ``words``, and in a network that was read
            from a file, until :meth:`change_catalogue` is called.
    """

    options: NetworkOptions
    item_ids: np.ndarray
    vector_dimension: int | None
    vector_samples: VectorSamples | None
    weights: dict[str, np.ndarray]
    vocabulary: np.ndarray | None = None
    item_words: ItemWords | None = None

    @property
    def n_items(self) -> int:
        """Number of items of the catalogue."""
        return len(self.item_ids) - 1

    @property
    def title_weight(self) -> float:
        """Weight of the title similarities that are added to the scores; 0 adds none."""
        return float(self.weights.get("title_weight", 0))

    @property
    def is_in_training(self) -> np.ndarray:
        """Whether each item occurs in the training part, shape (items + 1,), bool."""
        return self.weights["id_weights"] > 0

    def check_vectors(self, item_vectors: np.ndarray) -> None:
        """Raise InputError if the network was trained with other title vectors.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32; zeros if an item has no
                title.

        Raises:
            InputError: if the dimension or most of the samples differ.
        """
        if not self.options.needs_vectors:
            return
        is_same = self.vector_dimension == item_vectors.shape[1]
        if is_same and self.vector_samples:
            is_same = match_samples(self.vector_samples, item_vectors, self.item_ids)
        if not is_same:
            raise InputError(
                "The network was trained with other title vectors: the encoder or embedding.text "
                "has changed. Train it again from scratch (warm_start: false), then run the "
                "pipelines that depend on it."
            )

    def make_scorer(self, item_vectors: np.ndarray, index: TitleIndex | None = None) -> Scorer:
        """Return the scorer: a regressor if the head is ``vector``, else a classifier.

        Args:
            item_vectors: as in :meth:`check_vectors`.
            index: an existing index of the same vectors. None builds a new index if it is needed.

        Raises:
            InputError: if the network was trained with other vectors.
        """
        # That module imports this one.
        from bazar.models.exported.scorers import ExportedClassifier, ExportedRegressor

        self.check_vectors(item_vectors)
        if self.options.head == "vector":
            return ExportedRegressor(self, item_vectors, index)
        return ExportedClassifier(self, item_vectors)

    def change_catalogue(self, item_ids: np.ndarray, texts: ItemTexts | None = None) -> Self:
        """Return the network for another catalogue.

        Items are matched by id. A new item is treated like an item that does not occur in training:
        its title is used, and those of its words that have a learned vector, and its own learned
        vectors are 0. With the head ``softmax``, a new item gets the lowest bias of all items.

        Args:
            item_ids: shape (items + 1,), external ids by item index.
            texts: the texts of these items; required if the network has ``words``.

        Raises:
            ValueError: if the texts are required and missing.
        """
        words = None
        if self.options.words is not None and self.vocabulary is not None:
            words = find_words(texts, self.vocabulary, self.options.words)
        if np.array_equal(self.item_ids, item_ids):
            # Otherwise, the ids would be in memory twice.
            return replace(self, item_ids=item_ids, item_words=words)
        index = {item_id: item for item, item_id in enumerate(self.item_ids)}
        positions = np.array([index.get(item_id, -1) for item_id in item_ids])
        weights = dict(self.weights)
        for name, axis in self._list_item_axes().items():
            # A learned bias of 0 would rank a new item before most others.
            new_value = weights[name].min() if name == "head.bias" else 0
            weights[name] = _take_items(weights[name], axis, positions, new_value)
        return replace(self, item_ids=item_ids, weights=weights, item_words=words)

    def _list_item_axes(self) -> dict[str, int]:
        """Return the weights that have an entry for each item, with the axis of the items."""
        tables = {"id_weights", "item_embedding", "history_embedding"}
        axes = dict.fromkeys(tables & self.weights.keys(), 0)
        if self.options.head == "softmax":
            axes |= {"head.kernel": 1, "head.bias": 0}
        return axes

    def drop_item_embedding(self) -> Self:
        """Return the network without the learned vectors of items and words.

        A scorer that has computed the vectors of all items needs them no more.
        """
        dropped = {"item_embedding", "history_embedding", "word_embedding"}
        weights = {name: array for name, array in self.weights.items() if name not in dropped}
        return replace(self, weights=weights, vocabulary=None, item_words=None)

    def get_layer(self, name: str) -> dict[str, np.ndarray]:
        """Return the weights of a layer by their names in Keras.

        Args:
            name: name of the layer, such as ``head`` or ``layers.1.recurrent``.
        """
        return self._layers[name]

    @cached_property
    def _layers(self) -> dict[str, dict[str, np.ndarray]]:
        """The weights of all layers: by the name of the layer, then of the weight."""
        layers: dict[str, dict[str, np.ndarray]] = {}
        for name, array in self.weights.items():
            layer, _, weight = name.rpartition(".")
            layers.setdefault(layer, {})[weight] = array
        return layers

    def find_informative_items(self, item_vectors: np.ndarray) -> np.ndarray:
        """Return a mask of the items that give the network information about a user.

        Args:
            item_vectors: as in :meth:`check_vectors`.

        Returns:
            Shape (items + 1,), bool. It is True for items that occur in training, if the network
            reads ids. It is also True for items with a title, if the network reads titles.
        """
        is_informative = np.zeros(self.n_items + 1, bool)
        if self.options.item != "title":
            is_informative |= self.is_in_training
        if self.options.item != "id":
            is_informative |= has_title(item_vectors)
        is_informative[0] = False
        return is_informative

    def find_excluded_items(self, item_vectors: np.ndarray) -> np.ndarray:
        """Return the indices of the items that the network cannot score.

        With a tied head, these items do not occur in training, and they have no title or the
        network does not read titles. The head ``softmax`` excludes no item.

        Args:
            item_vectors: as in :meth:`check_vectors`.
        """
        if self.options.head != "tied_softmax":
            return np.array([], np.int64)
        is_known = np.zeros(self.n_items + 1, bool)
        if self.options.item != "title":
            is_known |= self.is_in_training
        if self.options.needs_vectors:
            is_known |= has_title(item_vectors)
        is_known[0] = False
        return np.flatnonzero(~is_known)

    def get_input_options(self, item_vectors: np.ndarray) -> InputOptions:
        """Return what :func:`bazar.models.network_inputs.build_network_input` needs.

        Args:
            item_vectors: as in :meth:`check_vectors`.
        """
        return InputOptions(
            readable_items=has_title(item_vectors) if self.options.item == "title" else None,
            reads_times=self.options.time,
            reads_seen=self.options.repeats is not None,
            typical_gap=float(self.weights.get("typical_gap", 1)),
        )

    def embed_catalogue(self, item_vectors: np.ndarray) -> np.ndarray:
        """Return the vectors of all items.

        Args:
            item_vectors: as in :meth:`check_vectors`.

        Returns:
            Shape (items + 1, item size), float32.
        """
        if self.options.item == "title" and not self.options.adapts_titles:
            return item_vectors
        if self.options.item == "title":
            size = self.weights["title_adapter.kernel"].shape[1]
            embedded = np.zeros((self.n_items + 1, size), np.float32)
        else:
            id_weights = self.weights["id_weights"][:, None]
            embedded = self.weights["item_embedding"] * id_weights
        if self.options.adapts_titles:
            for start in range(0, len(embedded), _CHUNK):
                chunk = whiten_vectors(
                    item_vectors[start : start + _CHUNK],
                    self.weights["centre"],
                    self.weights["whitening"],
                )
                embedded[start : start + _CHUNK] += chunk @ self.weights["title_adapter.kernel"]
        if self.options.words is not None:
            self._add_words(embedded)
        return embedded

    def embed_history_items(self, embedded: np.ndarray) -> np.ndarray:
        """Return the vectors of all items in histories, for a network with ``history_vectors``.

        Args:
            embedded: returned by :meth:`embed_catalogue`.

        Returns:
            Shape (items + 1, item size), float32.
        """
        id_weights = self.weights["id_weights"][:, None]
        return embedded + self.weights["history_embedding"] * id_weights

    def _add_words(self, embedded: np.ndarray) -> None:
        """Add the vectors of their words to the vectors of all items, in place."""
        words, vectors = self.item_words, self.weights["word_embedding"]
        assert words is not None
        has_words = words.counts > 0
        items = np.flatnonzero(has_words)
        for first in range(0, len(items), _WORD_CHUNK):
            chunk = items[first : first + _WORD_CHUNK]
            start, stop = words.starts[chunk[0]], words.starts[chunk[-1] + 1]
            # Items without words have the start of the item after them.
            sums = np.add.reduceat(vectors[words.numbers[start:stop]], words.starts[chunk] - start)
            embedded[chunk] += sums / np.sqrt(words.counts[chunk], dtype=np.float32)[:, None]

    def encode(self, inputs: NetworkInput, entries: np.ndarray) -> np.ndarray:
        """Return the output of the head after each history.

        Args:
            inputs: the histories, with one state for each row.
            entries: vectors of ``inputs.items``, shape (entries, item size), float32: rows of the
                result of :meth:`embed_history_items`, or of :meth:`embed_catalogue` without
                ``history_vectors``.

        Returns:
            Shape (rows, head size), float32. The head ``softmax`` gives logits, ``tied_softmax``
            gives a vector to compare with the item vectors, and ``vector`` gives a title vector.
        """
        packed = PackedSteps.from_input(inputs)
        orders = packed.sum_entries(entries, inputs)
        states = orders
        if self.options.time:
            times = packed.take_steps(inputs.times)
            hidden = apply_dense(self.get_layer("time.hidden"), times, "gelu")
            vectors = apply_dense(self.get_layer("time.out"), hidden)
            states = states + vectors * self.weights["time.has_clock"]
        states = self._run_layers(packed, states)
        encoded = apply_dense(self.get_layer("head"), states)
        if self.options.history_decay is not None:
            encoded += scale_to_unit(packed.sum_with_decay(orders, self.options.history_decay))
        in_input_order = np.empty_like(encoded)
        in_input_order[packed.rows] = encoded
        return in_input_order

    def _run_layers(self, packed: PackedSteps, states: np.ndarray) -> np.ndarray:
        """Return the states after the layers, at the last step of each row, in packed order."""
        is_recurrent = [
            isinstance(layer, RecurrentLayer | ResidualLayer) for layer in self.options.layers
        ]
        last_recurrent = max(np.flatnonzero(is_recurrent))
        for number, layer in enumerate(self.options.layers):
            name = f"layers.{number}"
            # Only the recurrent layers read the other steps.
            kept = packed.last if number == last_recurrent else slice(None)
            match layer:
                case RecurrentLayer():
                    states = packed.run_recurrent(layer.type, self.get_layer(name), states)[kept]
                case ResidualLayer():
                    states = self._run_residual(packed, layer, name, states, kept)
                case DenseLayer():
                    states = apply_dense(self.get_layer(name), states, layer.activation)
        return states

    def _run_residual(
        self,
        packed: PackedSteps,
        layer: ResidualLayer,
        name: str,
        states: np.ndarray,
        kept: np.ndarray | slice,
    ) -> np.ndarray:
        """Return the states after a residual block, at the steps that are kept."""
        cell = self.get_layer(f"{name}.recurrent")
        recurrent = packed.run_recurrent(layer.cell, cell, states)[kept]
        update = apply_dense(self.get_layer(f"{name}.back"), recurrent)
        states = normalize_layer(self.get_layer(f"{name}.recurrent_norm"), states[kept] + update)
        hidden = apply_dense(self.get_layer(f"{name}.hidden"), states, "gelu")
        update = apply_dense(self.get_layer(f"{name}.out"), hidden)
        return normalize_layer(self.get_layer(f"{name}.feed_forward_norm"), states + update)

    def score_seen_items(
        self, inputs: NetworkInput, encoded: np.ndarray, item_parts: np.ndarray
    ) -> np.ndarray:
        """Return the score of each pair of a row and an item that was bought before.

        Args:
            inputs: the histories.
            encoded: returned by :meth:`encode`.
            item_parts: product of the item vectors and the kernel ``repeats.item_part``, for all
                items, shape (items + 1, units).

        Returns:
            Shape (pairs,), float32, to be added to logits.
        """
        features = apply_dense(self.get_layer("repeats.feature_part"), inputs.seen_features)
        hidden = apply_gelu(features + item_parts[inputs.seen_items])
        hidden = apply_dense(self.get_layer("repeats.hidden"), hidden, "gelu")
        scores = apply_dense(self.get_layer("repeats.out"), hidden)[:, 0]
        gates = apply_dense(self.get_layer("repeats.gate"), encoded)[:, 0]
        scores += gates[inputs.seen_states] + self.weights["repeats.offset"]
        return scores / np.float32(self.options.temperature)


def _take_items(
    values: np.ndarray, axis: int, positions: np.ndarray, new_value: float
) -> np.ndarray:
    """Return values in the order of another catalogue.

    Args:
        values: float32, with one entry per item along an axis.
        axis: the axis of the items.
        positions: shape (items + 1,): position of each item in ``values``; -1 for a new item.
        new_value: value of new items.
    """
    taken = np.take(values, np.maximum(positions, 0), axis)
    np.moveaxis(taken, axis, 0)[positions < 0] = new_value
    return taken
