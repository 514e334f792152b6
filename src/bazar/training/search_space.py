"""What a search may change of a network's block: dotted keys and the values that each may have."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Any

from pydantic import ValidationError

from bazar.config.base import format_validation_errors
from bazar.config.networks import ModelOptions, NetworkBlock
from bazar.config.tuning import Choices, NumberRange, TuningOptions
from bazar.errors import InputError

Scalar = bool | int | float | str | None

# A place between the ends of a range that is hardly ever a whole number.
_INSIDE = 0.3819660113
_DIGITS = 4


def check_tuning(options: TuningOptions, models: Mapping[str, ModelOptions]) -> None:
    """Refuse a search of a network that there is not, or of ranges that its block cannot take.

    Args:
        options: of the search.
        models: options by name of the model.

    Raises:
        InputError: naming the key.
    """
    network = get_tuned_network(options, models)
    check_ranges(models[options.model].networks[network], options.searched)


def get_tuned_network(options: TuningOptions, models: Mapping[str, ModelOptions]) -> str:
    """Return the name of the network whose block is tuned.

    Args:
        options: of the search.
        models: options by name of the model.

    Raises:
        InputError: if the model has no such network.
    """
    model = models[options.model]
    name = model.network if options.network is None else options.network
    if name not in model.networks:
        raise InputError(
            f"search.network: {options.model} has no network {name}\n"
            f"It has {', '.join(model.networks)}"
        )
    return name


def block_values(block: NetworkBlock) -> dict[str, Scalar]:
    """Return every value of a block by its dotted key, such as ``layers.0.rate``."""
    return dict(_leaves(block.model_dump(mode="json"), ""))


def with_values(block: NetworkBlock, values: Mapping[str, Scalar]) -> NetworkBlock:
    """Put values into a block.

    Args:
        block: left as it is.
        values: by dotted key; keys that the block has.

    Raises:
        pydantic.ValidationError: if a block cannot be like that.
    """
    changed = block.model_dump(mode="json")
    for key, value in values.items():
        *parts, last = key.split(".")
        inside: Any = changed
        for part in parts:
            inside = inside[int(part) if isinstance(inside, list) else part]
        inside[last] = value
    return NetworkBlock.model_validate(changed)


def is_within(values: NumberRange | Choices, value: Scalar) -> bool:
    """Whether a range has a value."""
    if isinstance(values, Choices):
        return value in values.choices
    return isinstance(value, int | float) and values.low <= value <= values.high


def rounded(values: NumberRange | Choices, value: Scalar) -> Scalar:
    """Round a number of a range to four digits, so that it can be read and written by hand."""
    if isinstance(values, Choices) or not isinstance(value, float):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), values.low), values.high)


def check_ranges(block: NetworkBlock, ranges: Mapping[str, NumberRange | Choices]) -> None:
    """Refuse ranges that the block cannot take.

    Every two keys are tried together: what one may be can depend on another, ``temperature`` on
    ``head``.

    Args:
        block: the block that is tuned.
        ranges: by dotted key.

    Raises:
        InputError: naming the keys that the block does not have, or the one whose value it refuses.
    """
    have = block_values(block)
    if unknown := [key for key in ranges if key not in have]:
        raise InputError(
            "\n".join(f"search.ranges: the block has no {key}" for key in unknown)
            + f"\nIt has {', '.join(have)}\nA range of null takes a key out of the search"
        )
    tried = {key: _some_of(values) for key, values in ranges.items()}
    alone = {key: _refusal(block, key, values) for key, values in tried.items()}
    first = {key: values[0] for key, values in tried.items()}
    # One key is a pair with itself: it is tried where there is no other.
    for pair in list(combinations(tried, 2)) or [(key, key) for key in tried]:
        for both in product(*(tried[key] for key in pair)):
            try:
                with_values(block, first | dict(zip(pair, both, strict=True)))
            except ValidationError as error:
                if told := [message for message in alone.values() if message]:
                    raise InputError(told[0]) from None
                what = " with ".join(f"{k}: {v}" for k, v in zip(pair, both, strict=True))
                raise InputError(
                    f"search.ranges: the block cannot have {what}\n{format_validation_errors(error)}"
                ) from None


def _refusal(block: NetworkBlock, key: str, values: tuple[Scalar, ...]) -> str | None:
    for value in values:
        try:
            with_values(block, {key: value})
        except ValidationError as error:
            return f"search.ranges.{key}: the block cannot have {value}\n{format_validation_errors(error)}"
    return None


def _some_of(values: NumberRange | Choices) -> tuple[Scalar, ...]:
    """The values on which it depends whether a block takes all of them."""
    if isinstance(values, Choices):
        return values.choices
    if values.whole:
        return values.low, values.high
    low, high = float(values.low), float(values.high)
    return low, low + (high - low) * _INSIDE, high


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Scalar]]:
    if not isinstance(value, dict | list):
        yield key, value
        return
    for part, inside in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(inside, f"{key}.{part}" if key else str(part))
