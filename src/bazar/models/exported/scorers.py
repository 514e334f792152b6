"""Scorers of exported networks."""

import numpy as np

from bazar.data.vector_search import normalize_rows
from bazar.data.windows import Windows
from bazar.models.exported.layers import scale_to_unit
from bazar.models.exported.network import ExportedNetwork
from bazar.models.exported.title_similarity import TitleSimilarity
from bazar.models.nearest_titles import TitleIndex, TitleVectorScorer
from bazar.models.network_inputs import NetworkInput, build_network_input
from bazar.models.scorer import Scorer


class ExportedClassifier(Scorer):
    """Scorer of a network that predicts the probability of each item."""

    def __init__(self, network: ExportedNetwork, item_vectors: np.ndarray) -> None:
        """Compute the tables of all items.

        Args:
            network: a network with head ``softmax`` or ``tied_softmax``.
            item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has
                no title.
        """
        self._network = network.drop_item_embedding()
        self._options = network.get_input_options(item_vectors)
        self._excluded = network.find_excluded_items(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)
        embedded = network.embed_catalogue(item_vectors)
        if network.options.repeats is not None:
            self._item_parts = embedded @ network.weights["repeats.item_part.kernel"]
        # None: histories read the item vectors of the head.
        self._history_table = (
            network.embed_history_items(embedded) if network.options.history_vectors else None
        )
        self._lengths: np.ndarray | None = None
        if network.options.temperature is not None:
            squares = np.vecdot(embedded, embedded)[:, None]
            self._lengths = np.sqrt(np.maximum(squares, np.float32(1e-12)))
            embedded = embedded / self._lengths
        self._table = embedded
        self._titles: TitleSimilarity | None = None
        # Without a weight, the title vectors are not needed after this.
        if network.title_weight > 0:
            centre, whitening = network.weights["centre"], network.weights["whitening"]
            self._titles = TitleSimilarity(item_vectors, centre, whitening)

    def score(self, windows: Windows) -> np.ndarray:
        """Return probabilities; see :meth:`Scorer.score`.

        With a tied head, items without any information have the score ``-inf``. These items do not
        occur in training, and they have no title or the network does not read titles.
        """
        logits = self._compute_logits(build_network_input(windows, self._options))
        logits[:, self._excluded] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        probabilities = np.exp(logits, out=logits)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        probabilities[:, self._excluded] = -np.inf
        return probabilities

    def to_shares(self, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities unchanged, with ``-inf`` as 0; see :meth:`Scorer.to_shares`."""
        return np.maximum(scores, 0)

    def _compute_logits(self, inputs: NetworkInput) -> np.ndarray:
        """Return the logits of all items, shape (rows, items + 1), float32."""
        network = self._network
        encoded = network.encode(inputs, self._take_vectors(inputs.items))
        if network.options.head != "tied_softmax":
            return encoded
        points, temperature = encoded, network.options.temperature
        if temperature is not None:
            points = scale_to_unit(encoded) / np.float32(temperature)
        logits = points @ self._table.T
        if network.options.repeats is not None:
            scores = network.score_seen_items(inputs, encoded, self._item_parts)
            # A row has an item once.
            logits[inputs.seen_states, inputs.seen_items] += scores
        if self._titles is not None:
            decay = network.options.history_decay
            assert temperature is not None and decay is not None
            logits += self._titles.score(inputs, decay, network.title_weight / temperature)
        return logits

    def _take_vectors(self, items: np.ndarray) -> np.ndarray:
        """Return the vectors of items of histories, shape (items, item size), float32."""
        if self._history_table is not None:
            return self._history_table[items]
        vectors = self._table[items]
        return vectors if self._lengths is None else vectors * self._lengths[items]


class ExportedRegressor(TitleVectorScorer):
    """Scorer of a network that predicts the title vector of the next item."""

    def __init__(
        self, network: ExportedNetwork, item_vectors: np.ndarray, index: TitleIndex | None = None
    ) -> None:
        """Prepare to score.

        Args:
            network: a network with head ``vector``.
            item_vectors: shape (items + 1, dimension), float32, unit vectors; zeros if an item has
                no title.
            index: an existing index of the same vectors. None builds a new index.
        """
        super().__init__(item_vectors, index)
        self._network = network.drop_item_embedding()
        self._options = network.get_input_options(item_vectors)
        self._embedded = network.embed_catalogue(item_vectors)
        self.informative_items = network.find_informative_items(item_vectors)

    def predict_points(self, windows: Windows) -> np.ndarray:
        """Return the predicted vectors, scaled to unit length."""
        inputs = build_network_input(windows, self._options)
        return normalize_rows(self._network.encode(inputs, self._embedded[inputs.items]))
