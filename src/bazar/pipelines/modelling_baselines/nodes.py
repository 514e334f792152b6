"""Nodes of the pipeline modelling_baselines."""

import logging
from collections.abc import Iterator
from dataclasses import replace

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from bazar.config.base import DEFAULT_SEED
from bazar.config.evaluation import EvaluationOptions
from bazar.config.models import BASELINES, BaselineOptions
from bazar.data.item_index import check_catalogue_size, list_item_ids
from bazar.data.splits import Splits, check_row_numbers
from bazar.evaluation.evaluate import evaluate_scorer
from bazar.evaluation.oracle import Oracle
from bazar.evaluation.results import ModelResults
from bazar.labels import ORACLE
from bazar.models.registry import ModelRegistry, make_network_reader

logger = logging.getLogger(__name__)


def evaluate_baselines(
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    oracle: pa.Table,
    baselines: BaselineOptions,
    evaluation: EvaluationOptions,
) -> Iterator[dict[str, ModelResults]]:
    """Fit each baseline on the training part and evaluate it on the test part.

    On the sample store, the oracle is evaluated as well.

    Yields:
        The results of one baseline, by its name.

    Raises:
        InputError: if there are no training rows or no test rows.
    """
    check_row_numbers(training=len(splits.train), test=len(splits.test))
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    n_warm, max_items = int(np.count_nonzero(splits.training_counts)), baselines.ease.max_items
    if n_warm > max_items:
        logger.warning(
            "EASE scores only the %s most popular of the %s items in training and ranks the "
            "others last. Set baselines.ease.max_items to change this.",
            f"{max_items:,}",
            f"{n_warm:,}",
        )
    item_ids = list_item_ids(item_index)
    for name in BASELINES:
        logger.info("evaluating %s", name)
        # Each baseline has its own registry, so that its memory is released afterwards.
        registry = ModelRegistry(
            item_vectors,
            splits.train,
            splits.training_counts,
            splits.recent_counts,
            baselines,
            make_network_reader({}),
        )
        scorer = registry.get_scorer(name, DEFAULT_SEED)
        yield {name: evaluate_scorer(scorer, splits, item_ids, evaluation)}
    ceiling = Oracle(oracle, item_ids, splits.training_counts)
    # The probabilities are those of the last order.
    if splits.summary["protocol"] == "next_order" and ceiling.knows_users(splits.test):
        without_validation = replace(splits, validation=splits.validation.slice_rows(0, 0))
        yield {ORACLE: evaluate_scorer(ceiling, without_validation, item_ids, evaluation)}
