"""A project whose run is finished: its commands are called in this process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata, bootstrap_project
from kedro.io import DataCatalog

from bazar.cli import cli
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.recommender import Recommender
from tests.project import ROOT
from tests.serving.example_bundle import make_bundle

MODELS = ("decayed_cooccurrence", "ease")

Invoke = Callable[..., Result]
"""Calls a command of the project with its arguments."""


@pytest.fixture(scope="session")
def metadata() -> ProjectMetadata:
    return bootstrap_project(ROOT)


def open_catalog(project: Path) -> DataCatalog:
    return KedroSession.create(project).load_context().catalog


@pytest.fixture(scope="session")
def finished_project(metadata: ProjectMetadata, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, and the results of a run whose models are baselines."""
    path = tmp_path_factory.mktemp("finished")
    shutil.copytree(ROOT / "conf", path / "conf")
    catalog = open_catalog(path)
    bundle = make_bundle({}, models=MODELS, weights={})
    catalog.save("bundle", bundle)
    recommender = Recommender(bundle)
    batches = [
        batch
        for model in MODELS
        for batch in recommender.recommend_to_everyone(model, 3, True, batch_size=100)
    ]
    catalog.save(
        "recommendations", lambda: pa.RecordBatchReader.from_batches(RECOMMENDATIONS, batches)
    )
    products = bundle.products.to_table().to_pandas().assign(title_source="metadata")
    catalog.save("products", ibis.memtable(products))
    tables = ("interactions", "products", "rejects", "counts", "id_forms")
    catalog.save("ingested_tables", dict.fromkeys(tables, make_accepted_interactions()))
    return path


def make_accepted_interactions() -> ibis.Table:
    """Purchases of users who are not in the bundle, one of them twice in the files."""
    purchases = [
        ("solo", 1, False), ("solo", 1, False), ("many", 1, False), ("many", 2, False),
        ("order 1", 1, True), ("order 1", 2, True),
    ]  # fmt: skip
    frame = pd.DataFrame(purchases, columns=["user_id", "timestamp", "is_guest"]).assign(
        item_id="P01", position=1, source_file="a.csv", source_order=range(len(purchases))
    )
    return ibis.memtable(frame).mutate(order_id=ibis.null("string"))


@pytest.fixture
def project(finished_project: Path, tmp_path: Path) -> Path:
    """A copy of the finished project that a test may change."""
    return Path(shutil.copytree(finished_project, tmp_path / "project"))


@pytest.fixture
def catalog(project: Path) -> DataCatalog:
    return open_catalog(project)


@pytest.fixture
def invoke(project: Path, metadata: ProjectMetadata) -> Invoke:
    in_project = metadata._replace(project_path=project)

    def invoke(*arguments: str, width: int = 120) -> Result:
        environment = {"COLUMNS": str(width)}
        return CliRunner().invoke(cli, arguments, obj=in_project, env=environment)

    return invoke


def assert_error(result: Result, *parts: str) -> None:
    """Check that a command failed with a message, and without a traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    for part in parts:
        assert part in result.stderr, result.stderr
    assert result.stdout == ""
