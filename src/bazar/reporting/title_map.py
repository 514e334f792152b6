"""Map of the title vectors: products with similar titles lie close together in a plane."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

# More dots hide each other on a page, and their layout takes minutes.
MAX_PRODUCTS = 2_000
# More colours are hard to distinguish.
MAX_CATEGORIES = 8


def sample_titled_items(
    item_vectors: np.ndarray, seed: int, max_items: int = MAX_PRODUCTS
) -> np.ndarray:
    """Draw a random sample of the items that have a title.

    Args:
        item_vectors: shape (items + 1, dimension), float32; zeros for padding and for items
            without a title.
        seed: seed of the draw.
        max_items: size of the sample. If fewer items have a title, all of them are returned.

    Returns:
        Shape (items,), int64: item indices in ascending order.
    """
    titled = np.flatnonzero(item_vectors.any(axis=1))
    if len(titled) <= max_items:
        return titled
    return np.sort(np.random.default_rng(seed).choice(titled, max_items, replace=False))


def map_products(products: pd.DataFrame, vectors: np.ndarray, seed: int) -> pd.DataFrame:
    """Assign each product a position in a plane and a category.

    Args:
        products: a row per product: ``item_id, title, attributes``.
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
    """Project vectors into a plane with t-SNE, so that near vectors stay near.

    t-SNE (van der Maaten and Hinton 2008) starts from the two principal components (Kobak and
    Berens 2019). It keeps neighbours together: a short distance between two points is meaningful,
    the distance between two groups and their directions are not. Equal vectors get equal points.

    Args:
        vectors: shape (rows, dimension), float32.
        seed: seed of the algorithm; equal seeds give equal points.

    Returns:
        Shape (rows, 2), float32. If there are fewer than four distinct vectors, the points lie on
        a line.
    """
    distinct, inverse = np.unique(vectors, axis=0, return_inverse=True)
    if len(distinct) < 4:
        line = np.arange(len(distinct), dtype=np.float32)
        points = np.column_stack([line, np.zeros_like(line)])
    else:
        # scikit-learn is slow to import: commands that draw no map start without it.
        from sklearn.manifold import TSNE

        tsne = TSNE(
            perplexity=min(30, (len(distinct) - 1) / 3), init="pca", max_iter=500, random_state=seed
        )
        # On busy cores, threads that wait for each other take ten times as long as one thread.
        with threadpool_limits(1):
            points = tsne.fit_transform(distinct)
    return points[inverse.reshape(-1)]


def list_categories(attributes: Sequence[str | None]) -> list[str | None]:
    """Assign each product to one of the few categories that together cover most products.

    Any attribute that several products share can be a category, for example a brand if nothing
    else is known. An attribute of more than half of the products, such as the root of a category
    tree, does not distinguish products and is skipped. The largest category is chosen first; each
    further one is the largest among the products that are not assigned yet.

    Args:
        attributes: attributes of each product, joined by ``", "``, or None.

    Returns:
        For each product one of at most :data:`MAX_CATEGORIES` names, or None.
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
        # Sets have no order: ties are broken alphabetically.
        largest = min(counts, key=lambda name: (-counts[name], name), default=None)
        if largest is None or counts[largest] < 2:
            break
        for product in [product for product, names in unassigned.items() if largest in names]:
            categories[product] = largest
            del unassigned[product]
    return categories
