"""The oracle: a model that knows how the purchases of a synthetic store were generated.

It is the ceiling: apart from chance, no model can be better. It is measured like a model, but it
cannot recommend, it is never selected, and it is not part of the tests of significance.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bazar.data.windows import Windows
from bazar.models.scorer import Scorer


class Oracle(Scorer):
    """Rank items by their true probability in the last order of each customer.

    The remaining items come last, in order of popularity.
    """

    def __init__(
        self, probabilities: pa.Table, item_ids: np.ndarray, training_counts: np.ndarray
    ) -> None:
        """Store the probabilities.

        Args:
            probabilities: a table of :data:`bazar.synthetic.files.ORACLE_SCHEMA`. Items that are
                not in the catalogue are left out.
            item_ids: shape (items + 1,), external ids by item index.
            training_counts: shape (items + 1,), int, number of times each item occurs in training.
        """
        known = pa.array(item_ids[1:], pa.string())
        items = pc.index_in(probabilities["item_id"], known)
        table = probabilities.filter(pc.is_valid(items))
        self._items = pc.drop_null(items).to_numpy().astype(np.int64) + 1
        self._scores = table["score"].to_numpy()
        encoded = table["user_id"].combine_chunks().dictionary_encode()
        self._users = encoded.dictionary.cast(pa.large_string())
        numbers = encoded.indices.to_numpy()
        order = np.argsort(numbers, kind="stable")
        self._items, self._scores = self._items[order], self._scores[order]
        self._starts = np.searchsorted(numbers[order], np.arange(len(self._users) + 1))
        popularity = (training_counts / (training_counts.max() + 1)).astype(np.float32)
        self._least = popularity - 1

    def knows_users(self, windows: Windows) -> bool:
        """Return whether there are probabilities for every user of some rows."""
        return bool(pc.all(pc.is_in(windows.user_ids, self._users)).as_py())

    def score(self, windows: Windows) -> np.ndarray:
        """Return the probabilities; see :meth:`Scorer.score`."""
        scores = np.tile(self._least, (len(windows), 1))
        users = pc.index_in(windows.user_ids, self._users).to_numpy()
        for row, user in enumerate(users):
            own = slice(self._starts[user], self._starts[user + 1])
            scores[row, self._items[own]] = self._scores[own]
        return scores
