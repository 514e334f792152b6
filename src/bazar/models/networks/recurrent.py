"""Recurrent networks, built from their description in YAML.

A network reads a history in three steps: every item becomes a vector (:meth:`represent`), layers
go over the vectors in time (:meth:`read`), and a head turns what was read into scores
(:meth:`score`). Histories stand at the front of their rows, padded with 0 at the back: what comes
after a step changes nothing before it, so that no step needs a mask, and one pass over a sequence
serves as many targets as it has steps.
"""

import json
import math
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from bazar.config.networks import (
    NetworkOptions,
)
from bazar.data.title_embeddings import has_title
from bazar.errors import InputError
from bazar.models.networks.layers import (
    ResidualBlock,
    _at,
    _decayed_sums,
    _layers,
    _unit,
)

# Directions in which titles hardly differ are not blown up beyond this share of the largest.
_SMALLEST_VARIANCE = 1e-4
# Within a network's file.
_ITEM_IDS = "item_ids.json"
_SOME_VECTORS = "vector_samples.json"
# Of so many items so many numbers are noted.
_NOTED_ITEMS, _NOTED_NUMBERS = 16, 16


def build_network(
    options: NetworkOptions, n_items: int, vector_dimension: int | None = None
) -> "RecurrentNetwork":
    """Build a network.

    Args:
        options: the description.
        n_items: size of the catalogue.
        vector_dimension: size of a title vector; needed by items that are titles, and by
            ``head: vector``.

    Returns:
        The network, with weights drawn from Keras' global seed.

    Raises:
        ValueError: if ``vector_dimension`` is needed and missing.
    """
    return RecurrentNetwork(options.model_dump(mode="json"), n_items, vector_dimension)


