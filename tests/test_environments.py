"""The environments of the public data sets, on small synthetic files of their formats."""

import gzip
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from bazar.data.splits import Splits
from bazar.datasets.splits import SplitsDataset
from bazar.synthetic.sample_store import StoreOptions, generate_store
from bazar.synthetic.set_b import MISSING, URL, SetBOptions, generate_set_b
from tests.project import copy_project, kedro_here

PREPARE = "ingestion,joining,sequencing"
USERS = {"A1": ["0205616461", "B01", "B02"], "A2": ["B02", "B01", "B03", "0205616461"]}
ATTRIBUTES = {
    "0205616461": ["Rosalind", "Makeup", "Nails"], "B01": ["Unknown", "Hands &amp; Nails"],
    "B02": [], "B03": ["Rosalind"],
}  # fmt: skip
TITLES = {"0205616461": "Rose's Oil", "B01": "Oat &amp; Milk Soap", "B02": "Crème", "B03": None}


def write_compressed(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def write_processed_copy(folder: Path) -> None:
    """Write the copy of the data set that has positions instead of times."""
    lines = ["UserId,ProductId,Position"]
    for user, items in USERS.items():
        lines += [f"{user},{item},{position}" for position, item in enumerate(items, start=1)]
    write_compressed(folder / "interactions.csv.gz", lines)
    write_compressed(
        folder / "meta_Beauty.jsonl.gz",
        [
            json.dumps({"asin": item, "title": title, "attributes": ATTRIBUTES[item]})
            for item, title in TITLES.items()
        ],
    )


def write_original_files(folder: Path, category: str = "Beauty") -> None:
    """Write the files of the original source, the reviews in reverse order."""
    lines = []
    for user, items in USERS.items():
        for position, item in enumerate(items):
            review = {
                "reviewerID": user, "asin": item, "helpful": [0, 0], "reviewText": "",
                "overall": 5.0, "unixReviewTime": 1_390_000_000 + 86_400 * position,
            }  # fmt: skip
            lines.append(json.dumps(review))
    write_compressed(folder / f"reviews_{category}_5.json.gz", lines[::-1])
    write_compressed(
        folder / f"meta_{category}.json.gz",
        [
            repr(
                {"asin": item, "price": 1.5, "categories": [ATTRIBUTES[item][1:]]}
                | ({"title": title} if title else {})
                | ({"brand": ATTRIBUTES[item][0]} if ATTRIBUTES[item] else {})
            )
            for item, title in TITLES.items()
        ],
    )


@pytest.mark.parametrize(
    ("env", "write"),
    [
        ("amazon_beauty_2014", write_processed_copy),
        ("amazon_beauty_2014", write_original_files),
        ("amazon_toys_2014", partial(write_original_files, category="Toys_and_Games")),
    ],
    ids=["copy", "original", "original toys"],
)
def test_amazon_2014_in_both_forms(tmp_path: Path, env: str, write: Callable[[Path], None]) -> None:
    project = copy_project(tmp_path)
    folder = project / f"data/01_raw/{env}"
    folder.mkdir()
    write(folder)
    run = kedro_here(project, "run", "--env", env, "--pipelines", PREPARE)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    sequences = pd.read_parquet(project / f"data/04_feature/{env}/sequences.parquet")
    assert sequences.groupby("user_id")["item_id"].agg(list).to_dict() == USERS
    products = pd.read_parquet(project / f"data/03_primary/{env}/products.parquet")
    assert products.set_index("item_id")["title"].replace({float("nan"): None}).to_dict() == {
        "0205616461": "Rose's Oil", "B01": "Oat & Milk Soap", "B02": "Crème", "B03": None,
    }  # fmt: skip
    assert products.set_index("item_id")["attributes"].replace({float("nan"): None}).to_dict() == {
        "0205616461": "Rosalind, Makeup, Nails", "B01": "Hands & Nails", "B02": None,
        "B03": "Rosalind",
    }  # fmt: skip


DAYS: dict[str, list[int | None]] = {"A1": [17000, None, 17000], "A2": [16000, 17000, 17000, 17000]}


def test_days_keep_the_positions_of_the_source(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    for name in ("amazon_beauty_2014", "amazon_beauty_2014_days"):
        (project / f"data/01_raw/{name}").mkdir()
        write_processed_copy(project / f"data/01_raw/{name}")
    lines = ["UserId,ProductId,Position,Timestamp"]
    for user, items in USERS.items():
        for number, (item, day) in enumerate(zip(items, DAYS[user], strict=True)):
            lines.append(f"{user},{item},{number + 1},{'' if day is None else day * 86_400}")
    write_compressed(
        project / "data/01_raw/amazon_beauty_2014_days/interactions.csv.gz",
        [lines[0], *lines[:0:-1]],
    )

    def prepare(env: str, *params: str) -> Splits:
        run = kedro_here(project, "run", "--env", env, "--pipelines", PREPARE, *params)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        folder = project / f"data/05_model_input/{env}/leave_one_out"
        return SplitsDataset(filepath=str(folder)).load()

    positions, days = prepare("amazon_beauty_2014"), prepare("amazon_beauty_2014_days")
    for part in ("train", "validation", "test"):
        bare, timed = getattr(positions, part), getattr(days, part)
        assert timed.sequences.items.tolist() == bare.sequences.items.tolist()
        assert timed.target_positions.tolist() == bare.target_positions.tolist()
        assert timed.user_ids.equals(bare.user_ids)
        assert timed.history_length == bare.history_length
    assert days.test.sequences.untimed.tolist() == [1]
    assert "new_day_test_rows" not in positions.summary
    # The day of the item before the target of A1 is unknown.
    assert (days.summary["new_day_test_rows"], days.summary["same_day_test_rows"]) == (0, 1)
    orders = [
        prepare(
            "amazon_beauty_2014_days",
            f"--params=sequencing.shuffle_equal_days=true,sequencing.seed={seed}",
        ).test.sequences.items.tolist()
        for seed in (1, 2)
    ]  # fmt: skip
    for order in orders:
        source = days.test.sequences.items.tolist()
        assert (order[1], order[3]) == (source[1], source[3])
        assert sorted(order[4:]) == sorted(source[4:])
    assert len({str(order) for order in [days.test.sequences.items.tolist(), *orders]}) > 1


def test_both_forms_at_once_are_an_error(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    folder = project / "data/01_raw/amazon_beauty_2014"
    folder.mkdir()
    write_processed_copy(folder)
    write_original_files(folder)
    run = kedro_here(project, "run", "--env", "amazon_beauty_2014", "--pipelines", PREPARE)
    assert run.returncode != 0
    assert "cannot be sorted together" in run.stderr
    assert "Traceback" not in run.stderr


SOURCES_OF_SET_B = {
    "meta_All_Beauty.jsonl.gz": "All_Beauty_2023",
    "meta_Beauty_and_Personal_Care.jsonl.gz": "Beauty_and_Personal_Care_2023",
    "meta_Health_and_Personal_Care.jsonl.gz": "Health_and_Personal_Care_2023",
    "meta_Baby_Products.jsonl.gz": "Baby_Products_2023",
    "meta_Appliances.jsonl.gz": "Appliances_2023",
    "meta_All_Beauty.json.gz": "All_Beauty_2018",
    "meta_Appliances.json.gz": "Appliances_2018",
    "meta_Beauty.json.gz": "Beauty_2014",
    URL: "address",
    MISSING: "without title",
}


def test_set_b_has_the_titles_of_its_files(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    truth = generate_set_b(
        project / "data/01_raw/set_b",
        SetBOptions(interactions=20_000, customers=14_000, products=900, listed=2_000),
    )
    run = kedro_here(project, "run", "--env", "set_b", "--pipelines", PREPARE)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    primary = project / "data/03_primary/set_b"
    summary = primary / "joining_summary"
    coverage = pd.read_parquet(summary / "title_coverage.parquet").set_index("title_source")
    expected = {
        SOURCES_OF_SET_B[source]: covered.products
        for source, covered in truth.title_source.items()
        if covered.products
    }
    assert coverage["products"].to_dict() == expected
    assert len(expected) > 6
    # Purchases with the same customer, product and time as another are not counted.
    purchases = truth.interactions - truth.duplicates
    assert coverage["interactions"].sum() == purchases
    for source, covered in truth.title_source.items():
        found = coverage["interactions"].get(SOURCES_OF_SET_B[source], 0)
        assert covered.interactions - truth.duplicates <= found <= covered.interactions, source
    steps = pd.read_parquet(summary / "counts.parquet").set_index("step")
    assert steps["users"]["titled, keep_users: all_titled"] == truth.users_titled
    sequences = pd.read_parquet(project / "data/04_feature/set_b/sequences.parquet")
    lengths = sequences.groupby("user_id").size()
    assert lengths.min() == 2
    splits = SplitsDataset(filepath=str(project / "data/05_model_input/set_b/leave_one_out")).load()
    windows = splits.summary["windows"]
    assert [counts["window_length"] for counts in windows] == list(range(2, 11))
    for counts in windows:
        assert counts["windows"] == (lengths - counts["window_length"] + 1).clip(lower=0).sum()
        assert counts["sequences"] == (lengths >= counts["window_length"]).sum()
        assert all(type(count) is int for count in counts.values())


def test_set_a_keeps_customers_with_several_reviews(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    generate_store(
        project / "data/01_raw/set_a",
        StoreOptions(products=500, customers=4_000, interactions=5_000, evenness=0.05, seed=5),
    )
    run = kedro_here(project, "run", "--env", "set_a", "--pipelines", PREPARE)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    sequences = pd.read_parquet(project / "data/04_feature/set_a/sequences.parquet")
    assert sequences.groupby("user_id").size().min() == 2
    assert sequences.groupby("user_id")["timestamp"].is_monotonic_increasing.all()
    bought = set(sequences["item_id"])
    index = pd.read_parquet(project / "data/04_feature/set_a/item_index.parquet")
    assert set(index["item_id"]) == bought
