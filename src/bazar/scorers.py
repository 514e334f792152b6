"""Whatever can score the catalogue for a history; the floors are in :mod:`bazar.floors`."""

from typing import Protocol

import faiss
import numpy as np
import tensorflow as tf

from bazar.batches import to_front
from bazar.networks import RecurrentNetwork, have_titles, last_steps
from bazar.windows import Windows

# Of any number and length: made for each that comes, functions would be traced again and again.
_HISTORIES = tf.TensorSpec((None, None), tf.int32)


class Scorer(Protocol):
    """Scores every item for every history.

    Attributes:
        telling: shape (items + 1,), bool, items of a history that say anything to the model: of a
            history without one, nothing is known. None where every item does.
    """

    telling: np.ndarray | None

    def score(self, windows: Windows) -> np.ndarray:
        """Score the catalogue.

        Args:
            windows: rows of histories; targets and what was seen before are not looked at.

        Returns:
            shape (rows, items + 1), float32, higher is better; ``-inf`` where the model has
            no means to recommend an item. Column 0 (padding) means nothing.
        """
        ...


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
        self._readable = network.readable(item_vectors)
        self.telling: np.ndarray | None = network.telling(item_vectors)
        self._prepared = network.prepare(item_vectors if network.options.needs_vectors else None)
        tied = network.options.head == "tied_softmax"
        not_reachable = np.zeros(network.n_items + 1, np.float32)
        if tied:
            reachable = np.asarray(network.known) > 0
            if network.options.item == "title":
                reachable[:] = False
            if item_vectors is not None and network.options.needs_vectors:
                reachable |= have_titles(item_vectors)
            reachable[0] = False
            not_reachable[~reachable] = -np.inf

        self._titles = None
        if network.title_weight is not None:
            self._titles = tf.transpose(self._prepared)
        closed = tf.constant(not_reachable)
        readers = [_HISTORIES, tf.TensorSpec((None, None), tf.float32)]

        def learned(histories: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
            represented = network.represent(histories, self._prepared)
            read = network.read(represented, last_steps(histories))
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
        histories = _without_padding(windows, self._readable)
        return self._shares(histories, self._table).numpy()

    def logits(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Return what is learned, and what whole titles say, as they are before they are added.

        Returns:
            Two arrays of shape (rows, items + 1), float32; the first has ``-inf`` as
            :meth:`score` has it.
        """
        learned, titles = self._logits(_without_padding(windows, self._readable), self._table)
        return learned.numpy(), titles.numpy()


class NearestTitles:
    """Base of the models that point into the space of titles: the nearest products are best.

    Items with equal vectors (products with the same title) get equal scores.

    Attributes:
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros where an
            item has no title.
        is_titled: shape (items + 1,), bool, whether an item has a title.
    """

    def __init__(self, item_vectors: np.ndarray) -> None:
        self.item_vectors = item_vectors
        self.is_titled = have_titles(item_vectors)
        self._untitled = np.flatnonzero(~self.is_titled)
        self._table = tf.constant(np.ascontiguousarray(item_vectors.T))
        # Equal vectors in other columns may be multiplied in another order.
        _, first, place = np.unique(item_vectors, axis=0, return_index=True, return_inverse=True)
        is_copy = self.is_titled & (first[place] != np.arange(len(item_vectors)))
        self._copies, self._originals = np.flatnonzero(is_copy), first[place[is_copy]]
        self.telling: np.ndarray | None = self.is_titled
        self._items = np.flatnonzero(self.is_titled)
        self._index = faiss.IndexFlatIP(item_vectors.shape[1])
        self._index.add(np.ascontiguousarray(item_vectors[self._items]))

    def point(self, windows: Windows) -> np.ndarray:
        """Return where each history points, shape (rows, dimension), float32, unit length."""
        raise NotImplementedError

    def score(self, windows: Windows) -> np.ndarray:
        """Return cosines; see :meth:`Scorer.score`."""
        return self.cosines(self.point(windows))

    def cosines(self, points: np.ndarray) -> np.ndarray:
        """Return the cosine of every item to points of shape (rows, dimension)."""
        scores = tf.matmul(points, self._table).numpy()
        scores[:, self._copies] = scores[:, self._originals]
        scores[:, self._untitled] = -np.inf
        return scores

    def nearest(self, points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Nearest products by an exact FAISS search (Johnson et al. 2019).

        Args:
            points: shape (rows, dimension), float32, unit vectors.
            k: products per row.

        Returns:
            Item indices, shape (rows, k), 0 where there are no more, and cosines, the same shape.
        """
        cosines, places = self._index.search(np.ascontiguousarray(points, np.float32), k)
        return np.where(places < 0, 0, self._items[places]), cosines


class NetworkRegressor(NearestTitles):
    """A network that predicts the title vector of the next product."""

    def __init__(self, network: RecurrentNetwork, item_vectors: np.ndarray) -> None:
        super().__init__(item_vectors)
        self._readable = network.readable(item_vectors)
        self.telling = network.telling(item_vectors)
        prepared = network.prepare(item_vectors)

        @tf.function(input_signature=[_HISTORIES], autograph=False)
        def predict(histories: tf.Tensor) -> tf.Tensor:
            return network.read(network.represent(histories, prepared), last_steps(histories))

        self._predict = predict

    def predict(self, windows: Windows) -> np.ndarray:
        """Return the predicted vectors as they are, shape (rows, dimension), float32."""
        return self._predict(_without_padding(windows, self._readable)).numpy()

    def point(self, windows: Windows) -> np.ndarray:
        """Return the predicted vector, scaled to unit length."""
        return _unit(self.predict(windows))


def of_network(network: RecurrentNetwork, item_vectors: np.ndarray) -> Scorer:
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


def _without_padding(windows: Windows, readable: np.ndarray | None) -> tf.Tensor:
    """Histories as a network reads them, as wide as the longest of them."""
    histories = to_front(windows.histories(), readable)
    longest = max(1, int(np.count_nonzero(histories, axis=1).max(initial=0)))
    return tf.constant(histories[:, :longest])


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)
