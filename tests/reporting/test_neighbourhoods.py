from itertools import permutations

import numpy as np
import pytest

from bazar.reporting.neighbourhoods import compute_chance_shares, compute_own_shares, nearest


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


LABELS = np.array(["hair", "hair", "nails", "nails"], object)


def test_the_share_by_hand() -> None:
    # 0° and 10° stand together, 100° is nearer to 140° than to 10°.
    neighbours = nearest(on_circle(0, 10, 100, 140), 2)
    assert neighbours.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]
    assert compute_own_shares(neighbours, LABELS).tolist() == [0.5, 0.5, 0.5, 0.5]
    assert compute_own_shares(neighbours[:, :1], LABELS).tolist() == [1, 1, 1, 1]
    mixed = np.array(["hair", "nails", "nails", "nails"], object)
    assert compute_own_shares(neighbours, mixed).tolist() == [0, 0.5, 1, 1]


def test_a_twin_is_a_neighbour_and_the_item_itself_is_none() -> None:
    twins = on_circle(30, 30, 30, 90)
    assert nearest(twins, 3).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_more_than_there_are_is_all_others() -> None:
    assert nearest(on_circle(0, 10, 100), 10).shape == (3, 2)


def test_many_items_are_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(23, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    at_once = nearest(vectors, 4)
    monkeypatch.setattr("bazar.neighbourhoods._ROWS_AT_A_TIME", 7)
    assert nearest(vectors, 4).tolist() == at_once.tolist()


def test_chance_is_the_mean_over_all_permutations() -> None:
    labels = np.array(["hair", "hair", "hair", "nails", "gift"], object)
    assert compute_chance_shares(labels).tolist() == [0.5, 0.5, 0.5, 0, 0]
    neighbours = nearest(on_circle(0, 5, 50, 120, 200), 2)
    dealt = [
        compute_own_shares(neighbours, labels[list(order)]).mean()
        for order in permutations(range(5))
    ]
    assert np.mean(dealt) == pytest.approx(compute_chance_shares(labels).mean()) == 0.3


@pytest.mark.parametrize("items", [0, 1])
def test_one_item_has_no_neighbours(items: int) -> None:
    with pytest.raises(ValueError, match="two items or more"):
        nearest(np.ones((items, 2)), 1)
    with pytest.raises(ValueError, match="two items or more"):
        compute_chance_shares(LABELS[:items])
