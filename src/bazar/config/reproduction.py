"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from typing import Self

from pydantic import (
    ConfigDict,
    Field,
    RootModel,
    model_validator,
)

from bazar.config.base import Options
from bazar.config.networks import NetworkBlock


class PublishedFigures(Options):
    """What the report's Table 1 says of a network."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    test_loss: float
    test_metric: str
    """As it stands there: one figure or two, not all of them named."""


class ReproductionVariant(Options):
    """A network of the report's Table 1, and what the report published of it."""

    number: int = Field(ge=1)
    name: str
    published: PublishedFigures
    network: NetworkBlock

    @model_validator(mode="after")
    def _predicts_titles(self) -> Self:
        if self.network.head != "vector":
            raise ValueError("network.head must be vector: the networks are measured on vectors")
        return self


class ReproductionVariants(RootModel[tuple[ReproductionVariant, ...]]):
    """The networks of the report's Table 1."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _numbers_differ(self) -> Self:
        numbers = [network.number for network in self.root]
        if len(set(numbers)) < len(numbers):
            raise ValueError("each network needs a number of its own")
        return self
