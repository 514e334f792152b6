"""Compare the evaluation time of Model II in the original study and in Bazar, as Markdown.

    .venv/bin/python benchmarks/neighbours.py

The original study queries a ball tree of scikit-learn over the title vectors. It makes two queries
for each test row, for the nearest product and for the ten nearest products, to compute HR@1 and
HR@10. The benchmark measures a sample of the rows and extrapolates the time. Bazar (`kedro run`)
works in batches. It computes the rank of each target in the full catalogue and the 20 nearest
products, with seen items filtered and not filtered. The benchmark measures all rows. Both use the
same query vectors and must find the same products. The vectors are synthetic and seeded. Title
vectors are unit vectors around random directions, one direction per kind of product. The distance
of a query vector from its target is typical for a network.
"""

import argparse
import sys
import time

import numpy as np
import pyarrow as pa
from sklearn.neighbors import NearestNeighbors
from timing import describe_machine

from bazar.data.sequences import Sequences
from bazar.data.vector_search import normalize_rows
from bazar.data.windows import Windows
from bazar.evaluation.ranking import Ranking, rank_catalogue
from bazar.models.nearest_titles import TitleVectorScorer

# Size of Set B of the original study.
ROWS, PRODUCTS, DIMENSION = 23_949, 23_838, 384
KINDS, HISTORY, BATCH, TOP_K = 400, 4, 512, 20
# With this noise, HR@10 is about 0.1.
PRODUCT_NOISE, QUERY_NOISE = 0.8, 9.0


class FixedQueries(TitleVectorScorer):
    """A scorer with fixed query vectors, so that the benchmark measures only the ranking."""

    def __init__(self, item_vectors: np.ndarray, points: np.ndarray) -> None:
        super().__init__(item_vectors)
        self._points = points

    def predict_points(self, windows: Windows) -> np.ndarray:
        """Return the query vectors of the rows, one per user."""
        return self._points[windows.users]


def add_noise(vectors: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return unit vectors with random noise, normalised again.

    Args:
        vectors: shape (any, dimension), float32, unit vectors.
        noise: mean length of the noise.
        rng: random number generator.

    Returns:
        The same shape, float32.
    """
    scale = noise / np.sqrt(vectors.shape[1])
    moved = vectors + scale * rng.standard_normal(vectors.shape, np.float32)
    return normalize_rows(moved)


def make_data(rows: int, products: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Windows]:
    """Return a catalogue, query vectors and test rows.

    Args:
        rows: number of test rows.
        products: size of the catalogue.
        seed: seed of the random numbers.

    Returns:
        Title vectors, shape (products + 1, 384), float32, with zeros in row 0; query vectors, shape
        (rows, 384), float32, unit vectors; and test rows, one per user, with histories of four
        items.
    """
    rng = np.random.default_rng(seed)
    kinds = add_noise(np.zeros((KINDS, DIMENSION), np.float32), 1, rng)
    vectors = np.zeros((products + 1, DIMENSION), np.float32)
    vectors[1:] = add_noise(kinds[rng.integers(0, KINDS, products)], PRODUCT_NOISE, rng)
    items = rng.integers(1, products + 1, rows * (HISTORY + 1)).astype(np.int32)
    starts = np.arange(rows + 1, dtype=np.int64) * (HISTORY + 1)
    users = pa.array([f"user {row}" for row in range(rows)], pa.large_string())
    windows = Windows(Sequences(users, items, starts), starts[1:] - 1, HISTORY)
    return vectors, add_noise(vectors[windows.list_targets()[1]], QUERY_NOISE, rng), windows


def query_ball_tree(
    vectors: np.ndarray, points: np.ndarray, targets: np.ndarray
) -> tuple[float, float, np.ndarray, dict[str, float]]:
    """Query a ball tree twice for each point, one point at a time, and measure the time.

    Args:
        vectors: shape (products, dimension), float32.
        points: shape (rows, dimension), float32.
        targets: shape (rows,), row numbers of ``vectors``.

    Returns:
        Seconds to build the tree; seconds of the queries; row numbers of the ten nearest vectors of
        each point, shape (rows, 10), int64; and HR@1 and HR@10 by name.
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


def time_ranking(
    vectors: np.ndarray, points: np.ndarray, windows: Windows
) -> tuple[float, dict[str, Ranking]]:
    """Rank the catalogue for all rows. Return seconds (including indexing) and the rankings."""
    start = time.perf_counter()
    rankings = rank_catalogue(FixedQueries(vectors, points), windows, TOP_K, BATCH)
    return time.perf_counter() - start, rankings


def main() -> None:
    """Run the benchmark, check that the results are equal, and print the times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="number of test rows")
    parser.add_argument("--products", type=int, default=PRODUCTS, help="size of the catalogue")
    parser.add_argument(
        "--sample", type=int, default=500, help="number of rows to measure the ball tree on"
    )
    given = parser.parse_args()
    vectors, points, windows = make_data(given.rows, given.products)
    sample = np.arange(min(given.sample, given.rows))

    build, queries, nearest, rates = query_ball_tree(
        vectors[1:], points[sample], windows.list_targets()[1][sample] - 1
    )
    tree_seconds = build + queries / len(sample) * given.rows
    ranking_seconds, rankings = time_ranking(vectors, points, windows)
    found = rankings["unfiltered"]
    ranks = found.ranks[sample]
    hit_rates = {f"hr@{k}": float((ranks <= k).mean()) for k in (1, 10)}
    same = np.mean(
        [
            len(np.intersect1d(*pair))
            for pair in zip(nearest + 1, found.items[sample, :10], strict=True)
        ]
    )
    # The tree uses double precision. Two products with equal distances may be swapped.
    if max(abs(hit_rates[name] - rates[name]) for name in rates) > 0.005 or same < 9.99:
        sys.exit(
            f"The results differ: {rates} (ball tree) and {hit_rates} (Bazar). Of ten products, "
            f"{same:.2f} are the same."
        )

    print(f"\n({describe_machine()})\n")
    print(f"{given.rows:,} test rows, {given.products:,} products, {DIMENSION} dimensions; HR@1 ")
    print(f"{rates['hr@1']:.3f} and HR@10 {rates['hr@10']:.3f} on the sample, the same for both.\n")
    print("| | seconds |\n|---|---:|")
    print(
        f"| ball tree, two queries a row: {queries:.1f} s for {len(sample):,} rows, extrapolated "
        f"| {tree_seconds:,.0f} |"
    )
    print(
        f"| `rank_catalogue`: ranks and top {TOP_K}, filtered and unfiltered "
        f"| {ranking_seconds:,.1f} |"
    )
    print(f"| **speed-up** | **{tree_seconds / ranking_seconds:.0f}** |")


if __name__ == "__main__":
    main()
