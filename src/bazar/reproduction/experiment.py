"""The networks of the report's Table 1, trained again and measured as they should have been."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
from tqdm import tqdm

from bazar.config.networks import NetworkBlock
from bazar.config.reproduction import ReproductionVariants
from bazar.data.windows import Windows
from bazar.errors import DivergenceError, InputError
from bazar.evaluation.metrics import FILTER_MODES, row_metrics, target_ranks
from bazar.models.nearest_titles import TitleVectorScorer
from bazar.models.networks.scorers import NetworkRegressor
from bazar.reproduction.table import METRICS, Result, key_of
from bazar.training.checkpoints import Checkpoint, fingerprint
from bazar.training.losses import vector_loss
from bazar.training.trainer import train_network

logger = logging.getLogger(__name__)


def train_networks(
    networks: ReproductionVariants,
    known: dict[str, Result],
    train: Windows,
    validation: Windows,
    test: Windows,
    item_vectors: np.ndarray,
    seed: int,
    batch_size: int,
    checkpoint: Checkpoint | None = None,
) -> Iterator[dict[str, Result]]:
    """Train and measure, one network after another, those that have no result yet.

    A result counts as long as the network, its training, the seed and the data are the same. Two
    networks that are the same in all of them are trained once.

    Args:
        networks: the networks.
        known: results of earlier runs, by :func:`~bazar.reproduction_table.key_of`.
        train: rows to learn from.
        validation: rows that decide which epoch is kept.
        test: rows to measure on.
        item_vectors: shape (items + 1, dimension), float32, unit vectors, zeros where an item has
            no title.
        seed: of the training.
        batch_size: test rows scored at a time.
        checkpoint: where the state of the network in training is kept.

    Yields:
        Each new result as soon as it is there, by :func:`~bazar.reproduction_table.key_of`. A
        result is the ``fingerprint``, the ``network`` (its block), the ``outcome`` (``trained``, or
        how it diverged), and of a trained one ``epochs`` (run), ``best_epoch``, ``n_parameters``,
        ``seconds`` and ``test`` (what :func:`measure_vectors` gives).

    Raises:
        InputError: if there is nothing to learn from.
    """
    read = [*train.arrays(), *validation.arrays(), *test.arrays(), item_vectors]
    by_fingerprint = {result["fingerprint"]: result for result in known.values()}
    for network in tqdm(networks.root, desc="networks of the report", unit="network"):
        mark = fingerprint(network.network, seed, read)
        if known.get(key_of(network), {}).get("fingerprint") == mark:
            continue
        if mark not in by_fingerprint:
            logger.info("network %d: %s", network.number, network.name)
            by_fingerprint[mark] = {
                "fingerprint": mark,
                "network": network.network.model_dump(mode="json"),
            } | _train_and_measure(
                network.network, train, validation, test, item_vectors, seed, batch_size, checkpoint
            )
        yield {key_of(network): by_fingerprint[mark]}
        if checkpoint is not None:
            checkpoint.clear()


def _train_and_measure(
    block: NetworkBlock,
    train: Windows,
    validation: Windows,
    test: Windows,
    item_vectors: np.ndarray,
    seed: int,
    batch_size: int,
    checkpoint: Checkpoint | None,
) -> Result:
    try:
        trained = train_network(
            train, validation, block, len(item_vectors) - 1, seed, item_vectors, checkpoint
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
        "test": measure_vectors(scorer.predict, scorer, test, block.training.loss, batch_size),
    }


def measure_vectors(
    predict: Callable[[Windows], np.ndarray],
    nearest: TitleVectorScorer,
    test: Windows,
    loss: str,
    batch_size: int,
) -> Result:
    """Measure predicted title vectors, as vectors and as recommendations.

    Args:
        predict: gives the vector that each row predicts, shape (rows, dimension), float32.
        nearest: the catalogue.
        test: the rows.
        loss: the loss that is measured, too; see :func:`bazar.training.vector_loss`.
        batch_size: rows at a time; bounds the memory to this times the catalogue.

    Returns:
        ``loss``, ``mae`` and ``mse``: means over the components of the vectors and over the rows
        whose target has a vector. ``filtered`` and ``unfiltered``: ``hr@1``, ``hr@10`` and ``ndcg@10``
        over all rows, the full catalogue ranked by nearness; a target without a vector is a miss.
    """
    errors: dict[str, list[np.ndarray]] = {"loss": [], "mae": [], "mse": []}
    ranks: dict[str, list[np.ndarray]] = {filter_mode: [] for filter_mode in FILTER_MODES}
    for rows in test.batches(batch_size):
        predicted, expected = predict(rows), nearest.item_vectors[rows.targets]
        titled = expected.any(axis=1)
        difference = predicted[titled].astype(np.float64) - expected[titled]
        errors["loss"].append(np.asarray(vector_loss(loss, predicted[titled], expected[titled])))
        errors["mae"].append(np.abs(difference).mean(axis=1))
        errors["mse"].append(np.square(difference).mean(axis=1))
        # Lengths are not needed: they change no order within a row.
        scores = nearest.cosines(predicted)
        ranks["unfiltered"].append(target_ranks(scores, rows.targets))
        scores[rows.seen_pairs()] = -np.inf
        ranks["filtered"].append(target_ranks(scores, rows.targets))
    figures: Result = {name: float(np.concatenate(rows).mean()) for name, rows in errors.items()}
    for filter_mode in FILTER_MODES:
        per_row = row_metrics(np.concatenate(ranks[filter_mode]))
        figures[filter_mode] = {metric: float(per_row[metric].mean()) for metric in METRICS}
    return figures


def measure_mean_title(
    train: Windows, test: Windows, item_vectors: np.ndarray, batch_size: int
) -> Result:
    """Measure the vector that is best by squared error when the history is not looked at.

    Args:
        train: rows whose targets are averaged.
        test: the rows.
        item_vectors: shape (items + 1, dimension), float32, zeros where an item has no title.
        batch_size: rows at a time.

    Returns:
        What :func:`measure_vectors` gives; the loss is the mean squared error.

    Raises:
        InputError: if no training target has a title.
    """
    nearest = TitleVectorScorer(item_vectors)
    targets = item_vectors[train.targets]
    titled = targets[targets.any(axis=1)]
    if not len(titled):
        raise InputError("no training row has a target with a title: there is no vector to predict")
    mean = titled.mean(axis=0)
    return measure_vectors(
        lambda rows: np.tile(mean, (len(rows), 1)), nearest, test, "mse", batch_size
    )
