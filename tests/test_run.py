"""Complete runs of the pipelines on a small synthetic store, as a user starts them."""

import gzip
import json
import math
import re
import shlex
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from bazar.config.models import BASELINES
from bazar.config.networks import REPRODUCTION_NETWORKS
from bazar.datasets.network import NetworkDataset
from bazar.datasets.splits import SplitsDataset
from bazar.labels import ORACLE
from bazar.serving.recommender import Recommender
from bazar.synthetic.sample_store import StoreSummary
from tests.browser import browser, opened, served
from tests.docs.test_commands import commands_of
from tests.project import (
    NOTEBOOKS,
    ROOT,
    RUN,
    kedro,
    kedro_here,
    kill_in_training,
    quick_project,
    run_script,
    snapshot,
)

TRAINED = ["classifier", "regressor", "blend"]
STUDY_NETWORKS = list(REPRODUCTION_NETWORKS.values())
MODELS = [*TRAINED, *STUDY_NETWORKS, *BASELINES, ORACLE]
EVERYTHING = ("--pipelines", "__default__,modelling_reproduction")
# Messages of libraries and warnings that a user can do nothing about.
NOISE = re.compile(r"tensorflow|absl|cuda|onednn|TF-TRT|WARNING.*Deprecation|Warning: |\r", re.I)


@dataclass(frozen=True)
class FinishedRun:
    """A project after a complete run.

    Attributes:
        project: the folder of the project.
        store: what the synthetic store contains.
        stdout: what the run printed.
        stderr: what the run printed to standard error.
    """

    project: Path
    store: StoreSummary
    stdout: str
    stderr: str

    def get_folder(self, layer: str) -> Path:
        """Return the folder of the results of the run, such as ``08_reporting``."""
        return get_folder(self.project, layer)

    def read_metrics(self) -> dict[str, Any]:
        return json.loads((self.get_folder("08_reporting") / "metrics.json").read_text())

    def read_sequences(self) -> pd.DataFrame:
        return pd.read_parquet(self.project / "data/04_feature/sample/sequences.parquet")


