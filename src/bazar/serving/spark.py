"""Recommendations for all customers on Spark workers.

The bundle is sent to each worker once, as an archive. The driver sends ranges of customers. The
workers read the customers from the bundle and need the base dependencies and PySpark alone.
"""

import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from bazar.config.models import FALLBACK_MODEL
from bazar.ingestion.spark import map_numbers
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.batches import make_batch_recommender
from bazar.serving.bundle import Bundle, read_bundle
from bazar.serving.recommender import Recommender

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# The archives that were sent, by application and bundle. A worker that starts later fetches them,
# too: they are removed when the process ends.
_archives: dict[tuple[str, str], "tempfile.TemporaryDirectory[str]"] = {}


def recommend_on_workers(
    session: "SparkSession", bundle: Bundle, k: int, filter_seen: bool, batch_size: int
) -> "DataFrame":
    """Recommend to every customer with every model of a bundle.

    Each model has ``spark.sql.shuffle.partitions`` tasks, each for a range of customers.

    Args:
        session: the Spark session.
        bundle: a bundle that was read from files.
        k: maximum number of products per customer.
        filter_seen: whether products that a customer bought are removed.
        batch_size: customers at a time in each task; the memory is proportional to this times the
            size of the catalogue.

    Returns:
        A lazy frame with the columns of :data:`~bazar.serving.answers.RECOMMENDATIONS`. Its
        partitions are in the order of the models, then of the customers.

    Raises:
        ValueError: if the bundle was not read from files.
    """
    path = _send_bundle(session, bundle)
    n_parts = int(str(session.conf.get("spark.sql.shuffle.partitions")))
    ranges = split_rows(len(bundle.customers), n_parts)
    tasks = [(model, *rows) for model in bundle.options.models for rows in ranges]

    def recommend(number: int) -> Iterator[pa.RecordBatch]:
        yield from _recommend_to_range(path, *tasks[number], k, filter_seen, batch_size)

    return map_numbers(session, len(tasks), recommend, RECOMMENDATIONS)


def split_rows(n_rows: int, n_parts: int) -> list[tuple[int, int]]:
    """Split rows into ranges of about the same size, none of them empty.

    Args:
        n_rows: number of rows.
        n_parts: maximum number of ranges, at least 1.

    Returns:
        The first row of each range, and the row after its last one, in order.
    """
    bounds = np.linspace(0, n_rows, min(n_rows, n_parts) + 1).astype(int).tolist()
    return list(pairwise(bounds))


def _send_bundle(session: "SparkSession", bundle: Bundle) -> str:
    """Send a bundle to all workers of a session once, and return its path in their files."""
    if bundle.folder is None:
        raise ValueError("The bundle must be read from files before it is sent to workers.")
    context = session.sparkContext
    name = f"bazar-bundle-{bundle.id}"
    key = (context.applicationId, bundle.id)
    if key not in _archives:
        folder = tempfile.TemporaryDirectory(prefix="bazar-spark-")
        # Not compressed: most of it is vectors and weights.
        path = shutil.make_archive(
            str(Path(folder.name) / name), "tar", bundle.folder.parent, bundle.folder.name
        )
        context.addArchive(f"{Path(path).as_uri()}#{name}")
        _archives[key] = folder
    return f"{name}/{bundle.folder.name}"


# On a worker


@lru_cache(maxsize=1)
def _open_bundle(path: str) -> tuple[Bundle, Recommender]:
    """Open a bundle once per process. All tasks of the process share its models."""
    from pyspark import SparkFiles

    bundle = read_bundle(Path(SparkFiles.get(path)))
    return bundle, Recommender(bundle)


def _recommend_to_range(
    path: str, model: str, start: int, stop: int, k: int, filter_seen: bool, batch_size: int
) -> Iterator[pa.RecordBatch]:
    """Yield the recommendations of a model for a range of customers."""
    from pyspark import TaskContext

    bundle, recommender = _open_bundle(path)
    # Other tasks use the other cores.
    with threadpool_limits(TaskContext.get().cpus(), user_api="blas"):
        recommend = make_batch_recommender(
            {name: recommender.get_scorer(name) for name in (model, FALLBACK_MODEL)},
            bundle.products, model, k, filter_seen,
        )  # fmt: skip
        for batch in bundle.customers.slice_rows(start, stop).iter_batches(batch_size):
            yield recommend(batch)
