"""Business rules: a YAML file that pins, boosts or excludes products.

For example::

    rules:
      - name: summer sale
        action: boost
        attributes: [Sun Care]
        factor: 1.5
        start: 2026-06-01
        end: 2026-08-31
        placements: [recommend, search]
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from bazar.config.base import Options, format_validation_errors
from bazar.errors import InputError, suggest_names

MAX_POSITION = 1_000
"""Last position that a product can be pinned to."""


def _parse_start(value: Any) -> Any:
    return _parse_date(value, timedelta(0))


def _parse_end(value: Any) -> Any:
    return _parse_date(value, timedelta(days=1))


def _parse_date(value: Any, added: timedelta) -> Any:
    """Return a time in UTC. A date without a time is the midnight before it, plus a duration."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as 2026-06-30, or an ISO 8601 time") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC) + added
    if not isinstance(value, datetime):
        if value is None:
            return None
        raise ValueError("must be a date such as 2026-06-30, or an ISO 8601 time")
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class _Rule(Options):
    """What all rules have: the products, the dates and the placements."""

    name: str = Field(min_length=1)
    """Unique name, which answers list."""
    items: tuple[str, ...] = ()
    """Ids of the products."""
    attributes: tuple[str, ...] = ()
    """Categories, brands or other attributes; products with at least one of them are meant."""
    start: Annotated[datetime | None, BeforeValidator(_parse_start)] = None
    """First moment, in UTC unless it has an offset. A date is the start of the day."""
    end: Annotated[datetime | None, BeforeValidator(_parse_end)] = None
    """Moment after the last one. A date is the end of the day."""
    placements: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Names of the placements, such as recommend, similar, bought_together, buy_again, search or
    a name that a request gives; null for all."""

    @model_validator(mode="after")
    def _check_rule(self) -> Self:
        if not self.items and not self.attributes:
            raise ValueError("items or attributes must name at least one product, found neither")
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"end must be later than start ({self.start}), found {self.end}")
        return self

    def applies(self, placement: str, at: int) -> bool:
        """Return whether the rule applies to a placement at a time, in UTC milliseconds."""
        if self.placements is not None and placement not in self.placements:
            return False
        time = datetime.fromtimestamp(at / 1000, UTC)
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)


class PinRule(_Rule):
    """Show products at a fixed position.

    Items are shown at ``position`` and the positions after it. Of the products with the attributes,
    the best one is shown. A product that must not be listed is not pinned.
    """

    action: Literal["pin"]
    position: int = Field(ge=1, le=MAX_POSITION)
    """Position in the list, from 1."""


class BoostRule(_Rule):
    """Multiply the scores of products."""

    action: Literal["boost"]
    factor: float = Field(gt=0, le=1000)
    """Factor of the normalised score: above 1 moves products up, below 1 moves them down."""


class ExcludeRule(_Rule):
    """Never show products."""

    action: Literal["exclude"]


Rule = PinRule | BoostRule | ExcludeRule
_ACTIONS: dict[str, type[Rule]] = {"pin": PinRule, "boost": BoostRule, "exclude": ExcludeRule}


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read and check a file of rules.

    Args:
        path: YAML with the key ``rules``, a list of rules. An empty file has no rules.

    Raises:
        InputError: naming the file, the number of the rule, the key, the value and what is
            expected.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if content is None:
        return ()
    if not isinstance(content, dict) or set(content) != {"rules"}:
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)
        raise InputError(f"{path} must have only the key rules, a list of rules; found {keys}.")
    listed = [] if content["rules"] is None else content["rules"]
    if not isinstance(listed, list):
        raise InputError(f"{path}: rules must be a list of rules, found {listed!r}.")
    rules: list[Rule] = []
    for number, values in enumerate(listed, start=1):
        rule = _read_rule(f"{path}, rule {number}", values)
        if rule.name in {other.name for other in rules}:
            raise InputError(
                f"{path}, rule {number}: name must be unique, found {rule.name!r} a second time."
            )
        rules.append(rule)
    return tuple(rules)


def _read_rule(place: str, values: Any) -> Rule:
    if not isinstance(values, dict):
        raise InputError(f"{place} must be a block of keys and values, found {values!r}.")
    action = values.get("action")
    if not isinstance(action, str) or action not in _ACTIONS:
        hint = suggest_names(str(action), _ACTIONS)
        raise InputError(f"{place}: action must be pin, boost or exclude, found {action!r}.{hint}")
    try:
        return _ACTIONS[action].model_validate(values)
    except ValidationError as error:
        problems = format_validation_errors(error, _ACTIONS[action])
        raise InputError(f"{place} ({values.get('name')!r}):\n{problems}") from error
