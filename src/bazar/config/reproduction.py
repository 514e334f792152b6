"""Parameters of the fourteen networks in Table 1 of the original study."""

from typing import Self

from pydantic import ConfigDict, Field, RootModel, model_validator

from bazar.config.base import Options
from bazar.config.networks import NetworkBlock


class PublishedFigures(Options):
    """Published figures of a network, from Table 1 of the original study."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    test_loss: float
    test_metric: str
    """The published text: one or two metrics, some without a name."""


class ReproductionVariant(Options):
    """A network of the original study's Table 1, and its published figures."""

    number: int = Field(ge=1)
    name: str
    published: PublishedFigures
    network: NetworkBlock

    @model_validator(mode="after")
    def _check_head(self) -> Self:
        if self.network.head != "vector":
            raise ValueError(
                "network.head must be vector, because these networks are evaluated on title "
                f"vectors, found {self.network.head}"
            )
        return self


class ReproductionVariants(RootModel[tuple[ReproductionVariant, ...]]):
    """The networks of the original study's Table 1."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        numbers = [network.number for network in self.root]
        if repeated := sorted({number for number in numbers if numbers.count(number) > 1}):
            raise ValueError(
                "each network needs a number of its own, found more than once: "
                f"{', '.join(str(number) for number in repeated)}"
            )
        return self
