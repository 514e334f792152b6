"""Two-dimensional map of products. Products with similar titles are close together."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

# With more products, the dots hide each other and the layout takes minutes.
MAX_PRODUCTS = 2_000
# With more categories, the colours are hard to distinguish.
MAX_CATEGORIES = 8


def sample_titled_items(
    item_vectors: np.ndarray, seed: int, max_items: int = MAX_PRODUCTS
) -> np.ndarray:
    """Return a random sample of the items with a title.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros for padding and for items
            without a title.
        seed: seed of the sample.
        max_items: maximum size of the sample.

    Returns:
        Shape (items,), int64: item indices in ascending order.
    """
    titled = np.flatnonzero(item_vectors.any(axis=1))
    if len(titled) <= max_items:
        return titled
    return np.sort(np.random.default_rng(seed).choice(titled, max_items, replace=False))


def map_products(products: pd.DataFrame, vectors: np.ndarray, seed: int) -> pd.DataFrame:
    """Return the two-dimensional position and the category of each product.

    Args:
        products: one row per product: ``item_id, title, attributes``.
        vectors: shape (products, dimension), float32: unit vectors of the titles, in the order of
            ``products``.
        seed: seed of the layout.

    Returns:
        ``item_id, title, category, x, y`` (float32), in the order of ``products``. See
        :func:`list_categories` and :func:`project_vectors`.
    """
    texts = [text if isinstance(text, str) else None for text in products["attributes"]]
    positions = project_vectors(vectors, seed)
    return products[["item_id", "title"]].assign(
        category=pd.array(list_categories(texts), dtype="str"),
        x=positions[:, 0],
        y=positions[:, 1],
    )


def project_vectors(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Return two-dimensional points for vectors, computed with t-SNE.

    t-SNE (van der Maaten and Hinton 2008) starts from the first two principal components (Kobak and
    Berens 2019). Near vectors stay near. Distances between groups, and directions, have no meaning.
    Equal vectors have equal points.

    Args:
        vectors: shape (rows, dimension), float32.
        seed: seed of t-SNE. Equal seeds give equal points.

    Returns:
        Shape (rows, 2), float32. If there are fewer than four distinct vectors, the points lie on
        a line.
    """
    distinct, inverse = np.unique(vectors, axis=0, return_inverse=True)
    if len(distinct) < 4:
        line = np.arange(len(distinct), dtype=np.float32)
        points = np.column_stack([line, np.zeros_like(line)])
    else:
        # The import of scikit-learn is slow. Commands without a map do not need it.
        from sklearn.manifold import TSNE

        tsne = TSNE(
            perplexity=min(30, (len(distinct) - 1) / 3), init="pca", max_iter=500, random_state=seed
        )
        # On busy cores, several threads are much slower than one, because they wait for each other.
        with threadpool_limits(1):
            points = tsne.fit_transform(distinct)
    return points[inverse.reshape(-1)]


def list_categories(attributes: Sequence[str | None]) -> list[str | None]:
    """Return a category for each product. A few large categories are selected greedily.

    Any attribute of several products can be a category, for example a brand. An attribute of more
    than half of the products, such as the root of a category tree, is skipped. In each step, the
    most frequent attribute of the products without a category becomes the next category.

    Args:
        attributes: attributes of each product, joined by ``", "``, or None.

    Returns:
        The category of each product, or None. There are at most :data:`MAX_CATEGORIES` categories.
    """
    names_by_product = [{name for name in (text or "").split(", ") if name} for text in attributes]
    counts = Counter(name for names in names_by_product for name in names)
    half = sum(bool(names) for names in names_by_product) / 2
    unassigned = {
        product: {name for name in names if counts[name] <= half}
        for product, names in enumerate(names_by_product)
    }
    categories: list[str | None] = [None] * len(names_by_product)
    for _ in range(MAX_CATEGORIES):
        counts = Counter(name for names in unassigned.values() for name in names)
        # Sets have no order. Ties are broken alphabetically.
        largest = min(counts, key=lambda name: (-counts[name], name), default=None)
        if largest is None or counts[largest] < 2:
            break
        for product in [product for product, names in unassigned.items() if largest in names]:
            categories[product] = largest
            del unassigned[product]
    return categories
