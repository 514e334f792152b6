"""Training a network on rows of (history, target)."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from bazar.config.networks import NetworkBlock
from bazar.data.title_embeddings import has_title
from bazar.data.windows import Windows
from bazar.errors import DivergenceError, InputError
from bazar.evaluation.metrics import row_metrics, target_ranks
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import NetworkClassifier, NetworkRegressor
from bazar.training.batches import Batches, group_batches
from bazar.training.checkpoints import Checkpoint, fingerprint
from bazar.training.losses import vector_loss
from bazar.training.train_step import make_train_steps
from bazar.training.warm_start import Start
from bazar.training.weight_averaging import _MeanWeights

logger = logging.getLogger(__name__)

_VALIDATION_ROWS = 512
# Targets that one call of TensorFlow learns from, in as many steps as they make, and steps at most.
_TARGETS_AT_A_TIME, _MOST_STEPS = 4_096, 32
# What whole titles may weigh beside what was learned.
_TITLE_WEIGHTS = (
    0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0,
)  # fmt: skip


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and how it came to be.

    Attributes:
        network: the network with the weights of its best epoch.
        training_log: one row per epoch: ``epoch`` (from 1), ``loss``, ``val_loss``, ``val_ndcg@10``
            (full catalogue, history filtered) and ``seconds`` (of training, without validation).
        facts: ``seconds_training`` (wall clock of all epochs with their validation),
            ``n_parameters`` (trainable), ``best_epoch`` and ``training_rows`` (targets).
        optimizer: the optimizer's variables after the last epoch, in Keras' order.
    """

    network: RecurrentNetwork
    training_log: pd.DataFrame
    facts: dict[str, float]
    optimizer: list[np.ndarray]


def train_network(
    train: Windows,
    validation: Windows,
    block: NetworkBlock,
    n_items: int,
    seed: int,
    item_vectors: np.ndarray | None = None,
    checkpoint: Checkpoint | None = None,
    after_epoch: Callable[[dict[str, float]], None] | None = None,
    start: Start | None = None,
) -> TrainedNetwork:
    """Build a network and train it; two calls with the same arguments give the same weights.

    Args:
        train: rows to learn from.
        validation: rows that decide which epoch is kept.
        block: the network and its training.
        n_items: size of the catalogue.
        seed: of weights, dropout and the order of rows.
        item_vectors: unit vector per item index, shape (n_items + 1, dimension), float32, zeros
            where there is none; needed by networks that read or predict titles. Rows whose target
            has no vector are left out when the head is a vector, and items that have none are
            passed over in histories when titles alone are read.
        checkpoint: where the state is kept after each epoch. A training of the same arguments that
            was interrupted goes on from there, to the same weights. It is to be cleared when what
            came of the training is safe.
        after_epoch: called with the figures of each epoch, a row of the history; what it raises
            ends the training.
        start: what is gone on from: a network of the same description and catalogue. None starts
            from weights that ``seed`` draws.

    Raises:
        InputError: if there is nothing to learn from, or nothing to validate on, or ``start`` is
            another network, or was trained with other vectors.
        DivergenceError: if the loss or the weights are not numbers any more.
    """
    if not block.needs_vectors:
        item_vectors = None
    if item_vectors is not None:
        train, validation = _usable(train, validation, block, item_vectors)
    if len(train) == 0 or len(validation) == 0:
        raise InputError(
            f"{len(train)} training rows and {len(validation)} validation rows: sequences are too "
            "short to learn from. leave_one_out needs users with at least 4 purchases to train, "
            "and 3 to validate"
        )
    started = time.perf_counter()
    if start is not None and start.network.options != block.network:
        raise InputError(
            "warm_start: the network that was trained last is not the one that the parameters "
            "describe now\nTrain this one once with warm_start: false"
        )
    if start is not None and item_vectors is not None:
        start.network.check_vectors(item_vectors)
    training = _Training(train, validation, block, n_items, seed, item_vectors, start)
    logger.info("the network:\n%s", training.network.describe())
    mark = ""
    if checkpoint is not None:
        arrays = [*list_training_arrays(train, validation, item_vectors), np.array(n_items)]
        if start is not None:
            arrays += [weight.numpy() for weight in start.network.weights]
            arrays += start.optimizer or []
        mark = fingerprint(block, seed, arrays)
        if (state := checkpoint.load(mark)) is not None:
            training.restore(*state)
            logger.info("going on after epoch %d, where training stopped", len(training.epochs))
    while not training.is_over:
        training.run_epoch()
        if checkpoint is not None:
            checkpoint.save(mark, *training.state())
        if after_epoch is not None:
            after_epoch(training.epochs[-1])
    network, training_log = training.network, pd.DataFrame(training.epochs)
    training.keep_best()
    best = training_log.iloc[training.best_epoch - 1]
    add_title_similarity = {}
    if block.add_title_similarity:
        assert item_vectors is not None
        add_title_similarity = choose_title_weight(network, item_vectors, validation)
    facts = {
        "seconds_training": round(time.perf_counter() - started + training.seconds_before, 2),
        "n_parameters": network.count_trainable(),
        "best_epoch": training.best_epoch,
        "training_rows": len(train),
        "warm_start": start is not None,
        **add_title_similarity,
    }
    logger.info(
        "trained %d epochs in %.0f s; kept epoch %d, validation loss %.5g, NDCG@10 %.4f",
        len(training_log),
        facts["seconds_training"],
        training.best_epoch,
        best["val_loss"],
        best["val_ndcg@10"],
    )
    return TrainedNetwork(network, training_log, facts, training.optimizer_variables())


