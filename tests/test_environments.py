"""The environments of the real data sets, on small made-up files of their formats."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.project import copy_project, kedro

PREPARE = "ingestion,joining,sequencing"
USERS = {"A1": ["0205616461", "B01", "B02"], "A2": ["B02", "B01", "B03", "0205616461"]}
TITLES = {"0205616461": "Rose's Oil", "B01": "Oat &amp; Milk Soap", "B02": "Crème", "B03": None}


def packed(path: Path, lines: list[str]) -> None:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def copy_of_sequences(folder: Path) -> None:
    lines = ["UserId,ProductId,Position"]
    for user, items in USERS.items():
        lines += [f"{user},{item},{place}" for place, item in enumerate(items, start=1)]
    packed(folder / "interactions.csv.gz", lines)
    packed(
        folder / "meta_Beauty.jsonl.gz",
        [
            json.dumps({"asin": item, "title": title, "attributes": []})
            for item, title in TITLES.items()
        ],
    )


def originals(folder: Path) -> None:
    lines = []
    for user, items in USERS.items():
        for place, item in enumerate(items):
            review = {
                "reviewerID": user, "asin": item, "helpful": [0, 0], "reviewText": "",
                "overall": 5.0, "unixReviewTime": 1_390_000_000 + 86_400 * place,
            }  # fmt: skip
            lines.append(json.dumps(review))
    packed(folder / "reviews_Beauty_5.json.gz", lines[::-1])
    packed(
        folder / "meta_Beauty.json.gz",
        [
            repr({"asin": item, "price": 1.5} | ({"title": title} if title else {}))
            for item, title in TITLES.items()
        ],
    )


@pytest.mark.parametrize("write", [copy_of_sequences, originals])
def test_amazon_beauty_2014_in_both_forms(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    project = copy_project(tmp_path)
    folder = project / "data/01_raw/amazon_beauty_2014"
    folder.mkdir()
    write(folder)
    run = kedro(project, "run", "--env", "amazon_beauty_2014", "--pipelines", PREPARE)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    sequences = pd.read_parquet(project / "data/04_feature/amazon_beauty_2014/sequences.parquet")
    assert sequences.groupby("user_id")["item_id"].agg(list).to_dict() == USERS
    products = pd.read_parquet(project / "data/03_primary/amazon_beauty_2014/products.parquet")
    assert products.set_index("item_id")["title"].replace({float("nan"): None}).to_dict() == {
        "0205616461": "Rose's Oil", "B01": "Oat & Milk Soap", "B02": "Crème", "B03": None,
    }  # fmt: skip


def test_both_forms_at_once_are_refused(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    folder = project / "data/01_raw/amazon_beauty_2014"
    folder.mkdir()
    copy_of_sequences(folder)
    originals(folder)
    run = kedro(project, "run", "--env", "amazon_beauty_2014", "--pipelines", PREPARE)
    assert run.returncode != 0
    assert "cannot be put in one order" in run.stderr
    assert "Traceback" not in run.stderr
