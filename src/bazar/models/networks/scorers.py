"""Whatever can score the catalogue for a history; the baselines are in :mod:`bazar.baselines`."""

import numpy as np
import tensorflow as tf

from bazar.data.title_embeddings import has_title
from bazar.data.windows import Windows, left_align
from bazar.models.nearest_titles import TitleVectorScorer
from bazar.models.networks.recurrent import RecurrentNetwork, last_step_positions
from bazar.models.scorer import Scorer

# Of any number and length: made for each that comes, functions would be traced again and again.
_HISTORIES = tf.TensorSpec((None, None), tf.int32)


class NetworkClassifier:
    """A network with a probability for every item."""

    def __init__(self, network: RecurrentNetwork, item_vectors: np.ndarray | None = None) -> None:
        """Make ready to score.

        Args:
            network: with head ``softmax`` or ``tied_softmax``.
            item_vectors: shape (items + 1, dimension), float32; needed by a network that reads
                titles.
        """
        self._network = network
        self._readable_items = network.find_readable_items(item_vectors)
        self.informative_items: np.ndarray | None = network.find_informative_items(item_vectors)
        self._prepared = network.prepare(item_vectors if network.options.needs_vectors else None)
        tied = network.options.head == "tied_softmax"
        not_reachable = np.zeros(network.n_items + 1, np.float32)
        if tied:
            reachable = np.asarray(network.in_training) > 0
            if network.options.item == "title":
                reachable[:] = False
            if item_vectors is not None and network.options.needs_vectors:
                reachable |= has_title(item_vectors)
            reachable[0] = False
            not_reachable[~reachable] = -np.inf

        self._titles = None
        if network.title_weight is not None:
            self._titles = tf.transpose(self._prepared)
        closed = tf.constant(not_reachable)
        readers = [_HISTORIES, tf.TensorSpec((None, None), tf.float32)]

        def learned(histories: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
            represented = network.represent(histories, self._prepared)
            read = network.read(represented, last_step_positions(histories))
            return (network.logits(read, table) if tied else read) + closed

        def titles(histories: tf.Tensor) -> tf.Tensor:
            return network.title_logits(histories, self._prepared, self._titles)

        @tf.function(input_signature=readers, autograph=False)
        def logits(histories: tf.Tensor, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return learned(histories, table), titles(histories)

        @tf.function(input_signature=readers, autograph=False)
        def shares(histories: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
            scores, weight = learned(histories, table), network.title_weight
            if weight is not None:
                # Titles are not compared as long as they weigh nothing.
                scores = tf.cond(
                    weight > 0, lambda: scores + weight * titles(histories), lambda: scores
                )
            return tf.nn.softmax(scores) + closed

        self._logits, self._shares = logits, shares
        self.refresh()

    def refresh(self) -> None:
        """Take over the weights that the network has now."""
        network, self._table = self._network, tf.zeros((0, 0))
        if network.options.head == "tied_softmax":
            everything = tf.range(network.n_items + 1)
            self._table = network.table(network.represent(everything, self._prepared))

    def score(self, windows: Windows) -> np.ndarray:
        """Return probabilities; see :meth:`Scorer.score`.

        Items that a tied network cannot know, never bought in training and without a title where
        it reads titles, have ``-inf``.
        """
        histories = _without_padding(windows, self._readable_items)
        return self._shares(histories, self._table).numpy()

    def logits(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return what is learned, and what whole titles say, as they are before they are added.

        Returns:
            Two arrays of shape (rows, items + 1), float32; the first has ``-inf`` as
            :meth:`score` has it.
        """
        learned, titles = self._logits(_without_padding(windows, self._readable_items), self._table)
        return learned.numpy(), titles.numpy()


class NetworkRegressor(TitleVectorScorer):
    """A network that predicts the title vector of the next product."""

    def __init__(self, network: RecurrentNetwork, item_vectors: np.ndarray) -> None:
        super().__init__(item_vectors)
        self._readable_items = network.find_readable_items(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)
        prepared = network.prepare(item_vectors)

        @tf.function(input_signature=[_HISTORIES], autograph=False)
        def predict(histories: tf.Tensor) -> tf.Tensor:
            return network.read(
                network.represent(histories, prepared), last_step_positions(histories)
            )

        self._predict = predict

    def predict(self, windows: Windows) -> np.ndarray:
        """Return the predicted vectors as they are, shape (rows, dimension), float32."""
        return self._predict(_without_padding(windows, self._readable_items)).numpy()

    def point(self, windows: Windows) -> np.ndarray:
        """Return the predicted vector, scaled to unit length."""
        return _unit(self.predict(windows))


def make_scorer(network: RecurrentNetwork, item_vectors: np.ndarray) -> Scorer:
    """Make a scorer of a trained network, by what its head gives.

    Args:
        network: the network.
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros where an item has
            no title.

    Raises:
        InputError: if the network was trained with other vectors.
    """
    network.check_vectors(item_vectors)
    if network.options.head == "vector":
        return NetworkRegressor(network, item_vectors)
    return NetworkClassifier(network, item_vectors)


def _without_padding(windows: Windows, readable_items: np.ndarray | None) -> tf.Tensor:
    """Histories as a network reads them, as wide as the longest of them."""
    histories = left_align(windows.histories(), readable_items)
    longest = max(1, int(np.count_nonzero(histories, axis=1).max(initial=0)))
    return tf.constant(histories[:, :longest])


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
