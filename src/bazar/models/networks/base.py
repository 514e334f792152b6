"""Weights, description and files of a recurrent network."""

import json
import math
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from bazar.config.networks import NetworkOptions
from bazar.data.item_words import ItemTexts, ItemWords, find_words
from bazar.errors import InputError
from bazar.models.network_inputs import N_SEEN_FEATURES, N_TIME_FEATURES
from bazar.models.networks.layers import build_layers
from bazar.models.networks.repeats import RepeatLayer, TimeLayer
from bazar.models.networks.words import WordEmbedding
from bazar.models.vector_samples import VectorSamples, match_samples, sample_vectors
from bazar.models.whitening import compute_whitening

# Files within a .keras file: the item ids, the vector samples and the vocabulary; the words of the
# items.
_ASSETS = "catalogue.json"
_WORD_NUMBERS, _WORD_STARTS = "word_numbers.npy", "word_starts.npy"


class NetworkBase(keras.Model):
    """The weights of a recurrent network, without the computations.

    Attributes:
        options: options of the network.
        n_items: number of items of the catalogue that the network was built for.
        history_embedding: a second learned vector of each item, for histories; None without
            ``history_vectors``.
        id_weights: shape (n_items + 1,), float32: factor of the learned vector of each item: 0 if
            the item does not occur in the training part, else n / (n + ``id_shrinkage``) for n
            occurrences. The trainer sets it.
        typical_gap: scalar: typical number of days between two orders of a user. The trainer sets
            it. None if the network reads no times and has no repeat scores.
        title_weight: scalar: weight of the title similarities that are added to the scores. The
            trainer sets it. None without ``add_title_similarity``.
        item_ids: shape (n_items + 1,), external ids by item index. They are set after the
            training and saved with the network. None before.
        vector_samples: samples of the title vectors that the network was trained with; see
            :meth:`record_vector_samples`. None until they are recorded.
        vocabulary: shape (words,), the words that have a learned vector. None without ``words``.
        item_words: the words of the items; see :meth:`set_texts`. None without ``words``.
    """

    item_ids: np.ndarray | None
    vector_samples: VectorSamples | None
    vocabulary: np.ndarray | None
    item_words: ItemWords | None

    def __init__(
        self,
        options: dict[str, Any],
        n_items: int,
        vector_dimension: int | None,
        n_words: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Create the network and its weights.

        Args:
            options: :class:`~bazar.config.networks.NetworkOptions` as plain values.
            n_items: number of items of the catalogue.
            vector_dimension: size of a title vector; None if the network uses no titles.
            n_words: number of words with a learned vector; None if the network has no ``words``.
            **kwargs: arguments of a Keras model.

        Raises:
            ValueError: if ``vector_dimension`` or ``n_words`` is required and missing.
        """
        super().__init__(**kwargs)
        self.options = NetworkOptions.model_validate(options)
        self.n_items = n_items
        self.vector_dimension = vector_dimension
        self.n_words = n_words
        self.item_ids = self.vector_samples = self.vocabulary = self.item_words = None
        if vector_dimension is None and self.options.needs_vectors:
            raise ValueError(
                "vector_dimension is required: the network reads titles or has head: vector."
            )
        if n_words is None and self.options.words is not None:
            raise ValueError("n_words is required: the network has learned vectors of words.")
        size = self.options.item_dimension or vector_dimension
        assert size is not None
        # The initial random values of the weights depend on the order of their creation.
        self._build_item_representation(size)
        self._build_layers_and_head(size)
        self.built = True

    def _build_item_representation(self, size: int) -> None:
        """Create the weights that turn an item into a vector of the given size."""
        options, dimension = self.options, self.vector_dimension
        self.id_weights = self.add_weight(
            shape=(self.n_items + 1,), initializer="ones", trainable=False, name="id_weights"
        )
        self.item_embedding = self.history_embedding = None
        self.title_adapter = self.title_weight = None
        if options.item in {"id", "id+title"}:
            # With titles, the id embedding is added to the title vector, so it starts small.
            spread = 0.05 if options.item == "id" else 0.005
            self.item_embedding = keras.layers.Embedding(
                self.n_items + 1,
                size,
                keras.initializers.RandomUniform(-spread, spread),
                name="item_embedding",
            )
            self.item_embedding.build((None,))
        if options.history_vectors:
            # The trainer sets the start of both tables from the pairs of items.
            self.history_embedding = keras.layers.Embedding(
                self.n_items + 1, size, "zeros", name="history_embedding"
            )
            self.history_embedding.build((None,))
        if options.adapts_titles:
            self.centre = self.add_weight(
                shape=(dimension,), initializer="zeros", trainable=False, name="centre"
            )
            self.whitening = self.add_weight(
                shape=(dimension, dimension), initializer="identity", trainable=False,
                name="whitening",
            )  # fmt: skip
            self.title_adapter = keras.layers.Dense(size, use_bias=False, name="title_adapter")
            self.title_adapter.build((None, dimension))
        self.word_embedding: WordEmbedding | None = None
        if options.words is not None and self.n_words is not None:
            self.word_embedding = WordEmbedding(self.n_words, size, name="word_embedding")
            self.word_embedding.build((None,))
        if options.add_title_similarity:
            self.title_weight = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="title_weight"
            )
        self.typical_gap = None
        self.time_layer: TimeLayer | None = None
        self.repeat_layer: RepeatLayer | None = None
        if options.time or options.repeats:
            self.typical_gap = self.add_weight(
                shape=(), initializer="ones", trainable=False, name="typical_gap"
            )

    def _build_layers_and_head(self, size: int) -> None:
        """Create the layers and the head for item vectors of the given size."""
        self.sequence_layers, self.position_layers = build_layers(self.options)
        shape: tuple[int | None, ...] = (None, None, size)
        for layer in self.sequence_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        shape = (None, shape[-1])
        for layer in self.position_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        width = {
            "softmax": self.n_items + 1, "tied_softmax": size, "vector": self.vector_dimension,
        }  # fmt: skip
        # history_decay adds a skip connection. A head of zeros starts training from that alone.
        initializer = "glorot_uniform" if self.options.history_decay is None else "zeros"
        self.head = keras.layers.Dense(
            width[self.options.head], kernel_initializer=initializer, name="head"
        )
        self.head.build(shape)
        if self.options.time:
            self.time_layer = TimeLayer(size, name="time")
            self.time_layer.build((None, None, N_TIME_FEATURES))
        if self.options.repeats:
            self.repeat_layer = RepeatLayer(
                **self.options.repeats.model_dump(), size=size, name="repeats"
            )
            self.repeat_layer.build((None, N_SEEN_FEATURES))

    def fit_whitening(self, item_vectors: np.ndarray) -> None:
        """Set the weights that centre and whiten title vectors, and initialise the title adapter.

        The adapter starts with the directions of the largest variance. If no item has a title,
        these weights do not change.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32; zeros if an item has no
                title.
        """
        found = compute_whitening(item_vectors)
        if found is None:
            return
        centre, whitening = found
        self.centre.assign(centre)
        self.whitening.assign(whitening)
        assert self.title_adapter is not None
        kernel = self.title_adapter.kernel
        kernel.assign(np.eye(*kernel.shape) * math.sqrt(max(kernel.shape[0] / kernel.shape[1], 1)))

    def set_texts(self, vocabulary: np.ndarray, texts: ItemTexts | None) -> None:
        """Set the vocabulary of a network with ``words``, and find the words of all items.

        Args:
            vocabulary: shape (n_words,), strings.
            texts: the texts of the items.

        Raises:
            ValueError: if there are no texts.
        """
        assert self.options.words is not None
        self._set_words(vocabulary, find_words(texts, vocabulary, self.options.words))

    def _set_words(self, vocabulary: np.ndarray, words: ItemWords) -> None:
        assert self.word_embedding is not None
        self.vocabulary, self.item_words = vocabulary, words
        self.word_embedding.set_words(words)

    def describe(self) -> str:
        """Return a text table of the layers for the log."""
        rows = [("layer", "output", "parameters")]
        for layer in self.layers:
            shape = layer.compute_output_shape(layer.get_build_config()["input_shape"])
            rows.append((layer.name, str(shape), f"{layer.count_params():,}"))
        rows.append(("total trainable", "", f"{self.count_trainable_parameters():,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {parameters:>{widths[2]}}"
            for name, shape, parameters in rows
        )

    def count_trainable_parameters(self) -> int:
        """Return the number of trainable parameters."""
        return sum(math.prod(weight.shape) for weight in self.trainable_weights)

    def record_vector_samples(self, item_vectors: np.ndarray) -> None:
        """Record samples of the title vectors of the training. Set :attr:`item_ids` first.

        Args:
            item_vectors: shape (n_items + 1, vector_dimension), float32; zeros if an item has no
                title.
        """
        assert self.item_ids is not None
        self.vector_samples = sample_vectors(item_vectors, self.item_ids)

    def check_vectors(self, item_vectors: np.ndarray) -> None:
        """Raise InputError if the network was trained with other title vectors.

        Args:
            item_vectors: as in :meth:`record_vector_samples`.

        Raises:
            InputError: if the dimension or most of the samples differ.
        """
        if not self.options.needs_vectors:
            return
        is_same = self.vector_dimension == item_vectors.shape[1]
        if is_same and self.vector_samples and self.item_ids is not None:
            is_same = match_samples(self.vector_samples, item_vectors, self.item_ids)
        if not is_same:
            raise InputError(
                "The network was trained with other title vectors: the encoder or embedding.text "
                "has changed. Train it again from scratch (warm_start: false), then run the "
                "pipelines that depend on it."
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "options": self.options.model_dump(mode="json"),
            "n_items": self.n_items,
            "vector_dimension": self.vector_dimension,
            "n_words": self.n_words,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Create a network from the result of :meth:`get_config`."""
        return cls(**config)

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the constructor creates the weights."""

    def save_assets(self, dir_path: str) -> None:
        """Write item ids, vector samples and words into the .keras file. Keras calls this."""
        item_ids = None if self.item_ids is None else self.item_ids.tolist()
        assets = {"item_ids": item_ids, "vector_samples": self.vector_samples}
        if self.vocabulary is not None and self.item_words is not None:
            assets["vocabulary"] = self.vocabulary.tolist()
            np.save(Path(dir_path, _WORD_NUMBERS), self.item_words.numbers)
            np.save(Path(dir_path, _WORD_STARTS), self.item_words.starts)
        Path(dir_path, _ASSETS).write_text(json.dumps(assets), encoding="utf-8")

    def load_assets(self, dir_path: str) -> None:
        """Read the files that :meth:`save_assets` wrote. Keras calls this method."""
        assets = json.loads(Path(dir_path, _ASSETS).read_text(encoding="utf-8"))
        item_ids = assets["item_ids"]
        self.item_ids = None if item_ids is None else np.array(item_ids, dtype=object)
        self.vector_samples = assets["vector_samples"]
        if "vocabulary" in assets:
            words = [np.load(Path(dir_path, name)) for name in (_WORD_NUMBERS, _WORD_STARTS)]
            self._set_words(np.array(assets["vocabulary"], dtype=object), ItemWords(*words))
