"""The values that tuning may change in a network's block, by dotted key."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Any

from pydantic import ValidationError

from bazar.config.base import format_validation_errors
from bazar.config.networks import ModelOptions, NetworkBlock
from bazar.config.tuning import Choices, NumberRange, TuningOptions
from bazar.errors import InputError, suggest_names

Range = NumberRange | Choices
Scalar = bool | int | float | str | None

# A position between the ends of a range that is hardly ever an integer.
_INNER_SHARE = 0.3819660113
_DIGITS = 4


def check_tuning(options: TuningOptions, models: Mapping[str, ModelOptions]) -> None:
    """Raise InputError if the tuned network is unknown, or if its block rejects the ranges.

    Args:
        options: the tuning options.
        models: options by the name of the model.
    """
    network = get_tuned_network(options, models)
    check_ranges(models[options.model].networks[network], options.active_ranges)


def get_tuned_network(options: TuningOptions, models: Mapping[str, ModelOptions]) -> str:
    """Return the name of the network to tune.

    Args:
        options: the tuning options.
        models: options by the name of the model.

    Raises:
        InputError: if the model has no such network.
    """
    model = models[options.model]
    name = model.network if options.network is None else options.network
    if name not in model.networks:
        raise InputError(
            f"tuning.network: {options.model} has no network {name!r}."
            f"{suggest_names(name, model.networks)}"
        )
    return name


def list_block_values(block: NetworkBlock) -> dict[str, Scalar]:
    """Return all values of a block by dotted key, such as ``layers.0.rate``."""
    return dict(_iter_values(block.model_dump(mode="json"), ""))


def replace_values(block: NetworkBlock, values: Mapping[str, Scalar]) -> NetworkBlock:
    """Return a copy of a block with some values replaced.

    Args:
        block: the block.
        values: new values by dotted key. The block must have these keys.

    Raises:
        pydantic.ValidationError: if the changed block is not valid.
    """
    changed = block.model_dump(mode="json")
    for key, value in values.items():
        *parents, last = key.split(".")
        parent: Any = changed
        for part in parents:
            parent = parent[int(part) if isinstance(parent, list) else part]
        parent[last] = value
    return NetworkBlock.model_validate(changed)


def is_within(values: Range, value: Scalar) -> bool:
    """Whether a range contains a value."""
    if isinstance(values, Choices):
        return value in values.choices
    return isinstance(value, int | float) and values.low <= value <= values.high


def round_value(values: Range, value: Scalar) -> Scalar:
    """Round a float of a range to four digits, so that it is easy to read and to copy."""
    if isinstance(values, Choices) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), values.low), values.high)


def check_ranges(block: NetworkBlock, ranges: Mapping[str, Range]) -> None:
    """Raise InputError if a block does not have a key, or rejects a value of its range.

    All pairs of keys are tried together, because the valid values of one key can depend on another
    one: for example, ``temperature`` depends on ``head``.

    Args:
        block: the block to tune.
        ranges: the ranges by dotted key.

    Raises:
        InputError: with the unknown keys, or the first key whose value the block rejects.
    """
    keys = list_block_values(block)
    if unknown := [key for key in ranges if key not in keys]:
        raise InputError(
            "\n".join(f"tuning.ranges: the block has no key {key!r}." for key in unknown)
            + f"\nIts keys are {', '.join(keys)}.\nSet the range of a key to null to remove it."
        )
    tried = {key: _select_values(values) for key, values in ranges.items()}
    rejections = {key: _find_rejection(block, key, values) for key, values in tried.items()}
    first = {key: values[0] for key, values in tried.items()}
    # A single key is paired with itself.
    for pair in list(combinations(tried, 2)) or [(key, key) for key in tried]:
        for values in product(*(tried[key] for key in pair)):
            try:
                replace_values(block, first | dict(zip(pair, values, strict=True)))
            except ValidationError as error:
                if messages := [message for message in rejections.values() if message]:
                    raise InputError(messages[0]) from None
                setting = " with ".join(f"{k}: {v}" for k, v in zip(pair, values, strict=True))
                raise InputError(
                    f"tuning.ranges: the block rejects {setting}\n{format_validation_errors(error)}"
                ) from None


def _find_rejection(block: NetworkBlock, key: str, values: tuple[Scalar, ...]) -> str | None:
    """Return a message if the block rejects one of the values for a key."""
    for value in values:
        try:
            replace_values(block, {key: value})
        except ValidationError as error:
            return (
                f"tuning.ranges.{key}: the block rejects {value}\n{format_validation_errors(error)}"
            )
    return None


def _select_values(values: Range) -> tuple[Scalar, ...]:
    """Select values of a range: if a block accepts them, it accepts all values of the range."""
    if isinstance(values, Choices):
        return values.choices
    if values.is_integer:
        return values.low, values.high
    low, high = float(values.low), float(values.high)
    return low, low + (high - low) * _INNER_SHARE, high


def _iter_values(value: Any, key: str) -> Iterator[tuple[str, Scalar]]:
    if not isinstance(value, dict | list):
        yield key, value
        return
    for part, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _iter_values(child, f"{key}.{part}" if key else str(part))
