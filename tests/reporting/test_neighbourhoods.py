from itertools import permutations

import numpy as np
import pytest

from bazar.reporting.neighbourhoods import (
    compute_chance_shares,
    compute_own_shares,
    find_neighbours,
)


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


LABELS = np.array(["hair", "hair", "nails", "nails"], object)


def test_own_shares_by_hand() -> None:
    # 0° and 10° are close together; 100° is nearer to 140° than to 10°.
    neighbours = find_neighbours(on_circle(0, 10, 100, 140), 2)
    assert neighbours.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]
    assert compute_own_shares(neighbours, LABELS).tolist() == [0.5, 0.5, 0.5, 0.5]
    assert compute_own_shares(neighbours[:, :1], LABELS).tolist() == [1, 1, 1, 1]
    mixed = np.array(["hair", "nails", "nails", "nails"], object)
    assert compute_own_shares(neighbours, mixed).tolist() == [0, 0.5, 1, 1]


def test_items_with_equal_vectors_are_neighbours_and_the_item_itself_is_not() -> None:
    equal = on_circle(30, 30, 30, 90)
    assert find_neighbours(equal, 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_an_item_is_never_its_own_neighbour_among_many_equal_vectors() -> None:
    neighbours = find_neighbours(np.repeat(on_circle(10, 200), 8, axis=0), 3)
    assert neighbours.shape == (16, 3)
    assert (neighbours != np.arange(16)[:, None]).all()
    assert (neighbours // 8 == np.arange(16)[:, None] // 8).all()
    assert all(len(set(row)) == 3 for row in neighbours.tolist())


def test_k_above_the_number_of_other_items_returns_all_others() -> None:
    assert find_neighbours(on_circle(0, 10, 100), 10).shape == (3, 2)


@pytest.mark.parametrize("items", [23, 3000])
def test_neighbours_agree_with_sorting_all_cosines(items: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(items, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    found = find_neighbours(vectors, 4)
    expected = np.sort(cosines, axis=1)[:, :-5:-1]
    np.testing.assert_allclose(np.take_along_axis(cosines, found, axis=1), expected, atol=1e-6)


def test_chance_is_the_mean_over_all_permutations() -> None:
    labels = np.array(["hair", "hair", "hair", "nails", "gift"], object)
    assert compute_chance_shares(labels).tolist() == [0.5, 0.5, 0.5, 0, 0]
    neighbours = find_neighbours(on_circle(0, 5, 50, 120, 200), 2)
    permuted = [
        compute_own_shares(neighbours, labels[list(order)]).mean()
        for order in permutations(range(5))
    ]
    assert np.mean(permuted) == pytest.approx(compute_chance_shares(labels).mean()) == 0.3


@pytest.mark.parametrize("items", [0, 1])
def test_fewer_than_two_items_raise(items: int) -> None:
    with pytest.raises(ValueError, match=f"At least 2 items are needed .* got {items}"):
        find_neighbours(np.ones((items, 2)), 1)
    with pytest.raises(ValueError, match=f"At least 2 items are needed .* got {items}"):
        compute_chance_shares(LABELS[:items])
