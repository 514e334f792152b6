"""The command group: help, unknown names, start-up time, and interrupted runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from kedro.framework.project import pipelines

from bazar.cli import cli
from bazar.cli.interrupted_run import describe_interrupted_run
from bazar.cli.main import COMMANDS, report_interrupt
from bazar.hooks import RunProgress
from tests.cli.conftest import Invoke, assert_error
from tests.project import ROOT

HEAVY = ["tensorflow", "keras", "torch", "pandas", "ibis", "duckdb", "pyarrow", "numpy", "sklearn"]


def test_kedro_finds_every_command() -> None:
    assert {command.name for command in COMMANDS} == {
        "recommend", "similar", "serve", "add-products", "export-recommendations", "download",
        "new-shop",
    }  # fmt: skip
    assert set(cli.commands) == {"run", *(command.name for command in COMMANDS)}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_an_example_and_explains_every_option(
    command: click.Command, invoke: Invoke
) -> None:
    assert command.name is not None
    result = invoke(command.name, "--help")
    assert result.exit_code == 0
    assert f"  kedro {command.name}" in result.stdout
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, option.name


def test_help_of_add_products_shows_a_line_of_a_file(invoke: Invoke) -> None:
    (line,) = [line for line in invoke("add-products", "--help").stdout.splitlines() if "{" in line]
    assert set(json.loads(line)) == {"parent_asin", "title", "store"}


def test_commands_import_nothing_heavy_before_they_run() -> None:
    program = f"import bazar.cli, sys; print([n for n in {HEAVY} if n in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["recommend", "--help"], 0), (["recommend", "--user"], 2)],
)
def test_help_and_usage_errors_do_not_import_tensorflow(arguments: list[str], status: int) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "kedro", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == status
    imported = {line.split("|")[-1].strip() for line in ran.stderr.splitlines() if "|" in line}
    assert "bazar.cli.main" in imported
    assert not imported & {"tensorflow", "keras", "torch"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--env", "bse"], "There is no environment 'bse'. Did you mean 'base'?"),
        (["recommend", "--env", "bse"], "There is no environment 'bse'. Did you mean 'base'?"),
        (
            ["run", "--pipelines", "joinin"],
            "There is no pipeline 'joinin'. Did you mean 'joining'?",
        ),
        (["download", "--env", "set_c"], "Did you mean 'set_"),
        (["download"], "Name an environment with --env."),
        (["recommend"], "bundle yet.\nRun `kedro run` first."),
        (
            ["export-recommendations", "x.csv"],
            "recommendations.parquet yet.\nRun `kedro run` first.",
        ),
    ],
)
def test_unknown_names_and_missing_runs_are_explained(
    invoke: Invoke,
    project: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KEDRO_ENV", raising=False)
    shutil.rmtree(project / "data")
    assert_error(invoke(*arguments), message)


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def set_progress(
    monkeypatch: pytest.MonkeyPatch, finished: list[str], remaining: list[str], saved: list[str]
) -> None:
    for name, value in (("finished", finished), ("remaining", remaining), ("saved", saved)):
        monkeypatch.setattr(RunProgress, name, value)


@pytest.mark.usefixtures("metadata")
def test_interrupted_run_says_how_to_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    recommendation = pipelines["recommendation"]
    nodes = [node.name for node in recommendation.nodes]
    given = "kedro run --pipelines recommendation"
    set_progress(monkeypatch, nodes[:1], nodes[1:], ["products"])
    message = describe_interrupted_run(
        "kedro run --pipelines recommendation --from-nodes=x", ["recommendation"]
    )
    kept, command = message.split("\nResume with:\n  ")
    assert kept == "Stopped. Finished data sets are kept: products."
    assert command.startswith(f"{given} --from-nodes=")
    first = command.split("--from-nodes=")[1].split(",")
    assert {node.name for node in recommendation.from_nodes(*first).nodes} == set(nodes[1:])


@pytest.mark.usefixtures("metadata")
def test_run_interrupted_at_once_says_how_to_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    set_progress(monkeypatch, [], ["a"], [])
    assert describe_interrupted_run("kedro run", []) == (
        "Stopped. What was saved is kept. Start again with:\n  kedro run"
    )


def test_interrupt_ends_a_command_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Runs in this process may have left their progress.
    set_progress(monkeypatch, [], [], [])
    with pytest.raises(click.exceptions.Exit) as caught:
        report_interrupt(interrupt)(pipelines=None)
    assert caught.value.exit_code == 130
    assert "Stopped." in capsys.readouterr().err


def test_tensorflow_prints_nothing_when_it_is_imported() -> None:
    program = (
        "import os, bazar.models.networks\n"
        "import tensorflow as tf, keras\n"
        "tf.function(lambda x: tf.matmul(x, x))(tf.ones((2, 2)))\n"
        "os.write(2, b'kept')\n"
    )
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TF_")}
    command = [sys.executable, "-W", "ignore", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == ""
    assert ran.stderr == "kept"
