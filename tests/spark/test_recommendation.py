"""Recommendations for all customers on a standalone cluster, compared with those of one machine."""

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from bazar.config.networks import NetworkOptions
from bazar.config.recommendation import BundleOptions
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.sequences import Sequences
from bazar.data.windows import build_full_histories
from bazar.datasets.table import BatchesDataset
from bazar.models.exported.network import ExportedNetwork
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.bundle import Bundle, read_bundle, write_bundle
from bazar.serving.recommender import Recommender
from bazar.serving.spark import recommend_on_workers, split_rows
from bazar.settings import connection
from tests.service.engine.example_store import OPTIONS
from tests.spark.cluster import N_PARTS, N_WORKERS, TOP_K, make_environment, start_cluster

pytestmark = pytest.mark.spark
N_ITEMS, N_USERS = 40, 103
NEW_ITEM = N_ITEMS
MODELS = ("classifier", "blend", "tifu_knn")
GUESTS = (0, 17, N_USERS - 1)
# They bought nothing but an item that the network does not know.
ONLY_NEW = (5, 50)


def make_customers() -> Sequences:
    """Return customers with one to nine items, and guests."""
    generator = np.random.default_rng(5)
    lengths = generator.integers(1, 10, N_USERS)
    items = [generator.integers(1, NEW_ITEM, length) for length in lengths]
    for user in ONLY_NEW:
        items[user][:] = NEW_ITEM
    user_ids = pa.array([f"ü{user:03}" for user in range(N_USERS)], pa.large_string())
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Sequences(user_ids, np.concatenate(items).astype(np.int32), starts, np.array(GUESTS))


