"""Real runs of the real pipelines, on a small made-up shop, as a user starts them."""

import gzip
import json
import math
import re
import shlex
import shutil
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from bazar.config.networks import REPRODUCED
from bazar.datasets.arrays import WindowsDataset
from bazar.datasets.network import NetworkDataset
from bazar.synthetic.amazon_2023 import StoreOptions, StoreSummary, generate
from tests.browser import browser, opened, served
from tests.docs.test_commands import commands_of
from tests.project import NOTEBOOKS, ROOT, copy_project, kedro, kill_in_training, snapshot

SMALL_STORE = StoreOptions(products=80, customers=250, interactions=2_500, seed=3)
QUICK = {
    model: {
        "networks": {
            "bazar": {"training": {"epochs": 20, "batch_size": 128, "learning_rate": 0.003}},
            reproduced: {"training": {"epochs": 2, "batch_size": 128}},
        }
    }
    for model, reproduced in REPRODUCED.items()
} | {
    "evaluation": {"bootstrap_resamples": 100},
}
RECOMMENDED = "recommendations.parquet"
TRAINED = ["classifier", "regressor", "model_i", "model_ii"]
MODELS = [
    *TRAINED, "blend", "popularity", "recent_popularity", "last_item_cooccurrence",
    "decayed_cooccurrence", "session_knn", "ease", "nearest_titles",
]  # fmt: skip


def quick_project(folder: Path) -> tuple[Path, StoreSummary]:
    """A copy of the project with a small store and short training."""
    project = copy_project(folder)
    quick = project / "conf" / "quick"
    quick.mkdir()
    (quick / "parameters.yml").write_text(yaml.safe_dump(QUICK))
    return project, generate(project / "data" / "01_raw" / "sample", SMALL_STORE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StoreSummary, str]:
    """The project after a whole run, and what the run printed."""
    project, summary = quick_project(tmp_path_factory.mktemp("project"))
    run = kedro(project, "run", "--env", "quick")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return project, summary, run.stdout


