import numpy as np
import pyarrow as pa
import pytest

from bazar.data.sequences import Sequences
from bazar.data.windows import build_full_histories
from bazar.service.engine.bought_together import BoughtTogether


def count(
    users: list[list[int]], orders: list[int] | None = None, guests: tuple[int, ...] = ()
) -> BoughtTogether:
    sequences = Sequences(
        pa.array([f"u{user}" for user in range(len(users))], pa.large_string()),
        np.concatenate(users).astype(np.int32),
        np.cumsum([0, *map(len, users)]),
        np.array(guests, np.int64),
        None if orders is None else np.array(orders, np.int32),
    )
    return BoughtTogether(build_full_histories(sequences, 10), 6)


def test_score_is_the_cosine_times_the_support() -> None:
    # Orders: {1, 2}, {1, 2, 2}, {1}, {2, 3}.
    pairs = count([[1, 2, 1, 2, 2], [1, 2, 3]], [0, 0, 1, 1, 1, 2, 3, 3])
    expected = [0, 0, 2 / 3 * 2 / 5, 0, 0, 0]
    assert pairs.score([1]).tolist() == pytest.approx(expected)
    assert pairs.score([3])[2] == pytest.approx(1 / np.sqrt(3) * 1 / 4)


def test_scores_of_a_cart_are_added() -> None:
    pairs = count([[1, 2, 3], [1, 2], [2, 3]], [0, 0, 0, 1, 1, 2, 2])
    cart = pairs.score([1, 3])
    assert cart[2] == pytest.approx(pairs.score([1])[2] + pairs.score([3])[2])
    assert cart[[1, 3]].tolist() == [0, 0]


def test_without_orders_of_several_items_users_are_counted() -> None:
    pairs = count([[1, 2], [1, 2], [4, 5]])
    assert pairs.score([1])[2] == pytest.approx(2 / 5)
    assert pairs.score([1])[4] == 0


def test_guests_are_one_order() -> None:
    # The sequences number each purchase of a guest as an order of its own.
    pairs = count([[1, 2], [4, 5], [3, 4]], [0, 1, 2, 2, 3, 4], guests=(0,))
    assert pairs.score([1])[2] == pytest.approx(1 / 4)
    # The purchases of the third user are no order.
    assert pairs.score([3])[4] == 0


def test_products_that_were_added_later_have_no_pairs() -> None:
    assert not count([[1, 2]]).score([9]).any()
