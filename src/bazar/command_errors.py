"""How commands tell what a user can mend: in a few lines."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
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
