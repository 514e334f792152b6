"""Tuning on a cycle of items, which a network with good values learns in a few epochs."""

import json
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
from bazar.data.splits import Splits, split_leave_one_out
from bazar.errors import InputError
from bazar.hooks import check_parameters
from bazar.reporting.figures import plot_tuning
from bazar.training.search_space import (
    check_ranges,
    check_tuning,
    list_block_values,
    replace_values,
    round_value,
)
from bazar.training.trainer import train_network
from bazar.training.tuning import TuningResult, format_best_network, tune_network
from tests.data.test_splits import sequences_of
from tests.project import ROOT, RUN, kedro_here, quick_project
from tests.test_hooks import parameters

N_ITEMS = 24
# Deliberately bad: embeddings of size 2, and a learning rate that is much too small.
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


def cycle(users: int = 96) -> Splits:
    lists = [[(user + step) % N_ITEMS + 1 for step in range(7)] for user in range(users)]
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def options_of(**changes: Any) -> TuningOptions:
    base = {
        "model": "classifier", "network": None, "trials": 8, "minutes": None, "seed": 3,
        "pruner": {"startup_trials": 3, "warmup_epochs": 1}, "ranges": RANGES,
    }  # fmt: skip
    return TuningOptions.model_validate(base | changes)


def tune(
    storage: Path, options: TuningOptions, block: NetworkBlock = BAD, users: int = 96
) -> TuningResult:
    split = cycle(users)
    return tune_network(split.train, split.validation, block, options, N_ITEMS, 5, VECTORS, storage)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the trials of ``found``."""
    return tmp_path_factory.mktemp("tuning") / "tuning.db"


@pytest.fixture(scope="module")
def found(database: Path) -> TuningResult:
    return tune(database, options_of(trials=12))


def test_tuning_improves_a_bad_block(found: TuningResult) -> None:
    trials = found.trials
    assert trials["trial"].tolist() == list(range(1, 13))
    first = trials.iloc[0]
    assert [first[key] for key in RANGES] == [2, 2, 1e-5]
    assert first["val_ndcg@10"] == found.initial_ndcg < 0.3
    assert trials.loc[trials["state"] == "complete", "val_ndcg@10"].max() > 0.7


def test_unpromising_trials_are_pruned_and_counted(found: TuningResult) -> None:
    states = found.trials.set_index("trial")["state"]
    assert set(states) == {"complete", "pruned"}
    assert (states.loc[:3] == "complete").all()
    epochs = found.trials.set_index("trial")["epochs"]
    assert (epochs[states == "complete"] == 4).all()
    assert epochs[states == "pruned"].between(2, 4).all()


def test_values_are_within_their_ranges(found: TuningResult) -> None:
    trials = found.trials
    assert trials["item_dimension"].between(2, 32).all()
    assert set(trials["layers.1.units"]) <= {2, 8, 16}
    rates = trials["training.learning_rate"]
    assert rates.between(1e-5, 0.1).all()
    assert all(float(f"{rate:.4g}") == rate for rate in rates)


def test_training_with_the_best_block_has_the_ndcg_of_its_trial(found: TuningResult) -> None:
    name = "bad_tuned"
    written = yaml.safe_load(format_best_network(found, "classifier", "bad"))
    block = NetworkBlock.model_validate(written["classifier"]["networks"][name])
    assert block == found.block
    assert block.layers[0] == BAD.layers[0]
    split = cycle()
    again = train_network(split.train, split.validation, block, N_ITEMS, 5, VECTORS)
    complete = found.trials[found.trials["state"] == "complete"]
    assert again.training_log["val_ndcg@10"].max() == complete["val_ndcg@10"].max()


def test_yaml_comment_states_the_result_and_the_usage(found: TuningResult) -> None:
    written = format_best_network(found, "classifier", "bad")
    comment = "\n".join(line for line in written.splitlines() if line.startswith("#"))
    n_pruned = (found.trials["state"] == "pruned").sum()
    complete = found.trials[found.trials["state"] == "complete"]
    assert f"12 trials of the classifier's network bad, {n_pruned} of them pruned" in comment
    assert f"NDCG@10: {complete['val_ndcg@10'].max():.4f}" in comment
    assert f"bad before the tuning: {found.initial_ndcg:.4f}" in comment
    assert "classifier.network=bad_tuned" in comment


def labels(figure: Figure) -> list[str]:
    return [axes.get_xlabel() for axes in figure.axes[1:]]


def test_importances_and_values_are_plotted(found: TuningResult) -> None:
    assert sum(found.importances.values()) == pytest.approx(1)
    assert list(found.importances.values()) == sorted(found.importances.values(), reverse=True)
    assert set(found.importances) == set(RANGES)
    figure = plot_tuning(found.trials, found.importances, options_of().active_ranges)
    assert labels(figure) == list(found.importances)
    for axes, key in zip(figure.axes[1:], found.importances, strict=True):
        assert sum(len(line.get_xdata()) for line in axes.lines) == 12
        assert (axes.get_xscale() == "log") == (key != "layers.1.units")
    without_importances = plot_tuning(found.trials.head(2), {}, options_of().active_ranges)
    assert labels(without_importances) == list(RANGES)
    assert "Too few" in without_importances.axes[0].get_title(loc="left")


def test_null_choice_is_plotted_from_a_file(tmp_path: Path) -> None:
    trials = pd.DataFrame(
        {"state": ["complete"] * 2, "val_ndcg@10": [0.1, 0.2], "temperature": [None, 0.08]}
    )
    trials.to_csv(tmp_path / "trials.csv", index=False)
    ranges = options_of(ranges={"temperature": {"choices": [0.05, 0.08, None]}}).active_ranges
    figure = plot_tuning(pd.read_csv(tmp_path / "trials.csv"), {}, ranges)
    axes = figure.axes[1]
    assert [list(line.get_xdata()) for line in axes.lines if len(line.get_xdata())] == [[2, 1]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.05", "0.08", "None"]


# A script: a tuning that waits in the middle of its third trial, to be killed.
KILLED = """
import sys, time
from pathlib import Path
import optuna
from tests.training.test_tuning import options_of, tune

