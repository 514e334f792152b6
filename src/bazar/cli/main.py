"""The command group of the project, and ``kedro run`` with short messages."""

import copy
import pkgutil
import shlex
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.startup import ProjectMetadata

from bazar import pipelines
from bazar.cli.add_products import add_products
from bazar.cli.download import download
from bazar.cli.errors import check_environment, check_name, shorten_errors
from bazar.cli.interrupted_run import describe_interrupted_run
from bazar.cli.recommend import export_recommendations, recommend, similar

COMMANDS = (recommend, similar, add_products, export_recommendations, download)
"""The commands that Kedro does not have."""

_INTERRUPTED = 130


@click.group(name="bazar")
def cli() -> None:
    """Commands of Bazar."""


def check_names(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``kedro run`` raise InputError if the environment or a pipeline is unknown.

    Kedro would notice later, and print a traceback.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        metadata = click.get_current_context().find_object(ProjectMetadata)
        if metadata is not None:
            check_environment(metadata, kwargs.get("env"))
            modules = pkgutil.iter_modules(pipelines.__path__)
            names = {module.name for module in modules if module.ispkg} | {"__default__"}
            for name in kwargs.get("pipelines") or ():
                check_name("pipeline", name, names)
        return command(*args, **kwargs)

    return run


def report_interrupt(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``kedro run`` explain after Ctrl+C what is kept and how to resume."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            given = f"kedro {shlex.join(sys.argv[1:])}"
            click.echo(
                f"\n{describe_interrupted_run(given, kwargs.get('pipelines') or ())}", err=True
            )
            raise click.exceptions.Exit(_INTERRUPTED) from None

    return run


run = copy.copy(kedro_run)
run.callback = shorten_errors(report_interrupt(check_names(kedro_run.callback)))  # type: ignore[arg-type]
for command in (run, *COMMANDS):
    cli.add_command(command)
