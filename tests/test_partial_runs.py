"""Runs of some pipelines: baselines alone, a run that was interrupted, and networks without others.

The tests are steps of one story in one project, as somebody works who sees results early and trains
networks later.
"""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from bazar.config.models import BASELINES
from bazar.labels import ORACLE
from bazar.serving.bundle import find_bundle, read_bundle
from tests.project import (
    RUN,
    interrupt_in_training,
    kedro_here,
    quick_project,
    run_script,
    snapshot,
)

MODELS = f"data/06_models/sample/{RUN}"
TRAINED = ["classifier", "regressor", "blend"]

# Run a Kedro command, then recommend with the bundle that it wrote. Neither may import TensorFlow.
_WITHOUT_TENSORFLOW = """
import sys
from kedro.framework.cli.cli import main

try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code

from bazar import Recommender

answer = Recommender.load("data/06_models/sample").recommend([])
assert len(answer) == 10
imported = {"tensorflow", "keras"} & set(sys.modules)
assert not imported, imported
"""


@pytest.fixture(scope="module")
def with_baselines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after a run that trained no network."""
    project, _ = quick_project(tmp_path_factory.mktemp("project"))
    run = run_script(
        project, _WITHOUT_TENSORFLOW, "run", "--env", "quick", "--pipelines",
        "ingestion,joining,sequencing,embedding,modelling_baselines,recommendation,reporting",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "No network was trained" in " ".join(run.stdout.split())
    return project


@pytest.fixture(scope="module")
def interrupted(with_baselines: Path) -> tuple[Path, str, bytes]:
    """The project after Ctrl+C in the second training of a complete run.

    Returns:
        The project, what the run printed, and the first network.
    """
    project = with_baselines
    run = interrupt_in_training(project, "regressor", "run", "--env", "quick")
    assert run.returncode == 130, run.stdout[-3000:]
    return project, run.stdout, (project / MODELS / "classifier.keras").read_bytes()


@pytest.fixture(scope="module")
def resumed(interrupted: tuple[Path, str, bytes]) -> tuple[Path, str]:
    """The project after the command in the message resumed the run, and what that printed."""
    project, printed, _ = interrupted
    command = shlex.split(printed.split("Resume with:\n")[1])
    assert command[:2] == ["kedro", "run"]
    run = kedro_here(project, *command[1:])
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return project, run.stdout + run.stderr


def read_models(project: Path) -> list[str]:
    """Return the names of the models of the report."""
    path = project / f"data/08_reporting/sample/{RUN}/metrics.json"
    return list(json.loads(path.read_text())["models"])


def test_baselines_alone_are_reported_and_recommend(with_baselines: Path) -> None:
    project = with_baselines
    report = project / f"data/08_reporting/sample/{RUN}/report.html"
    assert "<!doctype html>" in report.read_text()
    assert read_models(project) == [*BASELINES, ORACLE]
    bundle = read_bundle(find_bundle(project / "data/06_models/sample"))
    assert bundle.networks == {}
    (model,) = bundle.options.models
    assert model in BASELINES
    recommendations = pd.read_parquet(
        project / f"data/07_model_output/sample/{RUN}/recommendations.parquet"
    )
    assert set(recommendations["model"]) == {model}
    assert (project / "data/06_models/sample/current").read_text().strip() == f"{RUN}/bundle"
    assert not list(project.rglob("*.keras"))


def test_interrupted_run_reports_what_is_kept(interrupted: tuple[Path, str, bytes]) -> None:
    project, printed, _ = interrupted
    message = printed[printed.index("Stopped.") :]
    kept = message.split("are kept: ")[1].split(".\n")[0].split(", ")
    assert {"interactions", "splits", "baselines.results", "classifier.network"} <= set(kept)
    assert "regressor.network" not in kept
    # These are only in memory, where the resumed run does not find them.
    assert not {"customers", "catalogue"} & set(kept)
    command = message.split("Resume with:\n")[1].strip()
    assert re.fullmatch(r"kedro run --env quick --from-nodes=\S+", command)
    assert "modelling_regressor.train_regressor" in command
    assert "recommendation.build_catalogue" in command
    assert "Traceback" not in printed
    models = project / MODELS
    assert (models / "regressor_checkpoint.npz").is_file()
    assert not (models / "classifier_checkpoint.npz").exists()
    # Nothing that stood there before was replaced by something unfinished.
    assert (project / "data/06_models/sample/current").read_text().strip() == f"{RUN}/bundle"
    assert read_models(project) == [*BASELINES, ORACLE]


def test_resumed_run_keeps_the_first_network(
    interrupted: tuple[Path, str, bytes], resumed: tuple[Path, str]
) -> None:
    project, printed = resumed
    assert (project / MODELS / "classifier.keras").read_bytes() == interrupted[2]
    printed = " ".join(printed.split())
    assert "modelling_classifier.train_classifier" not in printed
    assert "Resuming training after epoch 1 of" in printed
    assert not (project / MODELS / "regressor_checkpoint.npz").exists()
    assert read_models(project) == [*TRAINED, *BASELINES, ORACLE]
    bundle = read_bundle(find_bundle(project / "data/06_models/sample"))
    assert set(bundle.options.models) - set(BASELINES) == set(TRAINED)


def test_blend_and_report_need_no_reproduction(resumed: tuple[Path, str]) -> None:
    project, _ = resumed
    before = snapshot(project)
    run = kedro_here(
        project, "run", "--env", "quick", "--pipelines",
        "modelling_baselines,modelling_blend,recommendation,reporting",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "Left out" not in run.stdout
    assert read_models(project) == [*TRAINED, *BASELINES, ORACLE]
    after = snapshot(project)
    assert before.keys() == after.keys()
    networks = [name for name in before if re.search(rf"{RUN}/[a-z_]+\.keras$", name)]
    assert {Path(name).stem for name in networks} == {"classifier", "regressor"}
    output = f"data/07_model_output/sample/{RUN}"
    for name in (
        *networks, f"{output}/blend_ranks.parquet", f"{output}/recommendations.parquet",
        f"{MODELS}/bundle/products.arrow",
    ):  # fmt: skip
        assert before[name] == after[name], name
