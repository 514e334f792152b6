"""Parameters of the recommendations, and of a bundle."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from bazar.config.base import Options
from bazar.config.data import EmbeddedText
from bazar.config.models import BaselineOptions, BlendModel, BlendOptions

RecommendingModel = Literal[BlendModel, "blend"]
"""A model that can recommend."""


def _check_models(value: Any) -> Any:
    if isinstance(value, str) and value != "auto":
        raise ValueError("must be auto, or a list of models such as [classifier, blend]")
    return value


def _select_kind(value: Any) -> str:
    return "auto" if isinstance(value, str) else "list"


class RecommendationOptions(Options):
    """Parameters of the recommendations."""

    models: Annotated[
        Annotated[Literal["auto"], Tag("auto")]
        | Annotated[tuple[RecommendingModel, ...], Tag("list"), Field(min_length=1)],
        Discriminator(_select_kind),
        BeforeValidator(_check_models),
    ]
    """The models that recommend. The first one is the default. ``auto``: the trained models and the
    best baseline, in descending order of validation NDCG@10."""
    top_k: int = Field(ge=1)
    """Maximum number of recommended products per customer."""
    filter_seen: bool | Literal["auto"]
    """Whether products that a customer already bought are removed by default. ``auto``: they are
    removed unless more than 5% of the validation targets are repeats."""
    batch_size: int = Field(ge=1)
    """Number of customers scored at a time; with the engine ``spark``, in each task. Memory use is
    proportional to ``batch_size`` times the number of items."""

    def resolve_filter_seen(self, is_filtered_first: bool) -> bool:
        """Return ``filter_seen``, or the given value if it is ``auto``."""
        return is_filtered_first if self.filter_seen == "auto" else self.filter_seen


class BundleOptions(Options):
    """Content of ``bundle.json``: the models of a bundle and their parameters."""

    dataset: str
    split: str
    seed: int
    """Training seed of the networks."""
    models: tuple[RecommendingModel, ...] = Field(min_length=1)
    """The models that recommend. The first one is the default."""
    filter_seen: bool
    """Whether products that a customer already bought are removed by default."""
    blend: BlendOptions
    weights: dict[str, float]
    """Weight of each component of the blend. Empty if no blend was trained."""
    baselines: BaselineOptions
    embedded_text: EmbeddedText
    """The text of a product that the encoder reads; see ``embedding.text``."""
    live_sequence: int = Field(ge=0)
    """Number of the last event of the live store that the data contains; 0 if there is none."""
