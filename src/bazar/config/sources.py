"""Sources of raw data: files, formats, column mappings, and what a row means."""

import re
from functools import cached_property
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from bazar.config.base import Options

FileFormat = Literal["auto", "csv", "jsonl", "json", "parquet", "excel", "python"]
EventType = Literal["purchase", "view", "cart", "click", "impression", "other"]
Normalisation = Literal["strip", "upper", "lower", "integer_like"]
InteractionColumn = Literal[
    "user_id",
    "item_id",
    "timestamp",
    "position",
    "rating",
    "order_id",
    "quantity",
    "price",
    "currency",
    "event_type",
]
ProductColumn = Literal["item_id", "title", "url", "attributes"]

TIME_UNITS = ("s", "ms", "us", "ns")
"""Units of numbers that count from 1970."""
_NAMED_TIME_FORMATS = ("auto", "iso", "excel", *TIME_UNITS)
_DIRECTIVES = "YmdyHIMSfpbBzZ"
"""Letters after ``%`` that a time format may contain."""
_ALTERNATIVES = ("Yy", "mbB", "d", "HI", "M", "S", "f", "p", "zZ")
"""Letters of which a time format may contain only one."""

Scalar = str | int | float | bool


class Condition(Options):
    """Conditions on a column of a file. A row must satisfy all that are given.

    Values are compared as text without surrounding whitespace, or as numbers if the value in YAML
    is a number. An empty cell satisfies only ``missing: true`` and ``not_in``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    is_in: Annotated[list[Scalar], Field(min_length=1)] | None = Field(default=None, alias="in")
    """The value is one of these."""
    not_in: Annotated[list[Scalar], Field(min_length=1)] | None = None
    """The value is none of these."""
    min: float | None = None
    """The value is a number of at least this size."""
    max: float | None = None
    """The value is a number of at most this size."""
    matches: str | None = Field(default=None, min_length=1)
    """The value contains a match of this regular expression. ``^`` and ``$`` match its start
    and end."""
    missing: bool | None = None
    """``true``: the cell is empty. ``false``: it is not."""

    @field_validator("matches")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else _check_regex(pattern)

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(
                "must have at least one of in, not_in, min, max, matches and missing, found {}"
            )
        return self


Conditions = dict[str, Condition]
"""A condition for each column of the file. A row must satisfy all of them."""


def _check_quoted(value: object) -> object:
    """Return the value, or raise ValueError if YAML has read an id as a number or a boolean."""
    if isinstance(value, bool | int | float):
        kind = "boolean" if isinstance(value, bool) else "number"
        raise ValueError(f'must be in quotes, as in "{value}", because YAML reads it as a {kind}')
    return value


class Returns(Options):
    """Which rows are returns, refunds and cancellations, and what they undo.

    A row with a negative quantity is always a return.
    """

    where: Conditions = Field(default_factory=dict)
    """A row that satisfies all of these conditions is a return as well."""
    remove_matched: bool = False
    """Whether purchases that were returned later are removed. A return belongs to the latest
    purchases of the same item by the same user that are not later, and that no earlier return has
    taken. A purchase is removed if all its pieces were returned."""


class ExcludedItems(Options):
    """Items that are not products, such as postage, fees, vouchers and manual entries.

    They are removed from the interactions and from the catalogue. Matching ignores case.
    """

    ids: list[Annotated[str, BeforeValidator(_check_quoted)]] = Field(default_factory=list)
    """Complete item ids."""
    id_patterns: list[str] = Field(default_factory=list)
    """Regular expressions. An id that contains a match is excluded."""
    title_patterns: list[str] = Field(default_factory=list)
    """Regular expressions. An item is excluded if most of its titles contain a match."""

    @field_validator("id_patterns", "title_patterns")
    @classmethod
    def _check_patterns(cls, patterns: list[str]) -> list[str]:
        return [_check_regex(pattern) for pattern in patterns]


def _check_regex(pattern: str) -> str:
    """Return the pattern, or raise ValueError if it is invalid or not the same in all engines."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from None
    if re.search(r"\(\?[=!<]|\\[1-9]", pattern):
        raise ValueError(
            "must not use look-around or back-references: not every engine supports them"
        )
    return pattern


