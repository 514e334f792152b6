"""The command ``kedro new-shop``."""

import re
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata

from bazar.cli.errors import shorten_errors
from bazar.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from bazar.ingestion.inspection.dialogue import Dialogue, Question
    from bazar.ingestion.inspection.preview import Preview
    from bazar.ingestion.inspection.sources import Proposal, Source

_RESERVED = ("base", "local", "sample")
"""Environments that have a meaning, and the data set of the sample store."""
_SHOWN_DIFFERENCES = 5
_MAX_REJECT_SHARE = 0.05
_CELL_LENGTH, _EXAMPLE_LENGTH = 28, 50
_REASONS = {
    "guest": "no customer",
    "return": "returns and refunds",
    "returned later": "purchases that were returned",
    "quantity 0": "quantity 0",
    "excluded item": "lines that are not products",
}
"""Reasons of exclusion in words of a shop."""


@click.command("new-shop")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--yes", "-y", is_flag=True, help="Accept all proposals without questions.")
@click.pass_obj
@shorten_errors
def new_shop(metadata: ProjectMetadata, name: str, files: tuple[Path, ...], yes: bool) -> None:
    """Create an environment for the files of a shop.

    The files are exports: CSV, JSON, Parquet or Excel, gzipped or not. The command proposes what
    their columns mean and which rows are purchases, asks you when the files are not clear, and
    writes conf/NAME/globals.yml. It never changes an existing environment.

    \b
        kedro new-shop my_shop data/01_raw/my_shop/orders.csv
        kedro new-shop my_shop orders-*.csv products.xlsx --yes
    """  # noqa: D301
    # Imported here, so that other commands start faster.
    from rich.console import Console

    from bazar.data.suspicious import find_suspicious_items
    from bazar.ingestion.inspection.dialogue import Dialogue
    from bazar.ingestion.inspection.globals_file import build_globals, write_globals
    from bazar.ingestion.inspection.preview import preview_source
    from bazar.ingestion.inspection.proposal import propose_sources
    from bazar.ingestion.inspection.records import open_workspace

    conf = metadata.project_path / settings.CONF_SOURCE
    _check_name(name, conf)
    console = Console(emoji=False)
    dialogue = Dialogue(_ask)
    if yes:
        dialogue.ask = partial(_accept_proposal, dialogue)
    now_ms = int(time.time() * 1000)
    with open_workspace() as connection:
        proposal = propose_sources(files, connection, dialogue, find_suspicious_items, now_ms)
        raw_dir = _shorten_folder(proposal.raw_dir, metadata.project_path)
        content = build_globals(name, raw_dir, proposal)
        _check_content(content)
        previews = [preview_source(source, now_ms) for source in proposal.interactions]
    _print_proposal(proposal, previews, dialogue, console)
    text = write_globals(name, raw_dir, proposal, dialogue.unsure)
    _save(conf / name / "globals.yml", content, text, console)
    console.print(
        f"Next:\n    kedro run --env {name} --pipelines ingestion,joining,sequencing",
        soft_wrap=True,
        highlight=False,
    )