def make_network(item_ids: np.ndarray) -> ExportedNetwork:
    """Return a GRU over ids, with random weights."""
    generator = np.random.default_rng(6)
    shapes = {
        "item_embedding": (len(item_ids), 8), "layers.0.kernel": (8, 24),
        "layers.0.recurrent_kernel": (8, 24), "layers.0.bias": (2, 24), "head.kernel": (8, 8),
        "head.bias": (8,),
    }  # fmt: skip
    weights = {
        name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    weights["id_weights"] = np.ones(len(item_ids), np.float32)
    weights["id_weights"][[0, NEW_ITEM]] = 0
    options = NetworkOptions.model_validate(
        {
            "item": "id", "item_dimension": 8, "head": "tied_softmax",
            "layers": [{"type": "gru", "units": 8}],
        }
    )  # fmt: skip
    return ExportedNetwork(options, item_ids, None, None, weights)


def make_bundle() -> Bundle:
    customers = make_customers()
    counts, recent_counts = count_interactions(customers, N_ITEMS, 0.5)
    numbers = range(1, N_ITEMS + 1)
    item_ids = np.array(["", *(f"P{number:02}" for number in numbers)], object)
    titles = np.array([None, None, *(f"title {number}" for number in numbers[1:])], object)
    nothing = np.full(N_ITEMS + 1, None, object)
    vectors = np.zeros((N_ITEMS + 1, 4), np.float32)
    products = Products(item_ids, titles, nothing, counts, recent_counts, vectors, nothing)
    changes: dict[str, Any] = {
        "models": MODELS,
        "blend": OPTIONS.blend.model_dump()
        | {"components": [{"model": "classifier"}, {"model": "decayed_cooccurrence"}]},
        "weights": {"classifier": 0.6, "decayed_cooccurrence": 0.4},
    }
    options = BundleOptions.model_validate(OPTIONS.model_dump() | changes)
    network = make_network(item_ids)
    histories = build_full_histories(customers, history_length=6)
    return Bundle(options, products, histories, {"seed_42/classifier": lambda: network})


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, pa.Table]:
    """The recommendations of one machine by ``filter_seen``, all in a single batch per model."""
    folder = tmp_path_factory.mktemp("one_machine") / "bundle"
    write_bundle(make_bundle(), folder)
    recommender = Recommender(read_bundle(folder))
    tables = {}
    for filter_seen in (True, False):
        batches = chain.from_iterable(
            recommender.recommend_to_everyone(model, TOP_K, filter_seen, 2 * N_USERS)
            for model in MODELS
        )
        tables[filter_seen] = pa.Table.from_batches(batches, RECOMMENDATIONS)
    return tables


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of the recommendations of a cluster, and the report of its driver."""
    folder = tmp_path_factory.mktemp("cluster [1]")
    write_bundle(make_bundle(), folder / "bundle")
    with start_cluster(folder / "cluster") as master:
        driver = subprocess.run(
            [
                sys.executable, "-m", "tests.spark.recommend_on_cluster",
                master, str(folder / "bundle"), str(folder / "output"),
            ],
            cwd=folder,
            env={**make_environment(), "PYSPARK_PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )  # fmt: skip
    assert driver.returncode == 0, driver.stderr[-5000:]
    return folder, json.loads(driver.stdout.splitlines()[-1])


def assert_equal(found: pa.Table, expected: pa.Table) -> None:
    """Compare all rows in order; scores up to the rounding of float32."""
    assert found.num_rows == expected.num_rows
    assert found.column_names == expected.column_names
    for name in expected.column_names:
        if name != "score":
            assert found[name].to_pylist() == expected[name].to_pylist(), name
    scores = expected["score"].to_numpy()
    np.testing.assert_allclose(found["score"].to_numpy(), scores, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("filter_seen", [True, False])
def test_rows_are_those_of_one_machine(
    ran: tuple[Path, dict[str, Any]], expected: dict[bool, pa.Table], filter_seen: bool
) -> None:
    path = ran[0] / "output" / f"filter_seen_{filter_seen}.parquet"
    # More partitions than batches on one machine, where each model has one.
    assert len(list(path.glob("part-*.parquet"))) == N_PARTS * len(MODELS)
    table = expected[filter_seen]
    assert_equal(pads.dataset(path, format="parquet").to_table(), table)
    # Later pipelines read the folder like the file of one machine.
    loaded = BatchesDataset(filepath=str(path), connection=connection("duckdb", "1GB")).load()
    assert loaded.schema() == ibis.memtable(table).schema()
    ordered = loaded.order_by(ibis.desc("model"), "user_id", "rank").to_pyarrow()
    assert_equal(
        ordered,
        table.sort_by([("model", "descending"), ("user_id", "ascending"), ("rank", "ascending")]),
    )


def test_guests_have_no_rows_and_new_customers_an_answer(
    ran: tuple[Path, dict[str, Any]],
) -> None:
    path = ran[0] / "output" / "filter_seen_True.parquet"
    rows = pads.dataset(path, format="parquet").to_table().to_pandas()
    guests, only_new = ({f"ü{user:03}" for user in users} for users in (GUESTS, ONLY_NEW))
    assert rows["user_id"].nunique() == N_USERS - len(guests)
    assert guests.isdisjoint(rows["user_id"])
    is_fallback = rows["answered_by"] == "recent_popularity"
    assert set(rows["user_id"][is_fallback & (rows["model"] == "classifier")]) == only_new


def test_both_workers_open_the_bundle_once_with_the_base_dependencies(
    ran: tuple[Path, dict[str, Any]],
) -> None:
    processes = {process["pid"]: process for process in ran[1]["processes"]}
    folders = [process["folder"] for process in processes.values()]
    assert len(processes) == len(set(folders)) == N_WORKERS
    for process in processes.values():
        assert process["n_bundles_opened"] == 1
        assert {"bazar", "pyarrow"} <= set(process["modules"])
        # PyArrow imports pandas where it is installed.
        assert set(process["modules"]) & {"tensorflow", "keras", "torch", "kedro", "ibis"} == set()


def test_driver_reads_no_recommendations(
    ran: tuple[Path, dict[str, Any]], expected: dict[bool, pa.Table]
) -> None:
    # The program fails if it calls a method that sends rows to the driver.
    assert ran[1]["growth"] < expected[True].nbytes / 10


def test_rows_are_split_into_equal_ranges() -> None:
    assert split_rows(10, 4) == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert split_rows(2, 8) == [(0, 1), (1, 2)]
    assert split_rows(0, 8) == []


def test_a_bundle_in_memory_is_not_sent() -> None:
    session: Any = None
    with pytest.raises(ValueError, match="read from files"):
        recommend_on_workers(session, make_bundle(), TOP_K, True, 7)
