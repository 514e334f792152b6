"""The error a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """Something outside the program is wrong: a file, a row, a key, a parameter.

    The message names it, says what was found, and what to do, in a few lines. The
    command line prints the message alone, without a traceback.
    """


class DivergenceError(InputError):
    """A training whose loss or weights are not numbers any more."""


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
