"""The training loop of a network: epochs with validation, and the state between two epochs."""

import logging
import math
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from bazar.config.networks import NetworkBlock, TrainingOptions
from bazar.data.item_words import ItemTexts, choose_vocabulary
from bazar.data.vector_search import has_title
from bazar.data.windows import Windows
from bazar.errors import DivergenceError
from bazar.evaluation.validation import compute_ndcg
from bazar.models.network_inputs import compute_typical_gap
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.training.batches import Batches, group_batches
from bazar.training.distillation import Distillation, SoftTargets
from bazar.training.losses import compute_vector_loss
from bazar.training.optimizer_files import OptimizerState
from bazar.training.pair_vectors import factorise_pairs
from bazar.training.title_weight import VALIDATION_BATCH_ROWS
from bazar.training.train_step import make_train_steps
from bazar.training.warm_start import WarmStart
from bazar.training.weight_averaging import MeanWeights

logger = logging.getLogger(__name__)

# Limits for one call of a TensorFlow function: the targets of its steps, and the number of steps.
_MAX_TARGETS_PER_CALL, _MAX_STEPS_PER_CALL = 4_096, 32


class TrainingLoop:
    """A network in training, between two epochs.

    Attributes:
        network: the network, with its current weights.
        epochs: one row per finished epoch; see
            :class:`~bazar.training.trainer.TrainedNetwork.training_log`.
        n_epochs: maximum number of epochs.
        best_epoch: number of the best epoch so far, from 1; 0 before the first one.
        seconds_before: seconds of training before the last interruption.
    """

    def __init__(
        self,
        train: Windows,
        validation: Windows,
        block: NetworkBlock,
        n_items: int,
        seed: int,
        item_vectors: np.ndarray | None,
        warm_start: WarmStart | None,
        filter_seen: bool,
        texts: ItemTexts | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        """Build the network, its optimizer and the training function.

        The arguments are those of :func:`~bazar.training.trainer.train_network`.
        """
        self._options = block.training
        self._validation = validation
        self._filter_seen = filter_seen
        self._started = time.perf_counter()
        self.seconds_before = 0.0
        self.epochs: list[dict[str, float]] = []
        self.best_epoch = 0

        keras.utils.set_random_seed(seed)
        counts = _count_items(train, n_items)
        self.network = _initialise_network(block, train, counts, item_vectors, warm_start, texts)
        self._optimizer = _initialise_optimizer(block.training.optimizer, self.network, warm_start)
        self._mean: MeanWeights | None = None
        if self._options.average_weights:
            self._mean = MeanWeights(self.network.trainable_variables)
        soft_targets = None if distillation is None else distillation.soft_targets
        self._batches = _make_batches(
            train, block.training, seed, self.network, item_vectors, soft_targets
        )
        steps_per_epoch = len(self._batches.assign_pieces(0))
        self.n_epochs = max(
            self._options.epochs, math.ceil(self._options.min_steps / steps_per_epoch)
        )
        calls_per_limit = max(1, _MAX_TARGETS_PER_CALL // self._options.batch_size)
        self._steps_per_call = min(_MAX_STEPS_PER_CALL, calls_per_limit)
        self._train_steps = make_train_steps(
            self.network,
            block,
            self._optimizer,
            item_vectors,
            counts,
            seed,
            self._batches,
            0 if distillation is None else distillation.weight,
        )
        # One scorer for all epochs: its functions are traced, and its titles indexed, only once.
        self._scorer = make_scorer(self.network, item_vectors)
        self._best_weights = self._copy_weights()

    @property
    def is_finished(self) -> bool:
        """Whether all epochs have run, or training stops early."""
        patience = self._options.early_stopping_patience
        n_run = len(self.epochs)
        return n_run >= self.n_epochs or (
            patience is not None and n_run > 0 and n_run - self.best_epoch > patience
        )

    def run_epoch(self) -> None:
        """Train for one epoch, validate, and remember the weights if they are the best so far.

        Raises:
            DivergenceError: if the loss or a weight is not a finite number.
        """
        index = len(self.epochs)
        n_batches = len(self._batches.assign_pieces(index))
        started = time.perf_counter()
        # disable=None: no bar if stderr is not a terminal.
        with tqdm(
            total=n_batches,
            desc=f"epoch {index + 1}/{self.n_epochs}",
            unit="batch",
            mininterval=1,
            leave=None,
            disable=None,
        ) as bar:
            loss = self._train_on_batches(index, n_batches, bar)
            seconds = time.perf_counter() - started
            self._check_finite(loss)
            with nullcontext() if self._mean is None else self._mean.applied():
                metrics = {"loss": loss} | self._validate()
                if not self.best_epoch or self._is_better(metrics):
                    self.best_epoch = index + 1
                    self._best_weights = self._copy_weights()
            bar.set_postfix({name: f"{value:.4g}" for name, value in metrics.items()})
            shows_bar = not bar.disable
        self.epochs.append({"epoch": index + 1, **metrics, "seconds": round(seconds, 2)})
        if not shows_bar:
            logger.info(
                "Epoch %d of %d: loss %.4g, val_loss %.4g, val_ndcg@10 %.4f, %.1f s",
                index + 1,
                self.n_epochs,
                loss,
                metrics["val_loss"],
                metrics["val_ndcg@10"],
                seconds,
            )

    def get_state(self) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return everything that the next epoch depends on, as arrays and facts."""
        mean, steps = ([], 0) if self._mean is None else (self._mean.values, self._mean.steps)
        seconds = time.perf_counter() - self._started + self.seconds_before
        facts = {
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": seconds,
            "steps": steps,
        }
        arrays = [*self._copy_weights(), *self.optimizer_state.variables, *mean]
        return [*arrays, *self._best_weights], facts

    def restore_state(self, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        """Restore a state of :meth:`get_state`."""
        variables = [*self.network.variables, *self._optimizer.variables]
        for variable, array in zip(variables, arrays, strict=False):
            variable.assign(array)
        rest = arrays[len(variables) :]
        if self._mean is not None:
            n_values = len(self._mean.values)
            self._mean.values, self._mean.steps = rest[:n_values], facts["steps"]
            rest = rest[n_values:]
        self._best_weights = rest
        self.epochs, self.best_epoch = facts["epochs"], facts["best_epoch"]
        self.seconds_before = facts["seconds"]

    @property
    def optimizer_state(self) -> OptimizerState:
        """The optimizer, with its current variables in Keras' order."""
        variables = [variable.numpy() for variable in self._optimizer.variables]
        return OptimizerState(self._options.optimizer, variables)

    def restore_best_weights(self) -> None:
        """Set the network to the weights of the best epoch."""
        for variable, array in zip(self.network.variables, self._best_weights, strict=True):
            variable.assign(array)

    def _copy_weights(self) -> list[np.ndarray]:
        return [variable.numpy() for variable in self.network.variables]

    def _train_on_batches(self, index: int, n_batches: int, bar: Any) -> float:
        """Train on all batches of an epoch, and return the mean loss of the targets."""
        losses: list[tf.Tensor] = []
        weights: list[float] = []
        for group in group_batches(self._batches.batches(index), self._steps_per_call):
            # A disabled bar does not count: use the number of batches so far instead.
            numbers = range(len(weights), len(weights) + len(group))
            rates = [self._get_learning_rate(index, number / n_batches) for number in numbers]
            losses.append(self._train_steps(group, rates))
            if self._mean is not None:
                self._mean.update(len(group))
            weights += [float(batch.weights.sum()) for batch in group]
            bar.update(len(group))
        return float(np.average(np.concatenate(losses), weights=weights))

    def _check_finite(self, loss: float) -> None:
        # The loss of a step is computed before its update: check the weights after the last one.
        weights = self.network.trainable_variables
        if not (np.isfinite(loss) and all(np.isfinite(weight.numpy()).all() for weight in weights)):
            raise DivergenceError(
                f"Training diverged in epoch {len(self.epochs) + 1}: the loss or a weight is not a "
                "finite number. Set a smaller training.learning_rate."
            )

    def _is_better(self, metrics: dict[str, float]) -> bool:
        best = self.epochs[self.best_epoch - 1]
        if self._options.choose_by == "val_loss":
            return metrics["val_loss"] < best["val_loss"]
        return metrics["val_ndcg@10"] > best["val_ndcg@10"]

    def _get_learning_rate(self, index: int, share_done: float) -> float:
        """Return the learning rate at a point of an epoch, given as the share that is done."""
        rate = self._options.learning_rate
        if self._options.schedule == "cosine":
            share_done = (index + share_done) / self.n_epochs
            rate *= (1 + math.cos(math.pi * share_done)) / 2
        return rate

    def _validate(self) -> dict[str, float]:
        self._scorer.refresh()
        vector_loss = partial(compute_vector_loss, self._options.loss)
        losses, ndcg = [], []
        for rows in self._validation.iter_batches(VALIDATION_BATCH_ROWS):
            scores, target_losses = self._scorer.score_with_losses(rows, vector_loss)
            losses.append(target_losses)
            ndcg.append(compute_ndcg(scores, rows, self._filter_seen))
        return {
            "val_loss": float(np.concatenate(losses).mean()),
            "val_ndcg@10": float(np.concatenate(ndcg).mean()),
        }


def _initialise_network(
    block: NetworkBlock,
    train: Windows,
    counts: np.ndarray,
    item_vectors: np.ndarray | None,
    warm_start: WarmStart | None,
    texts: ItemTexts | None,
) -> RecurrentNetwork:
    dimension = None if item_vectors is None else item_vectors.shape[1]
    # Items that do not occur have weight 0, also without shrinkage.
    id_weights = (counts / np.maximum(counts + block.id_shrinkage, 1)).astype(np.float32)
    vocabulary = _get_vocabulary(block, warm_start, texts)
    n_words = None if vocabulary is None else len(vocabulary)
    # A new network even for a warm start: the dropout of a loaded network has random seeds.
    network = build_network(block.network, len(counts) - 1, dimension, n_words)
    if vocabulary is not None:
        network.set_texts(vocabulary, texts)
    if warm_start is None:
        network.id_weights.assign(id_weights)
        _describe_orders(network, train)
        if network.repeat_layer is not None and not train.has_repeats():
            network.repeat_layer.close()
        if item_vectors is not None and block.adapts_titles:
            network.fit_whitening(item_vectors)
        if block.history_vectors:
            _start_from_pairs(network, train)
        return network
    for new, earlier in zip(network.weights, warm_start.network.weights, strict=True):
        new.assign(earlier)
    if network.title_weight is not None:
        network.title_weight.assign(0)
    if network.time_layer is not None:
        has_clock = train.sequences.timestamps is not None
        if bool(network.time_layer.has_clock.numpy()) != has_clock:
            logger.warning(
                "Warm start: the last training had %s timestamps, and now there are %s. Train once "
                "from scratch (warm_start: false) for better results.",
                *(("no", "some") if has_clock else ("some", "none")),
            )
            _describe_orders(network, train)
    if network.repeat_layer is not None and network.repeat_layer.is_closed and train.has_repeats():
        # Customers buy again for the first time.
        network.repeat_layer.open()
    network.id_weights.assign(np.maximum(warm_start.network.id_weights.numpy(), id_weights))
    return network


def _start_from_pairs(network: RecurrentNetwork, train: Windows) -> None:
    """Set the learned vectors of items from the pairs of the training rows.

    Items without positive mutual information keep their random vectors. All vectors have the mean
    length of random ones: with longer vectors, the optimizer changes directions more slowly.
    """
    assert network.item_embedding is not None and network.history_embedding is not None
    logger.info("Computing the first item vectors from the pairs of items")
    vectors = network.item_embedding.embeddings.numpy()
    length = np.linalg.norm(vectors[1:], axis=1).mean()
    history_vectors, target_vectors = factorise_pairs(train, network.n_items, vectors.shape[1])
    is_known = history_vectors.any(axis=1) & target_vectors.any(axis=1)
    vectors[is_known] = length * target_vectors[is_known]
    network.item_embedding.embeddings.assign(vectors)
    # The vector of an item in a history is the sum of both.
    differences = np.zeros_like(vectors)
    differences[is_known] = length * (history_vectors - target_vectors)[is_known]
    network.history_embedding.embeddings.assign(differences)


def _get_vocabulary(
    block: NetworkBlock, warm_start: WarmStart | None, texts: ItemTexts | None
) -> np.ndarray | None:
    """Return the words with a learned vector: those of the earlier training if there was one."""
    if block.words is None:
        return None
    if warm_start is not None:
        return warm_start.network.vocabulary
    return choose_vocabulary(texts, block.words)


def _make_batches(
    train: Windows,
    training: TrainingOptions,
    seed: int,
    network: RecurrentNetwork,
    item_vectors: np.ndarray | None,
    soft_targets: SoftTargets | None,
) -> Batches:
    options = network.get_input_options(item_vectors)
    if network.repeat_layer is not None and network.repeat_layer.is_closed:
        # Previously bought items are left out when the network scores items. The training is the
        # same as without repeat scores.
        options = replace(options, reads_seen=False)
    is_every_position = training.rows == "every_position"
    usable_targets = network.find_readable_items(item_vectors)
    if network.options.head == "vector":
        assert item_vectors is not None
        usable_targets = has_title(item_vectors)
    return Batches(
        train,
        training.batch_size,
        is_every_position,
        seed,
        options,
        usable_targets,
        soft_targets,
        training.shuffle_equal_days,
    )


def _describe_orders(network: RecurrentNetwork, train: Windows) -> None:
    """Set the typical gap of a network, and whether the training rows have timestamps."""
    if network.typical_gap is not None:
        network.typical_gap.assign(compute_typical_gap(train))
    if network.time_layer is not None:
        network.time_layer.has_clock.assign(train.sequences.timestamps is not None)


def _initialise_optimizer(
    name: str, network: RecurrentNetwork, warm_start: WarmStart | None
) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.get(name)
    optimizer.build(network.trainable_variables)
    if warm_start is not None and warm_start.optimizer_variables is not None:
        for variable, array in zip(
            optimizer.variables, warm_start.optimizer_variables, strict=True
        ):
            variable.assign(array)
    return optimizer


def _count_items(train: Windows, n_items: int) -> np.ndarray:
    """Count how often each item occurs in the training part, as a target or in a history."""
    return np.bincount(train.sequences.items[train.mark_used_interactions()], minlength=n_items + 1)
