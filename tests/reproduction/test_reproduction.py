"""The networks of the original study's Table 1: parameters, training, table, and complete runs."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import ValidationError
from sklearn.metrics import mean_absolute_error, mean_squared_error

from bazar.config.reproduction import ReproductionVariants
from bazar.data.splits import Splits, split_leave_one_out
from bazar.data.windows import Windows
from bazar.datasets.arrays import ArrayDataset
from bazar.datasets.json_folder import JSONFolderDataset
from bazar.datasets.kedro_types import OptionalCSVDataset
from bazar.datasets.splits import SplitsDataset
from bazar.errors import InputError
from bazar.models.nearest_titles import TitleIndex
from bazar.reproduction.experiment import measure_mean_title, measure_vectors, train_variants
from bazar.reproduction.table import (
    MEAN_TITLE,
    format_cells,
    format_page,
    make_variant_table,
    select_same_data,
)
from bazar.training.checkpoints import Checkpoint
from tests.evaluation.test_ranking import make_order_windows, make_sequences, unit
from tests.project import ROOT, RUN, copy_project, kedro_here, kill_in_training

N_ITEMS = 12
GRU = {"type": "gru", "units": 16}
RNN = {"type": "simple_rnn", "units": 8}


def cycle_split(users: int = 60) -> Splits:
    """All users go through the same cycle of items, each from their own start."""
    lists = [[(user + step) % N_ITEMS + 1 for step in range(8)] for user in range(users)]
    parts = split_leave_one_out(make_sequences(lists), N_ITEMS, history_length=4)
    return replace(parts, summary={"protocol": "leave_one_out"})


def vectors() -> np.ndarray:
    made = unit(np.random.default_rng(3).normal(size=(N_ITEMS + 1, 24)))
    made[0] = 0
    return made


def entry(number: int, layer: dict = GRU, loss: str = "mse", **training: object) -> dict:
    return {
        "number": number,
        "name": f"Network {number}",
        "published": {
            "epochs": 20, "batch_size": 15, "test_loss": 6.2698e-05, "test_metric": "0.5 (MAE)",
        },
        "network": {
            "item": "title",
            "layers": [layer],
            "head": "vector",
            "training": {
                "rows": "window", "loss": loss, "optimizer": "adam", "learning_rate": 0.01,
                "epochs": 2, "batch_size": 32, "choose_by": "val_loss",
            } | training,
        },
    }  # fmt: skip


def networks_of(*entries: dict) -> ReproductionVariants:
    return ReproductionVariants.model_validate(list(entries))


def run(
    networks: ReproductionVariants,
    previous: dict,
    split: Splits,
    stop_after: int = 99,
    checkpoint: Checkpoint | None = None,
) -> dict:
    """Train the missing networks, and return the first new results."""
    generator = train_variants(networks, previous, split, vectors(), 42, 50, checkpoint)
    new: dict = {}
    for result in generator:
        new |= result
        if len(new) == stop_after:
            generator.close()
    return new


def drop_seconds(results: dict) -> dict:
    return {
        key: {name: value for name, value in result.items() if name != "seconds"}
        for key, result in results.items()
    }


# Number, layers, epochs, batch, test loss and test metric in the study's Table 1.
TABLE_1 = """
1 | rnn 128 | 20 | 20 | 6.2698e-05 | 0.00092908
2 | rnn 512 | 20 | 20 | 0.00034988 | 11416425.0
3 | rnn 512 | 10 | 15 | 0.00042967 | 0.00930194
4 | lstm 512 | 10 | 15 | 6.3452e-05 | 0.00046207
5 | gru 512 | 10 | 15 | 6.2358e-05 | 0.00031208
6 | gru 512, rnn 128 | 10 | 15 | 6.2331e-05 | 0.00036732
7 | gru 512, rnn 128 | 10 | 15 | 6.3473e-05 | 0.00050875
8 | gru 512 | 10 | 15 | 0.0423731 | 0.16098939
9 | gru 512, rnn 128 | 10 | 15 | 0.0432334 | 0.16354895
10 | lstm 312, lstm 312, dropout 0.3 | 10 | 32 | 0.0201351 | 0.15644987 0.04027072
11 | lstm 312, lstm 312, dropout 0.3 | 10 | 32 | 0.0201255 | 0.15671074 0.04025150
12 | gru 312, lstm 312, dropout 0.3 | 10 | 32 | 0.0201129 | 0.15647839 0.04022629
13 | gru 312, dense 312, lstm 624 | 10 | 32 | 0.0201110 | 0.15653566 0.04022256
14 | gru 312, lstm 312, dropout 0.3 | 10 | 20 | 0.0201055 | 0.15649308 0.04021137
"""


def test_parameters_are_those_of_the_studys_table() -> None:
    text = (ROOT / "conf" / "base" / "parameters_reproduction.yml").read_text()
    networks = ReproductionVariants.model_validate(yaml.safe_load(text)["reproduction"])
    found = []
    for network in networks.root:
        layers = [
            f"{layer.type} {getattr(layer, 'units', None) or layer.rate}"
            for layer in network.network.layers
        ]
        published = network.published
        figures = [word for word in published.test_metric.split() if word[0].isdigit()]
        found.append(
            f"{network.number} | {', '.join(layers).replace('simple_rnn', 'rnn')} "
            f"| {published.epochs} | {published.batch_size} | {published.test_loss} "
            f"| {' '.join(figures)}"
        )
    # Compare losses as numbers: 0.0201110 is 0.020111.
    expected = [line.split(" | ") for line in TABLE_1.strip().splitlines()]
    assert [line.split(" | ")[:4] for line in found] == [line[:4] for line in expected]
    assert [float(line.split(" | ")[4]) for line in found] == [float(line[4]) for line in expected]
    assert [line.split(" | ")[5] for line in found] == [line[5] for line in expected]
    for network in networks.root:
        training = network.network.training
        assert training.epochs == network.published.epochs
        assert training.loss == ("mse" if network.number < 10 else "huber")
        assert training.batch_size >= network.published.batch_size
        # The name states whether training stops early.
        early = "early stop" in network.name
        assert (
            (training.early_stopping_patience is not None) == early == (network.number in {11, 12})
        )


def test_invalid_variants_are_rejected() -> None:
    with pytest.raises(ValidationError, match="number of its own"):
        networks_of(entry(3), entry(3))
    softmax = entry(1)
    softmax["network"] |= {"head": "softmax"}
    softmax["network"]["training"]["loss"] = "cross_entropy"
    with pytest.raises(ValidationError, match="evaluated on title vectors"):
        networks_of(softmax)


def test_only_missing_and_changed_networks_are_trained() -> None:
    split = cycle_split()
    networks = networks_of(entry(1), entry(2, RNN))
    full = run(networks, {}, split)
    assert list(full) == ["01", "02"]
    assert drop_seconds(full)["01"] != drop_seconds(full)["02"]

    first = run(networks, {}, split, stop_after=1)
    rest = run(networks, first, split)
    assert (list(first), list(rest)) == (["01"], ["02"])
    assert drop_seconds(first | rest) == drop_seconds(full)
    assert run(networks, full, split) == {}

    changed = networks_of(entry(1), entry(2, RNN, epochs=1))
    again = run(changed, full, split)
    assert list(again) == ["02"]
    assert again["02"]["epochs"] == 1
    assert list(run(networks, full, cycle_split(users=50))) == ["01", "02"]


def test_checkpoint_stays_until_all_results_are_saved(tmp_path: Path) -> None:
    split, networks = cycle_split(), networks_of(entry(1), entry(2, RNN))
    path = tmp_path / "checkpoint.npz"
    first = run(networks, {}, split, stop_after=1, checkpoint=Checkpoint(path))
    # The first result may not be saved yet.
    content = path.read_bytes()
    again = run(networks, {}, split, stop_after=1, checkpoint=Checkpoint(path))
    assert path.read_bytes() == content
    assert drop_seconds(again) == drop_seconds(first)
    rest = run(networks, first, split, checkpoint=Checkpoint(path))
    assert path.is_file()
    assert run(networks, first | rest, split, checkpoint=Checkpoint(path)) == {}
    assert not path.exists()


def test_equal_networks_are_trained_once() -> None:
    split = cycle_split()
    new = run(networks_of(entry(1), entry(4)), {}, split)
    assert new["01"] is new["04"]
    rows = format_cells(
        make_variant_table(networks_of(entry(1), entry(4)), new, new["01"]["test"], 60, 12)
    )
    assert [row["outcome"] for row in rows] == ["trained", "same as 1", "–"]


@pytest.mark.parametrize("rate", [1e36, 1e18])
def test_diverged_network_is_a_row_and_does_not_stop_the_others(rate: float) -> None:
    split = cycle_split()
    diverging = entry(1, optimizer="sgd", learning_rate=rate, epochs=3)
    networks = networks_of(diverging, entry(2, RNN))
    results = run(networks, {}, split)
    assert "diverged" in results["01"]["outcome"]
    assert results["02"]["outcome"] == "trained"
    assert run(networks, results, split) == {}

    table = make_variant_table(networks, results, results["02"]["test"], 60, 12)
    rows = format_cells(table)
    assert (rows[0]["outcome"], rows[0]["test_loss"], rows[0]["hr@10"]) == ("diverged", "–", "–")
    assert rows[1]["outcome"] == "trained"
    written = format_page(table, "shop", "shuffled_windows", 42, 60, 12)
    assert (
        "\nNetwork 1: Training diverged in epoch 1: the loss or a weight is not a finite" in written
    )
    assert "..\n" not in written


def test_predicted_vectors_are_measured_as_vectors_and_recommendations() -> None:
    split, item_vectors = cycle_split(), vectors()
    item_vectors[5] = 0
    nearest = TitleIndex(item_vectors)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(N_ITEMS + 1, 24)).astype(np.float32)

    def predict(rows: Windows) -> np.ndarray:
        # Item 3 follows item 2, and so on: the vector of the right item, three times too long.
        _, right = rows.list_targets()
        return 3 * item_vectors[rows.build_histories()[:, -1] % N_ITEMS + 1] + noise[right]

    test = split.test
    _, targets = test.list_targets()
    titled = targets != 5
    expected, predicted = item_vectors[targets][titled], predict(test)[titled]
    for loss, factor in (("mse", 1.0), ("huber", 0.5)):
        measured = measure_vectors(predict, nearest, test, loss, batch_size=7)
        assert measured["mae"] == pytest.approx(mean_absolute_error(expected, predicted))
        assert measured["mse"] == pytest.approx(mean_squared_error(expected, predicted))
        # Huber's loss is linear for errors above 1, which are rare here.
        assert measured["loss"] == pytest.approx(factor * measured["mse"], rel=0.05)
        # An item without a title is never recommended.
        assert measured["unfiltered"]["hr@1"] == pytest.approx(titled.mean())
        assert measured["filtered"]["hr@1"] == pytest.approx(titled.mean())


def test_vector_losses_are_means_over_rows_and_targets() -> None:
    # The targets of the first row are 2 and 5, which has no title; those of the second 4, 6 and 2.
    test = make_order_windows([[[1], [2, 5]], [[3], [4, 6, 2]]])
    item_vectors = vectors()
    item_vectors[5] = 0

    def predict(rows: Windows) -> np.ndarray:
        return item_vectors[rows.build_histories()[:, -1] + 1]

    measured = measure_vectors(predict, TitleIndex(item_vectors), test, "mse", batch_size=1)
    expected, predicted = item_vectors[[2, 4, 6, 2]], item_vectors[[2, 4, 4, 4]]
    assert measured["mse"] == pytest.approx(mean_squared_error(expected, predicted))
    assert measured["mae"] == pytest.approx(mean_absolute_error(expected, predicted))
    assert measured["loss"] == pytest.approx(measured["mse"])
    assert measured["unfiltered"]["hr@1"] == 1
    assert measured["unfiltered"]["ndcg@10"] < 1


def test_mean_title_predicts_the_same_vector_for_all_rows() -> None:
    split, item_vectors = cycle_split(), vectors()
    measured = measure_mean_title(split.train, split.test, item_vectors, 50)
    constant = item_vectors[split.train.list_targets()[1]].mean(axis=0)
    _, targets = split.test.list_targets()
    expected = item_vectors[targets]
    assert measured["mse"] == pytest.approx(
        mean_squared_error(expected, np.tile(constant, (len(expected), 1)))
    )
    # All rows get the same first item. It is right for the users who buy it next.
    shares = np.bincount(targets, minlength=N_ITEMS + 1) / len(split.test)
    assert any(measured["unfiltered"]["hr@1"] == pytest.approx(share) for share in shares)
    with pytest.raises(InputError, match="None of the 300 training targets has a title"):
        measure_mean_title(split.train, split.test, np.zeros_like(item_vectors), 50)


def result_of(network: dict, loss: float) -> dict:
    metrics = {"hr@1": 0.01, "hr@10": 0.0198, "ndcg@10": 0.015}
    block = networks_of(network).root[0].network.model_dump(mode="json")
    return {
        "fingerprint": str(network["number"]), "network": block, "outcome": "trained",
        "epochs": 7, "best_epoch": 6, "n_parameters": 1000, "seconds": 12.3,
        "test": {"loss": loss, "mae": 0.04, "mse": 0.002, "filtered": metrics,
                 "unfiltered": metrics | {"hr@10": 0.5}},
    }  # fmt: skip


def test_table_has_the_published_figures_and_ours(tmp_path: Path) -> None:
    networks = networks_of(entry(2), entry(13, loss="huber"))
    results = {"02": result_of(entry(2), 0.0021), "13": result_of(entry(13, loss="huber"), 0.001)}
    table = make_variant_table(networks, results, results["02"]["test"], 60, 12)
    assert table["network"].tolist() == ["Network 2", "Network 13", MEAN_TITLE]
    first = table.iloc[0]
    assert (first["published_epochs"], first["published_batch_size"]) == (20, 15)
    assert (first["published_test_loss"], first["published_test_metric"]) == (
        6.2698e-05,
        "0.5 (MAE)",
    )
    assert (first["epochs"], first["batch_size"], first["loss"]) == (7, 32, "mse")
    assert (first["test_loss"], first["hr@10"], first["hr@10_filtered"]) == (0.0021, 0.5, 0.0198)

    # The table of the CSV file gives the same page.
    table.to_csv(tmp_path / "table.csv", index=False)
    written = format_page(table, "shop", "leave_one_out", 42, 1234, 56)
    assert format_page(
        pd.read_csv(tmp_path / "table.csv"), "shop", "leave_one_out", 42, 1234, 56
    ) == (written)
    lines = written.splitlines()
    assert "The published figures are for shuffled_windows" in lines[0]
    assert lines[4] == (
        "| 2 | Network 2 | 20 | 15 | 6.2698e-05 | 0.5 (MAE) | 7 | 32 | mse | 0.0021 | 0.04 | 0.002 "
        "| 0.0100 | 0.5000 [0.3774, 0.6226] | 0.0150 "
        "| 0.0100 | 0.0198 [0.0029, 0.0886] | 0.0150 | 12 | trained |"
    )
    assert len({line.count("|") for line in lines[2:-2]}) == 1
    assert "interval of HR@10" in lines[-1]
    assert "leaky" in format_page(table, "shop", "shuffled_windows", 42, 1234, 56).splitlines()[0]


def test_missing_or_changed_network_raises_input_error() -> None:
    results = {"02": result_of(entry(2), 0.0021)}
    with pytest.raises(InputError, match=r"network 13 .* has no result"):
        make_variant_table(networks_of(entry(2), entry(13)), results, results["02"]["test"], 60, 12)
    with pytest.raises(InputError, match=r"network 2 .*changed after it was trained"):
        make_variant_table(networks_of(entry(2, RNN)), results, results["02"]["test"], 60, 12)


def test_table_of_other_data_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = {"02": result_of(entry(2), 0.0021)}
    table = make_variant_table(networks_of(entry(2)), results, results["02"]["test"], 60, 12)
    dataset = OptionalCSVDataset(filepath=str(tmp_path / "table.csv"), save_args={"index": False})
    assert select_same_data(dataset.load(), 60, 12).empty
    dataset.save(table)
    read = dataset.load()
    assert read["network"].tolist() == table["network"].tolist()
    assert select_same_data(read, 60, 12) is read
    assert not caplog.records
    for other in (read.assign(items=13), read.assign(test_rows=61), read.drop(columns="items")):
        assert select_same_data(other, 60, 12).empty
    assert len(caplog.records) == 3
    (tmp_path / "table.csv").unlink()
    assert dataset.load().empty


def test_each_result_is_saved_in_its_own_file(tmp_path: Path) -> None:
    folder = JSONFolderDataset(filepath=str(tmp_path / "results"))
    assert folder.load() == {}
    folder.save({"02": {"loss": 0.1}})
    folder.save({"01": {"loss": 0.2}})
    (tmp_path / "results" / ".0a1b2c3d.03.json").write_text('{"cut')
    assert folder.load() == {"01": {"loss": 0.2}, "02": {"loss": 0.1}}
    assert list(folder.load()) == ["01", "02"]


def cycle_project(folder: Path, parameters: dict, split_name: str = "auto") -> Path:
    """Copy the project, with a cycle of items as model input, and an environment ``quick``."""
    project = folder if (folder / "conf").is_dir() else copy_project(folder)
    model_input = project / "data" / "05_model_input" / "sample" / split_name
    SplitsDataset(filepath=str(model_input)).save(cycle_split())
    features = project / "data" / "04_feature" / "sample"
    ArrayDataset(filepath=str(features / "item_vectors.npy")).save(vectors())
    items = pa.table(
        {
            "item_id": [f"item {item}" for item in range(1, N_ITEMS + 1)],
            "item_index": pa.array(range(1, N_ITEMS + 1), pa.int32()),
        }
    )
    pq.write_table(items, features / "item_index.parquet")
    quick = project / "conf" / "quick"
    quick.mkdir(exist_ok=True)
    (quick / "parameters.yml").write_text(yaml.safe_dump(parameters))
    return project


def test_killed_run_resumes(tmp_path: Path) -> None:
    project = cycle_project(tmp_path, {"reproduction": [entry(1), entry(2, RNN, epochs=100)]})
    command = ["run", "--env", "quick", "--pipelines", "reproduction"]
    results = project / "data" / "06_models" / "sample" / RUN / "variants"
    checkpoint = results.with_name("reproduction_checkpoint.npz")
    # After two epochs of the first network, and one epoch of the second.
    kill_in_training(project, 3, *command)
    assert not (results / "02.json").exists()
    first = (results / "01.json").stat().st_mtime_ns

    ran = kedro_here(project, *command)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "Resuming training after epoch 1 of 100" in " ".join((ran.stdout + ran.stderr).split())
    assert (results / "01.json").stat().st_mtime_ns == first
    assert json.loads((results / "02.json").read_text())["epochs"] == 100
    # The checkpoint of the last network is removed at the next start.
    assert checkpoint.exists()
    assert kedro_here(project, *command).returncode == 0
    assert not checkpoint.exists()

    reporting = project / "data" / "08_reporting" / "sample" / RUN
    table = pd.read_csv(reporting / "reproduction.csv")
    assert table["epochs"].tolist()[:2] == [2, 100]
    # In the cycle, one item follows each item: the second network has learned most of it.
    assert table["hr@1"][1] > 0.5 > 2 * table["hr@1"][2]
    assert str(reporting / "reproduction.md") in ran.stdout.replace("\n", "")
    assert "6.2698e-05" in ran.stdout


def test_mistakes_benchmark_writes_its_table(tmp_path: Path) -> None:
    shared = {"training": {"epochs": 1, "batch_size": 64}}
    parameters = {
        "classifier": {"networks": {"model_i": shared | {"layers": [RNN], "item_dimension": 8}}},
        "regressor": {"networks": {"model_ii": shared | {"layers": [RNN]}}},
    }
    for split_name in ("leave_one_out", "shuffled_windows"):
        project = cycle_project(tmp_path, parameters, split_name)
    shutil.copytree(ROOT / "benchmarks", project / "benchmarks")
    shutil.copytree(ROOT / "docs", project / "docs")
    ran = subprocess.run(
        [sys.executable, "benchmarks/mistakes.py", "--env", "quick", "--write"],
        cwd=project, env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    written = (project / "docs" / "explanation" / "original-study.md").read_text()
    rows = [line.split(" | ") for line in written.splitlines() if line.startswith("| Model I")]
    assert [(row[0][2:], row[1][:3], row[2]) for row in rows] == [
        ("Model I", "(1)", "shuffled_windows"),
        ("Model I", "(2)", "leave_one_out"),
        ("Model I", "(3)", "leave_one_out"),
        ("Model II", "(1)", "shuffled_windows"),
        ("Model II", "(2)", "leave_one_out"),
        ("Model II", "(3)", "leave_one_out"),
        ("Model II", "(4)", "leave_one_out"),
        ("Model II", "(5)", "leave_one_out"),
    ]
    # The splits of both protocols are equal here: equal trainings have equal results.
    assert rows[0][3:-1] == rows[1][3:-1]
    assert rows[3][3:-1] == rows[4][3:-1]
    assert len({row[6] for row in rows[4:]}) == 4
    assert f"Model I {rows[0][3]} (HR@1), Model II {rows[3][4]} (HR@10)" in written
    assert "Not measured yet" not in written
    assert "\n".join(ran.stdout.strip().splitlines()[-3:]) in written