def choose_title_weight(
    network: RecurrentNetwork, item_vectors: np.ndarray, validation: Windows
) -> dict[str, float]:
    """Choose how much whole titles add to what a network has learned, and set it.

    Args:
        network: trained, with ``add_title_similarity``.
        item_vectors: shape (items + 1, dimension), float32, zeros where there is no title.
        validation: rows to choose by: the highest NDCG@10 with the history filtered.

    Returns:
        ``title_weight`` and the ``val_ndcg@10`` that is reached with it.
    """
    scorer = NetworkClassifier(network, item_vectors)
    gains: dict[float, list[np.ndarray]] = {weight: [] for weight in _TITLE_WEIGHTS}
    for rows in validation.batches(_VALIDATION_ROWS):
        learned, titles = scorer.logits(rows)
        learned[rows.seen_pairs()] = -np.inf
        for weight, found in gains.items():
            ranks = target_ranks(learned + np.float32(weight) * titles, rows.targets)
            found.append(row_metrics(ranks)["ndcg@10"])
    reached = {weight: float(np.concatenate(found).mean()) for weight, found in gains.items()}
    # Of equally good ones the least.
    chosen = max(reached, key=lambda weight: (reached[weight], -weight))
    assert network.title_weight is not None
    network.title_weight.assign(chosen)
    logger.info("whole titles weigh %g: validation NDCG@10 %.4f", chosen, reached[chosen])
    return {"title_weight": chosen, "val_ndcg@10": reached[chosen]}


def _usable(
    train: Windows, validation: Windows, block: NetworkBlock, item_vectors: np.ndarray
) -> tuple[Windows, Windows]:
    """The rows that a network can learn from, and be measured on by its own loss."""
    usable, measured = train, validation
    if block.head == "vector":
        has_vector = has_title(item_vectors)
        usable = train.where(has_vector[train.targets])
        measured = validation.where(has_vector[validation.targets])
    if block.item == "title":
        usable = usable.where(_reads_a_title(usable, item_vectors))
    for part, left in ((train, usable), (validation, measured)):
        if len(left) == 0 < len(part):
            raise InputError(
                f"of {len(part):,} rows none has a title to learn from: the products that were "
                "bought have none\nSee title_coverage in data/03_primary; ids of products must be "
                "written alike in purchases and in products"
            )
    return usable, measured


def _reads_a_title(rows: Windows, item_vectors: np.ndarray) -> np.ndarray:
    titled = has_title(item_vectors)
    before = np.concatenate([[0], np.cumsum(titled[rows.sequences.items])])
    return before[rows.target_positions] > before[rows.target_positions - rows.lengths]


