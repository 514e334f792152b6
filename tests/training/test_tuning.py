"""Searches on a cycle of items, which a network with sane values learns in a few epochs."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from bazar.config.networks import ModelOptions, NetworkBlock
from bazar.config.tuning import TuningOptions
from bazar.data.splits import Split, leave_one_out
from bazar.errors import InputError
from bazar.hooks import check_parameters
from bazar.reporting.figures import plot_tuning
from bazar.training.search_space import (
    block_values,
    check_ranges,
    check_tuning,
    rounded,
    with_values,
)
from bazar.training.trainer import train_network
from bazar.training.tuning import TuningResult, format_best_network, tune_network
from tests.data.test_splits import sequences_of
from tests.project import ROOT, kedro
from tests.test_hooks import parameters
from tests.test_run import quick_project

N_ITEMS = 24
# Deliberately bad: two numbers for an item, and steps that are far too small.
BAD = NetworkBlock.model_validate(
    {
        "item": "id",
        "item_dimension": 2,
        "layers": [{"type": "dropout", "rate": 0.0}, {"type": "gru", "units": 2}],
        "head": "tied_softmax",
        "training": {
            "rows": "every_position", "loss": "cross_entropy", "optimizer": "adam",
            "learning_rate": 1e-5, "epochs": 4, "batch_size": 64, "choose_by": "val_ndcg@10",
        },
    }
)  # fmt: skip
RANGES: dict[str, Any] = {
    "item_dimension": {"low": 2, "high": 32, "log": True},
    "layers.1.units": {"choices": [2, 8, 16]},
    "training.learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
}
VECTORS = np.zeros((N_ITEMS + 1, 4), np.float32)


def cycle(users: int = 96) -> Split:
    lists = [[(user + step) % N_ITEMS + 1 for step in range(7)] for user in range(users)]
    return leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def options_of(**changes: Any) -> TuningOptions:
    base = {
        "model": "classifier", "network": None, "trials": 8, "minutes": None, "seed": 3,
        "pruner": {"startup_trials": 3, "warmup_epochs": 1}, "ranges": RANGES,
    }  # fmt: skip
    return TuningOptions.model_validate(base | changes)


def search(
    storage: Path, options: TuningOptions, block: NetworkBlock = BAD, users: int = 96
) -> TuningResult:
    split = cycle(users)
    return tune_network(split.train, split.validation, block, options, N_ITEMS, 5, VECTORS, storage)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> TuningResult:
    return search(tmp_path_factory.mktemp("search") / "tuning.db", options_of(trials=12))


def test_a_bad_block_becomes_a_good_one(found: TuningResult) -> None:
    trials = found.trials
    assert trials["trial"].tolist() == list(range(1, 13))
    first = trials.iloc[0]
    assert [first[key] for key in RANGES] == [2, 2, 1e-5]
    assert first["val_ndcg@10"] == found.as_it_stands < 0.3
    assert trials.loc[trials["state"] == "complete", "val_ndcg@10"].max() > 0.7


def test_what_is_not_promising_is_given_up_and_counted(found: TuningResult) -> None:
    states = found.trials.set_index("trial")["state"]
    assert set(states) == {"complete", "pruned"}
    assert (states.loc[:3] == "complete").all()
    epochs = found.trials.set_index("trial")["epochs"]
    assert (epochs[states == "complete"] == 4).all()
    assert epochs[states == "pruned"].between(2, 4).all()


def test_drawn_values_are_within_their_ranges(found: TuningResult) -> None:
    trials = found.trials
    assert trials["item_dimension"].between(2, 32).all()
    assert set(trials["layers.1.units"]) <= {2, 8, 16}
    rates = trials["training.learning_rate"]
    assert rates.between(1e-5, 0.1).all()
    assert all(float(f"{rate:.4g}") == rate for rate in rates)


def test_the_same_training_again_gives_the_figure_of_the_search(found: TuningResult) -> None:
    name = "bad_searched"
    written = yaml.safe_load(format_best_network(found, "classifier", "bad"))
    block = NetworkBlock.model_validate(written["classifier"]["networks"][name])
    assert block == found.block
    assert block.layers[0] == BAD.layers[0]
    split = cycle()
    again = train_network(split.train, split.validation, block, N_ITEMS, 5, VECTORS)
    complete = found.trials[found.trials["state"] == "complete"]
    assert again.training_log["val_ndcg@10"].max() == complete["val_ndcg@10"].max()


def test_the_yaml_says_how_good_it_is_and_how_to_use_it(found: TuningResult) -> None:
    written = format_best_network(found, "classifier", "bad")
    comment = "\n".join(line for line in written.splitlines() if line.startswith("#"))
    n_pruned = (found.trials["state"] == "pruned").sum()
    complete = found.trials[found.trials["state"] == "complete"]
    assert f"12 trials of classifier's network bad, {n_pruned} of them given up" in comment
    assert f"NDCG@10 {complete['val_ndcg@10'].max():.4f}" in comment
    assert f"of bad as it stands {found.as_it_stands:.4f}" in comment
    assert "classifier.network=bad_searched" in comment


def labels(figure: Figure) -> list[str]:
    return [axes.get_xlabel() for axes in figure.axes[1:]]


def test_what_mattered_is_drawn(found: TuningResult) -> None:
    assert sum(found.importances.values()) == pytest.approx(1)
    assert list(found.importances.values()) == sorted(found.importances.values(), reverse=True)
    assert set(found.importances) == set(RANGES)
    figure = plot_tuning(found.trials, found.importances, options_of().searched)
    assert labels(figure) == list(found.importances)
    for axes, key in zip(figure.axes[1:], found.importances, strict=True):
        assert sum(len(line.get_xdata()) for line in axes.lines) == 12
        assert (axes.get_xscale() == "log") == (key != "layers.1.units")
    nothing = plot_tuning(found.trials.head(2), {}, options_of().searched)
    assert labels(nothing) == list(RANGES)
    assert "Too few" in nothing.axes[0].get_title(loc="left")


def test_null_among_choices_is_drawn_as_read_from_a_file(tmp_path: Path) -> None:
    trials = pd.DataFrame(
        {"state": ["complete"] * 2, "val_ndcg@10": [0.1, 0.2], "temperature": [None, 0.08]}
    )
    trials.to_csv(tmp_path / "trials.csv", index=False)
    ranges = options_of(ranges={"temperature": {"choices": [0.05, 0.08, None]}}).searched
    figure = plot_tuning(pd.read_csv(tmp_path / "trials.csv"), {}, ranges)
    axes = figure.axes[1]
    assert [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata())] == [[2, 1]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.05", "0.08", "None"]


# As a script: a search that waits in the midst of its third trial, to be killed.
KILLED = """
import sys, time
from pathlib import Path
import optuna
from tests.training.test_tuning import options_of, search

