"""The tutorial, followed to the letter with a shop's own CSV."""

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
    """The indented block of the page that begins with a text."""
    lines = iter(PAGE[PAGE.index(f"    {first}") :].splitlines())
    found = []
    for line in lines:
        if line and not line.startswith("    "):
            break
        found.append(line)
    return textwrap.dedent("\n".join(found)).strip() + "\n"


def write_orders(path: Path) -> None:
    """A log like that of the page: its two lines, and more purchases by more customers."""
    rng = np.random.default_rng(0)
    lines = block("customer,sku,").splitlines()
    assert [line[:12] for line in lines[1:]] == ["000417,00831", "000417,00944"]
    for place in range(CUSTOMERS):
        customer = "000417" if place == 0 else f"{place:06d}"
        for day in range(10, 15):
            sku = list(PRODUCTS)[rng.integers(0, len(PRODUCTS))]
            # One product has no title, another no brand and no department.
            about = "," if sku == "00001" else "Rosalind,Skin care"
            title = f'"{PRODUCTS[sku]}"' if PRODUCTS[sku] else ""
            lines.append(f"{customer},{sku},{title},{about},2024-05-{day}T10:00:00")
    path.write_text("\n".join(lines))


def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    install, look, train, again, recommend, export = commands_of(PAGE)
    # It is what makes the environment that this test runs in.
    assert install == "make run"
    early = kedro(project, *shlex.split(recommend)[1:])
    assert early.returncode != 0
    assert "shop.json yet\nRun `kedro run` first" in early.stderr
    assert "Traceback" not in early.stdout + early.stderr

    run(look)
    check_tables(project)
    assert "kedro recommend --env my_shop --user ID" in " ".join(run(train).split())
    assert (project / "data/08_reporting/my_shop/report.html").is_file()
    (own / "parameters.yml").write_text(block("recommendation:"))
    run(again)
    assert "Decayed co-occurrence recommends" in run(recommend)
    run(export)
    assert set(pd.read_csv(project / "recommendations.csv")["model"]) == {"classifier"}

    monkeypatch.chdir(project)
    names: dict[str, Any] = {}
    exec(block("from bazar import Recommender"), names)
    assert names["shop"].models == ("decayed_cooccurrence", "classifier")

    (own / "globals.yml").write_text(
        block("dataset: my_shop").replace("user_id: customer", "user_id: client")
    )
    before = snapshot(project)
    wrong = kedro(project, "run", "--env", "my_shop", "--pipelines", "ingestion")
    assert wrong.returncode != 0
    assert "has no column 'client'" in wrong.stderr
    assert "found customer, sku, product, brand, department, ordered_at" in wrong.stderr
    assert "interactions.orders.columns.user_id" in wrong.stderr
    assert snapshot(project) == before


def check_tables(project: Path) -> None:
    """Ids kept their zeros, titles and attributes are where they belong."""
    sequences = pd.read_parquet(project / "data/04_feature/my_shop/sequences.parquet")
    assert len(sequences) == 5 * CUSTOMERS + 2
    assert set(sequences["item_id"]) == set(PRODUCTS)
    assert "000417" in set(sequences["user_id"])
    coverage = pq.read_table(project / "data/03_primary/my_shop/title_coverage.parquet")
    assert {row["title_source"]: row["products"] for row in coverage.to_pylist()} == {
        "orders": 5,
        "without title": 1,
    }
    vectors = pq.read_table(project / "data/04_feature/my_shop/title_vectors.parquet")
    described = [
        title if sku == "00001" else f"{title}. Rosalind, Skin care"
        for sku, title in PRODUCTS.items()
        if title
    ]
    assert vectors["text"].to_pylist() == sorted(described)
