"""Short error messages for commands."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import click
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata
from kedro.io import DatasetError

from bazar.atomic import describe_disk_fault, list_causes
from bazar.errors import InputError, suggest_names


def shorten_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command print a message without a traceback if the user can fix the error.

    These are an InputError, a fault of the disk, and an error of a data set. Kedro wraps the errors
    of catalog types, so the causes of an error are searched, too. Other errors keep their
    traceback.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            message = _find_message(error)
            if message is None:
                raise
            raise click.ClickException(message) from None

    return run


def check_name(kind: str, name: str | None, names: Iterable[str]) -> None:
    """Raise InputError if a name is unknown.

    Args:
        kind: what the name stands for, such as "pipeline".
        name: the name; None passes.
        names: the valid names.
    """
    valid = set(names)
    if name is not None and name not in valid:
        raise InputError(f"There is no {kind} {name!r}.{suggest_names(name, valid)}")


def check_environment(metadata: ProjectMetadata, env: str | None) -> None:
    """Raise InputError if there is no folder of this name in ``conf/``.

    Kedro would notice later, and print a traceback.
    """
    folders = (metadata.project_path / settings.CONF_SOURCE).glob("[!.]*/")
    check_name("environment", env, [folder.name for folder in folders])


def _find_message(error: Exception) -> str | None:
    """Return the message for the user; None if the error is unexpected."""
    for cause in list_causes(error):
        if isinstance(cause, InputError):
            return str(cause)
    return describe_disk_fault(error) or (str(error) if isinstance(error, DatasetError) else None)
