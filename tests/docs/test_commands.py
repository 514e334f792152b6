"""Every command that the documentation gives is one that this project understands."""

import gzip
import re
import shlex
from functools import cache
from itertools import chain
from pathlib import Path

import click
import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.cli.cli import KedroCLI
from kedro.framework.startup import bootstrap_project

from bazar.cli.recommend import COMMANDS as SHOP_COMMANDS
from bazar.errors import InputError
from bazar.hooks import check_parameters
from bazar.pipeline_registry import register_pipelines
from bazar.settings import CONFIG_LOADER_ARGS
from tests.project import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What the documentation makes: a data set of one's own files, networks, a list of new products.
OWN, OWN_NETWORKS, OWN_FILE = ("my_shop", "NAME"), ("mine", "bazar_searched"), "new.jsonl"
# Lines of code, code within a sentence or a table, and what follows another command.
_COMMANDS = (
    re.compile(r"(?:    |\t|^)(?:\.venv/bin/)?((?:kedro|make|python) [^\n]+)$", re.MULTILINE),
    re.compile(r"`(?:\.venv/bin/)?((?:kedro|make|python) [^`\n]+)`"),
    re.compile(r"&& \.venv/bin/(kedro [^\"`&>|\n]+)"),
)


def commands_of(text: str) -> list[str]:
    """What calls this project, without what is said of it behind a ``#``."""
    joined = re.sub(r"\\\n\s*", "", text)
    found = chain.from_iterable(kind.findall(joined) for kind in _COMMANDS)
    return [shlex.join(shlex.split(command, comments=True)) for command in found]


COMMANDS = sorted(set(chain.from_iterable(commands_of(page.read_text()) for page in PAGES)))


def test_commands_are_found() -> None:
    text = (
        "Say\n    .venv/bin/kedro run --env a \\\n        --params b=1   # nightly\n    make run\n"
        "or `make viz`,\n    5 1 * * * cd /srv && .venv/bin/kedro run --env c >> log\n"
    )
    assert commands_of(text) == [
        "kedro run --env a --params b=1", "make run", "make viz", "kedro run --env c",
    ]  # fmt: skip
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(
    command: str, kedro_commands: KedroCLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(OWN_FILE).touch()
    program, *arguments = shlex.split(command)
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in arguments)
    elif program == "python":
        check_script(arguments)
    else:
        check_kedro(arguments, kedro_commands)


@pytest.fixture(scope="module")
def kedro_commands() -> KedroCLI:
    return KedroCLI(project_path=ROOT)


def check_script(arguments: list[str]) -> None:
    """The script is there, and knows the options."""
    if arguments[:2] == ["-m", "http.server"]:
        return
    if arguments[0] == "-m":
        path, options = f"src/{arguments[1].replace('.', '/')}.py", arguments[2:]
    else:
        path, options = arguments[0], arguments[1:]
    text = (ROOT / path).read_text()
    for option in (one for one in options if one.startswith("--")):
        assert f'"{option}"' in text, option


@cache
def names_of_pipelines() -> frozenset[str]:
    """The names that ``--pipelines`` knows."""
    bootstrap_project(ROOT)
    return frozenset(register_pipelines())


def check_kedro(arguments: list[str], commands: KedroCLI) -> None:
    """Kedro parses it; what it names is there; the parameters are right."""
    parent, command = click.Context(commands), commands
    while isinstance(command, click.Group | click.CommandCollection):
        name, *arguments = arguments
        command = command.get_command(parent, name)
        assert command is not None, name
    told = command.make_context(command.name, list(arguments), parent=parent).params
    env = told.get("env")
    assert env in (None, *OWN) or (ROOT / "conf" / env).is_dir()
    if command.name != "run":
        return
    assert set(told.get("pipelines") or []) <= names_of_pipelines()
    parameters = told.get("params") or {}
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


@pytest.mark.parametrize("name", [command.name for command in SHOP_COMMANDS])
def test_the_help_of_a_command_explains_it(name: str, kedro_commands: KedroCLI) -> None:
    command = kedro_commands.get_command(click.Context(kedro_commands), name)
    assert command is not None
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, option.name
    told = command.get_help(click.Context(command, info_name=f"kedro {name}"))
    assert f"    kedro {name}" in told
    assert all(option in told for one in command.params for option in one.opts if "-" in option)


def test_what_the_documentation_asks_the_made_up_store_is_in_it() -> None:
    named = {
        word
        for command in COMMANDS
        if (arguments := shlex.split(command))[1] in ("recommend", "similar")
        and OWN[0] not in arguments
        for argument in arguments[2:]
        for word in argument.split(",")
        if re.fullmatch(r"[A-Z0-9]{10,}", word)
    }
    assert len(named) == 3
    with gzip.open(ROOT / "data/01_raw/sample/All_Beauty.jsonl.gz", "rt") as file:
        bought = file.read()
    assert all(f'"{word}"' in bought for word in named)


def test_a_wrong_command_is_found(kedro_commands: KedroCLI) -> None:
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
