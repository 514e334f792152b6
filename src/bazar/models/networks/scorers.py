"""Scorers that wrap recurrent networks."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bazar.data.vector_search import has_title, normalize_rows
from bazar.data.windows import Windows
from bazar.models.nearest_titles import TitleIndex, TitleVectorScorer
from bazar.models.network_inputs import (
    N_SEEN_FEATURES,
    N_TIME_FEATURES,
    NetworkInput,
    build_network_input,
)
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.scorer import Scorer

VectorLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Function of predicted and expected vectors, both of shape (rows, dimension). It returns the loss
of each row, shape (rows,)."""

# The shapes allow any number of histories of any length. With fixed shapes, TensorFlow would trace
# the function again for each new shape.
_INDICES = tf.TensorSpec((None,), tf.int32)
_INPUTS = NetworkInput(
    items=_INDICES,
    steps=_INDICES,
    weights=tf.TensorSpec((None,), tf.float32),
    shape=tf.TensorSpec((2,), tf.int32),
    positions=_INDICES,
    times=tf.TensorSpec((None, None, N_TIME_FEATURES), tf.float32),
    seen_states=_INDICES,
    seen_items=_INDICES,
    seen_features=tf.TensorSpec((None, N_SEEN_FEATURES), tf.float32),
).to_tuple()
_TABLE = tf.TensorSpec((None, None), tf.float32)


