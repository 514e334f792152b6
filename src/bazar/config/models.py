"""Names of the models, and parameters of the baselines and the blend."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bazar.config.base import Options

BASELINES = (
    "popularity",
    "recent_popularity",
    "last_item_cooccurrence",
    "decayed_cooccurrence",
    "session_knn",
    "ease",
    "nearest_titles",
    "personal_frequency",
    "recent_personal_frequency",
    "tifu_knn",
    "repurchase_timing",
)
"""Models that train no network."""
FALLBACK_MODEL = "recent_popularity"
"""Model that recommends to users with an empty or unknown history."""


class DecayedCooccurrenceOptions(Options):
    """Parameters of the decayed co-occurrence: weights of pairs of items in different orders."""

    distance_power: float = Field(ge=0)
    """The weight of two items at a distance of ``d`` orders is ``d ** -distance_power``."""
    backward_weight: float = Field(ge=0, le=1)
    """Weight of a pair in reverse order of time, relative to a pair in order of time."""
    popularity_power: float = Field(ge=0, le=1)
    """Scores are divided by the item's training count raised to this power."""
    history_decay: float = Field(gt=0, le=1)
    """Weight of the items of an order, relative to the order after it."""


class SessionKnnOptions(Options):
    """Parameters of session kNN."""

    neighbours: int = Field(ge=1)
    """Number of nearest training sequences that score the items (k)."""
    history_decay: float = Field(gt=0, le=1)
    """Weight of the items of an order, relative to the order after it."""


class EaseOptions(Options):
    """Parameters of EASE (Steck 2019, Embarrassingly Shallow Autoencoders)."""

    regularisation: float = Field(gt=0)
    """L2 regularisation, added to the diagonal of the item co-occurrence matrix."""
    history_decay: float = Field(gt=0, le=1)
    """Weight of the items of an order, relative to the order after it."""
    max_items: int = Field(ge=1)
    """Maximum number of items that the model scores: the most popular ones. The model needs
    ``4 * max_items ** 2`` bytes, and time proportional to ``max_items ** 3``."""


class RecentPersonalFrequencyOptions(Options):
    """Parameters of the personal frequency with weights by recency."""

    decay: float = Field(gt=0, le=1)
    """Weight of an order, relative to the order after it."""


class TifuKnnOptions(Options):
    """Parameters of TIFU-KNN (Hu et al. 2020)."""

    groups: int = Field(ge=1)
    """Number of groups that the orders of a user are divided into (m)."""
    order_decay: float = Field(gt=0, le=1)
    """Weight of an order, relative to the order after it in the same group (r_b)."""
    group_decay: float = Field(gt=0, le=1)
    """Weight of a group, relative to the group after it (r_g)."""
    neighbours: int = Field(ge=1)
    """Number of nearest users (k)."""
    own_weight: float = Field(ge=0, le=1)
    """Weight of the user's own orders (alpha). The rest is the weight of the nearest users."""


class RepurchaseTimingOptions(Options):
    """Parameters of the repurchase timing (after Bhagat et al. 2018)."""

    smoothing: float = Field(gt=0)
    """Number of average customers that are added to the customers of each item."""


class BaselineOptions(Options):
    """Parameters of the baselines that have parameters."""

    decayed_cooccurrence: DecayedCooccurrenceOptions
    session_knn: SessionKnnOptions
    ease: EaseOptions
    recent_personal_frequency: RecentPersonalFrequencyOptions
    tifu_knn: TifuKnnOptions
    repurchase_timing: RepurchaseTimingOptions


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
    "personal_frequency",
    "recent_personal_frequency",
    "tifu_knn",
    "repurchase_timing",
]
"""A model that can be a component of the blend."""
NetworkFile = Annotated[str, Field(pattern=r"^[\w-]+\.keras$")]
"""File name of a network in the folder of trained models."""


class BlendComponent(Options):
    """A component of the blend."""

    model: BlendModel | NetworkFile
    history_length: int | None = Field(default=None, ge=1)
    """Maximum length of a history of this component, in orders or items like
    ``sequencing.history_length``, which is used if it is null. Models that predict repeats, and the
    repeat scores of networks, read all orders."""

    @property
    def is_network(self) -> bool:
        """Whether the model is a network. Networks depend on the training seed."""
        return self.model in ("classifier", "regressor") or self.model.endswith(".keras")

    @property
    def name(self) -> str:
        """Name of the model, with the history length if it is shortened."""
        if self.history_length is None:
            return self.model
        return f"{self.model}, history {self.history_length}"


class BlendOptions(Options):
    """Parameters of the blend: its components, and the choice of their weights."""

    components: tuple[BlendComponent, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...]
    """Further training seeds whose networks are components, in addition to the seed of the run."""
    rows: int = Field(ge=1)
    """Maximum number of validation rows that the weights are chosen on."""
    rounds: int = Field(ge=1)
    """Maximum number of passes over the weights."""
    seed: int = Field(ge=0)
    """Seed of the sample of validation rows."""

    @model_validator(mode="after")
    def _check_unique(self) -> Self:
        names = [component.name for component in self.components]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"components name {'; '.join(sorted(repeated))} more than once. Name each "
                "component once"
            )
        return self