report = optuna.Trial.report

def report_and_wait(trial, value, step):
    report(trial, value, step)
    if trial.number == 2:
        print("waiting", flush=True)
        time.sleep(600)

optuna.Trial.report = report_and_wait
tune(Path(sys.argv[1]), options_of(trials=4))
"""


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_killed_and_interrupted_tuning_ends_with_the_same_trials(
    tmp_path: Path, found: TuningResult, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    with monkeypatch.context() as patch:
        patch.setattr("optuna.Trial.report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tune(storage, options_of(trials=4))

    resumed = tune(storage, options_of(trials=4)).trials
    expected = found.trials.head(4)
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), expected.drop(columns="seconds"))
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{storage}")
    states = [trial.state.name for trial in study.trials]
    # Two finished trials and the one in which the process was killed, an interrupted one, and the
    # two missing ones.
    assert len(states) == 6
    assert [number for number, state in enumerate(states) if state == "FAIL"] == [2, 3]
    # No trial is added or lost if fewer are wanted.
    assert len(tune(storage, options_of(trials=2)).trials) == 4


def test_other_ranges_data_or_block_start_another_study(
    tmp_path: Path, database: Path, found: TuningResult
) -> None:
    storage = Path(shutil.copy(database, tmp_path))
    one = options_of(trials=1)
    fewer_choices = RANGES | {"layers.1.units": {"choices": [2, 8]}}
    assert len(tune(storage, options_of(trials=1, ranges=fewer_choices)).trials) == 1
    assert len(tune(storage, one, users=50).trials) == 1
    short = replace_values(BAD, {"training.epochs": 2})
    assert len(tune(storage, one, block=short).trials) == 1
    pd.testing.assert_frame_equal(tune(storage, one).trials, found.trials)


def test_no_trial_is_started_after_the_time_limit(tmp_path: Path) -> None:
    trials = tune(tmp_path / "tuning.db", options_of(minutes=1e-9)).trials
    assert len(trials) == 1


def test_diverged_training_is_a_pruned_trial(tmp_path: Path) -> None:
    one_epoch = replace_values(BAD, {"training.epochs": 1})
    ranges = {"training.learning_rate": {"choices": [0.01, 1e30]}}
    options = options_of(trials=3, ranges=ranges)
    trials = tune(tmp_path / "tuning.db", options, block=one_epoch).trials
    diverged = trials["training.learning_rate"] == 1e30
    assert 0 < diverged.sum() < 3
    assert (trials.loc[diverged, "state"] == "pruned").all()
    ranges = {"training.learning_rate": {"low": 1e30, "high": 1e31}}
    with pytest.raises(InputError, match=r"every training diverged\.\n.*learning_rate"):
        tune(tmp_path / "tuning.db", options_of(trials=1, ranges=ranges), block=one_epoch)


def test_file_that_is_no_database_raises_input_error(tmp_path: Path) -> None:
    (tmp_path / "tuning.db").write_text("no database, and long enough to be one" * 100)
    with pytest.raises(
        InputError, match=r"tuning.db cannot be opened: file is not a database.\nDelete the file"
    ):
        tune(tmp_path / "tuning.db", options_of())


def test_block_values_are_listed_and_replaced() -> None:
    values = list_block_values(BAD)
    assert values["item_dimension"] == 2
    assert values["layers.1.units"] == 2
    assert values["training.schedule"] == "constant"
    assert values["temperature"] is None
    changed = replace_values(BAD, {"layers.1.units": 7, "training.schedule": "cosine"})
    assert list_block_values(changed) == values | {
        "layers.1.units": 7,
        "training.schedule": "cosine",
    }
    assert list_block_values(BAD) == values


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (
            {"layers.0.units": {"low": 1, "high": 9}},
            r"the block has no key 'layers\.0\.units'\.\nIts keys are .*layers\.0\.rate",
        ),
        ({"layers.2.units": {"low": 1, "high": 9}}, r"the block has no key 'layers\.2\.units'"),
        ({"layers": {"choices": ["gru", "lstm"]}}, r"the block has no key 'layers'\."),
        ({"learning_rate": {"low": 1e-4, "high": 1e-3}}, r"the block has no key 'learning_rate'"),
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
            r"head: softmax with temperature: 0\.1\n.*temperature needs head: tied_softmax",
        ),
    ],
)
def test_unknown_keys_and_rejected_values_are_reported(ranges: dict, message: str) -> None:
    with pytest.raises(InputError, match=rf"(?s){message}"):
        check_ranges(BAD, options_of(ranges=ranges).active_ranges)


def test_ranges_that_are_valid_only_together_are_accepted() -> None:
    title_block = BAD.model_dump() | {"item": "title", "item_dimension": None}
    ranges = {"item": {"choices": ["id", "id+title"]}, "item_dimension": {"low": 2, "high": 4}}
    block = NetworkBlock.model_validate(title_block)
    check_ranges(block, options_of(ranges=ranges).active_ranges)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"low": 3, "high": 3}, "low must be below high"),
        ({"low": 0, "high": 3, "log": True}, "log: true needs a low above 0"),
        ({"low": 3}, r"number\.high"),
        ({"choices": [3]}, r"choices\.choices"),
        ({"choices": [3, 4], "log": True}, r"choices\.log"),
        ([1, 2], "number"),
    ],
)  # fmt: skip
def test_invalid_range_is_rejected(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)ranges\.item_dimension.*{message}"):
        options_of(ranges={"item_dimension": value})


def test_range_of_null_is_left_out() -> None:
    options = options_of(ranges=RANGES | {"item_dimension": None})
    assert list(options.active_ranges) == ["layers.1.units", "training.learning_rate"]
    with pytest.raises(ValueError, match="at least one range"):
        options_of(ranges={"item_dimension": None})


def test_rounded_values_stay_within_their_range() -> None:
    rate = options_of(ranges={"a": {"low": 0.12344, "high": 0.99999}}).active_ranges["a"]
    assert round_value(rate, 0.2345678) == 0.2346
    assert round_value(rate, 0.99998) == 0.99999
    assert round_value(rate, 0.123441) == 0.12344
    assert round_value(rate, 3) == 3


@pytest.mark.parametrize("model", ["classifier", "regressor"])
def test_default_ranges_are_valid_for_both_models(model: str) -> None:
    checked = check_parameters(parameters(tuning={"model": model}))
    check_tuning(checked.tuning, {"classifier": checked.classifier, "regressor": checked.regressor})


def test_unknown_network_is_reported_with_the_known_ones() -> None:
    models = {"classifier": ModelOptions(network="bad", networks={"bad": BAD})}
    check_tuning(options_of(), models)
    with pytest.raises(
        InputError, match=r"tuning.network: classifier has no network 'bed'.*Did you mean 'bad'"
    ):
        check_tuning(options_of(network="bed"), models)


def test_tuning_of_the_sample_store_and_use_of_the_best_block(tmp_path: Path) -> None:
    project, _ = quick_project(tmp_path)
    base = project / "conf" / "base" / "parameters_modelling_classifier.yml"
    networks = yaml.safe_load(base.read_text())
    networks["classifier"]["networks"]["bad"] = BAD.model_dump(mode="json")
    base.write_text(yaml.safe_dump(networks))
    options = options_of(network="bad", trials=4).model_dump(mode="json")
    (project / "conf/base/parameters_tuning.yml").write_text(yaml.safe_dump({"tuning": options}))

    steps = "ingestion,joining,sequencing,embedding,tuning"
    run = kedro_here(project, "run", "--pipelines", "tuning", "--params", "tuning.network=worse")
    assert run.returncode != 0
    assert "tuning.network: classifier has no network 'worse'" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not (project / "data/02_intermediate").exists()

    run = kedro_here(project, "run", "--pipelines", steps)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    best = project / "data/06_models/sample" / RUN / "tuning_best.yml"
    reporting = project / "data/08_reporting/sample" / RUN
    assert str(best) in run.stdout
    assert "classifier.network=bad_tuned" in run.stdout
    trials = pd.read_csv(reporting / "tuning_trials.csv")
    reached = trials.loc[trials["state"] == "complete", "val_ndcg@10"].max()
    # Trial 1 is the original block.
    assert trials["training.learning_rate"][0] == 1e-5
    assert reached > trials["val_ndcg@10"][0] + 0.05
    assert (reporting / "tuning.png").stat().st_size > 10_000

    (project / "conf/local").mkdir(exist_ok=True)
    shutil.copy(best, project / "conf/local/parameters_tuned.yml")
    run = kedro_here(
        project, "run", "--nodes", "modelling_classifier.train_classifier",
        "--params", "classifier.network=bad_tuned",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    training = json.loads((best.parent / "classifier_training.json").read_text())
    ndcg = max(epoch["val_ndcg@10"] for epoch in training["log"])
    assert ndcg == pytest.approx(reached, abs=1e-12)
