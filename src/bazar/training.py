"""Training a network on rows of (history, target)."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from bazar.errors import InputError
from bazar.networks import build_network
from bazar.options import ModelOptions
from bazar.windows import Windows

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and how it came to be.

    Attributes:
        network: the network with the weights of its best epoch.
        history: one row per epoch: ``epoch`` (from 1), ``loss``, ``val_loss``, ``seconds`` and,
            for classifiers, ``accuracy`` and ``val_accuracy``.
        facts: ``seconds_training`` (wall clock of all epochs), ``n_parameters`` (trainable),
            ``best_epoch`` and ``training_rows``.
    """

    network: keras.Model
    history: pd.DataFrame
    facts: dict[str, float]


class Batches:
    """Rows in batches of similar history length, without the padding they do not need.

    Padding on the left is masked, so that cutting it changes no result and saves the
    steps. Each pass over the batches shuffles the rows anew.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        item_vectors: np.ndarray | None,
        targets_are_vectors: bool,
        seed: int | None,
    ) -> None:
        """Make batches.

        Args:
            windows: the rows.
            batch_size: rows in a batch.
            item_vectors: shape (items + 1, dimension), float32: histories are given as these
                vectors; None gives them as item indices.
            targets_are_vectors: whether targets are given as vectors, too.
            seed: seed of the shuffles; None keeps one order.
        """
        self._windows = windows
        self._lengths = windows.lengths
        self._batch_size = batch_size
        self._item_vectors = item_vectors
        self._targets_are_vectors = targets_are_vectors
        self._generator = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return math.ceil(len(self._windows) / self._batch_size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows in self._order():
            batch = self._windows.take(rows)
            histories, targets = batch.histories(), batch.targets
            if self._item_vectors is None:
                yield histories, targets
            elif self._targets_are_vectors:
                yield self._item_vectors[histories], self._item_vectors[targets]
            else:
                yield self._item_vectors[histories], targets

    def dataset(self) -> tf.data.Dataset:
        """Return the batches as Keras takes them; every epoch is a pass of its own."""
        history: tf.TensorSpec = tf.TensorSpec((None, None), tf.int32)
        target: tf.TensorSpec = tf.TensorSpec((None,), tf.int32)
        if self._item_vectors is not None:
            dimension = self._item_vectors.shape[1]
            history = tf.TensorSpec((None, None, dimension), tf.float32)
            if self._targets_are_vectors:
                target = tf.TensorSpec((None, dimension), tf.float32)
        batches = tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=(history, target)
        )
        return batches.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(1)

    def _order(self) -> list[np.ndarray]:
        rows = np.arange(len(self._windows))
        if self._generator is not None:
            self._generator.shuffle(rows)
        rows = rows[np.argsort(self._lengths[rows], kind="stable")]
        batches = [
            rows[start : start + self._batch_size]
            for start in range(0, len(rows), self._batch_size)
        ]
        if self._generator is None:
            return batches
        return [batches[place] for place in self._generator.permutation(len(batches))]


def train_network(
    train: Windows,
    validation: Windows,
    options: ModelOptions,
    n_items: int,
    item_vectors: np.ndarray | None = None,
) -> TrainedNetwork:
    """Build a network and train it; two calls with the same arguments give the same weights.

    Args:
        train: rows to learn from.
        validation: rows whose loss decides which epoch is kept.
        options: the network and its training.
        n_items: size of the catalogue.
        item_vectors: unit vector per item index, shape (n_items + 1, dimension), float32, zeros
            where there is none; needed by networks that read titles. Rows whose target has no
            vector are left out when the head is a vector.

    Raises:
        InputError: if there is nothing to learn from, or nothing to validate on.
    """
    targets_are_vectors = options.network.head == "vector"
    if targets_are_vectors and item_vectors is not None:
        has_vector = np.count_nonzero(item_vectors, axis=1) > 0
        train = train.where(has_vector[train.targets])
        validation = validation.where(has_vector[validation.targets])
    if len(train) == 0 or len(validation) == 0:
        raise InputError(
            f"{len(train)} training rows and {len(validation)} validation rows: sequences are too "
            "short to learn from. leave_one_out needs users with at least 4 purchases to train, "
            "and 3 to validate"
        )

    keras.utils.set_random_seed(options.training.seed)
    dimension = None if item_vectors is None else item_vectors.shape[1]
    network = build_network(options.network, n_items, dimension)
    optimizer = keras.optimizers.get(options.training.optimizer)
    optimizer.learning_rate = options.training.learning_rate
    classifies = options.network.head == "softmax"
    network.compile(
        optimizer=optimizer,
        loss=options.training.loss,
        metrics=["accuracy"] if classifies else [],
    )

    vectors = item_vectors if options.network.item == "title" else None
    size = options.training.batch_size
    progress = _Progress(options.training.epochs, math.ceil(len(train) / size))
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss",
        patience=_patience(options),
        restore_best_weights=True,
    )
    network.fit(
        Batches(train, size, vectors, targets_are_vectors, options.training.seed).dataset(),
        validation_data=Batches(validation, 256, vectors, targets_are_vectors, None).dataset(),
        epochs=options.training.epochs,
        callbacks=[progress, stop],
        shuffle=False,
        verbose=0,
    )
    history = pd.DataFrame(progress.epochs)
    if not np.isfinite(history["val_loss"]).any():
        raise InputError(
            "training diverged: the validation loss is not a number; "
            "set a smaller training.learning_rate"
        )
    facts = {
        "seconds_training": round(progress.seconds, 2),
        "n_parameters": sum(math.prod(weight.shape) for weight in network.trainable_weights),
        "best_epoch": int(history["epoch"].iloc[int(history["val_loss"].argmin())]),
        "training_rows": len(train),
    }
    logger.info(
        "trained %d epochs in %.0f s; kept epoch %d, validation loss %.5g",
        len(history),
        facts["seconds_training"],
        facts["best_epoch"],
        history["val_loss"].min(),
    )
    return TrainedNetwork(network, history, facts)


def _patience(options: ModelOptions) -> int:
    patience = options.training.early_stopping_patience
    return options.training.epochs if patience is None else patience


class _Progress(keras.callbacks.Callback):
    """A progress bar over the steps of all epochs, and the figures of each epoch."""

    def __init__(self, epochs: int, steps: int) -> None:
        super().__init__()
        self.epochs: list[dict[str, float]] = []
        self.seconds = 0.0
        self._n_epochs = epochs
        self._steps = steps

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.perf_counter()
        self._bar = tqdm(
            total=self._steps,
            desc=f"epoch {epoch + 1}/{self._n_epochs}",
            unit="batch",
            mininterval=1,
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seconds = time.perf_counter() - self._started
        self.seconds += seconds
        figures = {name: float(value) for name, value in (logs or {}).items()}
        self.epochs.append({"epoch": epoch + 1, **figures, "seconds": round(seconds, 2)})
        self._bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()})
        self._bar.close()