def get_folder(project: Path, layer: str, run: str = RUN) -> Path:
    return project / "data" / layer / "sample" / run


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The project after a run of all pipelines that train and evaluate models."""
    project, store = quick_project(tmp_path_factory.mktemp("project"))
    run = kedro(project, "run", "--env", "quick", *EVERYTHING)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return FinishedRun(project, store, run.stdout, run.stderr)


def test_metrics_are_complete(ran: FinishedRun) -> None:
    metrics, sequences = ran.read_metrics(), ran.read_sequences()
    assert metrics["dataset"] == "sample"
    assert metrics["protocol"] == "next_order"
    assert metrics["n_users"] == sequences["user_id"].nunique()
    # A customer with one order has no earlier one to predict it from.
    n_orders = sequences.groupby("user_id")["order_number"].max()
    assert metrics["n_test_rows"] == (n_orders > 1).sum()
    assert metrics["n_items"] == 80
    assert metrics["n_interactions"] == len(sequences)
    assert metrics["outdated_models"] == []
    assert list(metrics["models"]) == MODELS
    for model, figures in metrics["models"].items():
        for mode in ("filtered", "unfiltered"):
            measured = figures[mode]
            low, high = measured["hr@10_ci95"]
            assert 0 <= low <= measured["hr@10"] <= high <= 1
            assert measured["hr@1"] <= measured["hr@5"] <= measured["hr@10"] <= measured["hr@20"]
            assert measured["ndcg@10"] <= measured["hr@10"]
            assert 0 < measured["coverage@10"] <= 1
        if model == ORACLE:
            # Its probabilities are those of the last order.
            assert figures["validation_ndcg@10"] is None
        else:
            assert 0 < figures["validation_ndcg@10"] < 1
        trained = (figures["training"] or {}).get("n_parameters", 0) > 0
        assert trained == (model in [*TRAINED, *STUDY_NETWORKS])


def test_networks_beat_popularity(ran: FinishedRun) -> None:
    models = ran.read_metrics()["models"]
    for model in ("classifier", "regressor"):
        hit_rate = models[model]["filtered"]["hr@10"]
        assert hit_rate > 1.1 * models["popularity"]["filtered"]["hr@10"]


def test_malformed_rows_and_no_others_are_rejected(ran: FinishedRun) -> None:
    summary = ran.project / "data/02_intermediate/sample"
    rejects = pd.read_parquet(summary / "rejects.parquet")
    counts = pd.read_parquet(summary / "counts.parquet")
    by_file = counts.set_index("source_file")
    parts = counts[["rows_kept", "rows_excluded", "rows_rejected"]].sum(axis="columns")
    assert (counts["rows_read"] == parts).all()
    malformed = ran.store.malformed_reviews
    duplicates = malformed.get("duplicate", 0)
    assert by_file.loc["All_Beauty.jsonl.gz", "rows_read"] == 2_500 + sum(malformed.values())
    assert by_file.loc["All_Beauty.jsonl.gz", "rows_kept"] == 2_500 + duplicates
    found = rejects[rejects["source_file"] == "All_Beauty.jsonl.gz"]
    assert found.set_index("reason")["count"].to_dict() == {
        "broken JSON": malformed["broken line"] + malformed["not JSON"],
        "guest": malformed["null user_id"],
        "missing item_id": malformed["empty parent_asin"] + malformed["no parent_asin"],
        "impossible timestamp": sum(
            malformed[kind] for kind in ("timestamp 0", "negative timestamp", "timestamp in 2190")
        ),
    }
    steps = pd.read_parquet(ran.project / "data/03_primary/sample/joining_summary/counts.parquet")
    assert steps["interactions"].tolist()[:2] == [2_500 + duplicates, 2_500]


def test_unsold_products_are_in_the_catalogue(ran: FinishedRun) -> None:
    feature = ran.project / "data/04_feature/sample"
    index = pd.read_parquet(feature / "item_index.parquet")
    vectors = np.load(feature / "item_vectors.npy")
    model_input = ran.project / "data/05_model_input/sample/auto"
    counts = np.load(model_input / "training_counts.npy")
    unsold = index[index["item_id"].isin(ran.store.unsold)]
    assert len(unsold) == len(ran.store.unsold) > 0
    assert (counts[unsold["item_index"]] == 0).all()
    assert vectors.shape == (81, 384)
    assert not vectors[0].any()


def test_ranks_and_recommendations_belong_to_the_test_rows(ran: FinishedRun) -> None:
    folder, sequences = ran.get_folder("07_model_output"), ran.read_sequences()
    latest = sequences.groupby("user_id")["order_number"].transform("max")
    is_last = sequences["order_number"] == latest
    seen = sequences[~is_last]
    targets = set(
        sequences.loc[is_last & (latest > 1), ["user_id", "item_id"]].itertuples(
            index=False, name=None
        )
    )
    assert latest.max() > 5
    for model in MODELS:
        ranks = pd.read_parquet(folder / f"{model}_ranks.parquet")
        found = list(ranks[["user_id", "item_id"]].itertuples(index=False, name=None))
        assert len(found) == len(targets)
        assert set(found) == targets
        lists = pd.read_parquet(folder / f"{model}_recommendations.parquet")
        filtered = lists[lists["seen_items"] == "filtered"]
        assert (filtered.groupby("row").size() == 20).mean() > 0.95
        assert filtered.groupby("row")["score"].apply(lambda s: s.is_monotonic_decreasing).all()
        assert filtered.merge(seen[["user_id", "item_id"]], on=["user_id", "item_id"]).empty


def test_summary_names_the_model_to_use_and_the_report(ran: FinishedRun) -> None:
    report = ran.get_folder("08_reporting") / "report.html"
    assert str(report) in ran.stdout.replace("\n", "")
    models = ran.read_metrics()["recommendation_models"]
    assert sorted(models[:3]) == sorted(TRAINED)
    assert f"Use the {models[0]}" in ran.stdout
    assert "recommends:" in ran.stdout
    assert "kedro recommend --env quick --user ID" in ran.stdout
    assert "<!doctype html>" in report.read_text()
    log = pd.read_csv(ran.get_folder("07_model_output") / "classifier_training_log.csv")
    assert log["epoch"].tolist() == list(range(1, len(log) + 1))


def test_run_prints_no_noise_of_libraries(ran: FinishedRun) -> None:
    # The streams are read as they were written: no progress bar returns the carriage.
    for line in (ran.stdout + ran.stderr).split("\n"):
        assert not NOISE.search(line), line


def test_report_fits_the_screen_of_a_browser(ran: FinishedRun) -> None:
    report = ran.get_folder("08_reporting") / "report.html"
    assert report.stat().st_size < 5_000_000
    metrics = json.loads((report.parent / "metrics.json").read_text())
    gaps = metrics["repeats"]["gaps"]["counts"]
    with browser() as chromium:
        for width, scheme in ((1400, "light"), (390, "dark")):
            with opened(chromium, report.as_uri(), width, scheme) as page:
                # On a phone, only tables are wider than the screen. They scroll in their own boxes.
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                background = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (background == "rgb(255, 255, 255)") == (scheme == "light")
                figures = page.locator("figure svg")
                # Two metrics, two kinds of slices, coverage and novelty, the map of titles, the
                # losses of four networks, and two figures of customers who buy again.
                assert figures.count() == 12
                for figure in figures.all():
                    drawn = figure.bounding_box()
                    assert drawn is not None
                    assert drawn["width"] > 200
                    assert drawn["height"] > 100
                    # The figure of the gaps has one bar for each group of gaps.
                    fewest = len(gaps) if figure.evaluate("svg => svg.closest('#gaps')") else 10
                    assert figure.locator("path, use").count() > fewest


def test_every_customer_gets_recommendations(ran: FinishedRun) -> None:
    rows = pd.read_parquet(ran.get_folder("07_model_output") / "recommendations.parquet")
    bought = ran.read_sequences()
    products = pd.read_parquet(ran.project / "data/03_primary/sample/products.parquet")
    titles = products.set_index("item_id")
    assert rows.columns.tolist() == [
        "user_id", "model", "rank", "item_id", "title", "score", "answered_by",
    ]  # fmt: skip
    assert rows["answered_by"].tolist() == rows["model"].tolist()
    # The models stand in the order of their validation NDCG@10: the trained ones, and one baseline.
    figures = ran.read_metrics()["models"]
    models = rows["model"].unique().tolist()
    assert set(models) - set(BASELINES) == set(TRAINED)
    assert len(models) == 4
    ndcg = [figures[model]["validation_ndcg@10"] for model in models]
    assert ndcg == sorted(ndcg, reverse=True)
    best = max(BASELINES, key=lambda model: figures[model]["validation_ndcg@10"])
    assert best in models
    for _, of_model in rows.groupby("model"):
        assert set(of_model["user_id"]) == set(bought["user_id"])
        assert (of_model.groupby("user_id").size() == 10).all()
    # Customers of the store buy again: products that they bought are recommended.
    again = rows.merge(bought.drop_duplicates(["user_id", "item_id"]), on=["user_id", "item_id"])
    assert 0 < len(again) < len(rows)
    assert rows["title"].tolist() == titles.loc[rows["item_id"], "title"].tolist()


def test_copied_bundle_recommends_the_same_elsewhere(ran: FinishedRun, tmp_path: Path) -> None:
    models = ran.project / "data/06_models/sample"
    assert (models / "current").read_text().strip() == f"{RUN}/bundle"
    copy = Path(shutil.copytree(models / RUN / "bundle", tmp_path / "anywhere"))
    rows = pd.read_parquet(ran.get_folder("07_model_output") / "recommendations.parquet")
    user, default = rows["user_id"].iloc[-1], rows["model"].iloc[0]
    # The folder of the data set names the bundle of the last run.
    for folder in (copy, models):
        recommender = Recommender.load(folder)
        assert list(recommender.models) == rows["model"].unique().tolist()
        for model in (None, *recommender.models):
            answer = recommender.recommend_to_customer(user, model=model)
            expected = rows[(rows["user_id"] == user) & (rows["model"] == (model or default))]
            assert [product.item_id for product in answer] == expected["item_id"].tolist()


def test_failed_recommendation_leaves_the_current_bundle(
    ran: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ran.project / "data/06_models/sample"
    new_run = get_folder(ran.project, "06_models", "auto/seed_8")
    output = get_folder(ran.project, "07_model_output", "auto/seed_8")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    # The bundle is written before the recommendations.
    monkeypatch.setattr(Recommender, "recommend_to_everyone", fail)
    try:
        run = kedro_here(
            ran.project, "run", "--env", "quick",
            "--pipelines", "modelling_baselines,recommendation", "--params", "seed=8",
        )  # fmt: skip
        assert run.returncode != 0
        assert "disk full" in run.stdout + run.stderr
        assert (new_run / "bundle" / "bundle.json").is_file()
        assert not (output / "recommendations.parquet").exists()
        assert (models / "current").read_text().strip() == f"{RUN}/bundle"
        assert set(TRAINED) < set(Recommender.load(models).models)
    finally:
        shutil.rmtree(new_run, ignore_errors=True)
        shutil.rmtree(output, ignore_errors=True)


def answer(project: Path, *arguments: str) -> dict[str, Any]:
    """Return what a command prints, which is JSON and nothing else."""
    ran = kedro(project, *arguments, "--env", "quick", "--json")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert not NOISE.search(ran.stderr), ran.stderr
    return json.loads(ran.stdout)


def test_recommend_command_answers_for_a_customer(ran: FinishedRun) -> None:
    rows = pd.read_parquet(ran.get_folder("07_model_output") / "recommendations.parquet")
    user = rows["user_id"].iloc[-1]
    found = answer(ran.project, "recommend", "--user", user, "--model", "classifier")
    bought = ran.read_sequences()
    # The products of one order are shuffled.
    assert sorted(found["history"]) == sorted(bought.loc[bought["user_id"] == user, "item_id"])
    expected = rows[(rows["user_id"] == user) & (rows["model"] == "classifier")]
    assert [one["item_id"] for one in found["products"]] == expected["item_id"].tolist()
    for product in found["products"]:
        assert product["nearest_item_id"] in found["history"]

    shown = kedro_here(
        ran.project, "recommend", "--env", "quick", "--items", f"{found['history'][0]},gone",
        "--model", "classifier", "--top", "2",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-3000:]
    for part in ("Classifier recommends", "past purchases", "Not in the catalogue: gone"):
        assert part in shown.stdout
    wrong = kedro_here(ran.project, "recommend", "--env", "quik", "--user", user)
    assert wrong.returncode != 0
    assert "There is no environment 'quik'. Did you mean 'quick'?" in wrong.stderr
    assert "Available: amazon_all_beauty_2023" in wrong.stderr
    assert "Traceback" not in wrong.stdout + wrong.stderr


def test_documented_python_call_works(ran: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs/how-to/recommend.md").read_text()
    block = re.search(r"^    from bazar import Recommender\n(?:    .*\n|\n)+", page, re.MULTILINE)
    assert block is not None
    code = block.group()
    # The products and the customer of the example are of the sample store.
    rows = ran.read_sequences()
    for example, here in (
        ("0035786242", rows["item_id"].iloc[0]),
        ("B0K6VFDAQ6", rows["item_id"].iloc[-1]),
        ("A2OBLKCNIU4EIDYN4HIFBXL6JJYP", rows["user_id"].iloc[0]),
    ):
        assert example in code
        code = code.replace(example, here)
    monkeypatch.chdir(ran.project)
    names: dict[str, Any] = {}
    exec(textwrap.dedent(code), names)
    assert len(names["recommender"].products) == 80
    assert code.count("recommender.") == 3


def test_documented_commands_work(ran: FinishedRun, tmp_path: Path) -> None:
    rows = ran.read_sequences()
    titles = pd.read_parquet(ran.project / "data/03_primary/sample/products.parquet")
    titled = titles[titles["title"].notna() & titles["attributes"].notna()].iloc[0]
    # The products and the customer of the examples are of the sample store.
    here = {
        "0035786242": rows["item_id"].iloc[0], "B0K6VFDAQ6": titled["item_id"],
        "A2OBLKCNIU4EIDYN4HIFBXL6JJYP": rows["user_id"].iloc[0],
        "Skin Care": titled["attributes"].split(", ")[-1],
        "recommendations.csv": str(tmp_path / "recommendations.csv"),
    }  # fmt: skip
    commands = [
        shlex.split(command)[1:]
        for page in ("export", "recommend")
        for command in commands_of((ROOT / f"docs/how-to/{page}.md").read_text())
        if not re.match(r"kedro (run|add-products)", command)
    ]
    assert [command[0] for command in commands] == [
        "export-recommendations", "recommend", "recommend", "similar",
    ]  # fmt: skip
    printed = []
    for command in commands:
        arguments = list(command)
        for example, own in here.items():
            arguments = [argument.replace(example, own) for argument in arguments]
        done = kedro_here(ran.project, *arguments, "--env", "quick")
        assert done.returncode == 0, done.stderr[-3000:]
        printed.append(done.stdout)
    assert set(pd.read_csv(here["recommendations.csv"])["model"]) == {"blend"}
    assert "recommends:" in printed[1]
    in_category = titles[
        titles["attributes"].fillna("").str.contains(here["Skin Care"], regex=False)
    ]
    named = set(re.findall(r"^ *\d+ +([A-Z0-9]{10}) ", printed[2], re.MULTILINE))
    assert named
    assert named <= set(in_category["item_id"])
    assert titled["title"][:20] in printed[3]


# A Kedro command that prints which packages for trainings it has imported.
_LIST_IMPORTS = """
import sys
from kedro.framework.cli.cli import main

