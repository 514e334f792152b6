"""The pages about the online service agree with its code."""

import re
import shlex
from pathlib import Path
from typing import get_args

import click
import pytest
import yaml
from fastapi.testclient import TestClient

from bazar.config.base import Options
from bazar.config.rules import BoostRule, ExcludeRule, PinRule, read_rules
from bazar.config.service import ServiceOptions, read_service_options
from bazar.service.command import main
from tests.docs.test_pages import read_rows
from tests.project import ROOT
from tests.service.api.conftest import bundle, client  # noqa: F401

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference" / "service.md").read_text()
_BAZAR = re.compile(r"(EnvironmentFile=\S+ )?(?:\.venv|serve|/[\w/]+)/bin/bazar ([^\n`&>|]+)")
# Commands, and whether they get the database from a file of environment variables.
COMMANDS = sorted(
    {
        (" ".join(command.split()), bool(file))
        for page in PAGES
        for file, command in _BAZAR.findall(re.sub(r"\\\n\s*", "", page.read_text()))
    }
)


def read_section(title: str) -> str:
    """Return a section of the reference."""
    return re.split(r"^## ", REFERENCE.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def test_routes_are_those_of_the_api(client: TestClient) -> None:  # noqa: F811
    described = client.get("/openapi.json").json()["paths"]
    expected = [
        [f"`{method.upper()} {path}`", operation["summary"]]
        for path, methods in described.items()
        for method, operation in methods.items()
    ]
    (header, *rows) = read_rows(read_section("Routes"), 2)
    assert header == ["route", "does"]
    assert rows == expected


def test_options_of_the_command_have_their_defaults() -> None:
    rows = {name: default for name, default, _ in read_rows(read_section("Commands"), 3)}
    for option in main.commands["serve"].params:
        if isinstance(option, click.Argument):
            continue
        name = ", ".join(f"`{text}`" for text in [*option.opts, *option.secondary_opts])
        assert name in rows
        if isinstance(option.default, str | int) and not isinstance(option.default, bool):
            assert rows[name] == f"`{option.default}`"


def test_options_have_their_defaults() -> None:
    (_, *rows) = read_rows(read_section("Options"), 3)
    shown = {key.strip("`"): yaml.safe_load(default.strip("`")) for key, default, _ in rows}
    assert shown == ServiceOptions().model_dump(mode="json")


@pytest.mark.parametrize("rule", [PinRule, BoostRule, ExcludeRule])
def test_keys_of_rules_are_documented(rule: type[Options]) -> None:
    (_, *rows) = read_rows(read_section("Business rules"), 3)
    (action,) = get_args(rule.model_fields["action"].annotation)
    keys = {key.strip("`") for key, rules, _ in rows if rules in ("all", f"`{action}`")}
    assert keys == set(rule.model_fields)


def test_example_of_rules_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", read_section("Business rules"), re.DOTALL)
    (tmp_path / "rules.yml").write_text(example)
    assert {rule.action for rule in read_rules(tmp_path / "rules.yml")} == {
        "pin", "boost", "exclude",
    }  # fmt: skip


def test_example_of_options_is_valid(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "how-to" / "deploy.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "service.yml").write_text(example)
    assert read_service_options(tmp_path / "service.yml").require_keys


@pytest.mark.parametrize(("text", "has_environment"), COMMANDS)
def test_command_is_parsed(
    text: str, has_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_environment:
        monkeypatch.setenv("BAZAR_DATABASE", "sqlite:///live.db")
    check_command(text)


def check_command(text: str) -> None:
    parent, arguments = click.Context(main), shlex.split(text, comments=True)
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(parent, name)
        assert found is not None, name
        command = found
    command.make_context(command.name, arguments, parent=parent)


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 4
    with pytest.raises(click.UsageError):
        check_command("serve data --prot 1")
