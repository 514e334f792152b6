"""Runs of the same pipelines on both engines give the same tables."""

import itertools
import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from bazar.datasets.table import TableDataset
from bazar.ingestion.live_files import (
    DELETED_USERS_SCHEMA,
    LIVE_PURCHASES_SCHEMA,
    name_live_purchases,
)
from bazar.settings import connection
from bazar.synthetic.sample_store import StoreOptions, generate_store
from tests.project import copy_project, kedro

pytestmark = pytest.mark.spark
PIPELINES = "ingestion,joining,sequencing"
UNSORTED = {"02_intermediate/interactions", "02_intermediate/products", "03_primary/events"}
TABLES = [
    "02_intermediate/interactions",
    "02_intermediate/products",
    "02_intermediate/rejects",
    "02_intermediate/counts",
    "02_intermediate/id_forms",
    "03_primary/interactions",
    "03_primary/events",
    "03_primary/joining_summary/counts",
    "03_primary/products",
    "03_primary/joining_summary/title_coverage",
    "04_feature/item_index",
    "04_feature/sequences",
]
SPLIT_FILES = [
    "train.arrow", "validation.arrow", "test.arrow", "training_counts.npy", "recent_counts.npy",
    "split_summary.json",
]  # fmt: skip

MALFORMED: dict[str, Any] = {
    "dataset": "malformed",
    "raw_dir": "data/01_raw/malformed",
    "interactions": {
        "orders": {
            "files": "orders*.jsonl",
            "format": "jsonl",
            "columns": {
                "user_id": "user", "item_id": "item", "timestamp": "time", "position": "rank",
                "rating": "stars", "order_id": "order", "quantity": "pieces", "price": "price",
                "event_type": "event",
            },
            "timestamp_format": "iso",
            "timezone": "America/New_York",
            "where": {"status": {"not_in": ["open"]}, "pieces": {"max": 5000}},
            "fill_within_order": ["status"],
            "events": {"purchase": ["buy"], "view": ["look"]},
            "returns": {"where": {"status": {"in": ["refunded"]}}, "remove_matched": True},
            "exclude_items": {"ids": ["POST"], "title_patterns": ["^gift"]},
            "guests": "sessions",
            "normalise_ids": {"user_id": ["integer_like"], "item_id": ["strip"]},
        },
        "old_orders": {
            "files": "old.csv",
            "format": "csv",
            "columns": {"user_id": "user", "item_id": "item", "timestamp": "time"},
            "timestamp_format": "ms",
            "normalise_ids": {"item_id": ["upper"]},
        },
        "live": {
            "files": "live/live_purchases_*.parquet",
            "optional": True,
            "columns": {"user_id": "user_id", "item_id": "item_id", "timestamp": "timestamp"},
            "timestamp_format": "ms",
        },
    },
    "products": {
        "catalogue": {
            "files": "products.jsonl",
            "format": "jsonl",
            "columns": {"item_id": "item", "title": "title", "attributes": ["brand", "kinds"]},
        },
        "old": {
            "files": "products.txt",
            "format": "python",
            "columns": {"item_id": "item", "title": "title", "attributes": "kinds"},
        },
        "addresses": {
            "files": "old.csv",
            "format": "csv",
            "columns": {"item_id": "item", "url": "url", "attributes": "user"},
        },
        "tables": {
            "files": "products.parquet",
            "format": "parquet",
            "columns": {"item_id": "item", "title": "title", "attributes": ["kinds", "brand"]},
        },
    },
}  # fmt: skip
# They are deleted in the online service at this time, which many purchases have.
DELETED_USERS = ["a", "é", "\U0001f338", "n", "x" * 500, "nobody"]
DELETED_AT = 1_600_000_000_000
SEVERAL_PARTS = {
    "spark.sql.shuffle.partitions": 3,
    "spark.sql.adaptive.coalescePartitions.enabled": False,
    "spark.driver.memory": "1g",
}
# They are sorted as UTF-8. UTF-16 would sort the last ones differently.
IDS = [
    "a", "A", "b", "00", "0", "-0", "0.0", "1e3", "null", "NULL", "None", "NaN", "a b", "a  b",
    "vf", "f", "n", "t\\t", "\\n", "'", '"', "`", "$1", "\\1", "%", "é", "e\u0301", "ß", "ss",
    "用户", "ü", "\xa0a\xa0", "\u2003a", "a\u200b", "\ufeffa", "\ufffd", "\uffee", "\U0001d4b3",
    "\U0001f338", " a", "a ", "\ta\n", "\x0ba\x0c", "a\nb", "x" * 500,
]  # fmt: skip
ORDERS = ["1", "2", "3", "4", " 5 ", "nan", "", None]
PIECES = ["1", "2", "12", "-1", "-2", "0", "1,200", "9000", "two", "", None, 3]
PRICES = ["9.90", "$9", "1,234.50", "EUR 5", "free", "", None, 2.5, "-1"]
STATUSES = ["paid", "open", "refunded", " paid ", "", None, "Paid"]
EVENTS = ["buy", "buy", "look", "scroll", "", None, " buy "]
NO_IDS = [None, "", " ", "\t\n\r\x0b\x0c "]
TIMES = [
    "2020-09-13T12:26:40", "2020-09-13 12:26:40", "2020-09-13T12:26:40Z", "2020-09-13 12:26:40 UTC",
    "2020-09-13T14:26:40+02:00", "2020-09-13 06:56:40.5-0530", "2020-09-13 12:26:40.9996",
    "2020-09-13 12:26:40,25", "2020-09-13", "2020/9/3 1:2:3", " 2020-09-13 12:26 ",
    "2020-03-29T02:30:00", "2020-02-29", "2019-02-29", "2020-13-01", "2020-09-13 24:00",
    "2020-09-13 12:26:60", "epoch", "infinity", "yesterday", "1600000000", "13.09.20", "1990-01-01",
    "2199-01-01", "12020-01-01", "2020-09-13\xa012:26", "2020-09-13T12:26:40 Europe/Paris", "",
    None,
]  # fmt: skip
NUMBERS = [
    "1", "2", "2.4", "2.5", "-0.5", "1.5", "+3", "1e3", "1e400", "-1e300", "nan", "inf", "1_000",
    "12d", "0x10", " 7 ", "\x0b7", "7\xa0", "1,5", "9007199254740993", "", "many", None, 3, 3.5,
    True,
]  # fmt: skip
TITLES = [
    "Rose Soap", "  Rose \t Soap\n ", "\x0bRose\x0c\x0bSoap", "Rose\xa0Soap", "\u2003Rose\u3000",
    "", "  ", "\x0b", None, "é", "Rose &amp; <b>Oat</b>", "a\u200bb", "<script>1</script>",
    "e\u0301", "\U0001f338", "vf", "NULL", 5, ["Rose"], "x" * 3000,
]  # fmt: skip
KINDS = [
    None, [], [[]], ["Face"], [["Face", "Oils &amp; <b>Creams</b>"], ["Face", None]], "Face",
    "Unknown", ["Unknown", "", " ", "\xa0"], "['Face', ['Oils']]", "[Face]", '["\\ud800"]',
    ["x" * 1500, "y"], ["\U0001f338", "e\u0301", "é", "a\u200bb"], 5, [1.5, True, {"a": "b"}],
    {"a": "b"}, "NaN",
]  # fmt: skip