@keras.saving.register_keras_serializable("bazar")
class RecurrentNetwork(keras.Model):
    """A recurrent recommender.

    Title vectors are no part of it: they are prepared once (:meth:`prepare`) and given to each
    call, so that a product can join the catalogue without a change of the network.

    Attributes:
        options: the description.
        n_items: size of the catalogue that it was made for.
        known: shape (n_items + 1,), float32: 1 where an item stood in the training part, to be set
            by whoever trains. The learned vector of another item is never read.
        title_weight: scalar: how much the nearness of whole titles adds to the scores, to be set by
            whoever trains; None without ``add_title_similarity``.
        item_ids: shape (n_items + 1,), external ids by item index, to be set by whoever trains,
            and kept in the network's file; None as long as nobody has.
        vector_samples: the first numbers of the title vectors of a few items, by id; see
            :meth:`record_vector_samples`. None as long as nobody has noted them.
    """

    item_ids: np.ndarray | None
    vector_samples: dict[str, list[float]] | None

    def __init__(
        self, options: dict[str, Any], n_items: int, vector_dimension: int | None, **kwargs: Any
    ) -> None:
        """Make the network.

        Args:
            options: a :class:`~bazar.options.NetworkOptions` as plain values.
            n_items: size of the catalogue.
            vector_dimension: size of a title vector, or None where no title is read.
            **kwargs: of a Keras model.

        Raises:
            ValueError: if ``vector_dimension`` is needed and missing.
        """
        super().__init__(**kwargs)
        self.options = NetworkOptions.model_validate(options)
        self.n_items = n_items
        self.vector_dimension = vector_dimension
        self.item_ids = self.vector_samples = None
        if vector_dimension is None and self.options.needs_vectors:
            raise ValueError("items of titles and head: vector need the dimension of the vectors")
        size = self.options.item_dimension or vector_dimension
        self.in_training = self.add_weight(
            shape=(n_items + 1,), initializer="ones", trainable=False, name="in_training"
        )
        self.item_embedding = self.title_adapter = None
        if self.options.item in {"id", "id+title"}:
            # Beside a title, what the id adds to it starts small.
            spread = 0.05 if self.options.item == "id" else 0.005
            self.item_embedding = keras.layers.Embedding(
                n_items + 1,
                size,
                keras.initializers.RandomUniform(-spread, spread),
                name="item_embedding",
            )
            self.item_embedding.build((None,))
        if self.options.adapts_titles:
            self.centre = self.add_weight(
                shape=(vector_dimension,), initializer="zeros", trainable=False, name="centre"
            )
            self.whitening = self.add_weight(
                shape=(vector_dimension, vector_dimension),
                initializer="identity",
                trainable=False,
                name="whitening",
            )
            self.title_adapter = keras.layers.Dense(size, use_bias=False, name="title_adapter")
            self.title_adapter.build((None, vector_dimension))
        self.title_weight = None
        if self.options.add_title_similarity:
            self.title_weight = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="title_weight"
            )

        self.over_time, self.after = _layers(self.options)
        shape: tuple[int | None, ...] = (None, None, size)
        for layer in self.over_time:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        shape = (None, shape[-1])
        for layer in self.after:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        width = {"softmax": n_items + 1, "tied_softmax": size, "vector": vector_dimension}
        # With a way around the layers, training starts from what the history alone says.
        start = "glorot_uniform" if self.options.history_decay is None else "zeros"
        self.head = keras.layers.Dense(
            width[self.options.head], kernel_initializer=start, name="head"
        )
        self.head.build(shape)
        self.built = True

    def prepare(self, item_vectors: np.ndarray | None) -> Any:
        """Make title vectors what :meth:`represent` reads: centred and whitened, or as they are.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32, unit vectors, zeros where
                there is no title; None for a network that reads none.

        Returns:
            The same shape; rows without a title stay zeros, others have unit length.
        """
        if item_vectors is None or not self.options.adapts_titles:
            return None if item_vectors is None else ops.convert_to_tensor(item_vectors)
        titled = has_title(item_vectors)
        white = (item_vectors - np.asarray(self.centre)) @ np.asarray(self.whitening)
        white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12)
        return ops.convert_to_tensor(np.where(titled[:, None], white, 0).astype(np.float32))

    def fit_whitening(self, item_vectors: np.ndarray) -> None:
        """Learn the centre of title vectors, and what gives each direction the same variance.

        Whitening by principal components, as Su et al. 2021 (arXiv 2103.15316) do for vectors of
        sentences. The adapter starts with the directions in which titles differ most.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32, zeros where there is no
                title. Of a shop without any title nothing is learned.
        """
        titled = item_vectors[has_title(item_vectors)].astype(np.float64)
        if len(titled) == 0:
            return
        centre = titled.mean(axis=0)
        variances, directions = np.linalg.eigh(np.cov(titled - centre, rowvar=False, bias=True))
        smallest = max(variances.max() * _SMALLEST_VARIANCE, 1e-12)
        self.centre.assign(centre.astype(np.float32))
        whitening = (directions / np.sqrt(np.maximum(variances, smallest)))[:, ::-1]
        self.whitening.assign(whitening.astype(np.float32))
        assert self.title_adapter is not None
        kernel = self.title_adapter.kernel
        kernel.assign(np.eye(*kernel.shape) * math.sqrt(max(kernel.shape[0] / kernel.shape[1], 1)))

    def find_readable_items(self, item_vectors: np.ndarray | None) -> np.ndarray | None:
        """Tell which items of a history can be read.

        Args:
            item_vectors: shape (items + 1, vector_dimension), float32, zeros where there is no
                title; None for a network that reads none.

        Returns:
            Shape (items + 1,), bool: those with a title where titles alone are read; None where
            every item is read.
        """
        if self.options.item != "title" or item_vectors is None:
            return None
        return has_title(item_vectors)

    def find_informative_items(self, item_vectors: np.ndarray | None) -> np.ndarray:
        """Tell which items of a history say anything: of others, nothing was learned or is known.

        Args:
            item_vectors: as of :meth:`readable`.

        Returns:
            Shape (items + 1,), bool: those that stood in the training part, where ids are read, and
            those with a title, where titles are.
        """
        says = np.zeros(self.n_items + 1, bool)
        if self.options.item != "title":
            says |= np.asarray(self.in_training) > 0
        if self.options.item != "id" and item_vectors is not None:
            says |= has_title(item_vectors)
        says[0] = False
        return says

    def represent(self, items: Any, vectors: Any) -> Any:
        """Turn item indices into what the layers read, and what a tied head scores.

        Args:
            items: item indices of any shape, int32.
            vectors: what :meth:`prepare` returned.

        Returns:
            The shape of ``items`` and the size of an item, float32.
        """
        parts = []
        if self.item_embedding is not None:
            known = ops.take(self.in_training, items)
            parts.append(self.item_embedding(items) * known[..., None])
        if self.title_adapter is not None:
            parts.append(self.title_adapter(ops.take(vectors, items, axis=0)))
        elif self.options.item == "title":
            parts.append(ops.take(vectors, items, axis=0))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def read(self, represented: Any, positions: Any, training: bool = False) -> Any:
        """Go over histories in time.

        Args:
            represented: the items of histories, shape (rows, steps, size of an item).
            positions: which steps are asked for, as places in the rows laid one after another,
                row * steps + step, shape (targets,), int32.
            training: whether to drop.

        Returns:
            What was read up to each position, shape (targets, size of what the head reads).
        """
        states = represented
        *before, last = self.over_time
        for layer in before:
            states = layer(states, training=training)
        # In training most steps are asked for, and dropout would draw otherwise.
        if isinstance(last, ResidualBlock) and not training:
            states = last(states, positions=positions)
        else:
            states = _at(positions, last(states, training=training))
        for layer in self.after:
            states = layer(states, training=training)
        read = self.head(states)
        if self.options.history_decay is None:
            return read
        return read + _unit(_at(positions, _decayed_sums(represented, self.options.history_decay)))

    def table(self, represented: Any) -> Any:
        """Make of represented items what a tied head scores: done once, it serves many histories.

        Args:
            represented: what :meth:`represent` returned, shape (items, size of an item).

        Returns:
            Shape (size of an item, items): one history is scored from it in half the time that the
            other order of the numbers takes.
        """
        unit = represented if self.options.temperature is None else _unit(represented)
        return ops.transpose(unit)

    def logits(self, read: Any, table: Any) -> Any:
        """Score the items of a table, for a tied head.

        Args:
            read: what :meth:`read` returned, shape (targets, size of an item).
            table: what :meth:`table` returned, shape (size of an item, items).

        Returns:
            Shape (targets, items), float32.
        """
        if self.options.temperature is not None:
            read = _unit(read) / self.options.temperature
        return ops.matmul(read, table)

    def title_logits(self, histories: Any, vectors: Any, table: Any) -> Any:
        """Score all items by the nearness of their titles to those of whole histories.

        Titles are as :meth:`prepare` made them, before the adapter, which keeps fewer directions
        and has learned from the titles of training alone.

        Args:
            histories: shape (rows, steps), int32: item indices at the front, 0 behind them.
            vectors: what :meth:`prepare` returned.
            table: the same, transposed.

        Returns:
            Shape (rows, items + 1), float32, to be weighed and added to :meth:`logits`.
        """
        assert self.options.history_decay is not None
        sums = _decayed_sums(ops.take(vectors, histories, axis=0), self.options.history_decay)
        direction = _unit(_at(last_step_positions(histories), sums)) / self.options.temperature
        return ops.matmul(direction, table)

    def score_pairs(self, read: Any, items: Any) -> Any:
        """Score one item for each target, for a tied head.

        Args:
            read: what :meth:`read` returned, shape (targets, size of an item).
            items: represented items, the same shape.

        Returns:
            Shape (targets,), float32.
        """
        if self.options.temperature is not None:
            read, items = _unit(read) / self.options.temperature, _unit(items)
        return ops.sum(read * items, axis=-1)

    def call(self, history: Any, vectors: Any = None, training: bool = False) -> Any:
        """Read whole histories.

        Args:
            history: shape (rows, steps), int32: item indices at the front, 0 behind them.
            vectors: what :meth:`prepare` returned.
            training: whether to drop.

        Returns:
            Logits of all items for ``softmax`` and ``tied_softmax``, shape (rows, items + 1); a
            title vector for ``vector``, shape (rows, vector_dimension).
        """
        represented = self.represent(history, vectors)
        read = self.read(represented, last_step_positions(history), training=training)
        if self.options.head != "tied_softmax":
            return read
        everything = self.represent(ops.arange(self.n_items + 1), vectors)
        logits = self.logits(read, self.table(everything))
        if self.title_weight is None:
            return logits
        return logits + self.title_weight * self.title_logits(
            history, vectors, ops.transpose(vectors)
        )

    def describe(self) -> str:
        """Say which layers there are: the shape that each gives, and how many weights it has.

        A plain table that a line of a log has room for; Keras' own, ``summary()``, is wider.
        """
        rows = [("layer", "output", "parameters")]
        for layer in self.layers:
            shape = layer.compute_output_shape(layer.get_build_config()["input_shape"])
            rows.append((layer.name, str(shape), f"{layer.count_params():,}"))
        rows.append(("all that learn", "", f"{self.count_trainable():,}"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {weights:>{widths[2]}}"
            for name, shape, weights in rows
        )

    def count_trainable(self) -> int:
        """Count the weights that learn."""
        return sum(math.prod(weight.shape) for weight in self.trainable_weights)

    def get_config(self) -> dict[str, Any]:
        """Return what makes this network again, without its weights."""
        return {
            "options": self.options.model_dump(mode="json"),
            "n_items": self.n_items,
            "vector_dimension": self.vector_dimension,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a network of the same shape."""
        return cls(**config)

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the weights are made with the network."""

    def record_vector_samples(self, item_vectors: np.ndarray) -> None:
        """Note which vectors the network was trained with, so that others are told from them.

        Args:
            item_vectors: shape (n_items + 1, vector_dimension), float32, zeros where there is no
                title, numbered as ``item_ids``.
        """
        assert self.item_ids is not None
        titled = np.flatnonzero(has_title(item_vectors))
        some = titled[:: max(1, len(titled) // _NOTED_ITEMS)]
        self.vector_samples = {
            self.item_ids[item]: item_vectors[item, :_NOTED_NUMBERS].tolist()
            for item in some.tolist()
        }

    def check_vectors(self, item_vectors: np.ndarray) -> None:
        """Refuse vectors of another encoder or another text than the network was trained with.

        A title that was changed since has another vector: most of those noted must be as they were.

        Args:
            item_vectors: as of :meth:`record_vector_samples`.

        Raises:
            InputError: if they are of another dimension, or most of them are others.
        """
        if not self.options.needs_vectors:
            return
        alike = self.vector_dimension == item_vectors.shape[1]
        if alike and self.vector_samples and self.item_ids is not None:
            place = {item_id: item for item, item_id in enumerate(self.item_ids)}
            differs = [
                np.abs(item_vectors[place[item_id], :_NOTED_NUMBERS] - noted).max() > 1e-2
                for item_id, noted in self.vector_samples.items()
                if item_id in place
            ]
            alike = 2 * sum(differs) <= len(differs)
        if not alike:
            raise InputError(
                "the network was trained with other vectors of titles than there are now: the "
                "encoder or embedding.text changed\nTrain it again, from nothing "
                "(warm_start: false), and run the pipelines after it"
            )

    def save_assets(self, dir_path: str) -> None:
        """Write what stands in the network's file beside the weights: Keras calls it."""
        ids = None if self.item_ids is None else self.item_ids.tolist()
        Path(dir_path, _ITEM_IDS).write_text(json.dumps(ids), encoding="utf-8")
        Path(dir_path, _SOME_VECTORS).write_text(json.dumps(self.vector_samples), encoding="utf-8")

    def load_assets(self, dir_path: str) -> None:
        """Read what :meth:`save_assets` wrote."""
        ids = json.loads(Path(dir_path, _ITEM_IDS).read_text(encoding="utf-8"))
        self.item_ids = None if ids is None else np.array(ids, dtype=object)
        vector_samples = Path(dir_path, _SOME_VECTORS)
        # Networks of earlier versions have none.
        if vector_samples.is_file():
            self.vector_samples = json.loads(vector_samples.read_text(encoding="utf-8"))


def last_step_positions(histories: Any) -> Any:
    """Where in histories, laid one after another, the last item of each stands.

    Args:
        histories: shape (rows, steps), int32: item indices at the front, 0 behind them.

    Returns:
        Shape (rows,), int32; of a history without items, its first step.
    """
    rows, steps = ops.shape(histories)
    lengths = ops.sum(ops.cast(histories > 0, "int32"), axis=1)
    return ops.arange(rows, dtype="int32") * steps + ops.maximum(lengths - 1, 0)
