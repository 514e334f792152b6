"""Training of a network on rows of history and target."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bazar.config.networks import NetworkBlock
from bazar.data.item_words import ItemTexts
from bazar.data.protocols import check_equal_days
from bazar.data.splits import check_row_numbers
from bazar.data.vector_search import has_title
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.training.checkpoints import Checkpoint, fingerprint
from bazar.training.distillation import Distillation
from bazar.training.optimizer_files import OptimizerState
from bazar.training.title_weight import choose_title_weight
from bazar.training.training_loop import TrainingLoop
from bazar.training.warm_start import NetworkState, WarmStart

logger = logging.getLogger(__name__)

AfterEpoch = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network and its training.

    Attributes:
        network: the network with the weights of its best epoch.
        training_log: one row per epoch: ``epoch`` (from 1), ``loss``, ``val_loss``, ``val_ndcg@10``
            (full catalogue) and ``seconds`` (training without validation).
        facts: ``seconds_training`` (wall clock time of all epochs with their validation),
            ``n_parameters`` (trainable), ``best_epoch``, ``training_rows`` (number of rows) and
            ``warm_start``; with ``add_title_similarity`` also what :func:`choose_title_weight`
            returns.
        optimizer: the optimizer after the last epoch.
    """

    network: RecurrentNetwork
    training_log: pd.DataFrame
    facts: dict[str, float]
    optimizer: OptimizerState

    @property
    def state(self) -> NetworkState:
        """The network with its optimizer, for a later warm start."""
        return NetworkState(self.network, self.optimizer)


def train_network(
    train: Windows,
    validation: Windows,
    block: NetworkBlock,
    n_items: int,
    seed: int,
    item_vectors: np.ndarray | None = None,
    checkpoint: Checkpoint | None = None,
    after_epoch: AfterEpoch | None = None,
    warm_start: WarmStart | None = None,
    filter_seen: bool = True,
    texts: ItemTexts | None = None,
    distillation: Distillation | None = None,
) -> TrainedNetwork:
    """Build a network and train it. The same arguments give the same weights.

    Args:
        train: rows to learn from.
        validation: rows that choose the best epoch.
        block: the network and its training.
        n_items: size of the catalogue.
        seed: seed of the initial weights, of dropout, of the order of the rows, and of the groups
            of items for ``cold_item_share``.
        item_vectors: unit vector of each item, shape (n_items + 1, dimension), float32, zeros for
            items without one. Networks that read or predict titles need it. With a vector head,
            targets without a vector are left out. If only titles are read, items without a
            vector are dropped from histories.
        checkpoint: saves the state after each epoch. A training with the same arguments resumes
            from it. Clear it when the result is saved.
        after_epoch: called with the training log's row of each epoch. Its exceptions end the run.
        warm_start: a network with the same options and catalogue; None for random weights.
        filter_seen: whether validation NDCG@10 leaves out items that the user bought before.
        texts: titles and attributes of the items; networks with ``words`` need them.
        distillation: what a teacher expects at the training rows; None for no teacher.

    Raises:
        InputError: if there are no training rows or no validation rows; if ``warm_start`` holds
            another network, or one trained with other vectors; if it cannot learn from a teacher;
            if days cannot be shuffled; or if the checkpoint cannot be read or written.
        DivergenceError: if the loss or a weight is not a finite number.
    """
    item_vectors = item_vectors if block.needs_vectors else None
    train, validation = _select_usable_rows(train, validation, block, item_vectors)
    _check_warm_start(warm_start, block, item_vectors)
    _check_shuffle(block, train, distillation)
    started = time.perf_counter()
    loop = TrainingLoop(
        train, validation, block, n_items, seed, item_vectors, warm_start, filter_seen, texts,
        distillation,
    )  # fmt: skip
    logger.info("The network:\n%s", loop.network.describe())
    arrays = list_training_arrays(train, validation, item_vectors)
    arrays += _list_start_arrays(loop.network, warm_start, distillation, filter_seen)
    mark = "" if checkpoint is None else fingerprint(block, seed, arrays)
    _run_epochs(loop, checkpoint, mark, after_epoch)
    loop.restore_best_weights()
    facts = _describe_training(loop, len(train)) | {"warm_start": warm_start is not None}
    facts |= _set_title_weight(loop.network, block, item_vectors, validation, filter_seen, seed)
    facts["seconds_training"] = round(time.perf_counter() - started + loop.seconds_before, 2)
    return TrainedNetwork(loop.network, pd.DataFrame(loop.epochs), facts, loop.optimizer_state)


def _set_title_weight(
    network: RecurrentNetwork,
    block: NetworkBlock,
    item_vectors: np.ndarray | None,
    validation: Windows,
    filter_seen: bool,
    seed: int,
) -> dict[str, float]:
    """Set the weight of title similarity, if the network has one, and return its facts."""
    if not block.add_title_similarity or item_vectors is None:
        return {}
    share = block.training.cold_item_share
    return choose_title_weight(network, item_vectors, validation, filter_seen, share, seed)


