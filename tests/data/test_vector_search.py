import numpy as np
import pytest

from bazar.data.vector_search import CosineIndex, compute_cosines, normalize_rows


@pytest.fixture
def item_vectors() -> np.ndarray:
    """Unit vectors of 300 items; padding and every seventh item have none."""
    vectors = np.random.default_rng(0).normal(size=(301, 6)).astype(np.float32)
    vectors[::7] = 0
    return normalize_rows(vectors)


def test_rows_have_unit_length_and_zeros_stay_zeros() -> None:
    vectors = normalize_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]]))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0, 0], [0, -1]])


def test_cosines_are_at_most_one() -> None:
    known = compute_cosines(np.float32([[1, 0], [0, 0]]), np.float32([[0.6, 0.8], [-1, 0]]))
    assert known.dtype == np.float32
    np.testing.assert_allclose(known, [[0.6, -1], [0, 0]])
    vectors = normalize_rows(np.random.default_rng(2).normal(size=(200, 384)))
    # The rounded lengths of some of them are above 1.
    assert np.linalg.norm(vectors.astype(np.float64), axis=1).max() > 1
    cosines = compute_cosines(np.concatenate([vectors, -vectors]), vectors)
    assert cosines.min() >= -1 and cosines.max() <= 1
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-6)


def test_search_finds_the_highest_cosines_of_items_with_vectors(item_vectors: np.ndarray) -> None:
    queries = normalize_rows(np.random.default_rng(1).normal(size=(40, 6)))
    items, cosines = CosineIndex(item_vectors).search(queries, 5)
    every = queries @ item_vectors.T
    every[:, ::7] = -np.inf
    np.testing.assert_allclose(np.take_along_axis(every, items, axis=1), cosines, atol=1e-6)
    np.testing.assert_allclose(cosines, np.sort(every, axis=1)[:, :-6:-1], atol=1e-6)


def test_missing_results_have_index_zero(item_vectors: np.ndarray) -> None:
    index = CosineIndex(item_vectors[:9])
    assert index.items.tolist() == [1, 2, 3, 4, 5, 6, 8]
    items, cosines = index.search(item_vectors[1:3], 9)
    assert sorted(items[0].tolist()) == [0, 0, 1, 2, 3, 4, 5, 6, 8]
    assert items[:, 0].tolist() == [1, 2]
    assert items[:, 7:].tolist() == [[0, 0], [0, 0]]
    assert (cosines[:, 7:] == np.finfo(np.float32).min).all()


def test_search_without_any_vector_finds_nothing() -> None:
    items, _ = CosineIndex(np.zeros((4, 3), np.float32)).search(np.ones((2, 3), np.float32), 2)
    assert items.tolist() == [[0, 0], [0, 0]]
