"""Parameters of the tuning of a network."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from bazar.config.base import Options


class NumberRange(Options):
    """A range of numbers. Integers are sampled if both ends are integers."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether numbers are sampled on a logarithmic scale."""

    @property
    def is_integer(self) -> bool:
        """Whether integers are sampled."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, found low: {self.low} and high: {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log: true needs a low above 0, found {self.low}")
        return self


class Choices(Options):
    """A list of values to try."""

    choices: Annotated[tuple[bool | int | float | str | None, ...], Field(min_length=2)]


def _select_kind(value: Any) -> str:
    has_choices = isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value)
    return "choices" if has_choices else "number"


Range = Annotated[
    Annotated[NumberRange, Tag("number")] | Annotated[Choices, Tag("choices")],
    Discriminator(_select_kind),
]


class PrunerOptions(Options):
    """Parameters of the median pruner.

    A trial is pruned if its NDCG@10 is below the median of the earlier trials at the same epoch.
    """

    startup_trials: int = Field(ge=1)
    """Number of trials that are trained completely before any trial is pruned."""
    warmup_epochs: int = Field(ge=0)
    """Number of first epochs in which a trial is not pruned."""


class TuningOptions(Options):
    """Parameters of the pipeline tuning."""

    model: Literal["classifier", "regressor"]
    """The model to tune."""
    network: str | None
    """Name of one of the model's networks. null: the network that the model uses."""
    trials: int = Field(ge=1)
    """Total number of trials, including pruned ones and those of an interrupted tuning."""
    minutes: float | None = Field(gt=0)
    """Minutes after which a run starts no further trial. null: no limit."""
    seed: int = Field(ge=0)
    """Seed of the samples from the ranges. The seed of the training is the top-level ``seed``."""
    pruner: PrunerOptions
    ranges: dict[str, Range | None]
    """Range per dotted key within the network's block, such as ``layers.0.rate``. null: the key is
    not tuned."""

    @property
    def active_ranges(self) -> dict[str, NumberRange | Choices]:
        """The ranges that are not null."""
        return {key: values for key, values in self.ranges.items() if values is not None}

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        if not self.active_ranges:
            raise ValueError("ranges must contain at least one range that is not null")
        return self
