"""Define the base class of all parameter blocks, and format their validation errors.

A subclass of :class:`Options` describes one block of a ``parameters_<pipeline>.yml``.
"""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from bazar.errors import suggest_names

DEFAULT_SEED = 42
"""Default seed of the training of networks."""


class Options(BaseModel):
    """A block of parameters: unknown keys are rejected, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def format_validation_errors(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Format validation errors, one line per key.

    Args:
        error: the error of ``model.model_validate``.
        model: the model that was validated. If given, unknown keys are reported with the valid
            keys of the block.

    Returns:
        Lines such as ``"  evaluation.top_k: must be greater than or equal to 20, found 3"``.
    """
    problems = error.errors()
    lines: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        # A list with an invalid item is also reported as too short.
        items = [other["loc"][: len(problem["loc"])] for other in problems if other != problem]
        if problem["type"] != "too_short" or problem["loc"] not in items:
            key, valid_keys = _locate(model, problem)
            explanation = _explain(problem, valid_keys)
            lines.setdefault((key, _format_value(problem)), []).append(explanation)
    return "\n".join(
        f"  {f'{key}: ' if key else ''}{' or '.join(dict.fromkeys(explanations))}{value}"
        for (key, value), explanations in lines.items()
    )


def _explain(problem: Any, valid_keys: list[str]) -> str:
    """Return an explanation of a validation error."""
    if problem["type"] == "extra_forbidden":
        hint = suggest_names(str(problem["loc"][-1]), valid_keys) if valid_keys else ""
        return f"unknown key.{hint}"
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "model_type":
        return "must be a block of keys and values"
    if problem["type"] == "union_tag_invalid":
        return f"type must be one of {problem['ctx']['expected_tags']}"
    message: str = problem["msg"].removeprefix("Value error, ")
    return re.sub(r"^(Input|String|List|Tuple|Dictionary) should ", "must ", message)


def _format_value(problem: Any) -> str:
    """Return the value found as text, or an empty text if it is not shown."""
    # The message of a block validator already contains the invalid values.
    is_block = problem["type"] == "value_error" and isinstance(problem["input"], Mapping)
    if is_block or problem["type"] in {"extra_forbidden", "missing"}:
        return ""
    if problem["type"] == "union_tag_invalid":
        return f", found {problem['ctx']['tag']!r}"
    return f", found {problem['input']!r}"


def _locate(model: type[BaseModel] | None, problem: Any) -> tuple[str, list[str]]:
    """Return the dotted key of a problem, and the valid keys of its block if it is unknown."""
    is_unknown = problem["type"] == "extra_forbidden"
    followed = [] if model is None else list(_follow(model, problem["loc"]))
    followed = [(keys, names) for keys, names in followed if bool(names) == is_unknown]
    keys = followed[0][0] if followed else problem["loc"]
    valid_keys = dict.fromkeys(name for _, names in followed for name in names)
    return ".".join(str(key) for key in keys), list(valid_keys)


def _follow(annotation: Any, location: tuple[Any, ...]) -> Iterator[tuple[list[Any], list[str]]]:
    """Find the parameter keys of an error location of Pydantic.

    A location also contains the branches of unions, which are not keys of the parameters.

    Yields:
        For each possible path: the parameter keys, and the valid keys of the innermost block if
        the last key is unknown, otherwise an empty list.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _follow(arguments[0], location)
    elif not location or location == ("[key]",):
        yield [], []
    elif origin in (Union, UnionType):
        tagged = [member for member in arguments if _has_tag(member, location[0])]
        for member in tagged or arguments:
            yield from _follow(member, location)
            yield from _follow(member, location[1:])
    elif origin in (dict, list, tuple):
        for keys, names in _follow(arguments[1 if origin is dict else 0], location[1:]):
            yield [location[0], *keys], names
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        if "root" in fields and location[0] != "root":
            yield from _follow(fields["root"].annotation, location)
        elif location[0] in fields:
            for keys, names in _follow(fields[location[0]].annotation, location[1:]):
                yield [location[0], *keys], names
        elif len(location) == 1:
            yield [location[0]], list(fields)


def _has_tag(member: Any, tag: Any) -> bool:
    """Return whether ``type: <tag>`` selects a member of a union."""
    fields = getattr(member, "model_fields", {})
    return "type" in fields and tag in get_args(fields["type"].annotation)
