"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
)

DEFAULT_SEED = 42
"""The seed of the training whose results stand in the folder of the data set itself."""


class Options(BaseModel):
    """A block of parameters: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def format_validation_errors(error: ValidationError) -> str:
    """Say in a line each which keys are wrong, what was expected and what was found."""
    return "\n".join(
        f"  {'.'.join(str(part) for part in problem['loc'])}: {_told(problem)}"
        for problem in error.errors()
    )


def _told(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such parameter"
    if problem["type"] == "missing":
        return "is missing"
    return f"{problem['msg']}, found {problem['input']!r}"
