"""A program that recommends to all customers on a cluster, as the pipeline does.

Its last line is a JSON object with what it found on the driver and on the workers.
"""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import yaml
from pyspark import SparkFiles
from pyspark.sql import SparkSession
from pyspark.sql.classic.dataframe import DataFrame

from bazar.config.recommendation import RecommendationOptions
from bazar.datasets.bundle import BundleDataset
from bazar.datasets.table import BatchesDataset
from bazar.hooks import start_spark
from bazar.ingestion.spark import map_numbers
from bazar.pipelines.recommendation.nodes import recommend_to_everyone
from bazar.settings import connection
from tests.project import ROOT
from tests.spark.cluster import JAVA_OPTIONS, N_PARTS, N_WORKERS, TOP_K

PROCESS = pa.schema(
    [
        ("pid", pa.int64()), ("folder", pa.string()), ("modules", pa.list_(pa.string())),
        ("n_bundles_opened", pa.int64()),
    ]
)  # fmt: skip


def start_session(master: str) -> SparkSession:
    """Start a session that waits for both workers."""
    start_spark(
        {
            **yaml.safe_load((ROOT / "conf" / "base" / "spark.yml").read_text()),
            "spark.master": master,
            "spark.cores.max": N_WORKERS,
            "spark.scheduler.minRegisteredResourcesRatio": 1.0,
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
            "spark.driver.memory": "1g",
            "spark.driver.extraJavaOptions": JAVA_OPTIONS,
            "spark.executor.memory": "512m",
            "spark.executor.extraJavaOptions": JAVA_OPTIONS,
            "spark.sql.shuffle.partitions": N_PARTS,
        }
    )
    return SparkSession.active()


def describe_process(_: int) -> Iterator[pa.RecordBatch]:
    """Yield what the Python process of a worker has loaded."""
    from bazar.serving import spark

    process = {
        "pid": os.getpid(),
        "folder": str(Path(SparkFiles.getRootDirectory()).resolve()),
        "modules": sorted({name.split(".")[0] for name in sys.modules}),
        "n_bundles_opened": spark._open_bundle.cache_info().misses,
    }
    yield pa.RecordBatch.from_pylist([process], PROCESS)


def forbid(*_: object, **__: object) -> None:
    """Fail: rows are not sent to the driver."""
    raise AssertionError("the driver reads rows")


def main(master: str, bundle_folder: str, output: str) -> None:
    """Recommend with both settings of ``filter_seen``."""
    session = start_session(master)
    collect = DataFrame.collect
    for name in ("collect", "toArrow", "toPandas", "toLocalIterator", "take", "head", "first"):
        setattr(DataFrame, name, forbid)
    bundle = BundleDataset(filepath=bundle_folder).load()
    options = RecommendationOptions.model_validate(
        {"models": "auto", "top_k": TOP_K, "filter_seen": "auto", "batch_size": 7}
    )
    peak = pa.default_memory_pool().max_memory()
    for filter_seen in (True, False):
        changed = bundle.options.model_copy(update={"filter_seen": filter_seen})
        data = recommend_to_everyone(replace(bundle, options=changed), options, "spark")
        if filter_seen:
            # The workers do not see the folder of the driver, and the bundle is sent once.
            Path(bundle_folder).rename(f"{bundle_folder}_moved")
        path = f"{output}/filter_seen_{filter_seen}.parquet"
        BatchesDataset(filepath=path, connection=connection("spark", "1GB")).save(data)
    growth = pa.default_memory_pool().max_memory() - peak
    processes = collect(map_numbers(session, 20, describe_process, PROCESS))
    report = {"growth": growth, "processes": [process.asDict() for process in processes]}
    session.stop()
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
