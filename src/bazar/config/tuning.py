"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from bazar.config.base import Options


class NumberRange(Options):
    """Numbers that a search may try: whole ones if both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether small numbers are looked at as closely as large ones."""

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and self.low <= 0:
            raise ValueError("log: true needs a low above 0")
        return self


class Choices(Options):
    """Values that a search may try."""

    choices: Annotated[tuple[bool | int | float | str | None, ...], Field(min_length=2)]


def _kind_of_range(value: Any) -> str:
    of_choices = isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value)
    return "choices" if of_choices else "number"


Range = Annotated[
    Annotated[NumberRange, Tag("number")] | Annotated[Choices, Tag("choices")],
    Discriminator(_kind_of_range),
]


class PrunerOptions(Options):
    """When a trial is given up: its NDCG@10 is below the median of the trials before it."""

    startup_trials: int = Field(ge=1)
    """Trials that are trained to their end before any is given up."""
    warmup_epochs: int = Field(ge=0)
    """Epochs of a trial in which it is not given up."""


class TuningOptions(Options):
    """What the search tunes, and for how long."""

    model: Literal["classifier", "regressor"]
    network: str | None
    """Which of the model's networks; null: the one that the model is."""
    trials: int = Field(ge=1)
    """Trials in all, those of an interrupted search and those given up included."""
    minutes: float | None = Field(gt=0)
    """No trial is started after as many minutes of a run; null: there is time for all."""
    seed: int = Field(ge=0)
    """Of what is drawn from the ranges; the training's own is ``seed``."""
    pruner: PrunerOptions
    ranges: dict[str, Range | None]
    """By dotted key within the network's block, such as ``layers.0.rate``; null: not searched."""

    @property
    def searched(self) -> dict[str, NumberRange | Choices]:
        """The ranges that are not null."""
        return {key: values for key, values in self.ranges.items() if values is not None}

    @model_validator(mode="after")
    def _something_to_search(self) -> Self:
        if not self.searched:
            raise ValueError("ranges must hold one range at least")
        return self
