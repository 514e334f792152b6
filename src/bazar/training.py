"""Training a network on rows of (history, target)."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from bazar.batches import Batch, Batches, in_runs
from bazar.checkpoints import Checkpoint, fingerprint
from bazar.errors import DivergenceError, InputError
from bazar.metrics import row_metrics, target_ranks
from bazar.networks import RecurrentNetwork, build_network, have_titles
from bazar.options import NetworkBlock
from bazar.scorers import NetworkClassifier, NetworkRegressor
from bazar.warm_start import Start
from bazar.windows import Windows

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
        history: one row per epoch: ``epoch`` (from 1), ``loss``, ``val_loss``, ``val_ndcg@10``
            (full catalogue, history masked) and ``seconds`` (of training, without validation).
        facts: ``seconds_training`` (wall clock of all epochs with their validation),
            ``n_parameters`` (trainable), ``best_epoch`` and ``training_rows`` (targets).
        optimizer: the optimizer's variables after the last epoch, in Keras' order.
    """

    network: RecurrentNetwork
    history: pd.DataFrame
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
        arrays = [*what_is_read(train, validation, item_vectors), np.array(n_items)]
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
    network, history = training.network, pd.DataFrame(training.epochs)
    training.keep_best()
    best = history.iloc[training.best_epoch - 1]
    whole_titles = {}
    if block.whole_titles:
        assert item_vectors is not None
        whole_titles = weigh_titles(network, item_vectors, validation)
    facts = {
        "seconds_training": round(time.perf_counter() - started + training.seconds_before, 2),
        "n_parameters": network.count_trainable(),
        "best_epoch": training.best_epoch,
        "training_rows": len(train),
        "warm_start": start is not None,
        **whole_titles,
    }
    logger.info(
        "trained %d epochs in %.0f s; kept epoch %d, validation loss %.5g, NDCG@10 %.4f",
        len(history),
        facts["seconds_training"],
        training.best_epoch,
        best["val_loss"],
        best["val_ndcg@10"],
    )
    return TrainedNetwork(network, history, facts, training.optimizer_variables())


def weigh_titles(
    network: RecurrentNetwork, item_vectors: np.ndarray, validation: Windows
) -> dict[str, float]:
    """Choose how much whole titles add to what a network has learned, and set it.

    Args:
        network: trained, with ``whole_titles``.
        item_vectors: shape (items + 1, dimension), float32, zeros where there is no title.
        validation: rows to choose by: the highest NDCG@10 with the history masked.

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
        has_vector = have_titles(item_vectors)
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
    titled = have_titles(item_vectors)
    before = np.concatenate([[0], np.cumsum(titled[rows.sequences.items])])
    return before[rows.places] > before[rows.places - rows.lengths]


def what_is_read(
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
            self.network.known.assign(in_training)
            if item_vectors is not None and block.adapts_titles:
                self.network.fit_whitening(item_vectors)
        else:
            for new, old in zip(self.network.weights, start.network.weights, strict=True):
                new.assign(old)
            if self.network.title_weight is not None:
                self.network.title_weight.assign(0)
            self.network.known.assign(np.maximum(start.network.known.numpy(), in_training))

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
            self.network.readable(item_vectors),
        )
        self._steps_at_a_time = min(
            _MOST_STEPS, max(1, _TARGETS_AT_A_TIME // self._options.batch_size)
        )
        self._steps = make_steps(
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
            for run in in_runs(self._batches.batches(number), self._steps_at_a_time):
                # Counted by what is learned from: a bar that is switched off counts nothing.
                places = range(len(weights), len(weights) + len(run))
                rates = [self._rate(number, place / n_batches) for place in places]
                losses.append(self._steps(run, rates))
                if self._mean is not None:
                    self._mean.take_in(len(run))
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


class _MeanWeights:
    """The mean of weights over the steps of a training, its start among them.

    Stochastic weight averaging (Izmailov et al. 2018, arXiv 1803.05407), over every few steps.

    Attributes:
        of_weights: float32, in the order and of the shapes of the weights.
        steps: how many are in the mean.
    """

    def __init__(self, weights: Sequence[keras.Variable]) -> None:
        self._weights = weights
        self.of_weights = [weight.numpy() for weight in weights]
        self.steps = 1

    def take_in(self, steps: int) -> None:
        """Count the weights as they are now for so many steps."""
        self.steps += steps
        share = np.float32(steps / self.steps)
        self.of_weights = [
            mean + share * (weight.numpy() - mean)
            for mean, weight in zip(self.of_weights, self._weights, strict=True)
        ]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the mean in the place of the weights, for as long as the context lasts."""
        own = [weight.numpy() for weight in self._weights]
        self._put(self.of_weights)
        yield
        self._put(own)

    def _put(self, values: list[np.ndarray]) -> None:
        for weight, value in zip(self._weights, values, strict=True):
            weight.assign(value)