def list_training_arrays(
    train: Windows, validation: Windows, item_vectors: np.ndarray | None
) -> list[np.ndarray]:
    """Every array that a training reads, for its fingerprint."""
    arrays = [*train.arrays(), *validation.arrays()]
    return arrays if item_vectors is None else [*arrays, item_vectors]


class _Training:
    """A training between two epochs."""

    def __init__(
        self,
        train: Windows,
        validation: Windows,
        block: NetworkBlock,
        n_items: int,
        seed: int,
        item_vectors: np.ndarray | None,
        start: Start | None,
    ) -> None:
        self._options = block.training
        self._validation = validation
        self._started = time.perf_counter()
        self.seconds_before = 0.0
        self.epochs: list[dict[str, float]] = []

        keras.utils.set_random_seed(seed)
        dimension = None if item_vectors is None else item_vectors.shape[1]
        counts = _item_counts(train, n_items)
        in_training = (counts > 0).astype(np.float32)
        # Built anew in any case: what a network that was read from a file drops is drawn by chance.
        self.network = build_network(block.network, n_items, dimension)
        if start is None:
            self.network.in_training.assign(in_training)
            if item_vectors is not None and block.adapts_titles:
                self.network.fit_whitening(item_vectors)
        else:
            for new, old in zip(self.network.weights, start.network.weights, strict=True):
                new.assign(old)
            if self.network.title_weight is not None:
                self.network.title_weight.assign(0)
            self.network.in_training.assign(
                np.maximum(start.network.in_training.numpy(), in_training)
            )

        self._optimizer = keras.optimizers.get(self._options.optimizer)
        self._optimizer.build(self.network.trainable_variables)
        if start is not None and start.optimizer is not None:
            for variable, array in zip(self._optimizer.variables, start.optimizer, strict=True):
                variable.assign(array)
        self._mean = None
        if self._options.average_weights:
            self._mean = _MeanWeights(self.network.trainable_variables)
        every_position = self._options.rows == "every_position"
        self._batches = Batches(
            train,
            self._options.batch_size,
            every_position,
            seed,
            self.network.find_readable_items(item_vectors),
        )
        self._steps_at_a_time = min(
            _MOST_STEPS, max(1, _TARGETS_AT_A_TIME // self._options.batch_size)
        )
        self._steps = make_train_steps(
            self.network,
            block,
            self._optimizer,
            item_vectors,
            counts,
            seed,
        )
        # Made once: its functions are traced, and titles indexed, but once for all epochs.
        self._scorer: NetworkClassifier | NetworkRegressor
        if block.head == "vector":
            assert item_vectors is not None
            self._scorer = NetworkRegressor(self.network, item_vectors)
        else:
            self._scorer = NetworkClassifier(self.network, item_vectors)
        self._best = [variable.numpy() for variable in self.network.variables]
        self.best_epoch = 0

    @property
    def is_over(self) -> bool:
        """Whether the last epoch was run, or too many without a better one."""
        patience = self._options.early_stopping_patience
        n_run = len(self.epochs)
        return n_run >= self._options.epochs or (
            patience is not None and n_run > 0 and n_run - self.best_epoch > patience
        )

    def run_epoch(self) -> None:
        """Train for an epoch, and validate."""
        number = len(self.epochs)
        n_batches = len(self._batches.epoch(number))
        started = time.perf_counter()
        losses: list[tf.Tensor] = []
        weights: list[float] = []
        with tqdm(
            total=n_batches,
            desc=f"epoch {number + 1}/{self._options.epochs}",
            unit="batch",
            mininterval=1,
            leave=None,
        ) as bar:
            for run in group_batches(self._batches.batches(number), self._steps_at_a_time):
                # Counted by what is learned from: a bar that is switched off counts nothing.
                places = range(len(weights), len(weights) + len(run))
                rates = [self._rate(number, place / n_batches) for place in places]
                losses.append(self._steps(run, rates))
                if self._mean is not None:
                    self._mean.update(len(run))
                weights += [float(batch.weights.sum()) for batch in run]
                bar.update(len(run))
            loss = float(np.average(np.concatenate(losses), weights=weights))
            seconds = time.perf_counter() - started
            self._check_finite(loss)
            with nullcontext() if self._mean is None else self._mean.in_place():
                figures = {"loss": loss} | self._validate()
                if not self.best_epoch or self._is_better(figures):
                    self.best_epoch = number + 1
                    self._best = [variable.numpy() for variable in self.network.variables]
            bar.set_postfix({name: f"{value:.4g}" for name, value in figures.items()})
        self.epochs.append({"epoch": number + 1, **figures, "seconds": round(seconds, 2)})

    def state(self) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return everything that the next epoch depends on."""
        weights = [variable.numpy() for variable in self.network.variables]
        mean, steps = ([], 0) if self._mean is None else (self._mean.of_weights, self._mean.steps)
        seconds = time.perf_counter() - self._started + self.seconds_before
        facts = {
            "epochs": self.epochs, "best_epoch": self.best_epoch, "seconds": seconds,
            "steps": steps,
        }  # fmt: skip
        return [*weights, *self.optimizer_variables(), *mean, *self._best], facts

    def restore(self, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Go back to a state."""
        variables = [*self.network.variables, *self._optimizer.variables]
        for variable, array in zip(variables, arrays, strict=False):
            variable.assign(array)
        rest = arrays[len(variables) :]
        if self._mean is not None:
            n_values = len(self._mean.of_weights)
            self._mean.of_weights, self._mean.steps = rest[:n_values], facts["steps"]
            rest = rest[n_values:]
        self._best = rest
        self.epochs, self.best_epoch = facts["epochs"], facts["best_epoch"]
        self.seconds_before = facts["seconds"]

    def optimizer_variables(self) -> list[np.ndarray]:
        """Return what the optimizer knows now."""
        return [variable.numpy() for variable in self._optimizer.variables]

    def keep_best(self) -> None:
        """Put the weights of the best epoch back."""
        for variable, array in zip(self.network.variables, self._best, strict=True):
            variable.assign(array)

    def _check_finite(self, loss: float) -> None:
        # The loss of a step is that of the weights before it: the last step may have spoilt them.
        weights = self.network.trainable_variables
        if not (np.isfinite(loss) and all(np.isfinite(weight.numpy()).all() for weight in weights)):
            raise DivergenceError(
                f"training diverged: the loss or the weights of epoch {len(self.epochs) + 1} are "
                "not numbers; set a smaller training.learning_rate"
            )

    def _is_better(self, figures: dict[str, float]) -> bool:
        best = self.epochs[self.best_epoch - 1]
        if self._options.choose_by == "val_loss":
            return figures["val_loss"] < best["val_loss"]
        return figures["val_ndcg@10"] > best["val_ndcg@10"]

    def _rate(self, number: int, done: float) -> float:
        """Learning rate in an epoch of which a share is done."""
        rate = self._options.learning_rate
        if self._options.schedule == "cosine":
            done = (number + done) / self._options.epochs
            rate *= (1 + math.cos(math.pi * done)) / 2
        return rate

    def _validate(self) -> dict[str, float]:
        scorer = self._scorer
        if isinstance(scorer, NetworkClassifier):
            scorer.refresh()
        losses, ranks = [], []
        for rows in self._validation.batches(_VALIDATION_ROWS):
            targets = rows.targets
            if isinstance(scorer, NetworkRegressor):
                points = scorer.predict(rows)
                losses.append(
                    np.asarray(
                        vector_loss(self._options.loss, points, scorer.item_vectors[targets])
                    )
                )
                scores = scorer.cosines(points)
            else:
                scores = scorer.score(rows)
                losses.append(-np.log(np.maximum(scores[np.arange(len(rows)), targets], 1e-30)))
            scores[rows.seen_pairs()] = -np.inf
            ranks.append(target_ranks(scores, targets))
        return {
            "val_loss": float(np.concatenate(losses).mean()),
            "val_ndcg@10": float(row_metrics(np.concatenate(ranks))["ndcg@10"].mean()),
        }


def _item_counts(train: Windows, n_items: int) -> np.ndarray:
    """How often each item stands in the training part: as a target, or in what is read."""
    return np.bincount(train.sequences.items[train.shown()], minlength=n_items + 1)
