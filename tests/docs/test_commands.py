"""Every command in the documentation is parsed by this project's command line."""

import gzip
import re
import shlex
import subprocess
import sys
from functools import cache
from itertools import chain, takewhile
from pathlib import Path

import click
import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.startup import bootstrap_project

from bazar.cli.main import COMMANDS as OWN_COMMANDS
from bazar.errors import InputError
from bazar.hooks import check_parameters
from bazar.pipeline_registry import register_pipelines
from bazar.settings import CONFIG_LOADER_ARGS
from tests.project import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# Environments, networks and a file that the documentation lets a reader create.
OWN, OWN_NETWORKS, OWN_FILE = ("my_shop", "NAME"), ("mine", "bazar_tuned"), "new.jsonl"
# Environment variables in front of a command, such as KEDRO_ENV=my_shop.
_VARIABLES = r"(?:[A-Z_]+=\S+ )*"
# Lines of code, code within a sentence or a table, and commands after another command.
_COMMANDS = (
    re.compile(
        rf"(?:    |\t|^){_VARIABLES}(?:\.venv/bin/)?((?:kedro|make|python) [^\n]+)$", re.MULTILINE
    ),
    re.compile(rf"`{_VARIABLES}(?:\.venv/bin/)?((?:kedro|make|python) [^`\n]+)`"),
    re.compile(r"&& \.venv/bin/(kedro [^\"`&>|\n]+)"),
)


def commands_of(text: str) -> list[str]:
    """Return the commands of a text that call this project, without trailing comments."""
    joined = re.sub(r"\\\n\s*", "", text)
    found = chain.from_iterable(kind.findall(joined) for kind in _COMMANDS)
    return [shlex.join(shlex.split(command, comments=True)) for command in found]


COMMANDS = sorted(set(chain.from_iterable(commands_of(page.read_text()) for page in PAGES)))


def test_commands_are_found() -> None:
    text = (
        "Run\n    .venv/bin/kedro run --env a \\\n        --params b=1   # nightly\n    make run\n"
        "or `make viz`,\n    5 1 * * * cd /srv && .venv/bin/kedro run --env c >> log\n"
        "    KEDRO_ENV=d .venv/bin/kedro viz build\n"
    )
    assert sorted(commands_of(text)) == [
        "kedro run --env a --params b=1", "kedro run --env c", "kedro viz build", "make run",
        "make viz",
    ]  # fmt: skip
    assert len(COMMANDS) > 70


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_parsed(
    command: str, kedro_commands: KedroCLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(OWN_FILE).touch()
    program, *arguments = shlex.split(command)
    if program == "make":
        check_make(arguments)
    elif program == "python":
        check_script(arguments)
    else:
        check_kedro(arguments, kedro_commands)


@pytest.fixture(scope="module")
def kedro_commands() -> KedroCLI:
    return KedroCLI(project_path=ROOT)


def check_make(arguments: list[str]) -> None:
    """Check that the Makefile has the targets and reads the variables."""
    makefile = (ROOT / "Makefile").read_text()
    for argument in arguments:
        variable, is_set, _ = argument.partition("=")
        pattern = rf"\$\({variable}\)" if is_set else rf"^{argument}:"
        assert re.search(pattern, makefile, re.MULTILINE), argument


def check_script(arguments: list[str]) -> None:
    """Check that the script exists and has the options."""
    if arguments[:2] == ["-m", "http.server"]:
        return
    if arguments[:2] == ["-m", "pytest"]:
        assert all((ROOT / path).exists() for path in arguments[2:] if path.startswith("tests"))
        return
    options = [argument for argument in arguments if argument.startswith("--")]
    if arguments[0] == "-m":
        # Its options are made from a class: only its help lists them.
        command = list(takewhile(lambda argument: not argument.startswith("--"), arguments))
        shown = subprocess.run(
            [sys.executable, *command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        assert all(re.search(rf"{option}\b", shown) for option in options), options
        return
    text = (ROOT / arguments[0]).read_text()
    for option in options:
        assert f'"{option}"' in text, option


@cache
def names_of_pipelines() -> frozenset[str]:
    """Return the names that ``--pipelines`` accepts."""
    bootstrap_project(ROOT)
    return frozenset(register_pipelines())


def check_kedro(arguments: list[str], commands: KedroCLI) -> None:
    """Check that Kedro parses the command, and that names and parameters are valid."""
    parent, command = click.Context(commands), commands
    while isinstance(command, click.Group | click.CommandCollection):
        name, *arguments = arguments
        command = command.get_command(parent, name)
        assert command is not None, name
    options = command.make_context(command.name, list(arguments), parent=parent).params
    env = options.get("env")
    assert env in (None, *OWN) or (ROOT / "conf" / env).is_dir()
    if command.name != "run":
        return
    assert set(options.get("pipelines") or []) <= names_of_pipelines()
    parameters = options.get("params") or {}
    for model in ("classifier", "regressor"):
        if parameters.get(model, {}).get("network") in OWN_NETWORKS:
            del parameters[model]["network"]
    loader = OmegaConfigLoader(
        str(ROOT / "conf"),
        env="base" if env in (None, *OWN) else env,
        runtime_params=parameters,
        **CONFIG_LOADER_ARGS,
    )
    check_parameters(loader["parameters"])


@pytest.mark.parametrize("name", [command.name for command in OWN_COMMANDS])
def test_help_explains_every_option(name: str, kedro_commands: KedroCLI) -> None:
    command = kedro_commands.get_command(click.Context(kedro_commands), name)
    assert command is not None
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, option.name
    shown = command.get_help(click.Context(command, info_name=f"kedro {name}"))
    assert f"    kedro {name}" in shown
    options = [name for parameter in command.params for name in parameter.opts if "-" in name]
    assert all(option in shown for option in options)


def test_ids_of_the_examples_are_in_the_synthetic_store() -> None:
    named = {
        word
        for command in COMMANDS
        if (arguments := shlex.split(command))[1] in ("recommend", "similar")
        and OWN[0] not in arguments
        for argument in arguments[2:]
        for word in argument.split(",")
        if re.fullmatch(r"[A-Z0-9]{10,}", word)
    }
    for page in ("README.md", "docs/how-to/recommend.md"):
        named |= set(re.findall(r'"([A-Z0-9]{10,})"', (ROOT / page).read_text(encoding="utf-8")))
    assert len(named) == 3
    with gzip.open(ROOT / "data/01_raw/sample/All_Beauty.jsonl.gz", "rt") as file:
        bought = file.read()
    assert all(f'"{word}"' in bought for word in named)


def test_wrong_command_is_detected(kedro_commands: KedroCLI) -> None:
    with pytest.raises(click.UsageError, match="--enviroment"):
        check_kedro(["run", "--enviroment", "base"], kedro_commands)
    with pytest.raises(AssertionError):
        check_kedro(["run", "--pipelines", "ingest"], kedro_commands)
    with pytest.raises(InputError, match="epoch"):
        check_kedro(
            ["run", "--params", "classifier.networks.bazar.training.epoch=2"], kedro_commands
        )
    with pytest.raises(AssertionError):
        check_script(["benchmarks/latency.py", "--fast"])
    with pytest.raises(AssertionError):
        check_script(["-m", "bazar.synthetic.sample_store", "--produkts", "20"])
    with pytest.raises(AssertionError):
        check_make(["viz", "ENVIRONMENT=my_shop"])