def write_malformed_shop(folder: Path) -> None:
    """Write every malformed value in a row that is else good, then random rows; many are equal."""
    folder.mkdir(parents=True)
    rng = random.Random(11)
    good = {
        "user": "a", "item": "b", "time": "2020-09-13T12:26:40", "rank": "1", "stars": "5",
        "order": "1", "pieces": "1", "price": "1", "status": "paid", "event": "buy",
    }  # fmt: skip
    kinds = {
        "user": IDS + NO_IDS, "item": IDS + NO_IDS, "time": TIMES, "rank": NUMBERS,
        "stars": NUMBERS, "order": ORDERS, "pieces": PIECES, "price": PRICES, "status": STATUSES,
        "event": EVENTS,
    }  # fmt: skip
    orders = [{**good, name: value} for name, values in kinds.items() for value in values]
    orders += [
        {
            name: rng.choice([rng.choice(values), good[name], good[name]])
            for name, values in kinds.items()
        }
        for _ in range(3_500)
    ]
    orders += rng.choices(orders, k=400)
    # The times and positions are equal: the order of the file decides.
    orders += [{**good, "user": "tied", "item": item} for item in rng.sample(IDS, 20)]
    orders += [{name: good[name] for name in good if name != missing} for missing in good]
    products = [
        {"item": item, "title": title}
        for item in [*IDS, "POST"]
        for title in rng.choices(TITLES, k=3)
    ]
    products += [{"item": "z", "title": title} for title in ("Gift card", "gift", "Rose")]
    products += [{"item": item, "title": "no id"} for item in NO_IDS] + [{"title": "Rose"}]
    products += [
        {"item": f"unsold {number}", "title": title} for number, title in enumerate(TITLES)
    ]
    for product in rng.choices(products, k=60):
        product["kinds"] = rng.choice(KINDS)
    products += [
        {"item": f"described {number}", "title": "Rose", "brand": brand, "kinds": kinds}
        for number, (brand, kinds) in enumerate(
            itertools.product(["Rosalind", "Face", None], KINDS)
        )
    ]
    rng.shuffle(products)
    broken_lines = ["{", "[1, 2]", "null", '"text"', '{"user": "a"', "not JSON"]
    for name, records in (("orders", orders), ("products", products)):
        lines = [json.dumps(record, ensure_ascii=False) for record in records] + broken_lines
        content = "\n".join(lines).encode() + b'\n{"user": "\xff", "item": "\xff"}\n\n'
        (folder / f"{name}.jsonl").write_bytes(content)
    # A second file of the same source, with rows of the first one.
    (folder / "orders-2.jsonl").write_text("\n".join(json.dumps(order) for order in orders[:300]))
    (folder / "products.txt").write_text(
        "\n".join(
            repr({"item": item, "title": rng.choice(TITLES), "kinds": rng.choice(KINDS)})
            for item in IDS
        )
        + "\n{cut"
    )
    lists = pa.list_(pa.list_(pa.string()))
    table = {"item": IDS, "title": [None] * len(IDS), "brand": rng.choices(TITLES[:17], k=len(IDS))}
    kinds = pa.array([rng.choice([None, [], KINDS[4]]) for _ in IDS], lists)
    pq.write_table(pa.table({**table, "kinds": kinds}), folder / "products.parquet")
    write_live_files(folder / "live")
    # In seconds, where milliseconds are expected.
    rows = [
        f"{user},{item},{1_500_000_000 + number},https://shop.example/Old-{number}%21/dp/{item}"
        for number, (user, item) in enumerate(itertools.product(("a", "old"), ("b", "00", "z")))
    ]
    (folder / "old.csv").write_text(
        "\n".join(["user,item,time,url", *rows, ",b,1500000000,", "x,y", "u,i,0,", "u,i,,"])
    )


