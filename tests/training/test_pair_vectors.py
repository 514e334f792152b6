"""The vectors that the learned vectors of ids start from."""

import numpy as np
import pytest

from bazar.training.pair_vectors import factorise_pairs
from bazar.training.trainer import train_network
from tests.training.test_batches import all_rows
from tests.training.test_trainer import block

# Item 1 is always followed by 2, and 3 by 4. Nobody buys 5 and 6 before or after another item.
N_ITEMS = 6
PAIRS = all_rows([[1, 2], [3, 4], [1, 2], [3, 4, 1, 2]], 5, [True])


def test_an_item_is_nearest_to_the_item_that_follows_it() -> None:
    history_vectors, target_vectors = factorise_pairs(PAIRS, N_ITEMS, 4)
    assert history_vectors.shape == target_vectors.shape == (N_ITEMS + 1, 4)
    scores = history_vectors @ target_vectors.T
    assert scores[[1, 3]].argmax(axis=1).tolist() == [2, 4]
    # The order counts.
    assert scores[1, 2] > scores[2, 1] + 0.01
    for vectors in (history_vectors, target_vectors):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1)[1:5], 1, atol=1e-5)
        assert (vectors[[0, 5, 6]] == 0).all()


def test_all_dimensions_give_the_mutual_information() -> None:
    history_vectors, target_vectors = factorise_pairs(PAIRS, N_ITEMS, 32)
    assert history_vectors.shape == (N_ITEMS + 1, 32)
    assert (history_vectors[:, N_ITEMS + 1 :] == 0).all()
    # The weights of the pairs in both orders of time, counted by hand: item, next item, weight.
    counts = np.zeros((N_ITEMS + 1, N_ITEMS + 1))
    half, third = 2**-0.5, 3**-0.5
    for first, second, weight in [
        (1, 2, 3), (3, 4, 2), (4, 1, 1), (3, 1, half), (4, 2, half), (3, 2, third),
    ]:  # fmt: skip
        counts[first, second] += weight
        counts[second, first] += weight / 4
    targets = counts.sum(axis=0) ** 0.4
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.log(counts / counts.sum(axis=1, keepdims=True) / (targets / targets.sum()))
    expected = np.maximum(np.nan_to_num(expected, neginf=0), 0)
    # The directions of the vectors are those of the factors of the expected matrix.
    left, strengths, right = np.linalg.svd(expected)
    left, right = left * np.sqrt(strengths), right.T * np.sqrt(strengths)
    lengths = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)
    products = history_vectors @ target_vectors.T
    known = np.ix_(range(1, 5), range(1, 5))
    np.testing.assert_allclose(products[known], (expected / lengths)[known], atol=1e-4)


def test_items_without_pairs_have_no_vector_if_there_are_few_pairs() -> None:
    rows = all_rows([[item, item + 1] for item in range(1, 100, 2)], 5, [True])
    for vectors in factorise_pairs(rows, 200, 160):
        np.testing.assert_allclose(np.linalg.norm(vectors[1:101], axis=1), 1, atol=1e-5)
        assert not vectors[101:].any()
        assert not vectors[0].any()


def test_pairs_without_information_give_zeros() -> None:
    # One item that is bought again and again: its mutual information is 0.
    for vectors in factorise_pairs(all_rows([[1, 1, 1]], 5, [True]), 1, 8):
        assert vectors.shape == (2, 8)
        assert not vectors.any()


def test_training_starts_from_the_pairs() -> None:
    described = block(
        {"learning_rate": 1e-12, "epochs": 1}, history_vectors=True, temperature=0.1,
        history_decay=0.6,
    )  # fmt: skip
    network = train_network(PAIRS, PAIRS, described, N_ITEMS, 1).network
    items = network.item_embedding.embeddings.numpy()
    differences = network.history_embedding.embeddings.numpy()
    history_vectors, target_vectors = factorise_pairs(PAIRS, N_ITEMS, items.shape[1])
    length = np.linalg.norm(items[1])
    # The mean length of uniform values in ±0.05, in 16 dimensions.
    assert length == pytest.approx(0.05 * (16 / 3) ** 0.5, rel=0.1)
    np.testing.assert_allclose(items[1:5], length * target_vectors[1:5], atol=1e-5)
    np.testing.assert_allclose((items + differences)[1:5], length * history_vectors[1:5], atol=1e-5)
    # Without pairs, the start is random, and the same in histories.
    assert np.abs(items[5:]).min() > 0
    np.testing.assert_allclose(differences[5:], 0, atol=1e-8)
