"""Console output of the data summary at the end of `kedro run`."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from bazar.labels import make_printable
from bazar.reporting.data_summary import (
    Check,
    DataFacts,
    DataSummary,
    Step,
    describe_facts,
    format_count,
)

_MAX_LINES, _MAX_ENDING, _MAX_STEPS = 40, 8, 6
_COMMAND = ".venv/bin/kedro run"
_PIPELINES = "ingestion,joining,sequencing"


def print_data_summary(
    summary: DataSummary,
    page: Path,
    env: str | None = None,
    console: Console | None = None,
    given: Mapping[str, Any] | None = None,
) -> None:
    """Print the numbers, what to change, and the next command, in at most 40 lines.

    Checks that do not fit are only on the page. A narrow terminal has more lines.

    Args:
        summary: the data summary.
        page: path of its page.
        env: configuration environment of the run; None for the default.
        console: where to print; the terminal if None.
        given: parameters of the command line.
    """
    console = console or Console(emoji=False)
    blocks: list[RenderableType] = [
        f"\n[bold]{escape(summary.headline)}[/bold]",
        _tabulate_facts(summary.facts),
        "",
        _tabulate_steps(summary.facts.steps),
        "",
    ]
    if unmet := [requirement for requirement in summary.requirements if not requirement.is_met]:
        listed = "; ".join(f"{one.name}: {one.found} (recommended: {one.needed})" for one in unmet)
        blocks.append(f"[bold]Little data:[/bold] {listed}.")
    ending = [*_describe_next(summary, page, env, given or {})]
    room = _MAX_LINES - _MAX_ENDING - sum(_count_lines(block, console) for block in blocks)
    checks = [_describe_check(check, env) for check in summary.checks]
    n_shown = 0
    while n_shown < len(checks) and (room := room - _count_lines(checks[n_shown], console)) >= 0:
        n_shown += 1
    for block in [*blocks, *checks[:n_shown]]:
        console.print(block, highlight=False)
    if hidden := len(checks) - n_shown:
        console.print(f"The page has {format_count(hidden, 'more note')}.", highlight=False)
    for line in ending:
        console.print(line, soft_wrap=True, highlight=False)


def _count_lines(block: RenderableType, console: Console) -> int:
    return len(console.render_lines(block))


def _tabulate_facts(facts: DataFacts) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, text in describe_facts(facts).items():
        table.add_row(name, text)
    return table


def _tabulate_steps(steps: list[Step]) -> Table:
    """List the steps from rows to purchases. Small steps are joined if there are many."""
    removing = [step for step in steps[1:] if step.removed]
    shown = sorted(removing, key=lambda step: -abs(step.removed))[:_MAX_STEPS]
    rest = sum(step.removed for step in removing) - sum(step.removed for step in shown)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_row(f"{steps[0].remaining:,}", steps[0].label)
    for step in removing:
        if step in shown:
            table.add_row(f"{-step.removed:,}", escape(make_printable(step.label)))
    if rest:
        table.add_row(f"{-rest:,}", "other reasons")
    table.add_row(f"{steps[-1].remaining:,}", "purchases used", style="bold")
    return table


def _describe_check(check: Check, env: str | None) -> str:
    label = "Check" if check.is_problem else "Note"
    text = f"[bold]{label}:[/bold] {escape(make_printable(check.title))}"
    if check.setting is None:
        return text
    line = escape(make_printable(check.setting.format_line()))
    file = escape(f"conf/{env or 'base'}/{check.setting.file}")
    return f"{text}\n    {line} [dim]({file})[/dim]"


def _describe_next(
    summary: DataSummary, page: Path, env: str | None, given: Mapping[str, Any]
) -> Iterator[str]:
    yield f"\nWritten:\n    {escape(str(page))}"
    env_option = f" --env {shlex.quote(env)}" if env else ""
    values = ",".join(f"{key}={value}" for key, value in _flatten(given))
    params = f" --params {shlex.quote(values)}" if values else ""
    if any(check.setting is not None for check in summary.problems):
        yield "Next: change the settings, and check the data again. Then train and measure:"
        yield escape(f"    {_COMMAND}{env_option} --pipelines {_PIPELINES}{params}")
    else:
        yield "Next: train and measure the models:"
    yield escape(f"    {_COMMAND}{env_option}{params}")


def _flatten(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return parameters with dotted keys."""
    flat: list[tuple[str, Any]] = []
    for key, value in given.items():
        if isinstance(value, Mapping):
            flat += _flatten(value, f"{prefix}{key}.")
        else:
            flat.append((f"{prefix}{key}", value))
    return flat
