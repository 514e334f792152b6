"""All parameters of the project: their types and bounds.

:class:`Parameters` is the merged content of ``conf/``. The other modules of this package define its
blocks.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from bazar.config.base import Options
from bazar.config.data import (
    EmbeddingOptions,
    IngestionOptions,
    JoiningOptions,
    SequencingOptions,
    Split,
)
from bazar.config.evaluation import ComparisonOptions, EvaluationOptions
from bazar.config.models import BaselineOptions, BlendOptions
from bazar.config.networks import ModelOptions
from bazar.config.recommendation import RecommendationOptions
from bazar.config.reporting import ReportingOptions
from bazar.config.reproduction import ReproductionVariants
from bazar.config.tuning import TuningOptions

Engine = Literal["duckdb", "spark"]


class Parameters(Options):
    """All parameters of a run."""

    dataset: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")
    """Name of the data set and of its folders in ``data/``."""
    raw_dir: str = Field(min_length=1)
    """Folder of the raw files."""
    engine: Engine
    """Engine that reads, joins and sorts the tables."""
    split: Split
    """Protocol of the split into training, validation and test parts."""
    seed: int = Field(ge=0)
    """Seed of the training of networks. The results of each seed are in their own folder."""
    warm_start: bool
    """Whether training starts from the weights of the previous training."""
    ingestion: IngestionOptions
    joining: JoiningOptions
    sequencing: SequencingOptions
    embedding: EmbeddingOptions
    classifier: ModelOptions
    regressor: ModelOptions
    baselines: BaselineOptions
    blend: BlendOptions
    reproduction: ReproductionVariants
    tuning: TuningOptions
    evaluation: EvaluationOptions
    recommendation: RecommendationOptions
    comparison: ComparisonOptions
    reporting: ReportingOptions

    @model_validator(mode="after")
    def _check_warm_start(self) -> Self:
        if self.warm_start and self.split in {"cold_items", "shuffled_windows"}:
            raise ValueError(
                "warm_start needs split auto, next_order, leave_one_out or temporal, found "
                f"{self.split}. With {self.split}, test rows may have been training rows of the "
                "previous training"
            )
        return self
