"""A map of the title space: products whose titles are alike lie close together."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

# More dots than these hide each other on a page, and take minutes to lay out.
MOST_PRODUCTS = 2_000
# More colours than these are not told apart.
MOST_CATEGORIES = 8


def sample_titled_items(
    item_vectors: np.ndarray, seed: int, most: int = MOST_PRODUCTS
) -> np.ndarray:
    """Draw products that have a title.

    Args:
        item_vectors: shape (items + 1, dimension), float32, zeros at padding and where an item has
            no title.
        seed: seed of the draw.
        most: products to draw; all that have a title if they are fewer.

    Returns:
        Shape (products,), int64, their item indices, ascending.
    """
    titled = np.flatnonzero(item_vectors.any(axis=1))
    if len(titled) <= most:
        return titled
    return np.sort(np.random.default_rng(seed).choice(titled, most, replace=False))


def map_products(products: pd.DataFrame, vectors: np.ndarray, seed: int) -> pd.DataFrame:
    """Lay products out in a plane, each with its category.

    Args:
        products: a row per product: ``item_id, title, attributes``.
        vectors: shape (products, dimension), float32, unit vectors of the titles, in this order.
        seed: of the layout.

    Returns:
        ``item_id, title, category, x, y`` (float32), rows as they were given. See
        :func:`list_categories` and :func:`project_vectors`.
    """
    texts = [text if isinstance(text, str) else None for text in products["attributes"]]
    places = project_vectors(vectors, seed)
    return products[["item_id", "title"]].assign(
        category=pd.array(list_categories(texts), dtype="str"), x=places[:, 0], y=places[:, 1]
    )


def project_vectors(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Give each vector a place in a plane, near those of the vectors that are near it.

    t-SNE (van der Maaten and Hinton 2008), which starts from the two principal components (Kobak
    and Berens 2019) and keeps neighbours together: that two dots are close says something; how far
    apart two groups are, and where they lie, does not. Equal vectors have one place.

    Args:
        vectors: shape (rows, dimension), float32.
        seed: of the algorithm; the same seed gives the same places.

    Returns:
        Shape (rows, 2), float32. Fewer than four different vectors lie in a row.
    """
    distinct, which = np.unique(vectors, axis=0, return_inverse=True)
    if len(distinct) < 4:
        in_a_row = np.arange(len(distinct), dtype=np.float32)
        places = np.column_stack([in_a_row, np.zeros_like(in_a_row)])
    else:
        # It takes a while to import: commands that draw no map start without it.
        from sklearn.manifold import TSNE

        layout = TSNE(
            perplexity=min(30, (len(distinct) - 1) / 3), init="pca", max_iter=500, random_state=seed
        )
        # Its threads wait for each other: where cores are busy, two take ten times as long as one.
        with threadpool_limits(1):
            places = layout.fit_transform(distinct)
    return places[which.reshape(-1)]


def list_categories(attributes: Sequence[str | None]) -> list[str | None]:
    """Name the largest category of each product, among the few that cover most products.

    A category is any attribute that several products share; a brand is one where nothing else is
    known. What more than half of the products have, such as the root of a tree of categories, tells
    nothing apart and is none. The largest is taken first; each next one is the largest among the
    products that none of those before covers.

    Args:
        attributes: of each product, joined by ``", "``, or None.

    Returns:
        One of at most :data:`MOST_CATEGORIES` names, or None, for each product.
    """
    own = [{name for name in (text or "").split(", ") if name} for text in attributes]
    counts = Counter(name for names in own for name in names)
    half = sum(bool(names) for names in own) / 2
    left = {
        place: {name for name in names if counts[name] <= half} for place, names in enumerate(own)
    }
    found: list[str | None] = [None] * len(own)
    for _ in range(MOST_CATEGORIES):
        counts = Counter(name for names in left.values() for name in names)
        # Of equally large ones the first in the alphabet, since sets have no order.
        largest = min(counts, key=lambda name: (-counts[name], name), default=None)
        if largest is None or counts[largest] < 2:
            break
        for place in [place for place, names in left.items() if largest in names]:
            found[place] = largest
            del left[place]
    return found
