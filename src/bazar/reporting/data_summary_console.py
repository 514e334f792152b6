"""Console output of the data summary at the end of `kedro run`."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bazar.labels import make_printable
from bazar.reporting.data_summary import Check, DataSummary, Step, describe_facts

_MAX_STEPS, _MAX_CHECKS = 8, 5
_COMMAND = ".venv/bin/kedro run"
_PIPELINES = "ingestion,joining,sequencing"


def print_data_summary(
    summary: DataSummary,
    page: Path,
    env: str | None = None,
    console: Console | None = None,
    given: Mapping[str, Any] | None = None,
) -> None:
    """Print the numbers, what to change, and the next command, in at most 40 lines of 100 letters.

    Args:
        summary: the data summary.
        page: path of its page.
        env: configuration environment of the run; None for the default.
        console: where to print; the terminal if None.
        given: parameters of the command line.
    """
    console = console or Console(emoji=False)
    console.print(f"\n[bold]{escape(summary.headline)}[/bold]", highlight=False)
    numbers = Table.grid(padding=(0, 2))
    for name, text in describe_facts(summary.facts).items():
        numbers.add_row(name, text)
    console.print(numbers, highlight=False)
    _print_steps(summary.facts.steps, console)
    console.print()
    for requirement in summary.requirements:
        if not requirement.is_met:
            console.print(
                f"[bold]Little data:[/bold] {requirement.name}: {requirement.found}; recommended: "
                f"at least {requirement.needed}.",
                highlight=False,
            )
    for check in summary.checks[:_MAX_CHECKS]:
        _print_check(check, env, console)
    hidden = len(summary.checks) - _MAX_CHECKS
    more = f", with {hidden} more to check" if hidden > 0 else ""
    console.print(f"\nWritten{more}:\n    {escape(str(page))}", soft_wrap=True, highlight=False)
    _print_next(summary, env, given or {}, console)


def _print_steps(steps: list[Step], console: Console) -> None:
    """Print the steps from rows to purchases. Small steps are joined if there are many."""
    first, *removing = [step for step in steps if step.removed or step is steps[0]]
    shown = sorted(removing, key=lambda step: -step.removed)[: _MAX_STEPS - 2]
    rest = sum(step.removed for step in removing) - sum(step.removed for step in shown)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_row(f"{first.remaining:,}", first.label)
    for step in removing:
        if step in shown:
            table.add_row(f"-{step.removed:,}", escape(make_printable(step.label)))
    if rest:
        table.add_row(f"-{rest:,}", "other reasons")
    table.add_row(f"{steps[-1].remaining:,}", "purchases used", style="bold")
    console.print()
    console.print(table, highlight=False)


def _print_check(check: Check, env: str | None, console: Console) -> None:
    label = "Check" if check.is_problem else "Note"
    title = escape(make_printable(check.title))
    console.print(f"[bold]{label}:[/bold] {title}", highlight=False)
    if check.setting is not None:
        line = make_printable(check.setting.format_line())
        file = f"conf/{env or 'base'}/{check.setting.file}"
        console.print(f"    {escape(line)}    [dim]({escape(file)})[/dim]", highlight=False)


def _print_next(
    summary: DataSummary, env: str | None, given: Mapping[str, Any], console: Console
) -> None:
    env_option = f" --env {shlex.quote(env)}" if env else ""
    values = ",".join(f"{key}={value}" for key, value in _flatten(given))
    params = f" --params {shlex.quote(values)}" if values else ""
    commands = [f"{_COMMAND}{env_option}{params}"]
    if summary.problems:
        commands.insert(0, f"{_COMMAND}{env_option} --pipelines {_PIPELINES}{params}")
        console.print("Next: change the settings, and check again; then train and measure:")
    else:
        console.print("Next: train and measure the models:")
    for command in commands:
        console.print(f"    {escape(command)}", soft_wrap=True, highlight=False)


def _flatten(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return parameters with dotted keys."""
    flat: list[tuple[str, Any]] = []
    for key, value in given.items():
        if isinstance(value, Mapping):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
