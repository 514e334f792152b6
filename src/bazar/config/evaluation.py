"""Parameters of the evaluation and of the comparison of models."""

from pydantic import Field

from bazar.config.base import Options


class EvaluationOptions(Options):
    """Parameters of the evaluation of a model."""

    top_k: int = Field(ge=20)
    """Number of recommendations kept per test row. The metrics use the first 20."""
    batch_size: int = Field(ge=1)
    """Number of test rows scored at a time. Memory use is proportional to ``batch_size`` times
    the number of items."""
    validation_rows: int = Field(ge=1)
    """Maximum number of validation rows on which validation NDCG@10 is measured. If there are more,
    this many are sampled with ``seed``."""
    bootstrap_resamples: int = Field(ge=100)
    """Number of resamples of the bootstrap confidence intervals."""
    seed: int = Field(ge=0)
    """Seed of the resamples and of the sample of validation rows."""


class ComparisonOptions(Options):
    """Parameters of the comparison of models."""

    bootstrap_resamples: int = Field(ge=1000)
    """Number of resamples of the paired tests. More models need more resamples; see
    :func:`bazar.evaluation.comparison.compare`."""
    seed: int = Field(ge=0)
    """Seed of the resamples."""