def _check_name(name: str, conf: Path) -> None:
    """Raise InputError if an environment cannot have this name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]*", name):
        raise InputError(
            f"{name!r} cannot be the name of an environment. Begin with a letter or a digit, and "
            "use only letters, digits, and the characters _ . - after it, for example my_shop."
        )
    folder = conf / name
    if name in _RESERVED or (folder.exists() and not (folder / "globals.yml").is_file()):
        raise InputError(
            f"{folder} is used for other settings. Choose another name, for example {name}_shop."
        )


def _accept_proposal(dialogue: "Dialogue", question: "Question") -> str:
    """Return the proposed answer, and add a note that the reader should check it.

    Raises:
        InputError: if the question has no proposed answer.
    """
    if question.default is None:
        raise InputError(
            f"{question.text}\nThere is no proposal that --yes could accept. Run the command "
            "without --yes to answer, or write conf/NAME/globals.yml by hand."
        )
    dialogue.unsure.append(f"{question.text} Assumed: {question.default}.")
    return question.default


def _ask(question: "Question") -> str:
    """Ask on the terminal until the answer is valid, and return it.

    Raises:
        InputError: if the input ends and is not a terminal.
    """

    def check(answer: str) -> str:
        if question.choices and answer not in question.choices:
            raise click.BadParameter(f"choose one of {', '.join(question.choices)}")
        try:
            question.check(answer)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
        return answer

    choices = f" ({', '.join(question.choices)})" if question.choices else ""
    try:
        return str(
            click.prompt(f"{question.text}{choices}", default=question.default, value_proc=check)
        )
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise InputError(
            f"The input is not a terminal, so this cannot be asked:\n{question.text}{choices}\n"
            "Accept all proposals with --yes, or run the command in a terminal."
        ) from None


def _shorten_folder(folder: Path, project: Path) -> str:
    """Return the path within the project if possible, otherwise the absolute path."""
    from bazar.ingestion.inspection.proposal import make_absolute

    inside = make_absolute(project)
    return folder.relative_to(inside).as_posix() if folder.is_relative_to(inside) else str(folder)


def _check_content(content: dict[str, Any]) -> None:
    """Raise InputError if ingestion would not accept the sources."""
    from pydantic import ValidationError

    from bazar.config.base import format_validation_errors
    from bazar.config.data import IngestionOptions

    options = {key: content[key] for key in ("interactions", "products")}
    try:
        IngestionOptions.model_validate({**options, "max_reject_share": _MAX_REJECT_SHARE})
    except ValidationError as error:
        raise InputError(
            "The proposed configuration is not valid:\n"
            f"{format_validation_errors(error, IngestionOptions)}\n"
            "Write conf/NAME/globals.yml by hand; see docs/how-to/own-data.md."
        ) from None


def _save(path: Path, content: dict[str, Any], text: str, console: "Console") -> None:
    """Write the configuration, or compare it with the existing one.

    Raises:
        InputError: if the environment exists and differs from the proposal.
    """
    from bazar.atomic import atomic_path
    from bazar.ingestion.inspection.globals_file import list_differences, read_globals

    assert read_globals(text) == content, "the comments have changed the configuration"
    if path.is_file():
        existing = read_globals(path.read_text(encoding="utf-8"))
        if differences := list_differences(existing, content):
            listed = "\n".join(f"  {line}" for line in differences[:_SHOWN_DIFFERENCES])
            more = len(differences) - _SHOWN_DIFFERENCES
            rest = f"\n  and {more} more" if more > 0 else ""
            name = path.parent.name
            raise InputError(
                f"{path} already exists and differs from the proposal. It was not changed. "
                f"Differences:\n{listed}{rest}\nChoose another name, for example {name}_2, or edit "
                "the file."
            )
        console.print(f"{path} exists and is up to date.", soft_wrap=True, highlight=False)
        return
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    console.print(f"Written: {path}", soft_wrap=True, highlight=False)


def _print_proposal(
    proposal: "Proposal", previews: list["Preview"], dialogue: "Dialogue", console: "Console"
) -> None:
    """Print the columns, some rows, the excluded rows, and notes to check."""
    for source, preview in zip(proposal.interactions, previews, strict=True):
        _print_columns("Orders", source, console)
        _print_rows(preview, console)
        _print_reasons(preview, console)
    for source in proposal.products:
        _print_columns("Products", source, console)
    notes = [*proposal.unused, *dialogue.dropped]
    for title, lines in (("Please check", dialogue.unsure), ("Not used", notes)):
        if lines:
            console.print(f"[bold]{title}[/bold]")
        for line in lines:
            # Names of columns may contain line breaks.
            console.print(f"- {' '.join(line.split())}", markup=False, highlight=False)
    console.print()


def _print_columns(kind: str, source: "Source", console: "Console") -> None:
    from rich.markup import escape

    names = ", ".join(file.path.name for file in source.files)
    console.print(
        f"[bold]{kind}: {escape(names)}[/bold] ({escape(source.rules.comments['files'])})",
        highlight=False,
    )
    table = _make_table("meaning", "column", "for example")
    for ours, theirs in source.rules.keys["columns"].items():
        columns = theirs if isinstance(theirs, list) else [theirs]
        examples = [_shorten(text) for text in source.file.profiles[columns[0]].examples]
        table.add_row(ours, escape(", ".join(columns)), escape(" | ".join(examples)))
    console.print(table)


def _print_rows(preview: "Preview", console: "Console") -> None:
    from rich.markup import escape

    if not preview.purchases:
        return
    console.print(f"The first {len(preview.purchases)} purchases, times in UTC:", highlight=False)
    table = _make_table(*preview.purchases[0])
    for row in preview.purchases:
        table.add_row(*(escape(_format_value(name, value)) for name, value in row.items()))
    console.print(table)


def _print_reasons(preview: "Preview", console: "Console") -> None:
    from rich.markup import escape

    n_excluded = preview.n_read - preview.n_kept - preview.n_rejected
    events = f" ({preview.n_events:,} are views and other events)" if preview.n_events else ""
    console.print(
        f"{preview.n_read:,} rows: {preview.n_kept:,} kept{events}, {n_excluded:,} excluded by a "
        f"rule, {preview.n_rejected:,} rejected as invalid.",
        highlight=False,
    )
    if not preview.reasons:
        return
    table = _make_table("rows", "reason", "for example")
    table.columns[0].justify = "right"
    for row in preview.reasons:
        reason = _REASONS.get(row["reason"], row["reason"])
        kind = "" if row["kind"] == "excluded" else " (rejected)"
        example = _shorten(row["example"] or "", _EXAMPLE_LENGTH)
        table.add_row(f"{row['count']:,}", escape(reason + kind), escape(example))
    console.print(table)


def _make_table(*headers: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(*headers, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _format_value(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "timestamp":
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    return f"{value:g}" if isinstance(value, float) else _shorten(str(value))


def _shorten(text: str, length: int = _CELL_LENGTH) -> str:
    """Return a text in one line, without control characters, and not longer than ``length``."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    short = " ".join(printable.split())
    return short if len(short) <= length else f"{short[: length - 1]}…"
