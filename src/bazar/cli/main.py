"""The command group of the project, and ``kedro run`` with short messages."""

import copy
import pkgutil
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
from bazar.cli.new_shop import new_shop
from bazar.cli.recommend import export_recommendations, recommend, similar
from bazar.cli.serve import serve

COMMANDS = (new_shop, recommend, similar, serve, add_products, export_recommendations, download)
"""The commands that Kedro does not have."""


@click.group(name="bazar")
def cli() -> None:
    """Commands of Bazar."""


def check_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``kedro run`` raise InputError if an option has a value that cannot work.

    Kedro would notice unknown names later, and print a traceback.
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
        is_async = kwargs.get("is_async") or (kwargs.get("runner_params") or {}).get("is_async")
        if is_async or kwargs.get("runner"):
            # Imported only if needed, because the other commands do without the hooks' libraries.
            from bazar.hooks import check_runner

            check_runner(kwargs.get("runner") or "SequentialRunner", bool(is_async))
        return command(*args, **kwargs)

    return run


def report_interrupt(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``kedro run`` explain after Ctrl+C or a kill what is kept and how to resume.

    The exit code is that of a shell: 128 plus the number of the signal.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _catch_signals() as received:
            try:
                return command(*args, **kwargs)
            except BaseException as error:
                # Libraries such as DuckDB replace KeyboardInterrupt by errors of their own.
                if not received and not isinstance(error, KeyboardInterrupt):
                    raise
                number = received[0] if received else signal.SIGINT
        given = f"kedro {shlex.join(sys.argv[1:])}"
        message = describe_interrupted_run(given, kwargs.get("pipelines") or ())
        # After SIGHUP, the terminal may be closed.
        with suppress(OSError):
            click.echo(f"\n{message}", err=True)
        raise click.exceptions.Exit(128 + number)

    return run


@contextmanager
def _catch_signals() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at the signals that end a process. Yield the numbers received.

    Signals that the process ignores, such as SIGHUP after nohup, are still ignored.
    """
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    earlier = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            earlier[number] = signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


run = copy.copy(kedro_run)
run.callback = shorten_errors(report_interrupt(check_options(kedro_run.callback)))  # type: ignore[arg-type]
for command in (run, *COMMANDS):
    cli.add_command(command)