def test_metrics(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    metrics = json.loads((project / "data/08_reporting/sample/metrics.json").read_text())
    sequences = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    assert metrics["dataset"] == "sample"
    assert metrics["protocol"] == "leave_one_out"
    assert metrics["n_users"] == metrics["n_test_rows"] == sequences["user_id"].nunique()
    assert metrics["n_items"] == 80
    assert metrics["n_interactions"] == len(sequences)
    assert list(metrics["models"]) == MODELS
    for model, figures in metrics["models"].items():
        for history in ("filtered", "unfiltered"):
            measured = figures[history]
            low, high = measured["hr@10_ci95"]
            assert 0 <= low <= measured["hr@10"] <= high <= 1
            assert measured["hr@1"] <= measured["hr@5"] <= measured["hr@10"] <= measured["hr@20"]
            assert measured["ndcg@10"] <= measured["hr@10"]
            assert 0 < measured["coverage@10"] <= 1
        assert (figures["n_parameters"] > 0) == (model in [*TRAINED, "blend"])


def test_both_models_beat_popularity(ran: tuple[Path, StoreSummary, str]) -> None:
    metrics = json.loads((ran[0] / "data/08_reporting/sample/metrics.json").read_text())
    popular = metrics["models"]["popularity"]["filtered"]["hr@10"]
    for model in ("classifier", "regressor"):
        assert metrics["models"][model]["filtered"]["hr@10"] > 1.1 * popular


def test_the_dirt_is_rejected_and_nothing_else(ran: tuple[Path, StoreSummary, str]) -> None:
    project, summary, _ = ran
    rejects = pd.read_parquet(project / "data/02_intermediate/sample/rejects.parquet")
    counts = pd.read_parquet(project / "data/02_intermediate/sample/ingestion_counts.parquet")
    by_file = counts.set_index("source_file")
    assert (counts["rows_read"] == counts["rows_kept"] + counts["rows_rejected"]).all()
    dirt = summary.review_dirt
    doubled = dirt.get("duplicate", 0)
    assert by_file.loc["All_Beauty.jsonl.gz", "rows_read"] == 2_500 + sum(dirt.values())
    assert by_file.loc["All_Beauty.jsonl.gz", "rows_kept"] == 2_500 + doubled
    found = rejects[rejects["source_file"] == "All_Beauty.jsonl.gz"]
    assert found.set_index("reason")["count"].to_dict() == {
        "broken JSON": dirt["broken line"] + dirt["not JSON"],
        "missing user_id": dirt["null user_id"],
        "missing item_id": dirt["empty parent_asin"] + dirt["no parent_asin"],
        "impossible timestamp": sum(
            dirt[kind] for kind in ("timestamp 0", "negative timestamp", "timestamp in 2190")
        ),
    }
    steps = pd.read_parquet(project / "data/03_primary/sample/joining_counts.parquet")
    assert steps["interactions"].tolist()[:2] == [2_500 + doubled, 2_500]


def test_products_that_nobody_bought_are_in_the_catalogue(
    ran: tuple[Path, StoreSummary, str],
) -> None:
    project, summary, _ = ran
    index = pd.read_parquet(project / "data/04_feature/sample/item_index.parquet")
    counts = np.load(project / "data/05_model_input/sample/training_counts.npy")
    vectors = np.load(project / "data/04_feature/sample/item_vectors.npy")
    unsold = index[index["item_id"].isin(summary.unsold)]
    assert len(unsold) == len(summary.unsold) > 0
    assert (counts[unsold["item_index"]] == 0).all()
    assert vectors.shape == (81, 384)
    assert not vectors[0].any()


def test_what_is_recommended(ran: tuple[Path, StoreSummary, str]) -> None:
    folder = ran[0] / "data/07_model_output/sample"
    sequences = pd.read_parquet(ran[0] / "data/04_feature/sample/sequences.parquet")
    last = sequences.sort_values("position").groupby("user_id")["item_id"].last()
    before = sequences.merge(last.rename("target"), left_on="user_id", right_index=True)
    for model in MODELS:
        ranks = pd.read_parquet(folder / f"{model}_ranks.parquet")
        assert (ranks.set_index("user_id")["item_id"] == last.loc[ranks["user_id"]]).all()
        lists = pd.read_parquet(folder / f"{model}_recommendations.parquet")
        filtered = lists[lists["history"] == "filtered"]
        assert (filtered.groupby("row").size() == 20).mean() > 0.95
        assert filtered.groupby("row")["score"].apply(lambda s: s.is_monotonic_decreasing).all()
        longest = before["position"].max()
        seen = before[before["position"] < before.groupby("user_id")["position"].transform("max")]
        assert longest > 5
        both = filtered.merge(seen[["user_id", "item_id"]], on=["user_id", "item_id"])
        assert both.empty


def test_the_run_says_where_things_are(ran: tuple[Path, StoreSummary, str]) -> None:
    project, _, printed = ran
    report = project / "data/08_reporting/sample/report.html"
    assert str(report) in printed.replace("\n", "")
    assert "Classifier recommends" in printed
    assert "Regressor recommends" in printed
    assert "<!doctype html>" in report.read_text()
    assert report.with_name("classifier_loss.png").stat().st_size > 5_000
    history = pd.read_csv(project / "data/06_models/sample/classifier_history.csv")
    assert history["epoch"].tolist() == list(range(1, len(history) + 1))


def test_the_report_page_in_a_browser(ran: tuple[Path, StoreSummary, str]) -> None:
    report = ran[0] / "data/08_reporting/sample/report.html"
    assert report.stat().st_size < 5_000_000
    with browser() as chromium:
        for width, scheme in ((1400, "light"), (390, "dark")):
            with opened(chromium, report.as_uri(), width, scheme) as page:
                # On a phone nothing but tables, in boxes of their own, is wider than the screen.
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (grounds == "rgb(255, 255, 255)") == (scheme == "light")
                figures = page.locator("figure svg")
                # Two metrics, two kinds of slices, coverage and novelty, the map of titles, and the
                # losses of four networks.
                assert figures.count() == 10
                for figure in figures.all():
                    drawn = figure.bounding_box()
                    assert drawn is not None
                    assert drawn["width"] > 200
                    assert drawn["height"] > 100
                    assert figure.locator("path, use").count() > 10


def test_everybody_is_recommended_to(ran: tuple[Path, StoreSummary, str]) -> None:
    data = ran[0] / "data"
    rows = pd.read_parquet(data / "07_model_output/sample/recommendations.parquet")
    bought = pd.read_parquet(data / "04_feature/sample/sequences.parquet")
    titles = pd.read_parquet(data / "03_primary/sample/products.parquet").set_index("item_id")
    assert rows.columns.tolist() == [
        "user_id", "model", "rank", "item_id", "title", "score", "answered_by",
    ]  # fmt: skip
    assert rows["answered_by"].tolist() == rows["model"].tolist()
    assert set(rows["model"]) == {"blend", "classifier", "regressor"}
    for _, of_model in rows.groupby("model"):
        assert set(of_model["user_id"]) == set(bought["user_id"])
        assert (of_model.groupby("user_id").size() == 10).all()
    # The last purchase, which is what models are tested on, is one that was seen.
    assert rows.merge(bought, on=["user_id", "item_id"]).empty
    assert rows["title"].tolist() == titles.loc[rows["item_id"], "title"].tolist()


def answer(project: Path, *arguments: str) -> dict[str, Any]:
    """What a command prints as JSON, and nothing else."""
    ran = kedro(project, *arguments, "--env", "quick", "--json")
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def test_a_customer_is_recommended_to_by_a_command(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    rows = pd.read_parquet(project / "data/07_model_output/sample/recommendations.parquet")
    user = rows["user_id"].iloc[-1]
    found = answer(project, "recommend", "--user", user, "--model", "classifier")
    bought = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    assert found["history"] == bought.loc[bought["user_id"] == user, "item_id"].tolist()
    expected = rows[(rows["user_id"] == user) & (rows["model"] == "classifier")]
    assert [one["item_id"] for one in found["products"]] == expected["item_id"].tolist()
    for product in found["products"]:
        assert product["nearest_item_id"] in found["history"]

    shown = kedro(
        project,
        "recommend",
        "--env",
        "quick",
        "--items",
        f"{found['history'][0]},gone",
        "--top",
        "2",
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    for part in ("Classifier recommends", "nearest past purchase", "skipped: gone"):
        assert part in shown.stdout
    wrong = kedro(project, "recommend", "--env", "quick", "--user", "nobody")
    assert wrong.returncode != 0
    assert "there is no customer nobody" in wrong.stderr
    assert "Traceback" not in wrong.stdout + wrong.stderr
    wrong = kedro(project, "recommend", "--env", "quik", "--user", user)
    assert "there is no environment quik\nThere are amazon_all_beauty_2023" in wrong.stderr
    assert "Traceback" not in wrong.stdout + wrong.stderr


def test_the_example_of_the_python_call(
    ran: tuple[Path, StoreSummary, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = ran[0]
    told = (ROOT / "docs/recommend.md").read_text()
    block = told[told.index("    from bazar import Recommender") :].split("\n\n    shop = ")
    code = f"{block[0]}\n    shop = {block[1].split(chr(10) * 2)[0]}"
    # Its products and its customer are of the store that the project carries.
    rows = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    for example, here in (
        ("0035786242", rows["item_id"].iloc[0]),
        ("B0K6VFDAQ6", rows["item_id"].iloc[-1]),
        ("AYM3ZO4LJ5KWOGVR64OK2OD2JROP", rows["user_id"].iloc[0]),
    ):
        assert example in code
        code = code.replace(example, here)
    monkeypatch.chdir(project)
    names: dict[str, Any] = {}
    exec(textwrap.dedent(code), names)
    assert len(names["shop"].products) == 80
    assert code.count("shop.") == 4


def test_the_commands_of_the_page(ran: tuple[Path, StoreSummary, str], tmp_path: Path) -> None:
    project = ran[0]
    rows = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    titles = pd.read_parquet(project / "data/03_primary/sample/products.parquet")
    titled = titles[titles["title"].notna() & titles["attributes"].notna()].iloc[0]
    # Its products and its customer are of the store that the project carries.
    here = {
        "0035786242": rows["item_id"].iloc[0], "B0K6VFDAQ6": titled["item_id"],
        "AYM3ZO4LJ5KWOGVR64OK2OD2JROP": rows["user_id"].iloc[0],
        "Skin Care": titled["attributes"].split(", ")[-1],
        "recommendations.csv": str(tmp_path / "recommendations.csv"),
    }  # fmt: skip
    asked = [
        shlex.split(command)[1:]
        for command in commands_of((ROOT / "docs/recommend.md").read_text())
        if not re.match(r"kedro (run|add-products)", command)
    ]
    assert [command[0] for command in asked] == [
        "export-recommendations", "recommend", "recommend", "similar",
    ]  # fmt: skip
    printed = []
    for command in asked:
        arguments = list(command)
        for example, own in here.items():
            arguments = [argument.replace(example, own) for argument in arguments]
        done = kedro(project, *arguments, "--env", "quick")
        assert done.returncode == 0, done.stderr[-3000:]
        printed.append(done.stdout)
    assert set(pd.read_csv(here["recommendations.csv"])["model"]) == {"blend"}
    assert "Classifier recommends" in printed[1]
    of_category = titles[
        titles["attributes"].fillna("").str.contains(here["Skin Care"], regex=False)
    ]
    named = set(re.findall(r"^ *\d+ +([A-Z0-9]{10}) ", printed[2], re.MULTILINE))
    assert named
    assert named <= set(of_category["item_id"])
    assert titled["title"][:20] in printed[3]


def test_a_new_product_is_recommended_at_once(
    ran: tuple[Path, StoreSummary, str], tmp_path: Path
) -> None:
    project = tmp_path
    shutil.copytree(ran[0], project, dirs_exist_ok=True)
    products = pd.read_parquet(project / "data/06_models/sample/bundle_products.parquet")
    like = products[products["title"].notna()].sort_values("purchases").iloc[-1]
    lines = [
        {"parent_asin": "NEW1", "title": f"{like['title']}, new edition", "store": "Novum"},
        {"parent_asin": "NEW2", "title": ""},
        {"parent_asin": like["item_id"], "title": "another title"},
    ]
    # Neither a pattern, nor with every attribute of the shop's own files.
    new = tmp_path / "new[1].jsonl"
    new.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = snapshot(project)
    added = kedro(project, "add-products", str(new), "--env", "quick")
    assert added.returncode == 0, added.stderr[-3000:]
    assert f"1 products added; the catalogue has {len(products) + 1:,}" in added.stdout
    assert f"1 have a title already, and stay as they are: {like['item_id']}" in added.stdout
    assert "1 left out: no title" in added.stdout
    assert "the file has no column categories: of these products it is not known" in added.stdout
    assert "`kedro similar NEW1 --env quick`" in added.stdout
    changed = {path for path, content in snapshot(project).items() if before.get(path) != content}
    assert {Path(path).name for path in changed} == {
        "added_products.parquet", "title_vectors.parquet", "bundle_products.parquet",
        "bundle_vectors.npy",
    }  # fmt: skip

    near = answer(project, "similar", "NEW1", "--top", "1")["products"]
    assert (near[0]["item_id"], near[0]["title"]) == (like["item_id"], like["title"])
    # Without any training, it is ranked among the others.
    user = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")["user_id"].iloc[0]
    found = answer(project, "recommend", "--user", user, "--model", "regressor", "--top", "81")
    assert "NEW1" in [one["item_id"] for one in found["products"]]

    run = kedro(
        project, "run", "--env", "quick", "--pipelines",
        "joining,sequencing,embedding,recommendation",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    # The next run trains with it: it is a product like those of the data set's own files.
    listed = pd.read_parquet(project / "data/03_primary/sample/products.parquet")
    (row,) = listed[listed["item_id"] == "NEW1"].to_dict("records")
    assert (row["title"], row["title_source"]) == (lines[0]["title"], "added by hand")
    assert row["attributes"] == "Novum"
    table = tmp_path / "everybody.csv"
    exported = kedro(
        project, "export-recommendations", str(table), "--env", "quick", "--model", "regressor"
    )
    assert exported.returncode == 0, exported.stderr[-3000:]
    everybody = pd.read_csv(table)
    assert set(everybody["model"]) == {"regressor"}
    # To some it is one of the best ten, by the command as in the table.
    user = everybody.loc[everybody["item_id"] == "NEW1", "user_id"].iloc[0]
    found = answer(project, "recommend", "--user", user, "--model", "regressor")
    assert "NEW1" in [one["item_id"] for one in found["products"]]
    # A title that was wrong is told anew, by those who told it.
    lines[0]["title"] = "Oat Milk Shampoo, 250 ml"
    new.write_text("".join(json.dumps(line) + "\n" for line in lines))
    added = kedro(project, "add-products", str(new), "--env", "quick")
    assert "1 were added before: what this file says of them counts" in added.stdout
    packed = project / "data/06_models/sample/bundle_products.parquet"
    titles = pd.read_parquet(packed).set_index("item_id")["title"]
    assert titles["NEW1"] == lines[0]["title"]
    assert titles[like["item_id"]] == like["title"]
    assert "Shampoo" in answer(project, "similar", "NEW1", "--top", "1")["products"][0]["title"]

    before = table.read_bytes()
    wrong = kedro(
        project, "export-recommendations", str(table), "--env", "quick", "--model", "regresor"
    )
    assert wrong.returncode != 0
    assert "There are blend, classifier, regressor" in wrong.stderr
    assert table.read_bytes() == before


def test_the_next_night(ran: tuple[Path, StoreSummary, str], tmp_path: Path) -> None:
    """One more file of purchases, of new products as well, and a training that goes on."""
    project = tmp_path
    shutil.copytree(ran[0], project, dirs_exist_ok=True)
    settings = yaml.safe_load((project / "conf/base/globals.yml").read_text())
    settings["interactions"]["reviews"]["files"] = "All_Beauty*.jsonl.gz"
    settings["products"]["metadata"]["files"] = "meta_All_Beauty*.jsonl.gz"
    (project / "conf/quick/globals.yml").write_text(
        yaml.safe_dump({name: settings[name] for name in ("interactions", "products")})
    )
    raw = project / "data/01_raw/sample"
    products = pd.read_parquet(project / "data/06_models/sample/bundle_products.parquet")
    bought, time_of_the_first = [*products["item_id"].iloc[:3], "A_NEW"], 1_700_000_000_000
    purchases = [
        {
            "user_id": f"new{user}",
            "parent_asin": item,
            "timestamp": time_of_the_first + day,
            "rating": 5,
        }
        for user in range(8)
        for day, item in enumerate(bought)
    ]
    for name, lines in (
        ("All_Beauty_2.jsonl.gz", purchases),
        (
            "meta_All_Beauty_2.jsonl.gz",
            [{"parent_asin": "A_NEW", "title": "A new soap", "store": "Novum", "categories": []}],
        ),
    ):
        (raw / name).write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    run = kedro(
        project, "run", "--env", "quick", "--params", "warm_start=true", "--pipelines",
        "ingestion,joining,sequencing,embedding,modelling_classifier,modelling_regressor,"
        "modelling_blend,recommendation",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    # Who bought for the first time that night is recommended to, and what is new is, too.
    everybody = pd.read_parquet(project / "data/07_model_output/sample/recommendations.parquet")
    listed = everybody[everybody["user_id"] == "new3"]
    assert listed.groupby("model").size().to_dict() == {
        "classifier": 10, "regressor": 10, "blend": 10,
    }  # fmt: skip
    assert not set(listed["item_id"]) & set(bought)
    assert "A_NEW" in set(everybody["item_id"])
    assert run.stdout.count("warm start: from the weights of") == 2
    assert "begins anew" not in " ".join(run.stdout.split())
    for model in ("classifier", "regressor"):
        folder = project / "data/06_models/sample"
        trained = json.loads((folder / f"{model}_training.json").read_text())
        assert trained["warm_start"]
        assert len(pd.read_csv(folder / f"{model}_history.csv")) == 2
        network = NetworkDataset(filepath=str(folder / f"{model}.keras")).load()
        assert network.n_items == len(products) + 1
        assert "A_NEW" in network.item_ids
        measured, before = (
            json.loads((place / f"data/07_model_output/sample/{model}_metrics.json").read_text())
            for place in (project, ran[0])
        )
        assert measured["filtered"]["ndcg@10"] > before["filtered"]["ndcg@10"] - 0.05


def test_models_and_seeds_are_compared(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    output, models = (
        project / "data" / layer / "sample" for layer in ("07_model_output", "06_models")
    )
    seeds = [folder / "seed_7" for folder in (output, models)]
    report = project / "data/08_reporting/sample"
    try:
        for folder in seeds:
            folder.mkdir()
            for path in folder.parent.glob("classifier_*"):
                shutil.copy(path, folder)
        run = kedro(project, "run", "--env", "quick", "--pipelines", "comparison")
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
        comparison = json.loads((report / "comparison.json").read_text())
        metrics = json.loads((report / "metrics.json").read_text())
        assert set(comparison["models"]) == set(MODELS)
        assert comparison["models"]["classifier"]["seeds"] == [7, 42]
        assert comparison["models"]["classifier"]["filtered"]["hr@10"]["sd"] == 0
        assert comparison["models"]["regressor"]["seeds"] == [42]
        assert comparison["models"]["popularity"]["seeds"] == []
        for model, figures in comparison["models"].items():
            for name in ("hr@10", "ndcg@10", "mrr@20", "coverage@10", "novelty@10"):
                measured = metrics["models"][model]["unfiltered"][name]
                assert figures["unfiltered"][name]["mean"] == pytest.approx(measured)
        told = {tuple(one["models"]): one["filtered"] for one in comparison["differences"]}
        assert len(told) == math.comb(len(MODELS), 2)
        assert told["classifier", "popularity"]["ndcg@10"]["real"]
        assert (report / "comparison.png").stat().st_size > 5_000
        assert "Classifier" in (report / "comparison.md").read_text()
        assert str(report / "comparison.md") in run.stdout.replace("\n", "")
    finally:
        for folder in seeds:
            shutil.rmtree(folder)


def test_the_blend(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    models = project / "data/06_models/sample"
    chosen = json.loads((models / "blend_training.json").read_text())
    of_components = chosen["validation_ndcg@10"]
    assert list(chosen["weights"]) == list(of_components)
    assert sum(chosen["weights"].values()) == pytest.approx(1)
    assert chosen["blend_validation_ndcg@10"] >= max(of_components.values())
    # What training has measured on the same rows in its best epoch.
    history = pd.read_csv(models / "classifier_history.csv")
    assert of_components["classifier"] == pytest.approx(history["val_ndcg@10"].max(), rel=1e-4)
    page = (project / "data/08_reporting/sample/report.html").read_text()
    assert "validation rows" in page
    before = snapshot(project)
    with_seed = (
        "run", "--env", "quick", "--pipelines", "modelling_blend", "--params", "blend.seeds=[7]"
    )  # fmt: skip
    try:
        run = kedro(project, *with_seed)
        assert run.returncode != 0
        assert "there is no classifier of seed 7" in run.stderr
        assert "Traceback" not in run.stdout + run.stderr
        assert snapshot(project) == before
        (models / "seed_7").mkdir()
        for model in ("classifier", "regressor"):
            for path in models.glob(f"{model}.keras*"):
                shutil.copy(path, models / "seed_7")
        run = kedro(project, *with_seed)
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
        weighed = json.loads((models / "blend_training.json").read_text())
        assert set(weighed["weights"]) == {
            *chosen["weights"], "classifier, seed 7", "regressor, seed 7",
        }  # fmt: skip
    finally:
        shutil.rmtree(models / "seed_7", ignore_errors=True)
        for name, content in before.items():
            if Path(name).name.startswith("blend_"):
                (project / name).write_bytes(content)


def test_what_a_run_measures_is_not_compared_in_it(ran: tuple[Path, StoreSummary, str]) -> None:
    run = kedro(ran[0], "run", "--env", "quick", "--pipelines", "modelling_baselines,comparison")
    assert run.returncode != 0
    assert "comparison reads what earlier runs left" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_each_pipeline_runs_alone(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    for pipeline in ("ingestion", "joining", "sequencing", "embedding", "modelling_baselines"):
        run = kedro(project, "run", "--env", "quick", "--pipelines", pipeline)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        assert "Written:" in run.stdout
        if pipeline == "embedding":
            assert "0 to embed" in " ".join(run.stdout.split())


def test_a_second_run_gives_the_same(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    before = snapshot(project)
    run = kedro(project, "run", "--env", "quick")
    assert run.returncode == 0
    after = snapshot(project)
    assert set(before) == set(after)
    timed = (
        "training.json",
        "history.csv",
        "metrics.json",
        "report.html",
        ".keras",
        ".sha256",
        "loss.png",
    )
    for name, content in before.items():
        if not name.endswith(timed):
            assert content == after[name], name
    one, two = (
        json.loads(files["data/08_reporting/sample/metrics.json"]) for files in (before, after)
    )
    for model in MODELS:
        assert one["models"][model]["filtered"] == two["models"][model]["filtered"]


ONE_EPOCH = ",".join(
    f"{model}.networks.{network}.training.epochs=1"
    for model, reproduced in REPRODUCED.items() for network in ("bazar", reproduced)
)  # fmt: skip


def test_paper_windows_stand_beside_leave_one_out(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    before = (project / "data/08_reporting/sample/metrics.json").read_bytes()
    run = kedro(
        project, "run", "--env", "quick",
        "--params", f"split=shuffled_windows,sequencing.window_length=4,{ONE_EPOCH}",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert "shuffled_windows is leaky" in run.stdout
    folder = project / "data/08_reporting/sample/shuffled_windows"
    assert json.loads((folder / "metrics.json").read_text())["protocol"] == "shuffled_windows"
    assert "Leaky protocol: shuffled_windows" in (folder / "report.html").read_text()
    assert (project / "data/08_reporting/sample/metrics.json").read_bytes() == before
    lengths = pd.read_parquet(project / "data/04_feature/sample/sequences.parquet")
    per_user = lengths.groupby("user_id").size()
    windows = int((per_user - 3).clip(lower=0).sum())
    path = project / "data/05_model_input/sample/shuffled_windows/test.arrow"
    test = WindowsDataset(filepath=str(path)).load()
    assert len(test) == round(windows * 0.2 + 0.4999)
    assert set(test.lengths) == {3}
    counts = pd.read_parquet(project / "data/04_feature/sample/window_counts.parquet")
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
def test_other_protocols_run_as_a_whole(
    ran: tuple[Path, StoreSummary, str], split: str, parameters: str
) -> None:
    project = ran[0]
    before = (project / "data/08_reporting/sample/metrics.json").read_bytes()
    run = kedro(
        project, "run", "--env", "quick",
        "--params", f"split={split},{parameters},{ONE_EPOCH}",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    # What it says to do next answers by what was trained in it.
    assert f"kedro recommend --env quick --split {split} --user ID" in " ".join(run.stdout.split())
    folder = project / "data/08_reporting/sample" / split
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["protocol"] == split
    assert list(metrics["models"]) == MODELS
    assert (folder / "report.html").is_file()
    assert (project / "data/08_reporting/sample/metrics.json").read_bytes() == before
    lists = pd.read_parquet(project / "data/07_model_output/sample" / split / RECOMMENDED)
    of_one = lists[(lists["user_id"] == lists["user_id"].iloc[0]) & (lists["model"] == "regressor")]
    told = answer(
        project, "recommend", "--user", of_one["user_id"].iloc[0], "--model", "regressor",
        "--split", split,
    )  # fmt: skip
    assert [one["item_id"] for one in told["products"]] == of_one["item_id"].tolist()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ("raw_dir=no/such/folder", ["no file", "no/such/folder/All_Beauty.jsonl.gz"]),
        ("splitt=leave_one_out", ["splitt: there is no such parameter"]),
        ("split=by_chance", ["split:", "leave_one_out", "found 'by_chance'"]),
        ("embedding.encoder=./no-encoder", ["embedding.encoder: no folder ./no-encoder"]),
        ("embedding.sha256=" + "f" * 64, ["embedding.sha256", "expected fff", "found    53aa"]),
        (
            "raw_dir=data/01_raw/half",
            ["no file", "half/meta_All_Beauty.jsonl.gz", "products.metadata.files"],
        ),
        ("ingestion.max_reject_share=0.0001", ["max_reject_share allows", "broken JSON"]),
    ],
)
def test_what_a_user_can_mend_is_told_in_a_few_lines(
    ran: tuple[Path, StoreSummary, str], parameters: str, told: list[str]
) -> None:
    project = ran[0]
    half = project / "data/01_raw/half"
    half.mkdir(exist_ok=True)
    (half / "All_Beauty.jsonl.gz").write_bytes(
        gzip.compress(
            b'{"user_id": "u", "parent_asin": "a", "timestamp": 1600000000000, "rating": 5}\n'
        )
    )
    before = snapshot(project)
    run = kedro(project, "run", "--env", "quick", "--params", parameters)
    assert run.returncode != 0
    message = run.stderr[run.stderr.index("Error:") :]
    for part in told:
        assert part in message
    assert len(message.splitlines()) <= 12
    assert "Traceback" not in run.stdout + run.stderr
    assert snapshot(project) == before


def test_what_there_is_not_is_told_with_what_there_is(ran: tuple[Path, StoreSummary, str]) -> None:
    for arguments, told in (
        (("--env", "quik"), ["no environment quik", "quick"]),
        (("--pipelines", "ingest"), ["no pipeline ingest", "ingestion"]),
    ):
        run = kedro(ran[0], "run", *arguments)
        assert run.returncode != 0
        assert all(part in run.stderr for part in told)
        assert "Traceback" not in run.stdout + run.stderr


def test_results_on_other_data_are_not_laid_side_by_side(
    ran: tuple[Path, StoreSummary, str],
) -> None:
    project = ran[0]
    report = (project / "data/08_reporting/sample/report.html").read_bytes()
    prepare = ("run", "--env", "quick", "--pipelines", "joining,sequencing")
    assert kedro(project, *prepare, "--params", "joining.min_interactions=9").returncode == 0
    try:
        run = kedro(
            project, "run", "--env", "quick", "--pipelines", "modelling_baselines,reporting"
        )
        assert run.returncode != 0
        assert re.search("classifier, regressor[a-z_, ]*: measured on other data", run.stderr)
        assert (project / "data/08_reporting/sample/report.html").read_bytes() == report
        run = kedro(project, "run", "--env", "quick", "--pipelines", "comparison")
        assert run.returncode != 0
        assert re.search("Error: [a-z_, ]*classifier, ", run.stderr)
        assert "measured on other data than the" in run.stderr
    finally:
        assert kedro(project, *prepare).returncode == 0
        again = kedro(project, "run", "--env", "quick", "--pipelines", "modelling_baselines")
        assert again.returncode == 0


def test_a_run_killed_in_training_goes_on_where_it_was(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    before = snapshot(project)
    models = project / "data/06_models/sample"
    trained = NetworkDataset(filepath=str(models / "classifier.keras"))
    history = pd.read_csv(models / "classifier_history.csv")
    weights = trained.load().get_weights()
    state = models / "classifier_checkpoint.npz"
    command = ("run", "--env", "quick", "--pipelines", "modelling_classifier")
    kill_in_training(project, 1, *command)
    # Only the state is new; a save that was cut short is beside it, hidden.
    killed = snapshot(project)
    assert {name: killed[name] for name in before} == before
    left = {Path(name).name for name in killed.keys() - before.keys()}
    assert left - {f".{state.name}"} == {state.name}

    again = kedro(project, *command)
    assert again.returncode == 0, again.stdout[-2000:] + again.stderr[-2000:]
    assert "going on after epoch" in " ".join((again.stdout + again.stderr).split())
    assert snapshot(project).keys() == before.keys()
    for one, two in zip(trained.load().get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, two)
    resumed = pd.read_csv(models / "classifier_history.csv")
    pd.testing.assert_frame_equal(
        resumed.drop(columns="seconds"), history.drop(columns="seconds"), check_exact=True
    )
    ranks = "data/07_model_output/sample/classifier_ranks.parquet"
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
        "The best baseline: ", "By purchases before the target", "not 0 of so many",
        r"drawn by chance share \d",
    ],
}  # fmt: skip
FIGURES = {"explore": 0, "semantic_space": 2, "compare_models": 4}


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_the_notebook_runs(ran: tuple[Path, StoreSummary, str], name: str) -> None:
    folder = ran[0] / "notebooks"
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
    # Kedro's extension makes Rich print, in colours.
    shown = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in shown]
    for text in SHOWN[name]:
        assert any(re.search(text, output) for output in shown), text
    assert sum("image/png" in one for one in data) == FIGURES[name]


def test_the_lineage_is_built(ran: tuple[Path, StoreSummary, str]) -> None:
    project = ran[0]
    build = kedro(project, "viz", "build", "--include-previews")
    assert build.returncode == 0, build.stdout[-2000:] + build.stderr[-2000:]
    assert (project / "build" / "index.html").is_file()
    graph = json.loads((project / "build" / "api" / "main").read_text())
    assert graph["layers"] == [
        "raw", "intermediate", "primary", "feature", "model_input", "models", "model_output",
        "reporting",
    ]  # fmt: skip
    assert {"ingestion", "joining", "reporting"} <= {one["id"] for one in graph["pipelines"]}
    with browser() as chromium, served(project / "build") as address:
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{address}/index.html")
        page.locator(".pipeline-node").first.wait_for(timeout=120_000)
        assert page.locator(".pipeline-node").count() > 50
    details = [json.loads(path.read_text()) for path in (project / "build/api/nodes").iterdir()]
    previewed = [one["filepath"] for one in details if one.get("preview")]
    assert any(path.endswith("sequences.parquet") for path in previewed)
    assert any(path.endswith("test.arrow") for path in previewed)