def make_steps(
    network: RecurrentNetwork,
    block: NetworkBlock,
    optimizer: keras.optimizers.Optimizer,
    item_vectors: np.ndarray | None,
    counts: np.ndarray,
    seed: int,
) -> Callable[[Sequence[Batch], Sequence[float]], tf.Tensor]:
    """Make the function that trains a network on batches, one after the other.

    To call a function of TensorFlow takes longer than a step of a small network: one call takes as
    many steps as it is given. XLA does not compile them: on two cores it takes twice as long for
    large recurrent layers, and saves a few hundredths elsewhere, less than compiling takes.

    Args:
        network: what is trained.
        block: its description.
        optimizer: built for the network's trainable variables.
        item_vectors: shape (items + 1, dimension), float32, or None.
        counts: shape (items + 1,), how often each item stands in the training part: a tied softmax
            is over the items that do, so that a network does not learn to push down what it was
            never shown.
        seed: of what a sampled softmax draws.

    Returns:
        Takes batches of one shape and the learning rate of each; returns the mean loss of each
        one's targets, shape (batches,), float32, before it was learned from.
    """
    prepared = network.prepare(item_vectors)
    candidates = np.flatnonzero(counts > 0)
    sampled = block.head == "tied_softmax" and len(candidates) > block.training.sample_above
    # Row 0 of the table is padding, which is read and never scored.
    table_items = tf.constant(np.concatenate([[0], candidates]).astype(np.int32))
    place_of = np.zeros(len(counts), np.int32)
    place_of[candidates] = np.arange(1, len(candidates) + 1)
    places = tf.constant(place_of)
    raw = None if item_vectors is None else tf.constant(item_vectors)

    def losses(
        history: tf.Tensor, positions: tf.Tensor, targets: tf.Tensor, drawn: tf.Tensor,
        correction: tf.Tensor,
    ) -> tf.Tensor:  # fmt: skip
        if block.head == "tied_softmax" and not sampled:
            table = network.represent(table_items, prepared)
            represented = tf.gather(table, tf.gather(places, history))
            read = network.read(represented, positions, training=True)
            # Places in a batch that hold no target have target 0: their loss is weighted by 0.
            labels = tf.maximum(tf.gather(places, targets) - 1, 0)
            return tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, network.logits(read, network.table(table[1:]))
            )
        read = network.read(network.represent(history, prepared), positions, training=True)
        if sampled:
            return _sampled_cross_entropy(network, read, targets, drawn, correction, prepared)
        if block.head == "softmax":
            return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, read)
        return vector_loss(block.training.loss, read, tf.gather(raw, targets))

    def step(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:
        rate, history, positions, targets, weights, drawn, correction = inputs
        optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            per_target = losses(history, positions, targets, drawn, correction)
            loss = tf.reduce_sum(per_target * weights) / tf.maximum(tf.reduce_sum(weights), 1)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    @tf.function(reduce_retracing=True, autograph=False)
    def steps(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:
        # One at a time: each step goes on from the weights of the one before it.
        return tf.map_fn(step, inputs, parallel_iterations=1, fn_output_signature=tf.float32)

    sampler = _Negatives(counts, block.training.negatives if sampled else 0, seed)

    def run(batches: Sequence[Batch], rates: Sequence[float]) -> tf.Tensor:
        read = [
            (batch.histories, batch.positions, batch.targets, batch.weights, *sampler.draw(batch))
            for batch in batches
        ]
        return steps((np.array(rates, np.float32), *map(np.stack, zip(*read, strict=True))))

    return run


def vector_loss(loss: str, predicted: Any, expected: Any) -> Any:
    """Loss of predicted vectors.

    Args:
        loss: ``mse``, ``mae``, ``huber`` (Huber 1964, half the squared error up to 1) or
            ``cosine`` (1 minus the cosine).
        predicted: shape (rows, dimension).
        expected: the same shape.

    Returns:
        Shape (rows,).
    """
    if loss == "cosine":
        return 1 + keras.losses.cosine_similarity(expected, predicted)
    functions = {
        "mse": keras.losses.mean_squared_error,
        "mae": keras.losses.mean_absolute_error,
        "huber": keras.losses.huber,
    }
    return functions[loss](expected, predicted)


class _Negatives:
    """Items drawn for a sampled softmax, by the square root of how often they are bought."""

    def __init__(self, counts: np.ndarray, size: int, seed: int) -> None:
        weights = np.sqrt(counts.astype(np.float64))
        self._share = weights / weights.sum()
        self._edges = np.cumsum(self._share)
        self._size = size
        self._seed = seed

    def draw(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Draw with replacement.

        The batch itself seeds the draw: a training that goes on after an interruption draws what
        it would have drawn.

        Returns:
            Item indices, shape (size,), int32, and the log of how often each is expected among
            them, shape (size,), float32.
        """
        if not self._size:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        generator = np.random.default_rng([self._seed, *batch.targets[:64].tolist()])
        drawn = np.searchsorted(self._edges, generator.random(self._size) * self._edges[-1])
        expected = np.log(self._size * self._share[drawn])
        return drawn.astype(np.int32), expected.astype(np.float32)


def _sampled_cross_entropy(
    network: RecurrentNetwork,
    read: tf.Tensor,
    targets: tf.Tensor,
    drawn: tf.Tensor,
    correction: tf.Tensor,
    prepared: tf.Tensor | None,
) -> tf.Tensor:
    """Cross-entropy against drawn items, corrected for how often each is drawn.

    The sum over all other items is estimated by importance sampling (Bengio and Senécal 2008; the
    logQ correction of Yi et al. 2019); the target itself is always in the sum, once.

    Returns:
        Shape (targets,).
    """
    positive = network.score_pairs(read, network.represent(targets, prepared))
    table = network.table(network.represent(drawn, prepared))
    negative = network.logits(read, table) - correction
    others = tf.where(drawn == targets[:, None], -1e9, negative)
    total = tf.reduce_logsumexp(tf.concat([positive[:, None], others], axis=1), axis=1)
    return total - positive


def _item_counts(train: Windows, n_items: int) -> np.ndarray:
    """How often each item stands in the training part: as a target, or in what is read."""
    return np.bincount(train.sequences.items[train.shown()], minlength=n_items + 1)
