"""TIFU-KNN: frequencies of a user's items with weights by recency, and those of similar users.

This module does not import TensorFlow.
"""

import numpy as np
from scipy import sparse

from bazar.config.models import TifuKnnOptions
from bazar.data.windows import Windows
from bazar.models.histories import (
    build_training_histories,
    list_order_items,
    read_all_orders,
    split_by_size,
)
from bazar.models.popularity import fill_with_popularity, scale_popularity
from bazar.models.scorer import Scorer
from bazar.models.sparse_scores import find_highest


class TifuKnn(Scorer):
    """Recommend the items that the user and similar users bought often and recently.

    This is TIFU-KNN (Hu, He, Gao and Zhang 2020, "Modeling Personalized Item Frequency Information
    for Next-basket Recommendation", section 5). The orders of a user are divided into ``groups``
    groups of consecutive orders. The vector of a group is the mean of its binary order vectors,
    with the weight ``order_decay ** (number of later orders in the group)``. The vector of a user
    is the mean of the group vectors, with the weight ``group_decay ** (number of later groups)``.
    The score is ``own_weight`` times the vector of the user plus ``1 - own_weight`` times the mean
    vector of the nearest users by Euclidean distance.

    As in the authors' code, later groups have one order more if the number of orders is not a
    multiple of the number of groups. A user with fewer orders has one group per order.

    The vectors of the nearest users are built from the training part. The vector of the user is
    built from all orders before the targets, not only those of the history. A user is not a
    neighbour of the same user. Guests, and users without a training row, are no neighbours. Of
    equally near users, those who share an item with the user are taken first, then in the order of
    ``train``. Items without a positive score are ordered by popularity.
    """

    predicts_repeats = True

    def __init__(
        self, train: Windows, training_counts: np.ndarray, options: TifuKnnOptions
    ) -> None:
        self._options = options
        self._popularity = scale_popularity(training_counts)
        histories = build_training_histories(train)
        self._vectors = self._build_vectors(histories)
        self._users_of_items = self._vectors.T.tocsr()
        self._squared_norms = np.asarray(self._vectors.power(2).sum(axis=1))
        # A user who shares no item with another user is near only if the norm is small.
        by_norm = np.argsort(self._squared_norms, kind="stable")
        self._smallest = by_norm[: options.neighbours + 1]
        ids = histories.user_ids.to_pylist()
        self._positions = {user_id: position for position, user_id in enumerate(ids)}

    def score(self, windows: Windows) -> np.ndarray:
        """Return weighted frequencies; see :meth:`Scorer.score`."""
        vectors = self._build_vectors(read_all_orders(windows))
        own = [self._positions.get(user_id, -1) for user_id in windows.user_ids.to_pylist()]
        scores = (self._find_neighbours(vectors, np.array(own, np.int64)) @ self._vectors).toarray()
        rows = np.repeat(np.arange(len(windows)), np.diff(vectors.indptr))
        scores[rows, vectors.indices] += np.float32(self._options.own_weight) * vectors.data
        return fill_with_popularity(scores, self._popularity)

    def _build_vectors(self, windows: Windows) -> sparse.csr_array:
        """Return the vector of the history of each row, shape (rows, items + 1), float32."""
        options = self._options
        rows, items, ages = list_order_items(windows)
        n_orders = np.zeros(len(windows), np.int64)
        np.maximum.at(n_orders, rows, ages + 1)
        n_orders = n_orders[rows]
        n_groups = np.minimum(n_orders, options.groups)
        # The last groups are the larger ones.
        small, n_large = np.divmod(n_orders, n_groups)
        in_large = n_large * (small + 1)
        is_large = ages < in_large
        sizes = small + is_large
        later_groups, later_orders = np.divmod(ages - np.where(is_large, 0, in_large), sizes)
        later_groups += np.where(is_large, 0, n_large)
        weights = options.order_decay**later_orders / sizes
        weights *= options.group_decay**later_groups / n_groups
        shape = (len(windows), len(self._popularity))
        return sparse.coo_array((weights.astype(np.float32), (rows, items)), shape).tocsr()

    def _find_neighbours(self, vectors: sparse.csr_array, own: np.ndarray) -> sparse.csr_array:
        """Find the nearest training users of each row.

        Args:
            vectors: shape (rows, items + 1), float32.
            own: shape (rows,), int64, position of the user of each row among the training users;
                -1 if the user is not one of them.

        Returns:
            Shape (rows, training users), float32. The values of a row are equal. Their sum is
            ``1 - own_weight``.
        """
        n_users = np.diff(self._users_of_items.indptr)[vectors.indices]
        sizes = np.diff(np.concatenate([[0], np.cumsum(n_users)])[vectors.indptr])
        nearest = []
        for rows in split_by_size(sizes):
            products = vectors[rows] @ self._users_of_items
            products.sort_indices()
            bounds = zip(products.indptr[:-1], products.indptr[1:], strict=True)
            nearest += [
                self._select_nearest(products.indices[start:stop], products.data[start:stop], user)
                for (start, stop), user in zip(bounds, own[rows], strict=True)
            ]
        # Without a history, nobody is similar.
        for row in np.flatnonzero(np.diff(vectors.indptr) == 0):
            nearest[row] = np.empty(0, np.int64)
        counts = np.array([len(users) for users in nearest], np.int64)
        shares = (1 - self._options.own_weight) / np.maximum(counts, 1)
        weights = np.repeat(shares, counts).astype(np.float32)
        users = np.concatenate([*nearest, np.empty(0, np.int64)]).astype(np.int64)
        entries = (weights, users, np.concatenate([[0], np.cumsum(counts)]))
        return sparse.csr_array(entries, (len(own), self._vectors.shape[0]))

    def _select_nearest(self, users: np.ndarray, products: np.ndarray, own: int) -> np.ndarray:
        """Select the nearest training users of one row.

        Args:
            users: positions of the training users who share an item with the row, ascending.
            products: dot products of their vectors with the vector of the row.
            own: position of the user of the row; -1 if the user is not a training user.

        Returns:
            Shape (at most neighbours,), positions.
        """
        shares_item = np.zeros(len(self._squared_norms), bool)
        shares_item[users] = True
        others = self._smallest[~shares_item[self._smallest]]
        candidates = np.concatenate([users, others])
        # The squared distance is this plus the squared norm of the row, which is the same for all.
        distances = self._squared_norms[candidates]
        distances[: len(users)] -= 2 * products
        is_other_user = candidates != own
        candidates, distances = candidates[is_other_user], distances[is_other_user]
        return candidates[find_highest(-distances, self._options.neighbours)]
