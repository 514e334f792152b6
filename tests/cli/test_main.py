"""The commands as a whole: help, unknown names, start-up time, and interrupted runs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from kedro.framework.project import settings

from bazar.cli import cli
from bazar.cli.interrupted_run import describe_interrupted_run
from bazar.cli.main import COMMANDS, report_interrupt
from tests.cli.conftest import Invoke, assert_error
from tests.project import ROOT

HEAVY = ["tensorflow", "keras", "torch", "pandas", "ibis", "duckdb", "pyarrow", "numpy", "sklearn"]


def test_kedro_finds_every_command() -> None:
    assert {command.name for command in COMMANDS} == {
        "recommend", "similar", "add-products", "export-recommendations", "download",
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


class RunProgress:
    """The hook that records the nodes of a run."""

    def __init__(self, finished: list[str], remaining: list[str]) -> None:
        self.finished, self.remaining = finished, remaining


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def set_progress(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], list[str]], None]:
    def set_progress(finished: list[str], remaining: list[str]) -> None:
        hooks = (*settings.HOOKS, RunProgress(finished, remaining))
        kept = tuple(
            hook for hook in hooks if type(hook) is RunProgress or not hasattr(hook, "finished")
        )
        monkeypatch.setattr(type(settings), "HOOKS", kept, raising=False)

    return set_progress


@pytest.mark.usefixtures("metadata")
def test_interrupted_run_says_how_to_resume(
    set_progress: Callable[[list[str], list[str]], None],
) -> None:
    from kedro.framework.project import pipelines

    nodes = [node.name for node in pipelines["joining"].nodes]
    set_progress(nodes[:1], nodes[1:])
    message = describe_interrupted_run("kedro run --pipelines joining --from-nodes=x", ["joining"])
    finished, command = message.split("\nResume with:\n  ")
    assert finished.startswith("Stopped. The results of the finished steps are kept: ")
    assert nodes[0] in finished
    assert command.startswith("kedro run --pipelines joining --from-nodes=")
    first = command.split("=")[1].split(",")
    resumed = pipelines["joining"].from_nodes(*first)
    assert {node.name for node in resumed.nodes} >= set(nodes[1:])
    assert nodes[0] not in {node.name for node in resumed.nodes}


@pytest.mark.usefixtures("metadata")
def test_run_interrupted_at_once_says_how_to_start_again(
    set_progress: Callable[[list[str], list[str]], None],
) -> None:
    set_progress([], ["a"])
    assert describe_interrupted_run("kedro run", []) == (
        "Stopped. What was saved is kept. Start again with:\n  kedro run"
    )


def test_interrupt_ends_a_command_without_a_traceback(
    capsys: pytest.CaptureFixture[str], metadata: object
) -> None:
    with pytest.raises(click.exceptions.Exit) as caught:
        report_interrupt(interrupt)(pipelines=None)
    assert caught.value.exit_code == 130
    assert "Stopped." in capsys.readouterr().err


def test_tensorflow_prints_nothing_when_it_is_imported() -> None:
    program = (
        "import bazar, os, sys\n"
        "import tensorflow as tf, keras\n"
        "tf.function(lambda x: tf.matmul(x, x))(tf.ones((2, 2)))\n"
        "os.write(2, b'kept')\n"
    )
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TF_")}
    command = [sys.executable, "-W", "ignore", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == ""
    assert ran.stderr == "kept"
