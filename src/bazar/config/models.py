"""What people read for the names of models and protocols."""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from bazar.config.base import Options

# What a model must beat.
BASELINES = (
    "popularity",
    "recent_popularity",
    "last_item_cooccurrence",
    "decayed_cooccurrence",
    "session_knn",
    "ease",
    "nearest_titles",
)
# The model for whom nothing is known of.
FALLBACK_MODEL = "recent_popularity"


class DecayedCooccurrenceOptions(Options):
    """How pairs of purchases are weighed."""

    distance_power: float = Field(ge=0)
    """A pair ``d`` purchases apart weighs ``d ** -distance_power``."""
    backward_weight: float = Field(ge=0, le=1)
    """Weight of a pair against time, in parts of one along it."""
    popularity_power: float = Field(ge=0, le=1)
    """Scores are divided by the item's training count to this power."""
    history_decay: float = Field(gt=0, le=1)
    """Weight of a history item, in parts of the one after it."""


class SessionKnnOptions(Options):
    """How many training sequences are neighbours, and how they are found."""

    neighbours: int = Field(ge=1)
    history_decay: float = Field(gt=0, le=1)
    """Weight of a history item, in parts of the one after it."""


class EaseOptions(Options):
    """How EASE is solved."""

    regularisation: float = Field(gt=0)
    """Added to how often each item stands in a training sequence, on the diagonal."""
    history_decay: float = Field(gt=0, le=1)
    """Weight of a history item, in parts of the one after it."""
    max_items: int = Field(ge=1)
    """Most items that the model knows, the most popular ones: it takes ``4 * max_items ** 2``
    bytes, and time with the third power."""


class BaselineOptions(Options):
    """Parameters of the baselines that have any."""

    decayed_cooccurrence: DecayedCooccurrenceOptions
    session_knn: SessionKnnOptions
    ease: EaseOptions


BlendModel = Literal[
    "classifier",
    "regressor",
    "popularity",
    "recent_popularity",
    "last_item_cooccurrence",
    "decayed_cooccurrence",
    "session_knn",
    "ease",
    "nearest_titles",
]


NetworkFile = Annotated[str, Field(pattern=r"^[\w-]+\.keras$")]
"""A network's file in the folder of results, whichever network it is."""


class BlendComponent(Options):
    """A model in the blend."""

    model: BlendModel | NetworkFile
    history_length: int | None = Field(default=None, ge=1)
    """Longest history that it reads, in items, if shorter than the rows'."""

    @property
    def is_network(self) -> bool:
        """Whether it is trained, and differs between seeds."""
        return self.model in ("classifier", "regressor") or self.model.endswith(".keras")

    @property
    def name(self) -> str:
        """The model, and its history if that is cut."""
        if self.history_length is None:
            return self.model
        return f"{self.model}, history {self.history_length}"


class BlendOptions(Options):
    """What is blended, and how the weights are chosen."""

    components: tuple[BlendComponent, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...]
    """Seeds of which the networks are components as well, beside the run's own."""
    rows: int = Field(ge=1)
    """Validation rows that the weights are chosen by, if there are more."""
    rounds: int = Field(ge=1)
    """Times that each weight is chosen anew, at most."""
    seed: int = Field(ge=0)
    """Of the draw of rows."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [component.name for component in self.components]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"components name {'; '.join(sorted(twice))} more than once")
        return self


class BundleOptions(Options):
    """The content of ``shop.json``: what a :class:`~bazar.recommender.Recommender` is made of."""

    dataset: str
    seed: int
    """Of the training of its networks."""
    models: tuple[BlendModel | Literal["blend"], ...] = Field(min_length=1)
    filter_seen: bool
    blend: BlendOptions
    weights: dict[str, float]
    """Of the components of the blend."""
    baselines: BaselineOptions
