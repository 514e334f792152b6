"""The error a user can mend."""


class InputError(Exception):
    """Something outside the program is wrong: a file, a row, a key, a parameter.

    The message names it, says what was found, and what to do, in a few lines. The
    command line prints the message alone, without a traceback.
    """


class DivergenceError(InputError):
    """A training whose loss or weights are not numbers any more."""
