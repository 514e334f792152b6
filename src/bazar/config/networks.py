"""Parameters of the networks and of their training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bazar.config.base import Options
from bazar.errors import suggest_names

REPRODUCED = {"classifier": "model_i", "regressor": "model_ii"}
"""For each model, its network that reproduces the original study."""


class RecurrentLayer(Options):
    """A recurrent layer."""

    type: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)
    """Size of the hidden state."""


class ResidualLayer(Options):
    """A residual block: a recurrent and a feed-forward part, each with a skip connection."""

    type: Literal["residual"]
    cell: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)
    """Size of the hidden state of the recurrent part."""
    feed_forward: int = Field(ge=1)
    """Size of the hidden layer of the feed-forward part."""
    dropout: float = Field(ge=0, lt=1)
    """Share of the values that is dropped in training."""


class DropoutLayer(Options):
    """A dropout layer."""

    type: Literal["dropout"]
    rate: float = Field(ge=0, lt=1)
    """Share of the values that is dropped in training."""


class DenseLayer(Options):
    """A dense layer."""

    type: Literal["dense"]
    units: int = Field(ge=1)
    """Size of the output."""
    activation: Literal["linear", "relu", "gelu", "tanh"]


Layer = Annotated[
    RecurrentLayer | ResidualLayer | DropoutLayer | DenseLayer, Field(discriminator="type")
]


class NetworkOptions(Options):
    """Architecture of a network, from the item representation to the head."""

    item: Literal["id", "title", "id+title"]
    """The item representation: a learned embedding of the id, the title vector, or their sum."""
    item_dimension: int | None = Field(default=None, ge=1)
    """Size of the item representation. Title vectors are centred, whitened and projected to this
    size by a trainable layer. null, only with ``item: title``: title vectors are read unchanged."""
    layers: tuple[Layer, ...]
    """Layers that read the history, the first one first."""
    head: Literal["softmax", "tied_softmax", "vector"]
    """``softmax``: a weight vector for every item. ``tied_softmax``: the item representations are
    the weight vectors. ``vector``: a point in the space of title vectors."""
    temperature: float | None = Field(default=None, gt=0)
    """``tied_softmax``: scores are cosines divided by the temperature. null: dot products."""
    history_decay: float | None = Field(default=None, gt=0, le=1)
    """Skip connection around all layers, only with a ``temperature``. The output of the layers is
    added to the direction of the history: the weighted sum of its item representations, where the
    weight of an item is this share of the weight of the item after it. null: no skip
    connection."""
    add_title_similarity: bool = False
    """Whether a multiple of the similarity between an item's title and the titles of the history is
    added to the scores after training. Needs a ``history_decay`` and titles. The factor is the one
    with the best validation NDCG@10."""

    @property
    def adapts_titles(self) -> bool:
        """Whether title vectors are projected by a trainable layer."""
        return self.item != "id" and self.item_dimension is not None

    @property
    def needs_vectors(self) -> bool:
        """Whether title vectors are needed, as input or as target."""
        return self.item != "id" or self.head == "vector"

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.item != "title" and self.item_dimension is None:
            raise ValueError(f"item: {self.item} needs an item_dimension, found null")
        if not any(isinstance(layer, RecurrentLayer | ResidualLayer) for layer in self.layers):
            found = ", ".join(layer.type for layer in self.layers) or "no layer"
            raise ValueError(
                f"layers must hold at least one of simple_rnn, lstm, gru, residual, found {found}"
            )
        if self.temperature is not None and self.head != "tied_softmax":
            raise ValueError(
                f"temperature needs head: tied_softmax, found head: {self.head}. Set temperature "
                "to null"
            )
        if self.history_decay is not None and self.temperature is None:
            raise ValueError(
                f"history_decay: {self.history_decay} needs a temperature, because it is added to "
                "cosines, found temperature: null"
            )
        if self.add_title_similarity and (self.history_decay is None or not self.adapts_titles):
            raise ValueError(
                "add_title_similarity needs a history_decay, titles, and an item_dimension, found "
                f"history_decay: {self.history_decay}, item: {self.item}, item_dimension: "
                f"{self.item_dimension}"
            )
        return self


class WarmStartOptions(Options):
    """How a training that starts from existing weights differs from one from scratch.

    The learning rate is constant and the weights are averaged. This keeps the weights near the
    existing ones instead of fitting the same purchases more and more closely.
    """

    epochs: int = Field(ge=1)
    """Epochs of a warm start."""
    learning_rate: float = Field(gt=0)
    """Learning rate of a warm start."""


class TrainingOptions(Options):
    """How a network is trained."""

    rows: Literal["window", "every_position"]
    """``window``: a row is one history with one target. ``every_position``: a row is a sequence
    with a target at each position."""
    loss: Literal["cross_entropy", "mse", "mae", "huber", "cosine"]
    sample_above: int = Field(default=30_000, ge=1)
    """Number of items in training above which ``cross_entropy`` with ``tied_softmax`` samples the
    softmax."""
    negatives: int = Field(default=8_192, ge=1)
    """Negative items that a sampled softmax draws in each step."""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"]
    learning_rate: float = Field(gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    """``constant``, or ``cosine``: the learning rate decreases to 0 along a half cosine."""
    average_weights: bool = False
    """Whether the running average of the weights is kept instead of the last weights."""
    epochs: int = Field(ge=1)
    """Maximum number of epochs."""
    batch_size: int = Field(ge=1)
    """Targets in a step."""
    choose_by: Literal["val_loss", "val_ndcg@10"]
    """Which epoch's weights are kept: the lowest validation loss, or the highest validation
    NDCG@10 over the full catalogue with seen items filtered."""
    early_stopping_patience: int | None = Field(default=None, ge=0)
    """Epochs without improvement before training stops. null: no early stopping."""
    warm: WarmStartOptions | None = None
    """What changes with ``warm_start``. null: the training is the same as from scratch."""


class NetworkBlock(NetworkOptions):
    """A network and its training: a block of ``networks``."""

    training: TrainingOptions

    @property
    def network(self) -> NetworkOptions:
        """The network without its training."""
        return NetworkOptions.model_validate(self.model_dump(exclude={"training"}))

    @property
    def warm_start_block(self) -> Self:
        """The same network, with the training of a warm start."""
        if self.training.warm is None:
            return self
        changes = {**dict(self.training.warm), "schedule": "constant", "average_weights": True}
        training = self.training.model_copy(update=changes)
        return self.model_copy(update={"training": training})

    @model_validator(mode="after")
    def _check_loss(self) -> Self:
        if (self.training.loss == "cross_entropy") != (self.head != "vector"):
            raise ValueError(
                "training.loss cross_entropy goes with head softmax and tied_softmax; mse, mae, "
                "huber and cosine go with vector, found "
                f"loss: {self.training.loss} with head: {self.head}"
            )
        return self


class ModelOptions(Options):
    """The networks that a trained model can use, and the one that it uses."""

    network: str
    """Name of the network that is used."""
    networks: dict[str, NetworkBlock]
    """The available networks by name."""

    @property
    def block(self) -> NetworkBlock:
        """The network that is used, and its training."""
        return self.networks[self.network]

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if self.network not in self.networks:
            raise ValueError(
                f"network {self.network!r} is unknown.{suggest_names(self.network, self.networks)}"
            )
        return self