def write_live_files(folder: Path) -> None:
    """Write two files of live purchases, some of deleted users, and the file of deleted users."""
    folder.mkdir()
    for first, users in ((1, ["b", "é", None, "a"]), (5, ["用户", "\U0001f338", "b", "00"])):
        rows = [
            {"user_id": user, "item_id": "b", "timestamp": DELETED_AT + shift, "event_type": "x"}
            for user in users
            for shift in (-1, 0, 1)
        ]
        live = pa.Table.from_pylist(rows, LIVE_PURCHASES_SCHEMA)
        pq.write_table(live, folder / name_live_purchases(first, first + 3))
    hashes = [sha256(user.encode()).hexdigest() for user in DELETED_USERS]
    deleted = pa.table([hashes, [DELETED_AT] * len(hashes)], DELETED_USERS_SCHEMA)
    pq.write_table(deleted, folder / "deleted_users.parquet")


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A project by engine, with the same small store and the same malformed one."""
    projects = {}
    for engine in ("duckdb", "spark"):
        project = copy_project(tmp_path_factory.mktemp(engine))
        generate_store(
            project / "data/01_raw/sample",
            StoreOptions(products=80, customers=250, interactions=2_500, seed=3),
        )
        write_malformed_shop(project / "data/01_raw/malformed")
        environment = project / "conf" / "malformed"
        environment.mkdir()
        (environment / "globals.yml").write_text(yaml.safe_dump(MALFORMED))
        (environment / "spark.yml").write_text(yaml.safe_dump(SEVERAL_PARTS))
        (environment / "parameters.yml").write_text(
            yaml.safe_dump({"ingestion": {"max_reject_share": 0.99}})
        )
        projects[engine] = project
    return projects


def run(project: Path, *arguments: str) -> None:
    """Run pipelines, and check that they succeed."""
    finished = kedro(project, "run", *arguments)
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]


@pytest.fixture(scope="module", params=["sample", "malformed"])
def ran(projects: dict[str, Path], request: pytest.FixtureRequest) -> tuple[str, Path, Path]:
    """The name of the data set, and the data folders after a run on DuckDB and one on Spark."""
    if request.param == "sample":
        run(projects["duckdb"], "--pipelines", PIPELINES)
        run(projects["spark"], "--env", "spark", "--pipelines", PIPELINES)
    else:
        run(projects["duckdb"], "--env", "malformed", "--pipelines", PIPELINES)
        run(
            projects["spark"],
            "--env", "malformed", "--params", "engine=spark", "--pipelines", PIPELINES,
        )  # fmt: skip
    return request.param, projects["duckdb"] / "data", projects["spark"] / "data"


def load(data: Path, name: str, dataset: str) -> pa.Table:
    """Read a table on DuckDB, as the later pipelines do."""
    layer, table = name.split("/", 1)
    path = data / layer / dataset / f"{table}.parquet"
    loaded = (
        TableDataset(filepath=str(path), connection=connection("duckdb", "1GB")).load().to_pyarrow()
    )
    if name in UNSORTED:
        loaded = loaded.sort_by([("source_file", "ascending"), ("source_order", "ascending")])
    return loaded.combine_chunks()


def test_tables_of_both_engines_are_equal(ran: tuple[str, Path, Path]) -> None:
    dataset, on_duckdb, on_spark = ran
    for name in TABLES:
        expected, table = load(on_duckdb, name, dataset), load(on_spark, name, dataset)
        # The sample store has no views, and writes each id in one form.
        is_empty = dataset == "sample" and name in {"02_intermediate/id_forms", "03_primary/events"}
        assert (expected.num_rows == 0) == is_empty, name
        assert expected.schema.equals(table.schema), name
        assert list(map(repr, table.to_pylist())) == list(map(repr, expected.to_pylist())), name
    for name in SPLIT_FILES:
        path = Path("05_model_input") / dataset / "auto" / name
        assert (on_duckdb / path).read_bytes() == (on_spark / path).read_bytes(), name


def test_splits_of_both_engines_are_equal(
    ran: tuple[str, Path, Path], projects: dict[str, Path]
) -> None:
    dataset, on_duckdb, on_spark = ran
    if dataset == "malformed":
        return
    split = "temporal"
    for engine, project in projects.items():
        parameters = f"split={split},engine={engine}"
        run(project, "--pipelines", "sequencing", "--params", parameters)
    for name in SPLIT_FILES:
        path = Path("05_model_input") / dataset / split / name
        assert (on_duckdb / path).read_bytes() == (on_spark / path).read_bytes(), name


def test_spark_writes_part_files(ran: tuple[str, Path, Path]) -> None:
    dataset, on_duckdb, on_spark = ran
    path = Path("04_feature") / dataset / "sequences.parquet"
    assert (on_duckdb / path).is_file()
    assert len(list((on_spark / path).glob("part-*.parquet"))) == (
        3 if dataset == "malformed" else 1
    )


def test_malformed_rows_are_rejected_for_every_reason(ran: tuple[str, Path, Path]) -> None:
    dataset, on_duckdb, _ = ran
    if dataset == "sample":
        return
    rejects = load(on_duckdb, "02_intermediate/rejects", dataset).to_pylist()
    assert {(row["kind"], row["reason"]) for row in rejects} == {
        *(
            ("rejected", reason)
            for reason in (
                "broken JSON", "not a JSON object", "not UTF-8", "missing item_id",
                "missing timestamp", "timestamp is not a time", "impossible timestamp",
                "missing position", "position is not a number",
                "price is not a number", "wrong number of columns", "broken Python literal",
            )
        ),
        *(
            ("excluded", reason)
            for reason in (
                "guest", "guest without order_id", "return", "returned later", "quantity 0",
                "excluded item", "where: status", "where: pieces", "event: scroll", "event: none",
                "deleted customer",
            )
        ),
    }  # fmt: skip
    deleted = [row for row in rejects if row["reason"] == "deleted customer"]
    assert {row["source_file"] for row in deleted} >= {
        "orders.jsonl", *(f"live/{name_live_purchases(first, first + 3)}" for first in (1, 5)),
    }  # fmt: skip
    assert all(row["examples"] == [] for row in deleted)
    index = load(on_duckdb, "04_feature/item_index", dataset)["item_id"].to_pylist()
    assert index == sorted(index)
    assert {"\U0001f338", "\ufffd", "vf", "\xa0a\xa0"} <= set(index)
    products = load(on_duckdb, "03_primary/products", dataset).to_pylist()
    described = {row["item_id"]: row["attributes"] for row in products}
    assert described["described 4"] == "Rosalind, Face, Oils & Creams"
    assert described["described 0"] == "Rosalind"
    assert described[f"described {2 * len(KINDS)}"] is None
    assert described["z"] == "a"
    attributes = [described.get(item) for item in IDS]
    assert 10 < sum(value is not None for value in attributes) < len(attributes)
    counts = load(on_duckdb, "03_primary/joining_summary/counts", dataset)
    steps = counts["interactions"].to_pylist()
    # The rules of the shop exclude most of the random rows.
    assert steps[0] > steps[1] + 100 > steps[2] > 300


def test_duckdb_continues_with_the_tables_of_spark(
    ran: tuple[str, Path, Path], projects: dict[str, Path]
) -> None:
    dataset, on_duckdb, on_spark = ran
    if dataset == "malformed":
        return
    run(projects["spark"], "--pipelines", "sequencing")
    path = Path("04_feature") / dataset / "sequences.parquet"
    assert (on_spark / path).read_bytes() == (on_duckdb / path).read_bytes()


def test_error_of_a_worker_is_reported_in_a_few_lines(projects: dict[str, Path]) -> None:
    failed = kedro(
        projects["spark"],
        "run", "--pipelines", "ingestion", "--params", "engine=spark,raw_dir=no/such/folder",
    )  # fmt: skip
    assert failed.returncode != 0
    assert "no/such/folder/All_Beauty.jsonl.gz" in failed.stderr.replace("\n", "")
    assert "Traceback" not in failed.stdout + failed.stderr
