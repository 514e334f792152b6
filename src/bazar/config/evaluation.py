"""Parameters of the evaluation and of the comparison of models."""

from pydantic import Field

from bazar.config.base import Options


class EvaluationOptions(Options):
    """How models are ranked and measured."""

    top_k: int = Field(ge=20)
    """Recommendations kept per test row. The metrics read the first 20."""
    batch_size: int = Field(ge=1)
    """Test rows scored at a time. Memory use is proportional to ``batch_size`` times the number of
    items."""
    validation_rows: int = Field(ge=1)
    """Validation rows on which every model's validation NDCG@10 is measured. If there are more,
    this many are drawn with ``seed``."""
    bootstrap_resamples: int = Field(ge=100)
    """Resamples of the bootstrap confidence intervals."""
    seed: int = Field(ge=0)
    """Seed of the resamples and of the draw of validation rows."""


class ComparisonOptions(Options):
    """How models are compared."""

    bootstrap_resamples: int = Field(ge=1000)
    """Resamples of the paired tests. More models need more: see
    :func:`bazar.evaluation.comparison.compare`."""
    seed: int = Field(ge=0)
    """Seed of the resamples."""
