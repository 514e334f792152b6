"""Scorers that wrap recurrent networks."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bazar.data.title_embeddings import has_title
from bazar.data.vector_search import normalize_rows
from bazar.data.windows import Windows, left_align
from bazar.models.nearest_titles import TitleIndex, TitleVectorScorer
from bazar.models.networks.layers import find_last_step_positions
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.scorer import Scorer

VectorLoss = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Function of predicted and expected vectors, both of shape (rows, dimension). It returns the loss
of each row, shape (rows,)."""

# The shape allows any number of histories of any length. With fixed shapes, TensorFlow would trace
# the function again for each new shape.
_HISTORIES = tf.TensorSpec((None, None), tf.int32)


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
            Scores as :meth:`score` returns them, and losses, shape (rows,), float32.
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
        self._readable_items = network.find_readable_items(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)
        vectors = network.prepare_vectors(item_vectors if network.options.needs_vectors else None)
        self._vectors = vectors
        is_tied = network.options.head == "tied_softmax"
        title_table = None if network.title_weight is None else tf.transpose(vectors)
        excluded = tf.constant(_compute_exclusions(network, item_vectors))
        signature = [_HISTORIES, tf.TensorSpec((None, None), tf.float32)]

        def compute_learned_logits(histories: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
            embedded = network.embed_items(histories, vectors)
            encoded = network.encode_histories(embedded, find_last_step_positions(histories))
            return (network.compute_logits(encoded, table) if is_tied else encoded) + excluded

        def compute_title_logits(histories: tf.Tensor) -> tf.Tensor:
            return network.compute_title_logits(histories, vectors, title_table)

        @tf.function(input_signature=signature, autograph=False)
        def compute_logits(histories: tf.Tensor, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return compute_learned_logits(histories, table), compute_title_logits(histories)

        @tf.function(input_signature=signature, autograph=False)
        def compute_probabilities(histories: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
            logits, weight = compute_learned_logits(histories, table), network.title_weight
            if weight is not None:
                # If the weight is 0, the title similarities are not computed.
                logits = tf.cond(
                    weight > 0,
                    lambda: logits + weight * compute_title_logits(histories),
                    lambda: logits,
                )
            return tf.nn.softmax(logits) + excluded

        self._compute_logits = compute_logits
        self._compute_probabilities = compute_probabilities
        self.refresh()

    def refresh(self) -> None:
        """Build the item table from the current weights of the network."""
        network, self._table = self._network, tf.zeros((0, 0))
        if network.options.head == "tied_softmax":
            catalogue = network.embed_items(tf.range(network.n_items + 1), self._vectors)
            self._table = network.build_item_table(catalogue)

    def score(self, windows: Windows) -> np.ndarray:
        """Return probabilities; see :meth:`Scorer.score`.

        With a tied head, items without any information have the score ``-inf``. These items do not
        occur in training, and they have no title or the network does not read titles.
        """
        histories = _build_network_input(windows, self._readable_items)
        return self._compute_probabilities(histories, self._table).numpy()

    def score_with_losses(
        self, windows: Windows, vector_loss: VectorLoss
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and cross-entropies; see :meth:`NetworkScorer.score_with_losses`."""
        scores = self.score(windows)
        of_targets = scores[np.arange(len(windows)), windows.targets]
        return scores, -np.log(np.maximum(of_targets, 1e-30))

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities unchanged, with ``-inf`` as 0; see :meth:`Scorer.to_shares`."""
        return np.maximum(scores, 0)

    def compute_logits(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return the learned logits, and the title logits before they are weighted.

        Returns:
            Two arrays of shape (rows, items + 1), float32. The learned logits are ``-inf`` for the
            same items as in :meth:`score`.
        """
        histories = _build_network_input(windows, self._readable_items)
        learned, titles = self._compute_logits(histories, self._table)
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
        self._readable_items = network.find_readable_items(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)
        vectors = network.prepare_vectors(item_vectors)

        @tf.function(input_signature=[_HISTORIES], autograph=False)
        def predict(histories: tf.Tensor) -> tf.Tensor:
            embedded = network.embed_items(histories, vectors)
            return network.encode_histories(embedded, find_last_step_positions(histories))

        self._predict = predict

    def refresh(self) -> None:
        """Do nothing: each prediction reads the current weights of the network."""

    def predict_vectors(self, windows: Windows) -> np.ndarray:
        """Return the predicted vectors without scaling, shape (rows, dimension), float32."""
        return self._predict(_build_network_input(windows, self._readable_items)).numpy()

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
        losses = np.asarray(vector_loss(predicted, self.index.item_vectors[windows.targets]))
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
    is_known = np.asarray(network.in_training) > 0
    if network.options.item == "title":
        is_known[:] = False
    if item_vectors is not None and network.options.needs_vectors:
        is_known |= has_title(item_vectors)
    is_known[0] = False
    excluded[~is_known] = -np.inf
    return excluded


def _build_network_input(windows: Windows, readable_items: np.ndarray | None) -> tf.Tensor:
    """Return left-aligned histories, with as many columns as the longest history has items."""
    histories = left_align(windows.build_histories(), readable_items)
    longest = max(1, int(np.count_nonzero(histories, axis=1).max(initial=0)))
    return tf.constant(histories[:, :longest])
