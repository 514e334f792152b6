"""Nodes of the blend."""

import time
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.models import (
    BaselineOptions,
    BlendOptions,
    DecayedCooccurrenceOptions,
    EaseOptions,
    SessionKnnOptions,
)
from bazar.config.parameters import EvaluationOptions
from bazar.data.item_index import check_size, external_ids
from bazar.data.windows import Windows
from bazar.modelling.nodes import recommend_to_rows
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.vocabulary import check_network
from bazar.models.registry import (
    ModelRegistry,
    Networks,
    make_network_reader,
    name_components,
    select_weighted,
)
from bazar.training import blend_weights


def choose_weights(
    validation: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    blend: BlendOptions,
    seed: int,
    classifier: RecurrentNetwork,
    regressor: RecurrentNetwork,
    networks: Networks,
    item_vectors: np.ndarray,
    train: Windows,
    recent_counts: np.ndarray,
    decayed_cooccurrence: DecayedCooccurrenceOptions,
    session_knn: SessionKnnOptions,
    ease: EaseOptions,
) -> dict[str, Any]:
    """Choose the weights of the components by the validation part.

    Returns:
        ``weights`` and ``validation_ndcg@10`` of each component, ``blend_validation_ndcg@10``,
        ``validation_rows``, ``n_parameters`` of the networks that have a weight, and
        ``seconds_training``: of the choice alone, since the components were trained before.
    """
    started = time.monotonic()
    models = _models(
        item_index, seed, {"classifier": classifier, "regressor": regressor}, networks,
        item_vectors, train, training_counts, recent_counts,
        {"decayed_cooccurrence": decayed_cooccurrence, "session_knn": session_knn, "ease": ease},
    )  # fmt: skip
    named = name_components(blend, seed)
    choice = blend_weights.choose_weights(
        models.components(named),
        validation,
        blend.rows,
        blend.rounds,
        evaluation.batch_size,
        blend.seed,
    )
    return {
        "weights": choice.weights,
        "validation_ndcg@10": choice.of_components,
        "blend_validation_ndcg@10": choice.ndcg,
        "validation_rows": choice.n_rows,
        "n_parameters": models.count_parameters(select_weighted(named, choice.weights)),
        "seconds_training": time.monotonic() - started,
    }


def recommend_by_blend(
    test: Windows,
    item_index: ir.Table,
    training_counts: np.ndarray,
    evaluation: EvaluationOptions,
    chosen: dict[str, Any],
    blend: BlendOptions,
    seed: int,
    classifier: RecurrentNetwork,
    regressor: RecurrentNetwork,
    networks: Networks,
    item_vectors: np.ndarray,
    train: Windows,
    recent_counts: np.ndarray,
    decayed_cooccurrence: DecayedCooccurrenceOptions,
    session_knn: SessionKnnOptions,
    ease: EaseOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the catalogue by the blend."""
    models = _models(
        item_index, seed, {"classifier": classifier, "regressor": regressor}, networks,
        item_vectors, train, training_counts, recent_counts,
        {"decayed_cooccurrence": decayed_cooccurrence, "session_knn": session_knn, "ease": ease},
    )  # fmt: skip
    return recommend_to_rows(
        models.blend(blend, chosen["weights"], seed), test, item_index, training_counts, evaluation
    )


def _models(
    item_index: ir.Table,
    seed: int,
    own: dict[str, RecurrentNetwork],
    networks: Networks,
    item_vectors: np.ndarray,
    train: Windows,
    training_counts: np.ndarray,
    recent_counts: np.ndarray,
    baselines: dict[str, Any],
) -> ModelRegistry:
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    read = make_network_reader(own, seed, networks)
    item_ids = external_ids(item_index)

    def read_checked(model: str, seed: int) -> RecurrentNetwork:
        network = read(model, seed)
        trains = f"modelling_{model}" if model in own else "that trained it"
        check_network(network, item_ids, f"the {model} of seed {seed}", trains)
        return network

    return ModelRegistry(
        item_vectors,
        train,
        training_counts,
        recent_counts,
        BaselineOptions(**baselines),
        read_checked,
    )
