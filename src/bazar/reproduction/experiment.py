"""Training and evaluation of the networks in Table 1 of the original study."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
from tqdm import tqdm

from bazar.config.networks import NetworkBlock
from bazar.config.reproduction import ReproductionVariants
from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.errors import DivergenceError, InputError
from bazar.evaluation.metrics import FILTER_MODES, compute_row_metrics, compute_target_ranks
from bazar.models.nearest_titles import TitleIndex
from bazar.models.networks.scorers import NetworkRegressor
from bazar.reproduction.table import METRICS, Result, get_result_key
from bazar.training.checkpoints import Checkpoint, fingerprint
from bazar.training.losses import compute_vector_loss
from bazar.training.trainer import train_network

logger = logging.getLogger(__name__)


def train_variants(
    variants: ReproductionVariants,
    previous_results: dict[str, Result],
    splits: Splits,
    item_vectors: np.ndarray,
    seed: int,
    batch_size: int,
    checkpoint: Checkpoint | None = None,
) -> Iterator[dict[str, Result]]:
    """Train and evaluate the networks that have no result yet, one after another.

    A result is valid as long as the network, its training, the seed and the data are the same.
    Networks that are equal in all of them are trained once.

    The caller saves each result when it is yielded. Nothing is deleted after a ``yield``: the
    checkpoint of a finished network stays until the next network replaces it, or until a call finds
    that all results are valid.

    Args:
        variants: the networks.
        previous_results: results of earlier runs, by
            :func:`~bazar.reproduction.table.get_result_key`.
        splits: the rows to train, validate and test on.
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros for items without a
            title.
        seed: seed of the trainings.
        batch_size: number of test rows that are scored at a time.
        checkpoint: saves the state of the current training after each epoch.

    Yields:
        A new result, by :func:`~bazar.reproduction.table.get_result_key`: the ``fingerprint``, the
        ``network`` (its block) and the ``outcome`` (``trained``, or the error of a training that
        diverged). The result of a trained network also has ``epochs``, ``best_epoch``,
        ``n_parameters``, ``seconds`` and ``test`` (see :func:`measure_vectors`).

    Raises:
        InputError: if there are no rows to learn from, or if the checkpoint cannot be read or
            written.
    """
    marks = _compute_fingerprints(variants, splits, item_vectors, seed)
    valid = {
        key for key, found in previous_results.items() if found["fingerprint"] == marks.get(key)
    }
    missing = [each for each in variants.root if get_result_key(each) not in valid]
    if not missing and checkpoint is not None:
        checkpoint.clear()
    by_mark = {result["fingerprint"]: result for result in previous_results.values()}
    # disable=None: no bar if stderr is not a terminal.
    for variant in tqdm(missing, desc="networks", unit="network", disable=None):
        mark = marks[get_result_key(variant)]
        if mark not in by_mark:
            logger.info("Network %d: %s", variant.number, variant.name)
            by_mark[mark] = {
                "fingerprint": mark,
                "network": variant.network.model_dump(mode="json"),
                **_train_and_measure(
                    variant.network, splits, item_vectors, seed, batch_size, checkpoint
                ),
            }
        yield {get_result_key(variant): by_mark[mark]}


def _compute_fingerprints(
    variants: ReproductionVariants, splits: Splits, item_vectors: np.ndarray, seed: int
) -> dict[str, str]:
    """Compute the fingerprints of all that the results depend on, by result key."""
    parts = (splits.train, splits.validation, splits.test)
    arrays = [*(array for part in parts for array in part.get_arrays()), item_vectors]
    return {get_result_key(each): fingerprint(each.network, seed, arrays) for each in variants.root}


def _train_and_measure(
    block: NetworkBlock,
    splits: Splits,
    item_vectors: np.ndarray,
    seed: int,
    batch_size: int,
    checkpoint: Checkpoint | None,
) -> Result:
    n_items = len(item_vectors) - 1
    try:
        trained = train_network(
            splits.train,
            splits.validation,
            block,
            n_items,
            seed,
            item_vectors,
            checkpoint,
            filter_seen=splits.filter_seen,
        )
    except DivergenceError as error:
        logger.warning("%s", error)
        return {"outcome": str(error)}
    scorer = NetworkRegressor(trained.network, item_vectors)
    return {
        "outcome": "trained",
        "epochs": len(trained.training_log),
        "best_epoch": trained.facts["best_epoch"],
        "n_parameters": trained.facts["n_parameters"],
        "seconds": trained.facts["seconds_training"],
        "test": measure_vectors(
            scorer.predict_vectors, scorer.index, splits.test, block.training.loss, batch_size
        ),
    }


def measure_vectors(
    predict: Callable[[Windows], np.ndarray],
    index: TitleIndex,
    test: Windows,
    loss: str,
    batch_size: int,
) -> Result:
    """Measure predicted title vectors, as vectors and as recommendations.

    Args:
        predict: function that predicts the vector of each row, shape (rows, dimension), float32.
        index: the title vectors of the catalogue.
        test: the rows.
        loss: loss to measure; see :func:`~bazar.training.losses.compute_vector_loss`.
        batch_size: number of rows at a time. Memory use grows with this number times the size of
            the catalogue.

    Returns:
        ``loss``, ``mae`` and ``mse``: means over the components of the vectors and over the pairs
        of a row and one of its targets that has a vector. ``filtered`` and ``unfiltered``:
        ``hr@1``, ``hr@10`` and ``ndcg@10`` over all rows, with the full catalogue ranked by cosine.
        A target without a vector is a miss.
    """
    errors: dict[str, list[np.ndarray]] = {"loss": [], "mae": [], "mse": []}
    ranks: dict[str, list[np.ndarray]] = {filter_mode: [] for filter_mode in FILTER_MODES}
    target_rows, _ = test.list_targets()
    for rows in test.iter_batches(batch_size):
        predicted, (numbers, targets) = predict(rows), rows.list_targets()
        titled = index.item_vectors[targets].any(axis=1)
        guessed, expected = predicted[numbers[titled]], index.item_vectors[targets[titled]]
        losses = compute_vector_loss(loss, guessed, expected)
        difference = guessed.astype(np.float64) - expected
        errors["loss"].append(np.asarray(losses))
        errors["mae"].append(np.abs(difference).mean(axis=1))
        errors["mse"].append(np.square(difference).mean(axis=1))
        # The predicted vectors are not scaled to unit length: this does not change the ranks.
        scores = index.compute_cosines(predicted)
        ranks["unfiltered"].append(compute_target_ranks(scores, numbers, targets))
        scores[rows.list_seen_pairs()] = -np.inf
        ranks["filtered"].append(compute_target_ranks(scores, numbers, targets))
    figures: Result = {name: float(np.concatenate(rows).mean()) for name, rows in errors.items()}
    for filter_mode in FILTER_MODES:
        per_row = compute_row_metrics(np.concatenate(ranks[filter_mode]), target_rows)
        figures[filter_mode] = {metric: float(per_row[metric].mean()) for metric in METRICS}
    return figures


def measure_mean_title(
    train: Windows, test: Windows, item_vectors: np.ndarray, batch_size: int
) -> Result:
    """Measure the mean title vector of the training targets as the prediction for all rows.

    It has the smallest squared error on the training rows of all predictions that do not depend on
    the history.

    Args:
        train: rows whose targets are averaged.
        test: the rows.
        item_vectors: shape (items + 1, dimension), float32, zeros for items without a title.
        batch_size: number of rows at a time.

    Returns:
        See :func:`measure_vectors`; the loss is the mean squared error.

    Raises:
        InputError: if no training target has a title.
    """
    targets = item_vectors[train.list_targets()[1]]
    titled = targets[targets.any(axis=1)]
    if not len(titled):
        raise InputError(
            f"None of the {len(targets):,} training targets has a title: there is no mean title "
            "vector. Add titles to the products."
        )
    mean = titled.mean(axis=0)
    return measure_vectors(
        lambda rows: np.tile(mean, (len(rows), 1)),
        TitleIndex(item_vectors),
        test,
        "mse",
        batch_size,
    )
