"""The map of the title space."""

import numpy as np
import pandas as pd
import pytest

from bazar.reporting.title_map import (
    MAX_CATEGORIES,
    MAX_PRODUCTS,
    list_categories,
    map_products,
    project_vectors,
    sample_titled_items,
)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def groups(each: int, seed: int = 0) -> np.ndarray:
    """Return three groups of ``each`` unit vectors that are close together."""
    rng = np.random.default_rng(seed)
    middles = np.repeat(np.eye(3, 16), each, axis=0)
    return unit(middles + 0.05 * rng.normal(size=middles.shape))


def test_products_without_title_are_left_out() -> None:
    vectors = np.vstack([np.zeros((1, 16)), groups(2)]).astype(np.float32)
    vectors[3] = 0
    assert sample_titled_items(vectors, 1).tolist() == [1, 2, 4, 5, 6]
    assert sample_titled_items(np.zeros((4, 16), np.float32), 1).tolist() == []


def test_many_products_are_sampled_at_random() -> None:
    vectors = np.ones((112_001, 2), np.float32)
    vectors[:2] = 0
    chosen = sample_titled_items(vectors, seed=1)
    assert len(set(chosen.tolist())) == MAX_PRODUCTS
    assert chosen.tolist() == sorted(chosen.tolist())
    assert chosen[0] >= 2
    # The sample is from the complete catalogue, not from its beginning.
    assert 50_000 < np.median(chosen) < 62_000
    assert chosen.tolist() == sample_titled_items(vectors, seed=1).tolist()
    assert chosen.tolist() != sample_titled_items(vectors, seed=2).tolist()


def test_similar_vectors_lie_close_together() -> None:
    vectors = groups(20)
    points = project_vectors(vectors, seed=1)
    assert points.shape == (60, 2)
    assert points.dtype == np.float32
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    assert (nearest // 20 == np.arange(60) // 20).all()
    assert np.array_equal(points, project_vectors(vectors, seed=1))


def test_equal_vectors_have_equal_points() -> None:
    vectors = groups(4)
    points = project_vectors(np.vstack([vectors, vectors[::-1]]), seed=1)
    assert np.array_equal(points[:12], points[12:][::-1])
    assert len(np.unique(points, axis=0)) == 12


@pytest.mark.parametrize("n", range(6))
def test_few_products_have_distinct_points(n: int) -> None:
    points = project_vectors(groups(2)[:n], seed=1)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == n


def test_a_map_has_a_row_for_each_product() -> None:
    products = pd.DataFrame(
        {
            "item_id": ["03", "01", "02", "04", "05"],
            "title": ["Rose", "Oat", "Mint", "Kelp", "Plum"],
            "attributes": ["Nails", "Hair", "Nails", None, "Hair"],
        }
    )
    found = map_products(products, groups(2)[:5], seed=1)
    assert found.columns.tolist() == ["item_id", "title", "category", "x", "y"]
    assert found["item_id"].tolist() == products["item_id"].tolist()
    assert found["category"].fillna("–").tolist() == ["Nails", "Hair", "Nails", "–", "Hair"]
    assert np.array_equal(found[["x", "y"]].to_numpy(), project_vectors(groups(2)[:5], seed=1))
    none = map_products(products.assign(attributes=None), groups(2)[:5], seed=1)
    assert none["category"].isna().all()
    assert map_products(products.head(0), groups(2)[:0], seed=1).empty


def test_the_largest_categories_are_named_before_brands() -> None:
    skin = [f"Brand {product % 2}, Beauty, Skin Care" for product in range(6)]
    hair = [f"Brand {product % 2}, Beauty, Hair Care" for product in range(4)]
    alone = ["Brand 2, Beauty", "Brand 2, Beauty", "Brand 3, Beauty"]
    found = list_categories([*skin, *hair, *alone, None, ""])
    # Every product is in Beauty, which distinguishes none; no other product has the last brand.
    assert found == [
        *["Skin Care"] * 6, *["Hair Care"] * 4, "Brand 2", "Brand 2", None, None, None,
    ]  # fmt: skip


def test_there_are_no_more_categories_than_colours() -> None:
    attributes = [f"Category {product // 5:02}" for product in range(100)]
    found = list_categories(attributes)
    named = [f"Category {number:02}" for number in range(MAX_CATEGORIES)]
    assert found[:40] == attributes[:40]
    assert set(found[:40]) == set(named)
    assert found[40:] == [None] * 60
    assert list_categories([None, None]) == [None, None]
    assert list_categories([]) == []
