"""Tests on Spark. They are skipped, with a reason, where Spark is not installed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project import ROOT


@pytest.fixture(scope="session", autouse=True)
def _spark_is_installed() -> None:
    pytest.importorskip("pyspark", reason="PySpark is not installed: make test-spark installs it")
    home = os.environ.get("JAVA_HOME")
    if shutil.which(Path(home, "bin", "java") if home else "java") is None:
        pytest.skip("Spark needs Java 17 or 21")


@pytest.fixture(scope="session")
def session(_spark_is_installed: None) -> Iterator[Any]:
    """A session with the project's configuration and several small partitions."""
    from pyspark.sql import SparkSession

    # Not at the top: Kedro configures the logging when it is imported, which breaks pytest's
    # capture of the output while it collects tests.
    from bazar.hooks import start_spark

    properties = yaml.safe_load((ROOT / "conf" / "base" / "spark.yml").read_text())
    start_spark(
        {
            **properties,
            "spark.driver.memory": "1g",
            "spark.sql.shuffle.partitions": 3,
            "spark.sql.adaptive.coalescePartitions.enabled": False,
        }
    )
    session = SparkSession.active()
    yield session
    session.stop()