class RawSource(Options):
    """Raw files of one format."""

    files: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
    """A path within ``raw_dir``, a pattern such as ``orders-*.csv.gz``, or a list of them. An
    absolute path, and ``~/`` for the home folder, are possible as well. A folder stands for the
    Parquet files in it."""
    format: FileFormat = "auto"
    """File format. ``auto``: the content decides. ``python``: one Python literal per line, as in
    Amazon's files of 2014."""
    encoding: str = "auto"
    """Encoding of text files, such as ``cp1252``. ``auto``: UTF-8, UTF-16 or UTF-32 by the first
    bytes; otherwise UTF-8, or the most likely encoding if the text is not UTF-8."""
    sheet: str | None = None
    """Excel: name of the sheet. null: the first one."""
    optional: bool = False
    """Whether the files of the source may be missing."""

    @property
    def patterns(self) -> list[str]:
        """The paths and patterns as a list."""
        return [self.files] if isinstance(self.files, str) else self.files

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, encoding: str) -> str:
        try:
            known = encoding == "auto" or "".encode(encoding) is not None
        except LookupError:
            known = False
        if not known:
            raise ValueError("must be auto or an encoding such as utf-8, cp1252 or utf-16")
        return encoding


class InteractionSource(RawSource):
    """Raw files of interactions, the mapping of their columns, and what a row means."""

    columns: dict[InteractionColumn, str]
    """Bazar's column names, mapped to the names in the files."""
    timestamp_format: str = "auto"
    """Format of the timestamps: ``iso`` (ISO 8601), ``s``, ``ms``, ``us`` or ``ns`` (since 1970),
    ``excel`` (days since 1900), a format such as ``%d.%m.%Y[ %H:%M]``, where brackets enclose an
    optional part, or ``auto``: the format that fits most values of the column."""
    timezone: str = "UTC"
    """Time zone of times without an offset, such as ``Europe/London``."""
    decimal: Literal[".", ","] = "."
    """Decimal sign of quantities, prices and ratings."""
    where: Conditions = Field(default_factory=dict)
    """Rows that do not satisfy all of these conditions are excluded."""
    fill_within_order: list[str] = Field(default_factory=list)
    """Columns of the file that have a value only in the first line of an order, such as Shopify's
    ``Financial Status``. The other lines of the order take that value."""
    events: EventType | dict[EventType, Annotated[list[str], Field(min_length=1)]] = "purchase"
    """The type of all rows, or the values of ``event_type`` of each type. Purchases are
    interactions; other types are in the table of events. Rows with other values are excluded."""
    returns: Returns = Returns()
    """Which rows are returns. They are never purchases."""
    exclude_items: ExcludedItems = ExcludedItems()
    """Items that are not products."""
    guests: Literal["exclude", "sessions"] = "exclude"
    """Rows without a user id. ``exclude``: they are counted and left out. ``sessions``: each order
    is used for training and for the baselines, without a test row."""
    normalise_ids: dict[Literal["user_id", "item_id", "order_id"], list[Normalisation]] = Field(
        default_factory=dict
    )
    """Steps that unify the ids, in order. ``integer_like``: 17850.0 becomes 17850. Use the same
    steps for ``item_id`` of the products."""

    @cached_property
    def condition_columns(self) -> list[str]:
        """Columns of the file that conditions read, each once."""
        return list(dict.fromkeys([*self.where, *self.returns.where]))

    @field_validator("timestamp_format")
    @classmethod
    def _check_format(cls, found: str) -> str:
        if found in _NAMED_TIME_FORMATS:
            return found
        if "%" not in found:
            names = ", ".join(_NAMED_TIME_FORMATS)
            raise ValueError(f"must be {names}, or a format such as %d.%m.%Y %H:%M")
        directives = re.findall("%(.?)", found)
        if unknown := [f"%{letter}" for letter in directives if letter not in [*_DIRECTIVES, "%"]]:
            known = ", ".join(f"%{letter}" for letter in _DIRECTIVES)
            raise ValueError(f"{unknown[0]} is not supported. Use {known}")
        for letters in _ALTERNATIVES:
            if len(used := [f"%{letter}" for letter in directives if letter in letters]) > 1:
                raise ValueError(f"must not contain both {used[0]} and {used[1]}")
        required = found
        while (shorter := re.sub(r"\[[^][]*\]", "", required)) != required:
            required = shorter
        if {"[", "]"} & set(required):
            raise ValueError("each [ must have a ]: brackets enclose an optional part")
        always = set(re.findall("%(.)", required))
        if not all(always & set(letters) for letters in ("Yy", "mbB", "d")):
            raise ValueError("must contain a year, a month and a day, outside of brackets")
        return found

    @field_validator("timezone")
    @classmethod
    def _check_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be a time zone such as UTC or Europe/London") from None
        return zone

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        mapped = ", ".join(self.columns) or "nothing"
        if missing := {"user_id", "item_id"} - set(self.columns):
            raise ValueError(f"columns must map {' and '.join(sorted(missing))}, found {mapped}")
        if not {"timestamp", "position"} & set(self.columns):
            raise ValueError(
                "columns must map timestamp, or position if the file has only the order of a "
                f"user's purchases, found {mapped}"
            )
        if "timestamp" not in self.columns and "timestamp_format" in self.model_fields_set:
            raise ValueError(
                f"timestamp_format is {self.timestamp_format}, but columns do not map timestamp. "
                "Map it, or remove timestamp_format"
            )
        return self

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        mapped = ", ".join(self.columns)
        for key, column, is_needed in (
            ("events with several types", "event_type", not isinstance(self.events, str)),
            ("guests: sessions", "order_id", self.guests == "sessions"),
            ("fill_within_order", "order_id", bool(self.fill_within_order)),
        ):
            if is_needed and column not in self.columns:
                raise ValueError(f"{key} needs columns.{column}, but columns map {mapped}")
        if "event_type" in self.columns and isinstance(self.events, str):
            raise ValueError(
                "columns map event_type, but events has no values of it. Set them, for example "
                "events: {purchase: [purchase], view: [view]}"
            )
        readable = {*self.columns.values(), *self.condition_columns}
        if unused := [name for name in self.fill_within_order if name not in readable]:
            raise ValueError(
                f"fill_within_order lists {unused[0]!r}, which neither columns nor where reads"
            )
        return self


class ProductSource(RawSource):
    """Raw files of products, and the mapping of their columns."""

    columns: dict[ProductColumn, str | Annotated[list[str], Field(min_length=1)]]
    """Bazar's column names, mapped to the names in the files. Use ``url`` instead of ``title`` if
    URLs contain the names of the products, such as Amazon's ``…/<Product-Name>/dp/<id>``.
    ``attributes`` are brand, categories and similar: one column or a list of columns, with texts
    or lists of texts."""
    normalise_ids: dict[Literal["item_id"], list[Normalisation]] = Field(default_factory=dict)
    """Steps that unify the ids; see :class:`InteractionSource`."""

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        mapped = ", ".join(self.columns) or "nothing"
        if "item_id" not in self.columns:
            raise ValueError(f"columns must map item_id, found {mapped}")
        if ("title" in self.columns) == ("url" in self.columns):
            raise ValueError(
                f"columns must map either title, or url if the titles are in URLs, found {mapped}"
            )
        for name, mapped_to in self.columns.items():
            if name != "attributes" and not isinstance(mapped_to, str):
                raise ValueError(
                    f"columns.{name} must be one column, found {mapped_to}. Only attributes may "
                    "be a list of columns"
                )
        return self
