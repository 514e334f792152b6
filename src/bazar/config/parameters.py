"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from typing import Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from bazar.config.base import Options
from bazar.config.data import (
    EmbeddingOptions,
    IngestionOptions,
    JoiningOptions,
    SequencingOptions,
    Split,
)
from bazar.config.models import (
    BlendModel,
    BlendOptions,
    DecayedCooccurrenceOptions,
    EaseOptions,
    SessionKnnOptions,
)
from bazar.config.networks import ModelOptions
from bazar.config.reproduction import ReproductionVariants
from bazar.config.tuning import TuningOptions

Engine = Literal["duckdb", "spark"]


class RecommendationOptions(Options):
    """What is recommended to every customer."""

    models: tuple[BlendModel | Literal["blend"], ...] = Field(min_length=1)
    """What recommends; the first is what answers where no model is named."""
    top_k: int = Field(ge=1)
    """Products for each customer, at most."""
    filter_seen: bool
    """Whether products that a customer bought are left out, unless they are asked for."""
    batch_size: int = Field(ge=1)
    """Customers at a time: memory is this times the size of the catalogue."""


class EvaluationOptions(Options):
    """How models are ranked and measured."""

    top_k: int = Field(ge=20)
    """Recommendations kept per test row; the metrics read the first 20."""
    batch_size: int = Field(ge=1)
    """Test rows scored at a time: memory is this times the size of the catalogue."""
    bootstrap_resamples: int = Field(ge=100)
    seed: int = Field(ge=0)


class ComparisonOptions(Options):
    """How models are compared."""

    bootstrap_resamples: int = Field(ge=1000)
    """More models need more: see :func:`bazar.comparison.compare`."""
    seed: int = Field(ge=0)


class ReportingOptions(Options):
    """What the report page shows."""

    example_customers: int = Field(ge=1, le=100)
    seed: int = Field(ge=0)


class Parameters(Options):
    """The whole of the parameters."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    raw_dir: str = Field(min_length=1)
    engine: Engine
    split: Split
    seed: int = Field(ge=0)
    """Of the training of networks; results of another seed than 42 go to a folder of its own."""
    warm_start: bool
    """Whether training starts from the weights of the last one."""
    ingestion: IngestionOptions
    joining: JoiningOptions
    sequencing: SequencingOptions
    embedding: EmbeddingOptions
    classifier: ModelOptions
    regressor: ModelOptions
    decayed_cooccurrence: DecayedCooccurrenceOptions
    session_knn: SessionKnnOptions
    ease: EaseOptions
    blend: BlendOptions
    reproduction: ReproductionVariants
    tuning: TuningOptions
    evaluation: EvaluationOptions
    recommendation: RecommendationOptions
    comparison: ComparisonOptions
    reporting: ReportingOptions

    @model_validator(mode="after")
    def _starts_clean(self) -> Self:
        if self.warm_start and self.split in {"cold_items", "shuffled_windows"}:
            raise ValueError(
                f"warm_start goes with split leave_one_out and temporal: with {self.split}, what "
                "was learned before may be what is tested now"
            )
        return self
