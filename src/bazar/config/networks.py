"""Parameters of the networks and of their training."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bazar.config.base import Options
from bazar.errors import suggest_names

REPRODUCTION_NETWORKS = {"classifier": "model_i", "regressor": "model_ii"}
"""Name of the network of each model that reproduces the original study."""


class RecurrentLayer(Options):
    """A recurrent layer."""

    type: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)
    """Size of the hidden state."""


class ResidualLayer(Options):
    """A residual block: a recurrent and a feed-forward layer, each with a skip connection."""

    type: Literal["residual"]
    cell: Literal["simple_rnn", "lstm", "gru"]
    units: int = Field(ge=1)
    """Size of the hidden state of the recurrent layer."""
    feed_forward: int = Field(ge=1)
    """Size of the hidden layer of the feed-forward network."""
    dropout: float = Field(ge=0, lt=1)
    """Dropout rate in training."""


class DropoutLayer(Options):
    """A dropout layer."""

    type: Literal["dropout"]
    rate: float = Field(ge=0, lt=1)
    """Dropout rate in training."""


class DenseLayer(Options):
    """A dense layer."""

    type: Literal["dense"]
    units: int = Field(ge=1)
    """Size of the output."""
    activation: Literal["linear", "relu", "gelu", "tanh"]


Layer = Annotated[
    RecurrentLayer | ResidualLayer | DropoutLayer | DenseLayer, Field(discriminator="type")
]


class RepeatOptions(Options):
    """Scores of the items that a user bought before."""

    units: int = Field(ge=1)
    """Size of the two hidden layers."""
    dropout: float = Field(ge=0, lt=1)
    """Dropout rate in training."""


class NetworkOptions(Options):
    """Architecture of a network, from the item representation to the head."""

    item: Literal["id", "title", "id+title"]
    """The item representation: a learned embedding of the id, the title vector, or their sum."""
    item_dimension: int | None = Field(default=None, ge=1)
    """Size of the item representation. Title vectors are centred, whitened and projected to this
    size by a trainable layer. null, only with ``item: title``: title vectors are not changed."""
    id_shrinkage: float = Field(default=0, ge=0)
    """The learned vector of an item is multiplied by n / (n + ``id_shrinkage``) for n occurrences
    of the item in the training part. The title and the words then decide more about items that are
    seldom bought. Needs ``item: id+title``. 0: no scaling."""
    words: Literal["title", "title_and_attributes"] | None = None
    """Whether a learned vector of each word of an item is added to the item representation.
    ``title``: the words of the title. ``title_and_attributes``: also each brand, category and other
    attribute, as one word. Needs an ``item_dimension``. null: no vectors of words."""
    history_vectors: bool = False
    """Whether each item has a second learned vector, which is added to its representation in
    histories only. An item can then predict items that it is not similar to, and the order of two
    items matters. Both vectors start from the pairs of items that the same users bought one after
    another. Needs ``item: id`` and ``head: tied_softmax``."""
    layers: tuple[Layer, ...]
    """Layers that encode the history, in order."""
    head: Literal["softmax", "tied_softmax", "vector"]
    """Output of the network. ``softmax``: a probability per item, with a weight vector per item.
    ``tied_softmax``: the same, with the item representations as weight vectors. ``vector``: a
    vector in the space of title vectors."""
    temperature: float | None = Field(default=None, gt=0)
    """``tied_softmax``: scores are cosines divided by the temperature. null: dot products."""
    history_decay: float | None = Field(default=None, gt=0, le=1)
    """Decay of a skip connection around all layers. The output of the layers is added to the
    weighted sum of the item representations of the history, scaled to unit length. The weight of
    an item is this share of the weight of the item after it. Needs a ``temperature``. null: no
    skip connection."""
    add_title_similarity: bool = False
    """Whether the similarity between the title of an item and the titles of the history, multiplied
    by a weight, is added to the scores after training. The weight is chosen by validation NDCG@10;
    see also ``training.cold_item_share``. Needs a ``history_decay`` and titles."""

    time: bool = False
    """Whether the network reads the time from each order to the next, and the season of the next
    order. For the last order, the next order is the request. Without timestamps, this has no
    effect."""
    repeats: RepeatOptions | None = None
    """Scores of the items that a user bought before, from the time since the last purchase, the
    number of purchases, the mean time between them, and the item. They are added to the scores of
    these items. Needs a ``temperature``. null: no such scores."""

    @property
    def adapts_titles(self) -> bool:
        """Whether title vectors are projected by a trainable layer."""
        return self.item != "id" and self.item_dimension is not None

    @property
    def needs_vectors(self) -> bool:
        """Whether title vectors are an input or a target."""
        return self.item != "id" or self.head == "vector"

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.item != "title" and self.item_dimension is None:
            raise ValueError(f"item: {self.item} needs an item_dimension, found null")
        if self.id_shrinkage and self.item != "id+title":
            raise ValueError(
                f"id_shrinkage: {self.id_shrinkage:g} needs item: id+title, found item: "
                f"{self.item}. Set id_shrinkage to 0"
            )
        if self.words is not None and self.item_dimension is None:
            raise ValueError(f"words: {self.words} needs an item_dimension, found null")
        if self.history_vectors and (self.item != "id" or self.head != "tied_softmax"):
            raise ValueError(
                "history_vectors needs item: id and head: tied_softmax, found item: "
                f"{self.item}, head: {self.head}. Set history_vectors to false"
            )
        if not any(isinstance(layer, RecurrentLayer | ResidualLayer) for layer in self.layers):
            found = ", ".join(layer.type for layer in self.layers) or "no layer"
            raise ValueError(
                "layers must contain at least one of simple_rnn, lstm, gru, residual, found "
                f"{found}"
            )
        if self.temperature is not None and self.head != "tied_softmax":
            raise ValueError(
                f"temperature needs head: tied_softmax, found head: {self.head}. Set temperature "
                "to null"
            )
        if self.history_decay is not None and self.temperature is None:
            raise ValueError(
                f"history_decay: {self.history_decay} needs a temperature, found null. Set a "
                "temperature, or set history_decay to null"
            )
        if self.repeats is not None and self.temperature is None:
            raise ValueError(
                "repeats needs a temperature, found null. Set a temperature, or set repeats to null"
            )
        if self.add_title_similarity and (self.history_decay is None or not self.adapts_titles):
            raise ValueError(
                "add_title_similarity needs a history_decay, titles, and an item_dimension, found "
                f"history_decay: {self.history_decay}, item: {self.item}, item_dimension: "
                f"{self.item_dimension}"
            )
        return self


class WarmStartOptions(Options):
    """Parameters of a warm start: a training that starts from existing weights.

    The learning rate is constant and the weights are averaged. The weights stay near the existing
    ones, so that the network does not overfit the same interactions.
    """

    epochs: int = Field(ge=1)
    """Epochs of a warm start."""
    learning_rate: float = Field(gt=0)
    """Learning rate of a warm start."""


class TrainingOptions(Options):
    """Parameters of the training of a network."""

    rows: Literal["window", "every_position"]
    """``window``: a row is one history with one target. ``every_position``: a row is a sequence
    with a target at each position."""
    loss: Literal["cross_entropy", "mse", "mae", "huber", "cosine"]
    sample_above: int = Field(default=30_000, ge=1)
    """Number of training items above which ``cross_entropy`` with ``tied_softmax`` uses a sampled
    softmax."""
    negatives: int = Field(default=8_192, ge=1)
    """Number of negative items that a sampled softmax draws in each step."""
    id_dropout: float = Field(default=0, ge=0, lt=1)
    """Share of the items whose learned vector is left out in each step, in histories and as
    targets, so that the network learns to recommend items by their titles and words alone. Needs
    ``item: id+title``."""
    cold_item_share: float = Field(default=0, ge=0, le=1)
    """Expected share of purchases that are of cold items. The weight of ``add_title_similarity`` is
    then also chosen by the NDCG@10 of items without the learned vectors of their ids. 0: only by
    the normal NDCG@10. Needs ``add_title_similarity`` and ``item: id+title``."""
    shuffle_equal_days: bool = False
    """Whether the items that a user bought on one UTC day get another random order in each epoch,
    for data whose order within a day is unknown or arbitrary. Times, and validation and test rows,
    are not shuffled. Needs timestamps, and another protocol than ``next_order``."""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"]
    learning_rate: float = Field(gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    """``constant``, or ``cosine``: the learning rate decreases to 0 along a half cosine."""
    average_weights: bool = False
    """Whether the mean of the weights during training is kept instead of the last weights."""
    epochs: int = Field(ge=1)
    """Maximum number of epochs."""
    min_steps: int = Field(default=0, ge=0)
    """Minimum number of training steps of all epochs together. If the data is so small that
    ``epochs`` have fewer steps, more epochs are trained."""
    batch_size: int = Field(ge=1)
    """Number of targets in a step."""
    choose_by: Literal["val_loss", "val_ndcg@10"]
    """Metric that selects the epoch whose weights are kept: the lowest validation loss, or the
    highest validation NDCG@10 over the full catalogue. Seen items are filtered if filtered
    results come first."""
    early_stopping_patience: int | None = Field(default=None, ge=0)
    """Number of epochs without improvement before training stops. null: no early stopping."""
    warm: WarmStartOptions | None = None
    """Changes with ``warm_start: true``. null: the same training as from scratch."""


class NetworkBlock(NetworkOptions):
    """A block of ``networks``: a network and its training."""

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
        changes["min_steps"] = 0
        training = self.training.model_copy(update=changes)
        return self.model_copy(update={"training": training})

    @model_validator(mode="after")
    def _check_training(self) -> Self:
        if (self.training.loss == "cross_entropy") != (self.head != "vector"):
            raise ValueError(
                "training.loss must be cross_entropy for head softmax or tied_softmax, and mse, "
                "mae, huber or cosine for head vector, found "
                f"loss: {self.training.loss} with head: {self.head}"
            )
        if self.training.id_dropout and self.item != "id+title":
            raise ValueError(
                f"training.id_dropout: {self.training.id_dropout} needs item: id+title, found "
                f"item: {self.item}. Set id_dropout to 0"
            )
        if self.training.cold_item_share and (
            self.item != "id+title" or not self.add_title_similarity
        ):
            raise ValueError(
                f"training.cold_item_share: {self.training.cold_item_share} needs "
                f"item: id+title and add_title_similarity: true, found item: {self.item}, "
                f"add_title_similarity: {str(self.add_title_similarity).lower()}. Set both, or set "
                "cold_item_share to 0"
            )
        return self


class ModelOptions(Options):
    """The available networks of a model, and the selected one."""

    network: str
    """Name of the selected network."""
    networks: dict[str, NetworkBlock]
    """The available networks by name."""

    @property
    def block(self) -> NetworkBlock:
        """The selected network and its training."""
        return self.networks[self.network]

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if self.network not in self.networks:
            raise ValueError(
                f"network {self.network!r} is unknown.{suggest_names(self.network, self.networks)}"
            )
        return self
