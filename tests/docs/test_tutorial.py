"""Follow the tutorial step by step, with a shop's own export."""

import shlex
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from tests.docs.test_commands import commands_of
from tests.docs.test_pages import read_examples
from tests.project import ROOT, copy_project, kedro_here

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
PRODUCTS = {
    "00831": "Rose Cleansing Milk, 200 ml", "00944": "Rose Toner, 200 ml", "00001": "Rose Soap",
    "00002": "Hemp Oil, 50 ml", "00003": "Hemp Oil, 90 ml", "00004": "",
}  # fmt: skip
CUSTOMERS = 40
# Short trainings, which the page does not need.
QUICK = {
    model: {"networks": {"bazar": {"training": {"epochs": 2, "min_steps": 0}}}}
    for model in ("classifier", "regressor")
} | {"evaluation": {"bootstrap_resamples": 100}}


def block(first: str) -> str:
    """Return the indented block of the page that begins with a text."""
    lines = iter(PAGE[PAGE.index(f"    {first}") :].splitlines())
    found = []
    for line in lines:
        if line and not line.startswith("    "):
            break
        found.append(line)
    return textwrap.dedent("\n".join(found)).strip() + "\n"


def write_orders(path: Path) -> None:
    """Write a log with the three lines of the page, and more purchases by more customers."""
    rng = np.random.default_rng(0)
    lines = block("customer,order,").splitlines()
    assert [line[:19] for line in lines[1:]] == [
        "000417,A-1001,00831", "000417,A-1001,00944", "000417,A-1002,00944",
    ]  # fmt: skip
    for number in range(CUSTOMERS):
        customer = "000417" if number == 0 else f"{number:06d}"
        for day in range(10, 15):
            order = f"A-{2000 + 10 * number + day}"
            sku = list(PRODUCTS)[rng.integers(0, len(PRODUCTS))]
            # One product has no title, another no brand and no department.
            attributes = "," if sku == "00001" else "Rosalind,Skin care"
            title = f'"{PRODUCTS[sku]}"' if PRODUCTS[sku] else ""
            rest = f"1,9.50,completed,2024-05-{day}T10:00:00"
            lines.append(f"{customer},{order},{sku},{title},{attributes},{rest}")
    path.write_text("\n".join(lines))


def test_tutorial_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path)
    folder = project / "data" / "01_raw" / "my_shop"
    folder.mkdir()
    write_orders(folder / "orders.csv")

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        assert program == "kedro"
        ran = kedro_here(project, *arguments)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
        return ran.stdout

    install, create, prepare, train, recommend, export = commands_of(PAGE)
    # The environment of this test was installed with it.
    assert install == "make run"
    shown = run(create)
    assert f"{3 + 5 * CUSTOMERS} rows: {2 + 5 * CUSTOMERS} kept, 1 excluded" in shown
    assert prepare.removeprefix("kedro run") in shown
    (described,) = read_examples(PAGE)
    written = (project / "conf" / "my_shop" / "globals.yml").read_text()
    assert yaml.safe_load(written) == described

    (project / "conf" / "my_shop" / "parameters.yml").write_text(yaml.safe_dump(QUICK))
    summary = run(prepare)
    assert "data_summary.html" in summary
    assert (project / "data/08_reporting/my_shop/data_summary.html").is_file()
    check_tables(project)
    assert "kedro recommend --env my_shop --user ID" in " ".join(run(train).split())
    check_vectors(project)
    report = "data/08_reporting/my_shop/auto/seed_42/report.html"
    assert report in PAGE
    assert (project / report).is_file()
    # The original study's networks are not part of a run on one's own data.
    assert not list((project / "data").rglob("model_i*"))
    assert "recommends" in run(recommend)
    run(export)
    exported = pd.read_csv(project / "recommendations.csv", dtype=str)
    assert set(exported["user_id"]) >= {"000417"}

    monkeypatch.chdir(project)
    names: dict[str, Any] = {}
    exec(block("from bazar import Recommender"), names)
    assert len(names["recommender"].recommend(["00831", "00944"], k=3)) == 3


def check_tables(project: Path) -> None:
    """Check that ids keep their zeros, and that titles and attributes are joined."""
    sequences = pd.read_parquet(project / "data/04_feature/my_shop/sequences.parquet")
    assert len(sequences) == 5 * CUSTOMERS + 2
    assert set(sequences["item_id"]) == set(PRODUCTS)
    assert "000417" in set(sequences["user_id"])
    summary = project / "data/03_primary/my_shop/joining_summary"
    coverage = pq.read_table(summary / "title_coverage.parquet")
    assert {row["title_source"]: row["products"] for row in coverage.to_pylist()} == {
        "orders": 5,
        "without title": 1,
    }


def check_vectors(project: Path) -> None:
    """Check that the encoder reads titles and attributes."""
    vectors = pq.read_table(project / "data/04_feature/my_shop/title_vectors.parquet")
    texts = [
        title if sku == "00001" else f"{title}. Rosalind, Skin care"
        for sku, title in PRODUCTS.items()
        if title
    ]
    assert vectors["text"].to_pylist() == sorted(texts)