def list_training_arrays(
    train: Windows, validation: Windows, item_vectors: np.ndarray | None
) -> list[np.ndarray]:
    """List all arrays that a training reads, for its fingerprint."""
    arrays = [*train.get_arrays(), *validation.get_arrays()]
    return arrays if item_vectors is None else [*arrays, item_vectors]


def _list_start_arrays(
    network: RecurrentNetwork,
    warm_start: WarmStart | None,
    distillation: Distillation | None,
    filter_seen: bool,
) -> list[np.ndarray]:
    """List what a training also reads: item words, soft targets, and the weights at the start."""
    words, arrays = network.item_words, [np.array([network.n_items, filter_seen])]
    arrays += [] if words is None else [words.numbers, words.starts]
    arrays += [] if distillation is None else distillation.list_arrays()
    if warm_start is None:
        return arrays
    weights = [weight.numpy() for weight in warm_start.network.weights]
    return [*arrays, *weights, *(warm_start.optimizer_variables or [])]


def _check_warm_start(
    warm_start: WarmStart | None, block: NetworkBlock, item_vectors: np.ndarray | None
) -> None:
    """Raise InputError if a warm start is of another network, or trained with other vectors."""
    if warm_start is None:
        return
    if warm_start.network.options != block.network:
        raise InputError(
            "warm_start: the parameters describe another network than the one that was trained "
            "last.\nTrain the network once with warm_start: false."
        )
    if item_vectors is not None:
        warm_start.network.check_vectors(item_vectors)


def _check_shuffle(block: NetworkBlock, train: Windows, distillation: Distillation | None) -> None:
    """Raise InputError if the training rows should be shuffled, but cannot be."""
    if not block.training.shuffle_equal_days:
        return
    key = "training.shuffle_equal_days"
    check_equal_days(key, train.sequences.orders is not None, train.sequences)
    if distillation is not None:
        raise InputError(
            f"{key} is true, but the soft targets of the teacher were computed before the "
            f"shuffle.\nSet {key} to false."
        )


def _run_epochs(
    loop: TrainingLoop,
    checkpoint: Checkpoint | None,
    mark: str,
    after_epoch: AfterEpoch | None,
) -> None:
    """Run the remaining epochs, and save the state after each of them."""
    if checkpoint is not None and (state := checkpoint.load(mark)) is not None:
        loop.restore_state(*state)
        logger.info("Resuming training after epoch %d of %d", len(loop.epochs), loop.n_epochs)
    try:
        while not loop.is_finished:
            loop.run_epoch()
            if checkpoint is not None:
                checkpoint.save(mark, *loop.get_state())
            if after_epoch is not None:
                after_epoch(loop.epochs[-1])
    except KeyboardInterrupt:
        if checkpoint is not None and loop.epochs:
            logger.info(
                "Training was interrupted. Run the same command again to resume after the last "
                "finished epoch"
            )
        raise


def _describe_training(loop: TrainingLoop, n_rows: int) -> dict[str, float]:
    """Log the best epoch of a finished training, and return facts about it."""
    best = loop.epochs[loop.best_epoch - 1]
    logger.info(
        "Trained %d epochs. Best epoch %d: val_loss %.5g, val_ndcg@10 %.4f",
        len(loop.epochs),
        loop.best_epoch,
        best["val_loss"],
        best["val_ndcg@10"],
    )
    return {
        "n_parameters": loop.network.count_trainable_parameters(),
        "best_epoch": loop.best_epoch,
        "training_rows": n_rows,
    }


def _select_usable_rows(
    train: Windows, validation: Windows, block: NetworkBlock, item_vectors: np.ndarray | None
) -> tuple[Windows, Windows]:
    """Select the rows that a network can learn from, and those that its loss can be measured on.

    Raises:
        InputError: if no row is left.
    """
    usable_train, usable_validation = train, validation
    if item_vectors is not None:
        if block.head == "vector" or block.item == "title":
            titled = has_title(item_vectors)
            usable_train = train.filter(_has_titled_target(titled, train))
            usable_validation = validation.filter(_has_titled_target(titled, validation))
        if block.item == "title":
            usable_train = usable_train.filter(_has_titled_history(usable_train, item_vectors))
    for rows, usable in ((train, usable_train), (validation, usable_validation)):
        if len(usable) == 0 < len(rows):
            raise InputError(
                f"None of the {len(rows):,} rows has a title to learn from: the purchased products "
                "have no titles.\nSee title_coverage in data/03_primary. Product ids must be "
                "written the same way in purchases and products."
            )
    check_row_numbers(training=len(usable_train), validation=len(usable_validation))
    return usable_train, usable_validation


def _has_titled_target(titled: np.ndarray, rows: Windows) -> np.ndarray:
    """Return whether any target of each row has a title, shape (rows,), bool."""
    row_numbers, targets = rows.list_targets()
    return np.bincount(row_numbers[titled[targets]], minlength=len(rows)) > 0


def _has_titled_history(rows: Windows, item_vectors: np.ndarray) -> np.ndarray:
    """Return a mask of the rows whose history holds an item with a title, shape (rows,)."""
    titled = has_title(item_vectors)
    titled_before = np.concatenate([[0], np.cumsum(titled[rows.sequences.items])])
    return titled_before[rows.target_positions] > titled_before[rows.history_starts]