class NetworkScorer(Scorer):
    """Base class of the scorers of networks. They can also be used during training."""

    @abstractmethod
    def refresh(self) -> None:
        """Update the scorer. Call it after each change of the weights of the network."""

    @abstractmethod
    def score_with_losses(
        self, windows: Windows, vector_loss: VectorLoss
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of all items, and the loss of each target.

        Args:
            windows: rows of histories and targets.
            vector_loss: the loss of a network that predicts title vectors. Other networks ignore
                it and return the cross-entropy.

        Returns:
            Scores as :meth:`score` returns them, and the loss of each target in the order of
            :meth:`Windows.list_targets`, float32. A vector loss leaves out targets without a
            title vector. The cross-entropy of an item that the network never recommends is that of
            the probability 1e-30.
        """


class NetworkClassifier(NetworkScorer):
    """Scorer of a network that predicts the probability of each item."""

    def __init__(self, network: RecurrentNetwork, item_vectors: np.ndarray | None = None) -> None:
        """Prepare to score.

        Args:
            network: a network with head ``softmax`` or ``tied_softmax``.
            item_vectors: shape (items + 1, dimension), float32; required if the network reads
                titles.
        """
        self._network = network
        self._options = network.get_input_options(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)
        vectors = network.prepare_vectors(item_vectors if network.options.needs_vectors else None)
        self._vectors = vectors
        is_tied = network.options.head == "tied_softmax"
        title_table = None if network.title_weight is None else tf.transpose(vectors)
        excluded = tf.constant(_compute_exclusions(network, item_vectors))
        signature = [_INPUTS, _TABLE, _TABLE]

        def compute_learned_logits(
            inputs: NetworkInput, table: tf.Tensor, item_parts: tf.Tensor
        ) -> tf.Tensor:
            encoded = network.encode_inputs(inputs, vectors)
            if not is_tied:
                return encoded + excluded
            return network.score_items(encoded, inputs, table, item_parts) + excluded

        def compute_title_logits(inputs: NetworkInput) -> tf.Tensor:
            return network.compute_title_logits(inputs, vectors, title_table)

        @tf.function(input_signature=signature, autograph=False)
        def compute_logits(
            arrays: tuple[tf.Tensor, ...], table: tf.Tensor, item_parts: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            inputs = NetworkInput(*arrays)
            learned = compute_learned_logits(inputs, table, item_parts)
            return learned, compute_title_logits(inputs)

        @tf.function(input_signature=signature, autograph=False)
        def compute_probabilities(
            arrays: tuple[tf.Tensor, ...], table: tf.Tensor, item_parts: tf.Tensor
        ) -> tf.Tensor:
            inputs, weight = NetworkInput(*arrays), network.title_weight
            logits = compute_learned_logits(inputs, table, item_parts)
            if weight is not None:
                # If the weight is 0, the title similarities are not computed.
                logits = tf.cond(
                    weight > 0,
                    lambda: logits + weight * compute_title_logits(inputs),
                    lambda: logits,
                )
            return tf.nn.softmax(logits) + excluded

        self._compute_logits = compute_logits
        self._compute_probabilities = compute_probabilities
        self.refresh()

    def refresh(self) -> None:
        """Build the item table from the current weights of the network."""
        network, self._table, self._item_parts = self._network, tf.zeros((0, 0)), tf.zeros((0, 0))
        if network.options.head == "tied_softmax":
            catalogue = network.embed_catalogue(self._vectors)
            self._table = network.build_item_table(catalogue)
            if network.repeat_layer is not None:
                self._item_parts = network.repeat_layer.embed_items(catalogue)

    def score(self, windows: Windows) -> np.ndarray:
        """Return probabilities; see :meth:`Scorer.score`.

        With a tied head, items without any information have the score ``-inf``. These items do not
        occur in training, and they have no title or the network does not read titles.
        """
        inputs = build_network_input(windows, self._options).to_tuple()
        return self._compute_probabilities(inputs, self._table, self._item_parts).numpy()

    def score_with_losses(
        self, windows: Windows, vector_loss: VectorLoss
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and cross-entropies; see :meth:`NetworkScorer.score_with_losses`."""
        scores = self.score(windows)
        return scores, -np.log(np.maximum(scores[windows.list_targets()], 1e-30))

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities unchanged, with ``-inf`` as 0; see :meth:`Scorer.to_shares`."""
        return np.maximum(scores, 0)

    def compute_logits(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return the learned logits, and the title logits before they are weighted.

        Returns:
            Two arrays of shape (rows, items + 1), float32. The learned logits are ``-inf`` for the
            same items as in :meth:`score`.
        """
        inputs = build_network_input(windows, self._options).to_tuple()
        learned, titles = self._compute_logits(inputs, self._table, self._item_parts)
        return learned.numpy(), titles.numpy()


class NetworkRegressor(TitleVectorScorer, NetworkScorer):
    """Scorer of a network that predicts the title vector of the next item."""

    def __init__(
        self,
        network: RecurrentNetwork,
        item_vectors: np.ndarray,
        index: TitleIndex | None = None,
    ) -> None:
        """Prepare to score.

        Args:
            network: a network with head ``vector``.
            item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has
                no title.
            index: an existing index of the same vectors. None builds a new index.
        """
        super().__init__(item_vectors, index)
        self._options = network.get_input_options(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)
        vectors = network.prepare_vectors(item_vectors)

        @tf.function(input_signature=[_INPUTS], autograph=False)
        def predict(arrays: tuple[tf.Tensor, ...]) -> tf.Tensor:
            return network.encode_inputs(NetworkInput(*arrays), vectors)

        self._predict = predict

    def refresh(self) -> None:
        """Do nothing: each prediction reads the current weights of the network."""

    def predict_vectors(self, windows: Windows) -> np.ndarray:
        """Return the predicted vectors without scaling, shape (rows, dimension), float32."""
        return self._predict(build_network_input(windows, self._options).to_tuple()).numpy()

    def predict_points(self, windows: Windows) -> np.ndarray:
        """Return the predicted vectors, scaled to unit length."""
        return normalize_rows(self.predict_vectors(windows))

    def score_with_losses(
        self, windows: Windows, vector_loss: VectorLoss
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and vector losses; see :meth:`NetworkScorer.score_with_losses`.

        Predicted vectors are not scaled. The scores of a row are therefore cosines times the
        length of its predicted vector. The order of the items is the same as with cosines.
        """
        predicted = self.predict_vectors(windows)
        rows, targets = windows.list_targets()
        # A target without a title has no loss.
        is_titled = self.index.is_titled[targets]
        rows, targets = rows[is_titled], targets[is_titled]
        losses = np.asarray(vector_loss(predicted[rows], self.index.item_vectors[targets]))
        return self.index.compute_cosines(predicted), losses


def make_scorer(
    network: RecurrentNetwork, item_vectors: np.ndarray | None, index: TitleIndex | None = None
) -> NetworkScorer:
    """Return the scorer of a network: a regressor if its head is ``vector``, else a classifier.

    Args:
        network: the network.
        item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has no
            title. None for a network that uses no titles.
        index: an existing index of the same vectors. None builds a new index.

    Raises:
        InputError: if the network was trained with other vectors.
    """
    if item_vectors is not None:
        network.check_vectors(item_vectors)
    if network.options.head == "vector":
        assert item_vectors is not None
        return NetworkRegressor(network, item_vectors, index)
    return NetworkClassifier(network, item_vectors)


def _compute_exclusions(network: RecurrentNetwork, item_vectors: np.ndarray | None) -> np.ndarray:
    """Return the values to add to scores, to exclude items that the network cannot score.

    Returns:
        Shape (items + 1,), float32: ``-inf`` for an excluded item, else 0. The head ``softmax``
        excludes no item.
    """
    excluded = np.zeros(network.n_items + 1, np.float32)
    if network.options.head != "tied_softmax":
        return excluded
    is_known = np.asarray(network.id_weights) > 0
    if network.options.item == "title":
        is_known[:] = False
    if item_vectors is not None and network.options.needs_vectors:
        is_known |= has_title(item_vectors)
    is_known[0] = False
    excluded[~is_known] = -np.inf
    return excluded