report = optuna.Trial.report

def report_and_wait(trial, value, step):
    report(trial, value, step)
    if trial.number == 2:
        print("waiting", flush=True)
        time.sleep(600)

optuna.Trial.report = report_and_wait
search(Path(sys.argv[1]), options_of(trials=5))
"""


def test_a_killed_search_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    storage = tmp_path / "tuning.db"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(storage)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )  # fmt: skip
    assert process.stdout is not None
    assert "waiting\n" in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL

    interrupted = search(storage, options_of(trials=5)).trials
    whole = search(tmp_path / "whole.db", options_of(trials=5)).trials
    pd.testing.assert_frame_equal(
        interrupted.drop(columns="seconds"), whole.drop(columns="seconds")
    )
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{storage}")
    states = [trial.state.name for trial in study.trials]
    # Two by the process that was killed, the one that was cut off, and the three that were missing.
    assert len(states) == 6
    assert [place for place, state in enumerate(states) if state == "FAIL"] == [2]


def test_an_error_in_a_trial_is_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = tmp_path / "tuning.db"
    two = search(storage, options_of(trials=2)).trials

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("optuna.Trial.report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search(storage, options_of(trials=3))
    three = search(storage, options_of(trials=3)).trials
    assert len(three) == 3
    pd.testing.assert_frame_equal(three.head(2), two)
    assert len(search(storage, options_of(trials=2)).trials) == 3


def test_other_ranges_other_data_and_another_seed_are_another_search(tmp_path: Path) -> None:
    storage = tmp_path / "tuning.db"
    one = search(storage, options_of(trials=2)).trials
    other = RANGES | {"layers.1.units": {"choices": [2, 8]}}
    assert len(search(storage, options_of(trials=1, ranges=other)).trials) == 1
    assert len(search(storage, options_of(trials=1), users=50).trials) == 1
    assert (
        len(
            search(
                storage, options_of(trials=1), block=with_values(BAD, {"training.epochs": 2})
            ).trials
        )
        == 1
    )
    pd.testing.assert_frame_equal(search(storage, options_of(trials=2)).trials, one)


def test_no_trial_is_started_when_the_time_is_over(tmp_path: Path) -> None:
    trials = search(tmp_path / "tuning.db", options_of(minutes=1e-9)).trials
    assert len(trials) == 1


def test_a_training_that_diverges_is_a_bad_trial(tmp_path: Path) -> None:
    ranges = {"training.learning_rate": {"choices": [0.01, 1e30]}}
    trials = search(tmp_path / "tuning.db", options_of(trials=6, ranges=ranges)).trials
    diverged = trials["training.learning_rate"] == 1e30
    assert 0 < diverged.sum() < 6
    assert (trials.loc[diverged, "state"] == "pruned").all()
    ranges = {"training.learning_rate": {"low": 1e30, "high": 1e31}}
    with pytest.raises(InputError, match=r"every training diverged\n.*learning_rate"):
        search(tmp_path / "tuning.db", options_of(trials=2, ranges=ranges))


def test_a_file_of_another_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / "tuning.db").write_text("no database, and long enough to be one" * 100)
    with pytest.raises(InputError, match=r"tuning.db: file is not a database\nRemove it"):
        search(tmp_path / "tuning.db", options_of())


def test_keys_of_a_block() -> None:
    values = block_values(BAD)
    assert values["item_dimension"] == 2
    assert values["layers.1.units"] == 2
    assert values["training.schedule"] == "constant"
    assert values["temperature"] is None
    changed = with_values(BAD, {"layers.1.units": 7, "training.schedule": "cosine"})
    assert block_values(changed) == values | {"layers.1.units": 7, "training.schedule": "cosine"}
    assert block_values(BAD) == values


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        (
            {"layers.0.units": {"low": 1, "high": 9}},
            r"the block has no layers\.0\.units\nIt has .*layers\.0\.rate",
        ),
        ({"layers.2.units": {"low": 1, "high": 9}}, r"the block has no layers\.2\.units"),
        ({"layers": {"choices": ["gru", "lstm"]}}, r"the block has no layers\n"),
        ({"learning_rate": {"low": 1e-4, "high": 1e-3}}, r"the block has no learning_rate"),
        ({"layers.0.rate": {"low": 0.5, "high": 1.0}}, r"layers\.0\.rate: .* 1\.0\n.*less than 1"),
        ({"layers.0.rate": {"low": 0, "high": 2}}, r"ranges\.layers\.0\.rate: .* 2\n"),
        ({"item_dimension": {"low": 0, "high": 64}}, r"ranges\.item_dimension: .* 0\n"),
        ({"item_dimension": {"low": 32.0, "high": 64}}, r"ranges\.item_dimension: .*integer"),
        ({"layers.1.type": {"choices": ["gru", "cnn"]}}, r"ranges\.layers\.1\.type: .* cnn\n"),
        (
            {"head": {"choices": ["tied_softmax", "vector"]}},
            r"ranges\.head: .* vector\n.*cross_entropy",
        ),
        (
            RANGES | {"layers.0.rate": {"low": 0.5, "high": 1.5}},
            r"ranges\.layers\.0\.rate: .* 1\.5",
        ),
        (
            {
                "head": {"choices": ["softmax", "tied_softmax"]},
                "temperature": {"choices": [None, 0.1]},
            },
            r"head: softmax with temperature: 0\.1\n.*temperature goes with",
        ),
    ],
)
def test_keys_and_values_that_the_block_refuses_are_told(ranges: dict, told: str) -> None:
    with pytest.raises(InputError, match=rf"(?s){told}"):
        check_ranges(BAD, options_of(ranges=ranges).searched)


def test_ranges_that_fit_only_together_are_right() -> None:
    of_titles = BAD.model_dump() | {"item": "title", "item_dimension": None}
    ranges = {"item": {"choices": ["id", "id+title"]}, "item_dimension": {"low": 2, "high": 4}}
    block = NetworkBlock.model_validate(of_titles)
    check_ranges(block, options_of(ranges=ranges).searched)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"low": 3, "high": 3}, "low must be below high"),
        ({"low": 0, "high": 3, "log": True}, "log: true needs a low above 0"),
        ({"low": 3}, r"number\.high"),
        ({"choices": [3]}, r"choices\.choices"),
        ({"choices": [3, 4], "log": True}, r"choices\.log"),
        ([1, 2], "number"),
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused(value: object, told: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)ranges\.item_dimension.*{told}"):
        options_of(ranges={"item_dimension": value})


def test_a_range_of_null_is_left_out() -> None:
    options = options_of(ranges=RANGES | {"item_dimension": None})
    assert list(options.searched) == ["layers.1.units", "training.learning_rate"]
    with pytest.raises(ValueError, match="one range at least"):
        options_of(ranges={"item_dimension": None})


def test_rounded_values_stay_within_their_range() -> None:
    rate = options_of(ranges={"a": {"low": 0.12344, "high": 0.99999}}).searched["a"]
    assert rounded(rate, 0.2345678) == 0.2346
    assert rounded(rate, 0.99998) == 0.99999
    assert rounded(rate, 0.123441) == 0.12344
    assert rounded(rate, 3) == 3


@pytest.mark.parametrize("model", ["classifier", "regressor"])
def test_the_configured_ranges_fit_both_models(model: str) -> None:
    checked = check_parameters(parameters(search={"model": model}))
    check_tuning(checked.search, {"classifier": checked.classifier, "regressor": checked.regressor})


def test_a_network_that_there_is_not() -> None:
    models = {"classifier": ModelOptions(network="bad", networks={"bad": BAD})}
    check_tuning(options_of(), models)
    with pytest.raises(
        InputError, match=r"search.network: classifier has no network bad\n.*report"
    ):
        check_tuning(options_of(network="bad"), models)


def test_a_search_on_the_store_and_the_use_of_what_it_found(tmp_path: Path) -> None:
    project, _ = quick_project(tmp_path)
    base = project / "conf" / "base" / "parameters_modelling_classifier.yml"
    networks = yaml.safe_load(base.read_text())
    networks["classifier"]["networks"]["bad"] = BAD.model_dump(mode="json")
    base.write_text(yaml.safe_dump(networks))
    options = options_of(network="bad").model_dump(mode="json")
    (project / "conf/base/parameters_tuning.yml").write_text(yaml.safe_dump({"search": options}))

    steps = "ingestion,joining,sequencing,embedding,search"
    run = kedro(project, "run", "--pipelines", steps, "--params", "search.network=worse")
    assert run.returncode != 0
    assert "search.network: classifier has no network worse" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not (project / "data/02_intermediate").exists()

    run = kedro(project, "run", "--pipelines", steps)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    best = project / "data/06_models/sample/tuning_best.yml"
    assert str(best) in run.stdout
    assert "classifier.network=bad_searched" in run.stdout
    trials = pd.read_csv(project / "data/08_reporting/sample/tuning_trials.csv")
    reached = trials.loc[trials["state"] == "complete", "val_ndcg@10"].max()
    # Trial 1 is the bad block as it stands.
    assert trials["training.learning_rate"][0] == 1e-5
    assert reached > trials["val_ndcg@10"][0] + 0.05
    assert (project / "data/08_reporting/sample/tuning.png").stat().st_size > 10_000

    (project / "conf/local").mkdir(exist_ok=True)
    shutil.copy(best, project / "conf/local/parameters_searched.yml")
    run = kedro(
        project, "run", "--nodes", "classifier.train",
        "--params", "classifier.network=bad_searched",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    history = pd.read_csv(project / "data/06_models/sample/classifier_history.csv")
    assert history["val_ndcg@10"].max() == pytest.approx(reached, abs=1e-12)
