"""Every parameter of the project, typed: what `conf/` may say, and within what bounds.

A model here is one block of a ``parameters_<pipeline>.yml``. Unknown keys are refused.
"""

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from bazar.config.base import Options

REPRODUCED = {"classifier": "model_i", "regressor": "model_ii"}
"""The network of each model that reproduces the original study."""


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
    add_title_similarity: bool = False
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
        if self.add_title_similarity and (self.history_decay is None or not self.adapts_titles):
            raise ValueError(
                "add_title_similarity needs a history_decay, titles, and an item_dimension"
            )
        return self


class WarmStartOptions(Options):
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
    NDCG@10 over the full catalogue with the history filtered."""
    early_stopping_patience: int | None = Field(default=None, ge=0)
    """Epochs without a better one before training stops; null never stops early."""
    warm: WarmStartOptions | None = None
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
        if self.network not in self.networks:
            raise ValueError(f"network must be one of {', '.join(self.networks)}")
        return self
