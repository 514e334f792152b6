"""Errors that a user can fix."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """An invalid input, such as a file, a row, a key or a parameter.

    The message contains the problem, the value found and the fix. The command line prints only the
    message, without a traceback.
    """


class DivergenceError(InputError):
    """A training diverged: its loss or a weight is not a finite number."""


def suggest_names(name: str, names: Iterable[str]) -> str:
    """Return a hint for an unknown name, to append to an error message.

    Args:
        name: the unknown name.
        names: the valid names.

    Returns:
        ``" Did you mean 'x'?"`` if a valid name is close, then the sorted list of valid names.
    """
    valid = sorted(names)
    close = get_close_matches(name, valid, n=1)
    question = f" Did you mean '{close[0]}'?" if close else ""
    return f"{question} Available: {', '.join(valid) or 'none'}."