try:
    main()
finally:
    print("imported:", *{"tensorflow", "sklearn", "optuna"} & set(sys.modules), file=sys.stderr)
"""


def test_wrong_model_keeps_the_exported_table(ran: FinishedRun, tmp_path: Path) -> None:
    table = tmp_path / "everybody.csv"
    table.write_text("of yesterday")
    wrong = run_script(
        ran.project, _LIST_IMPORTS, "export-recommendations", str(table), "--env", "quick",
        "--model", "regresor",
    )  # fmt: skip
    assert wrong.returncode != 0
    assert "Did you mean 'regressor'? Available: blend, classifier, " in wrong.stderr
    assert table.read_text() == "of yesterday"
    # The command starts fast, because it imports no pipelines.
    assert wrong.stderr.endswith("imported:\n")


def test_added_product_is_recommended_at_once(ran: FinishedRun, tmp_path: Path) -> None:
    project = Path(shutil.copytree(ran.project, tmp_path, dirs_exist_ok=True))
    bundle = get_folder(project, "06_models") / "bundle"
    products = pd.read_feather(bundle / "products.arrow")
    like = products[products["title"].notna()].sort_values("purchases").iloc[-1]
    lines = [
        {"parent_asin": "NEW1", "title": f"{like['title']}, new edition", "store": "Novum"},
        {"parent_asin": "NEW2", "title": ""},
        {"parent_asin": like["item_id"], "title": "another title"},
    ]
    # The name is no glob pattern, and the file lacks an attribute of the store's own files.
    new = tmp_path / "new[1].jsonl"
    new.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = snapshot(project)
    added = kedro_here(project, "add-products", str(new), "--env", "quick")
    assert added.returncode == 0, added.stderr[-3000:]
    assert f"1 products added; the catalogue has {len(products) + 1:,}" in added.stdout
    assert f"1 have a title in the raw files and keep it: {like['item_id']}" in added.stdout
    assert "1 left out (no title): NEW2" in added.stdout
    assert "The file has no column categories: the products have no such" in added.stdout
    assert "`kedro similar --env quick NEW1`" in added.stdout
    changed = {path for path, content in snapshot(project).items() if before.get(path) != content}
    assert {Path(path).name for path in changed} == {
        "added_products.parquet", "title_vectors.parquet", "products.arrow", "vectors.npy",
        "checksums.sha256",
    }  # fmt: skip

    recommender = Recommender.load(bundle)
    (near,) = recommender.similar("NEW1", k=1)
    assert (near.item_id, near.title) == (like["item_id"], like["title"])
    # The regressor ranks it without a new training.
    user = ran.read_sequences()["user_id"].iloc[0]
    found = recommender.recommend(recommender.history(user), k=81, model="regressor")
    assert "NEW1" in [one.item_id for one in found]

    run = kedro_here(
        project, "run", "--env", "quick", "--pipelines",
        "joining,sequencing,embedding,recommendation",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    # The next run reads it like a product of the store's own files.
    listed = pd.read_parquet(project / "data/03_primary/sample/products.parquet")
    (row,) = listed[listed["item_id"] == "NEW1"].to_dict("records")
    assert (row["title"], row["title_source"]) == (lines[0]["title"], "added by hand")
    assert row["attributes"] == "Novum"
    table = tmp_path / "everybody.csv"
    exported = kedro_here(
        project, "export-recommendations", str(table), "--env", "quick", "--model", "regressor"
    )
    assert exported.returncode == 0, exported.stderr[-3000:]
    everybody = pd.read_csv(table)
    assert set(everybody["model"]) == {"regressor"}
    # The table has the Recommender's answers. The new product is one of the ranked products.
    own = everybody[everybody["user_id"] == user].sort_values("rank")["item_id"].tolist()
    found = Recommender.load(bundle).recommend_to_customer(user, k=81, model="regressor")
    ranked = [one.item_id for one in found]
    assert ranked[:10] == own
    assert "NEW1" in ranked
    # A corrected title replaces the earlier one.
    lines[0]["title"] = "Oat Milk Shampoo, 250 ml"
    new.write_text("".join(json.dumps(line) + "\n" for line in lines))
    added = kedro_here(project, "add-products", str(new), "--env", "quick")
    assert "1 were added before and are updated: NEW1" in added.stdout
    titles = pd.read_feather(bundle / "products.arrow").set_index("item_id")["title"]
    assert titles["NEW1"] == lines[0]["title"]
    assert titles[like["item_id"]] == like["title"]
    (near,) = Recommender.load(bundle).similar("NEW1", k=1)
    assert "Shampoo" in near.title


def test_nightly_run_continues_training_with_new_purchases(
    ran: FinishedRun, tmp_path: Path
) -> None:
    """A second file of purchases has new customers and a new product, and training is warm."""
    project = Path(shutil.copytree(ran.project, tmp_path, dirs_exist_ok=True))
    settings = yaml.safe_load((project / "conf/base/globals.yml").read_text())
    settings["interactions"]["reviews"]["files"] = "All_Beauty*.jsonl.gz"
    settings["products"]["metadata"]["files"] = "meta_All_Beauty*.jsonl.gz"
    (project / "conf/quick/globals.yml").write_text(
        yaml.safe_dump({name: settings[name] for name in ("interactions", "products")})
    )
    raw = project / "data/01_raw/sample"
    products = pd.read_feather(ran.get_folder("06_models") / "bundle" / "products.arrow")
    bought, first_time = [*products["item_id"].iloc[:3], "A_NEW"], 1_700_000_000_000
    purchases = [
        {
            "user_id": f"new{user}",
            "parent_asin": item,
            "timestamp": first_time + position,
            "rating": 5,
        }
        for user in range(8)
        for position, item in enumerate(bought)
    ]
    for name, lines in (
        ("All_Beauty_2.jsonl.gz", purchases),
        (
            "meta_All_Beauty_2.jsonl.gz",
            [{"parent_asin": "A_NEW", "title": "A new soap", "store": "Novum", "categories": []}],
        ),
    ):
        (raw / name).write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    # Everything but the networks of the original study, whose results stay those of the day before.
    run = kedro_here(project, "run", "--env", "quick", "--params", "warm_start=true")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    printed = " ".join((run.stdout + run.stderr).split())
    # New customers get recommendations, and the new product is recommended.
    folder = get_folder(project, "07_model_output")
    everybody = pd.read_parquet(folder / "recommendations.parquet")
    listed = everybody[everybody["user_id"] == "new3"]
    sizes = listed.groupby("model").size()
    assert set(TRAINED) < set(sizes.index)
    assert (sizes == 10).all()
    assert "A_NEW" in set(everybody["item_id"])
    for model in ("classifier", "regressor"):
        assert f"training continues from the last weights of {model}" in printed
    assert "starts from scratch" not in printed
    assert "starts without it" not in printed
    for model in ("classifier", "regressor"):
        trained = json.loads((folder / f"{model}_training.json").read_text())
        assert trained["warm_start"]
        assert len(pd.read_csv(folder / f"{model}_training_log.csv")) == 2
        path = get_folder(project, "06_models") / f"{model}.keras"
        network = NetworkDataset(filepath=str(path)).load()
        assert network.n_items == len(products) + 1
        assert "A_NEW" in network.item_ids
        measured, before = (
            json.loads((output / f"{model}_metrics.json").read_text())
            for output in (folder, ran.get_folder("07_model_output"))
        )
        assert measured["filtered"]["ndcg@10"] > before["filtered"]["ndcg@10"] - 0.05

    # The report leaves out the results on other data, and the run warns about it.
    metrics = json.loads((get_folder(project, "08_reporting") / "metrics.json").read_text())
    # The oracle does not know the new customers.
    assert list(metrics["models"]) == [*TRAINED, *BASELINES]
    assert metrics["outdated_models"] == STUDY_NETWORKS
    assert "model_i and model_ii were measured on other data and are left out" in printed
    assert "Run the pipeline modelling_reproduction" in printed
    assert "Left out, measured on other data: Model I (reproduction), Model II" in printed


def test_models_and_seeds_are_compared(ran: FinishedRun) -> None:
    seed_7 = get_folder(ran.project, "07_model_output", "auto/seed_7")
    report = get_folder(ran.project, "08_reporting", "auto")
    try:
        seed_7.mkdir()
        for path in ran.get_folder("07_model_output").glob("classifier_*"):
            shutil.copy(path, seed_7)
        run = kedro_here(ran.project, "run", "--env", "quick", "--pipelines", "comparison")
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
        comparison, metrics = (
            json.loads((report / "comparison.json").read_text()),
            ran.read_metrics(),
        )
        assert set(comparison["models"]) == set(MODELS)
        assert comparison["models"]["classifier"]["seeds"] == [7, 42]
        assert comparison["models"]["classifier"]["filtered"]["hr@10"]["sd"] == 0
        assert comparison["models"]["regressor"]["seeds"] == [42]
        assert comparison["models"]["popularity"]["seeds"] == []
        for model, figures in comparison["models"].items():
            for name in ("hr@10", "ndcg@10", "mrr@20", "coverage@10", "novelty@10"):
                measured = metrics["models"][model]["unfiltered"][name]
                assert figures["unfiltered"][name]["mean"] == pytest.approx(measured)
        differences = {tuple(one["models"]): one["filtered"] for one in comparison["differences"]}
        # The oracle takes no part in the tests.
        assert len(differences) == math.comb(len(MODELS) - 1, 2)
        assert differences["classifier", "popularity"]["ndcg@10"]["significant"]
        assert (report / "comparison.png").stat().st_size > 5_000
        assert "Classifier" in (report / "comparison.md").read_text()
        assert str(report / "comparison.md") in run.stdout.replace("\n", "")
    finally:
        shutil.rmtree(seed_7)


def test_blend_weights_are_chosen_on_validation_rows(ran: FinishedRun) -> None:
    project, models = ran.project, ran.get_folder("06_models")
    output = ran.get_folder("07_model_output")
    chosen = json.loads((output / "blend_training.json").read_text())
    component_ndcg = chosen["validation_ndcg@10"]
    assert list(chosen["weights"]) == list(component_ndcg)
    assert sum(chosen["weights"].values()) == pytest.approx(1)
    assert chosen["blend_validation_ndcg@10"] >= max(component_ndcg.values())
    # The training measured the same rows in its best epoch, and so did the evaluation.
    log = pd.read_csv(output / "classifier_training_log.csv")
    assert component_ndcg["classifier"] == pytest.approx(log["val_ndcg@10"].max(), rel=1e-4)
    figures = ran.read_metrics()["models"]
    for model, ndcg in component_ndcg.items():
        assert ndcg == pytest.approx(figures[model]["validation_ndcg@10"], rel=1e-4)
    page = (ran.get_folder("08_reporting") / "report.html").read_text()
    assert "validation rows" in page

    before = snapshot(project)
    with_seed = (
        "run", "--env", "quick", "--pipelines", "modelling_blend", "--params", "blend.seeds=[7]"
    )  # fmt: skip
    seed_7 = models.with_name("seed_7")
    try:
        run = kedro_here(project, *with_seed)
        assert run.returncode != 0
        assert "There is no classifier with seed 7. Train it with" in run.stderr
        assert "Traceback" not in run.stdout + run.stderr
        assert snapshot(project) == before
        seed_7.mkdir()
        for model in ("classifier", "regressor"):
            for path in models.glob(f"{model}.keras*"):
                shutil.copy(path, seed_7)
        run = kedro_here(project, *with_seed)
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
        weights = json.loads((output / "blend_training.json").read_text())["weights"]
        assert set(weights) == {*chosen["weights"], "classifier, seed 7", "regressor, seed 7"}
    finally:
        shutil.rmtree(seed_7, ignore_errors=True)
        for name, content in before.items():
            if Path(name).name.startswith("blend_"):
                (project / name).write_bytes(content)


def test_models_are_not_evaluated_and_compared_in_one_run(ran: FinishedRun) -> None:
    run = kedro_here(
        ran.project, "run", "--env", "quick", "--pipelines", "modelling_baselines,comparison"
    )
    assert run.returncode != 0
    assert "comparison reads the results of earlier runs" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_each_pipeline_runs_alone(ran: FinishedRun) -> None:
    for pipeline in ("ingestion", "joining", "sequencing", "embedding", "modelling_baselines"):
        run = kedro_here(ran.project, "run", "--env", "quick", "--pipelines", pipeline)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        assert "Written:" in run.stdout
        if pipeline == "embedding":
            assert "0 to embed" in " ".join(run.stdout.split())


def test_second_run_gives_the_same_results(ran: FinishedRun) -> None:
    before = snapshot(ran.project)
    run = kedro_here(ran.project, "run", "--env", "quick")
    assert run.returncode == 0
    after = snapshot(ran.project)
    assert set(before) == set(after)
    # These contain the time of training, or the time at which an archive was written.
    timed = (
        "training.json", "blend_weights.json", "training_log.csv",
        "reporting/sample/auto/seed_42/metrics.json", "report.html", ".keras", ".sha256",
    )  # fmt: skip
    compared = [name for name in before if not name.endswith(timed)]
    for name in compared:
        assert before[name] == after[name], name
    assert any(name.endswith("classifier_metrics.json") for name in compared)
    assert any(name.endswith("bundle/vectors.npy") for name in compared)
    first, second = (
        json.loads(files[f"data/08_reporting/sample/{RUN}/metrics.json"])
        for files in (before, after)
    )
    for model in MODELS:
        for mode in ("filtered", "unfiltered", "validation_ndcg@10"):
            assert first["models"][model][mode] == second["models"][model][mode]


ONE_EPOCH = ",".join(
    f"{model}.networks.{network}.training.epochs=1"
    for model, reproduced in REPRODUCTION_NETWORKS.items() for network in ("bazar", reproduced)
)  # fmt: skip


def test_shuffled_windows_have_results_of_their_own(ran: FinishedRun) -> None:
    project = ran.project
    before = ran.get_folder("08_reporting").joinpath("metrics.json").read_bytes()
    run = kedro_here(
        project, "run", "--env", "quick",
        "--pipelines", "sequencing,modelling_baselines,modelling_reproduction,reporting",
        "--params", f"split=shuffled_windows,sequencing.window_length=4,{ONE_EPOCH}",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert "shuffled_windows is leaky" in run.stdout
    folder = get_folder(project, "08_reporting", "shuffled_windows/seed_42")
    assert json.loads((folder / "metrics.json").read_text())["protocol"] == "shuffled_windows"
    assert "Leaky protocol: shuffled_windows" in (folder / "report.html").read_text()
    assert ran.get_folder("08_reporting").joinpath("metrics.json").read_bytes() == before
    per_user = ran.read_sequences().groupby("user_id").size()
    windows = int((per_user - 3).clip(lower=0).sum())
    path = project / "data/05_model_input/sample/shuffled_windows"
    splits = SplitsDataset(filepath=str(path)).load()
    assert len(splits.test) == round(windows * 0.2 + 0.4999)
    assert set(splits.test.lengths) == {3}
    counts = pd.DataFrame(splits.summary["windows"])
    assert counts["window_length"].tolist() == list(range(2, 11))
    of_four = counts.set_index("window_length").loc[4]
    assert of_four["windows"] == windows
    assert of_four["sequences"] == np.count_nonzero(per_user >= 4)


@pytest.mark.parametrize(
    ("split", "parameters"),
    [
        (
            "temporal",
            "sequencing.temporal.validation_from=2023-07-01,"
            "sequencing.temporal.test_from=2023-10-01",
        ),
        ("cold_items", "sequencing.cold_share=0.2"),
    ],
)
def test_other_splits_have_results_of_their_own(
    ran: FinishedRun, split: str, parameters: str
) -> None:
    before = ran.get_folder("08_reporting").joinpath("metrics.json").read_bytes()
    run = kedro_here(
        ran.project, "run", "--env", "quick", "--pipelines",
        "sequencing,modelling_baselines,modelling_regressor,recommendation,reporting",
        "--params", f"split={split},{parameters},{ONE_EPOCH}",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    # The suggested command answers with the networks of this run.
    assert f"kedro recommend --env quick --split {split} --user ID" in " ".join(run.stdout.split())
    folder = get_folder(ran.project, "08_reporting", f"{split}/seed_42")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["protocol"] == split
    assert set(metrics["models"]) == {"regressor", *BASELINES}
    assert (folder / "report.html").is_file()
    assert ran.get_folder("08_reporting").joinpath("metrics.json").read_bytes() == before
    current = ran.project / "data/06_models/sample/current"
    assert current.read_text().strip() == f"{split}/seed_42/bundle"
    output = get_folder(ran.project, "07_model_output", f"{split}/seed_42")
    lists = pd.read_parquet(output / "recommendations.parquet")
    of_user = lists[
        (lists["user_id"] == lists["user_id"].iloc[0]) & (lists["model"] == "regressor")
    ]
    recommender = Recommender.load(ran.project / "data/06_models/sample")
    found = recommender.recommend_to_customer(of_user["user_id"].iloc[0], model="regressor")
    assert [one.item_id for one in found] == of_user["item_id"].tolist()
    current.write_text(f"{RUN}/bundle\n")


@pytest.mark.parametrize(
    ("pipelines", "parameters", "parts"),
    [
        (
            "__default__",
            "embedding.encoder=./no-encoder",
            ["embedding.encoder: there is no folder ./no-encoder"],
        ),
        (
            "ingestion,embedding",
            "embedding.sha256=" + "f" * 64,
            ["embedding.sha256", "expected fff", "found    53aa"],
        ),
        ("ingestion", "splitt=leave_one_out", ["splitt: unknown key. Did you mean 'split'?"]),
        ("ingestion", "split=by_chance", ["split:", "leave_one_out", "found 'by_chance'"]),
        (
            "ingestion",
            "raw_dir=no/such/folder",
            ["does not exist", "no/such/folder/All_Beauty.jsonl.gz"],
        ),
        (
            "ingestion",
            "raw_dir=data/01_raw/half",
            ["does not exist", "half/meta_All_Beauty.jsonl.gz", "products.metadata.files"],
        ),
        (
            "ingestion",
            "ingestion.max_reject_share=0.0001",
            ["max_reject_share allows", "broken JSON"],
        ),
    ],
)
def test_wrong_input_is_reported_in_a_few_lines(
    ran: FinishedRun, pipelines: str, parameters: str, parts: list[str]
) -> None:
    half = ran.project / "data/01_raw/half"
    half.mkdir(exist_ok=True)
    (half / "All_Beauty.jsonl.gz").write_bytes(
        gzip.compress(
            b'{"user_id": "u", "parent_asin": "a", "timestamp": 1600000000000, "rating": 5}\n'
        )
    )
    before = snapshot(ran.project)
    run = kedro_here(
        ran.project, "run", "--env", "quick", "--pipelines", pipelines, "--params", parameters
    )
    assert run.returncode != 0
    message = run.stderr[run.stderr.index("Error:") :]
    for part in parts:
        assert part in message
    assert len(message.splitlines()) <= 12
    assert "Traceback" not in run.stdout + run.stderr
    assert snapshot(ran.project) == before


def test_unknown_names_are_reported_with_the_valid_ones(ran: FinishedRun) -> None:
    for arguments, message in (
        (("--env", "quik"), "There is no environment 'quik'. Did you mean 'quick'?"),
        (("--pipelines", "ingest"), "There is no pipeline 'ingest'. Did you mean 'ingestion'?"),
    ):
        run = kedro_here(ran.project, "run", *arguments)
        assert run.returncode != 0
        assert message in run.stderr
        assert "Traceback" not in run.stdout + run.stderr


def test_results_on_other_data_are_not_compared(ran: FinishedRun) -> None:
    project, report = ran.project, ran.get_folder("08_reporting") / "report.html"
    before = report.read_bytes()
    prepare = ("run", "--env", "quick", "--pipelines", "joining,sequencing")
    assert kedro_here(project, *prepare, "--params", "joining.min_interactions=9").returncode == 0
    try:
        run = kedro_here(
            project, "run", "--env", "quick", "--pipelines", "modelling_baselines,reporting"
        )
        assert run.returncode != 0
        # Results of the reproduced networks would be left out: the others must be current.
        message = run.stderr[run.stderr.index("Error:") :]
        assert "classifier, regressor, blend: measured on other data" in message
        assert "modelling_classifier,modelling_regressor,modelling_blend" in message
        assert report.read_bytes() == before
        run = kedro_here(project, "run", "--env", "quick", "--pipelines", "comparison")
        assert run.returncode != 0
        assert re.search("Error: [a-z_, ]*classifier, ", run.stderr)
        assert "measured on other data than the" in run.stderr
    finally:
        assert kedro_here(project, *prepare).returncode == 0
        again = kedro_here(project, "run", "--env", "quick", "--pipelines", "modelling_baselines")
        assert again.returncode == 0


def test_killed_training_is_resumed_with_the_same_result(ran: FinishedRun) -> None:
    project, models = ran.project, ran.get_folder("06_models")
    before = snapshot(project)
    dataset = NetworkDataset(filepath=str(models / "classifier.keras"))
    log = ran.get_folder("07_model_output") / "classifier_training_log.csv"
    expected_log = pd.read_csv(log)
    weights = dataset.load().get_weights()
    checkpoint = "classifier_checkpoint.npz"
    command = ("run", "--env", "quick", "--pipelines", "modelling_classifier")
    kill_in_training(project, 1, *command)
    # Only the checkpoint is new.
    killed = snapshot(project)
    assert {name: killed[name] for name in before} == before
    new = {Path(name).name for name in killed.keys() - before.keys()}
    assert new == {checkpoint}

    again = kedro_here(project, *command)
    assert again.returncode == 0, again.stdout[-2000:] + again.stderr[-2000:]
    assert "Resuming training after epoch" in " ".join((again.stdout + again.stderr).split())
    assert snapshot(project).keys() == before.keys()
    for resumed, uninterrupted in zip(dataset.load().get_weights(), weights, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)
    pd.testing.assert_frame_equal(
        pd.read_csv(log).drop(columns="seconds"), expected_log.drop(columns="seconds"),
        check_exact=True,
    )  # fmt: skip
    ranks = f"data/07_model_output/sample/{RUN}/classifier_ranks.parquet"
    assert snapshot(project)[ranks] == before[ranks]


# Texts that a notebook shows when it has worked, whatever the numbers are.
SHOWN = {
    "explore": [
        "nearest_titles", "coverage@10", "position", "nearest_cosine", "Regressor",
        r"(?s)classifier.*score",
    ],
    "semantic_space": [
        r"left out, no title +\d", "The models read: title_and_attributes", "cosine",
        r"own category among the 10 nearest +[01]\.\d{3} \(", "adjusted mutual information",
        r"(above|below|not shown to differ from) chance: difference",
    ],
    "compare_models": [
        "The best baseline: ", "By purchases before the target", "significant, corrected",
        r"lists of 10 products share \d",
    ],
}  # fmt: skip
FIGURES = {"explore": 0, "semantic_space": 2, "compare_models": 4}


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_notebook_runs(ran: FinishedRun, name: str) -> None:
    folder = ran.project / "notebooks"
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.get("data", {}) for output in outputs]
    shown = [output.get("text", "") for output in outputs]
    shown += [one.get(kind, "") for one in data for kind in ("text/plain", "text/html")]
    # Kedro's extension makes Rich print in colours.
    shown = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in shown]
    for text in SHOWN[name]:
        assert any(re.search(text, output) for output in shown), text
    assert sum("image/png" in one for one in data) == FIGURES[name]


def test_lineage_is_built(ran: FinishedRun) -> None:
    project = ran.project
    build = kedro(project, "viz", "build", "--include-previews")
    assert build.returncode == 0, build.stdout[-2000:] + build.stderr[-2000:]
    assert (project / "build" / "index.html").is_file()
    graph = json.loads((project / "build" / "api" / "main").read_text())
    assert graph["layers"] == [
        "raw", "intermediate", "primary", "feature", "model_input", "models", "model_output",
        "reporting",
    ]  # fmt: skip
    assert {"ingestion", "joining", "reporting"} <= {one["id"] for one in graph["pipelines"]}
    assert len(graph["nodes"]) > 50
    with browser() as chromium, served(project / "build") as address:
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{address}/index.html")
        page.locator(".pipeline-node").first.wait_for(timeout=120_000)
        # Each pipeline is a closed box, with the data sets between the boxes.
        assert page.locator(".pipeline-node--modularPipeline").count() == 10
        assert 15 < page.locator(".pipeline-node--data").count() <= 25
    details = [json.loads(path.read_text()) for path in (project / "build/api/nodes").iterdir()]
    previewed = [one["filepath"] for one in details if one.get("preview")]
    assert any(path.endswith("sequences.parquet") for path in previewed)
    assert any(path.endswith("sample/auto") for path in previewed)
