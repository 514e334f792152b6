"""The project's commands: ``kedro run`` with errors that a user can mend told in a few lines."""

import copy
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError

from bazar.errors import InputError


def told_in_short(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command end with the message alone when the cause is outside the program.

    Kedro wraps what a catalog type raises: the cause of the error is looked for, too. Any
    other error keeps its traceback, since it is for a programmer to read.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, InputError):
                cause = cause.__cause__ or cause.__context__
            if cause is None and isinstance(error, DatasetError):
                cause = error
            if cause is None:
                raise
            raise click.ClickException(str(cause)) from None

    return run


@click.group(name="bazar")
def cli() -> None:
    """Bazar's own commands."""


run = copy.copy(kedro_run)
run.callback = told_in_short(run.callback)  # type: ignore[arg-type]
cli.add_command(run)
