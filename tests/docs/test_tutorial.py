"""Follow the tutorial step by step, with a shop's own CSV."""

import shlex
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.docs.test_commands import commands_of
from tests.project import ROOT, copy_project, kedro, snapshot

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
PRODUCTS = {
    "00831": "Rose Cleansing Milk, 200 ml", "00944": "Rose Toner, 200 ml", "00001": "Rose Soap",
    "00002": "Hemp Oil, 50 ml", "00003": "Hemp Oil, 90 ml", "00004": "",
}  # fmt: skip
CUSTOMERS = 40


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
    """Write a log with the two lines of the page, and more purchases by more customers."""
    rng = np.random.default_rng(0)
    lines = block("customer,sku,").splitlines()
    assert [line[:12] for line in lines[1:]] == ["000417,00831", "000417,00944"]
    for number in range(CUSTOMERS):
        customer = "000417" if number == 0 else f"{number:06d}"
        for day in range(10, 15):
            sku = list(PRODUCTS)[rng.integers(0, len(PRODUCTS))]
            # One product has no title, another no brand and no department.
            attributes = "," if sku == "00001" else "Rosalind,Skin care"
            title = f'"{PRODUCTS[sku]}"' if PRODUCTS[sku] else ""
            lines.append(f"{customer},{sku},{title},{attributes},2024-05-{day}T10:00:00")
    path.write_text("\n".join(lines))


def test_tutorial_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path)
    own = project / "conf" / "my_shop"
    own.mkdir()
    (own / "globals.yml").write_text(block("dataset: my_shop"))
    folder = project / "data" / "01_raw" / "my_shop"
    folder.mkdir()
    write_orders(folder / "orders.csv")

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        assert program == "kedro"
        ran = kedro(project, *arguments)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
        return ran.stdout

    install, prepare, train, update, recommend, export = commands_of(PAGE)
    # The environment of this test was installed with it.
    assert install == "make run"
    early = kedro(project, *shlex.split(recommend)[1:])
    assert early.returncode != 0
    assert "bundle yet.\nRun `kedro run --env my_shop` first." in early.stderr
    assert "Traceback" not in early.stdout + early.stderr

    run(prepare)
    check_tables(project)
    assert "kedro recommend --env my_shop --user ID" in " ".join(run(train).split())
    report = "data/08_reporting/my_shop/leave_one_out/seed_42/report.html"
    assert report in PAGE
    assert (project / report).is_file()
    # The original study's networks are not part of a run on one's own data.
    assert not list((project / "data").rglob("model_i*"))
    (own / "parameters.yml").write_text(block("recommendation:"))
    run(update)
    assert "Decayed co-occurrence recommends" in run(recommend)
    run(export)
    assert set(pd.read_csv(project / "recommendations.csv")["model"]) == {"classifier"}

    monkeypatch.chdir(project)
    names: dict[str, Any] = {}
    exec(block("from bazar import Recommender"), names)
    assert names["recommender"].models == ("decayed_cooccurrence", "classifier")
    assert len(names["recommender"].recommend(["00831", "00944"], k=3)) == 3

    (own / "globals.yml").write_text(
        block("dataset: my_shop").replace("user_id: customer", "user_id: client")
    )
    before = snapshot(project)
    wrong = kedro(project, "run", "--env", "my_shop", "--pipelines", "ingestion")
    assert wrong.returncode != 0
    assert "has no column 'client'" in wrong.stderr
    assert "Available: brand, customer, department, ordered_at, product, sku" in wrong.stderr
    assert "interactions.orders.columns.user_id" in wrong.stderr
    assert snapshot(project) == before


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
    vectors = pq.read_table(project / "data/04_feature/my_shop/title_vectors.parquet")
    texts = [
        title if sku == "00001" else f"{title}. Rosalind, Skin care"
        for sku, title in PRODUCTS.items()
        if title
    ]
    assert vectors["text"].to_pylist() == sorted(texts)
