"""How commands tell what a user can mend: in a few lines, and before any work."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata
from kedro.io import DatasetError

from bazar.errors import InputError


def shorten_errors(command: Callable[..., Any]) -> Callable[..., Any]:
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


def check_name(what: str, name: str | None, names: set[str]) -> None:
    """Refuse a name that there is not.

    Args:
        what: what is named.
        name: the name; None if nothing is named.
        names: those that there are.
    """
    if name is not None and name not in names:
        raise InputError(f"there is no {what} {name}\nThere are {', '.join(sorted(names))}")


def check_environment(metadata: ProjectMetadata, env: str | None) -> None:
    """Refuse an environment that there is not: Kedro finds out later, and with a traceback."""
    folders = (metadata.project_path / settings.CONF_SOURCE).glob("[!.]*/")
    check_name("environment", env, {folder.name for folder in folders})
