"""Measure Model II's accuracy loop with a ball tree, one row at a time, against ours, as Markdown.

    .venv/bin/python benchmarks/neighbours.py

The plain way is the one of the report that Model II comes from: a ball tree of scikit-learn over
the title vectors, asked twice for every test row, for its nearest product and for its ten nearest;
its figures are HR@1 and HR@10. It is timed on a sample of the rows, and multiplied. Ours is what
`kedro run` does: the rank of every row's target in the whole catalogue and its 20 nearest, with the
history filtered and not, in batches; it is timed on all rows. Both are given the same points, and
must find the same products. The vectors are made up: unit vectors around as many random directions
as a shop has kinds of products, and points as far from their target as a network's are; a seed
makes them the same in every run.
"""

import argparse
import sys
import time

import numpy as np
import pyarrow as pa
from sklearn.neighbors import NearestNeighbors
from timing import machine

from bazar.data.sequences import Sequences
from bazar.data.windows import Windows
from bazar.evaluation.ranking import Ranking, rank_catalogue
from bazar.models.nearest_titles import TitleVectorScorer

# Set B of the report.
ROWS, PRODUCTS, DIMENSION = 23_949, 23_838, 384
KINDS, HISTORY, BATCH, TOP_K = 400, 4, 512, 20
# So far from its target, a point has it among the ten nearest about once in ten times.
NOISE_OF_PRODUCT, NOISE_OF_POINT = 0.8, 9.0


class KnownPoints(TitleVectorScorer):
    """Points that a network could have given: what is timed is what follows them."""

    def __init__(self, item_vectors: np.ndarray, points: np.ndarray) -> None:
        super().__init__(item_vectors)
        self._points = points

    def point(self, windows: Windows) -> np.ndarray:
        """Return the points of the rows, which are users' only ones, in order."""
        return self._points[windows.users]


def noisy(vectors: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Move unit vectors in a random direction, and scale them to unit length again.

    Args:
        vectors: shape (any, dimension), float32, unit vectors.
        noise: length of the move on average, against the vector's own length of 1.
        rng: source of chance.

    Returns:
        The same shape, float32.
    """
    scale = noise / np.sqrt(vectors.shape[1])
    moved = vectors + scale * rng.standard_normal(vectors.shape, np.float32)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)


def make(rows: int, products: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Windows]:
    """Make a catalogue, points, and test rows.

    Args:
        rows: test rows.
        products: size of the catalogue.
        seed: of everything.

    Returns:
        Title vectors, shape (products + 1, 384), float32, row 0 zeros; points, shape (rows, 384),
        float32, unit vectors; the test rows, one per user, with histories of four purchases.
    """
    rng = np.random.default_rng(seed)
    kinds = noisy(np.zeros((KINDS, DIMENSION), np.float32), 1, rng)
    vectors = np.zeros((products + 1, DIMENSION), np.float32)
    vectors[1:] = noisy(kinds[rng.integers(0, KINDS, products)], NOISE_OF_PRODUCT, rng)
    items = rng.integers(1, products + 1, rows * (HISTORY + 1)).astype(np.int32)
    starts = np.arange(rows + 1, dtype=np.int64) * (HISTORY + 1)
    users = pa.array([f"user {row}" for row in range(rows)], pa.large_string())
    windows = Windows(Sequences(users, items, starts), starts[1:] - 1, HISTORY)
    return vectors, noisy(vectors[windows.targets], NOISE_OF_POINT, rng), windows


def plain(
    vectors: np.ndarray, points: np.ndarray, targets: np.ndarray
) -> tuple[float, float, np.ndarray, dict[str, float]]:
    """Ask a ball tree twice for every point, one at a time.

    Args:
        vectors: shape (products, dimension), float32.
        points: shape (rows, dimension), float32.
        targets: shape (rows,), places in ``vectors``.

    Returns:
        Seconds to build the tree, seconds of the queries, the ten nearest of each point as places
        in ``vectors``, and HR@1 and HR@10.
    """
    start = time.perf_counter()
    tree = NearestNeighbors(algorithm="ball_tree").fit(vectors)
    built = time.perf_counter()
    hits = {1: 0, 10: 0}
    nearest = np.empty((len(points), 10), np.int64)
    for row, (point, target) in enumerate(zip(points, targets, strict=True)):
        for k in hits:
            found = tree.kneighbors(point[None], n_neighbors=k, return_distance=False)[0]
            hits[k] += target in found
        nearest[row] = found
    queried = time.perf_counter()
    rates = {f"hr@{k}": hit / len(points) for k, hit in hits.items()}
    return built - start, queried - built, nearest, rates


def ours(
    vectors: np.ndarray, points: np.ndarray, windows: Windows
) -> tuple[float, dict[str, Ranking]]:
    """Rank the catalogue for all rows, the index and all else included; seconds and rankings."""
    start = time.perf_counter()
    rankings = rank_catalogue(KnownPoints(vectors, points), windows, TOP_K, BATCH)
    return time.perf_counter() - start, rankings


def main() -> None:
    """Measure both, compare what they found, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="test rows")
    parser.add_argument("--products", type=int, default=PRODUCTS, help="size of the catalogue")
    parser.add_argument(
        "--sample", type=int, default=500, help="rows that the ball tree is timed on"
    )
    given = parser.parse_args()
    vectors, points, windows = make(given.rows, given.products)
    sample = np.arange(min(given.sample, given.rows))

    build, queries, nearest, rates = plain(vectors[1:], points[sample], windows.targets[sample] - 1)
    plain_seconds = build + queries / len(sample) * given.rows
    our_seconds, rankings = ours(vectors, points, windows)
    found = rankings["unfiltered"]
    ranks = found.ranks[sample]
    agreed = {f"hr@{k}": float((ranks <= k).mean()) for k in (1, 10)}
    same = np.mean(
        [
            len(np.intersect1d(*pair))
            for pair in zip(nearest + 1, found.items[sample, :10], strict=True)
        ]
    )
    # The tree adds up in double precision: two products as near as each other may change places.
    if max(abs(agreed[name] - rates[name]) for name in rates) > 0.005 or same < 9.99:
        sys.exit(f"they differ: {rates} and {agreed}, {same:.2f} of 10 products the same")

    print(f"\n({machine()})\n")
    print(f"{given.rows:,} test rows, {given.products:,} products, {DIMENSION} dimensions; HR@1 ")
    print(f"{rates['hr@1']:.3f} and HR@10 {rates['hr@10']:.3f} on the sample, the same for both.\n")
    print("| | seconds |\n|---|---:|")
    print(
        f"| ball tree, two queries a row: {queries:.1f} s for {len(sample):,} rows, multiplied "
        f"| {plain_seconds:,.0f} |"
    )
    print(
        f"| `rank_catalogue`: ranks and top {TOP_K}, filtered and unfiltered | {our_seconds:,.1f} |"
    )
    print(f"| **times as fast** | **{plain_seconds / our_seconds:.0f}** |")


if __name__ == "__main__":
    main()
