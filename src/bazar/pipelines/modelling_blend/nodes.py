"""Nodes of the pipeline modelling_blend."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ibis.expr.types as ir
import numpy as np

from bazar.config.evaluation import EvaluationOptions
from bazar.config.models import BaselineOptions, BlendOptions
from bazar.data.item_index import check_catalogue_size, list_item_ids
from bazar.data.splits import Splits
from bazar.evaluation.evaluate import describe_test_part, evaluate_scorer
from bazar.evaluation.results import ModelResults, check_measured_on
from bazar.models.blend import Blend, Component
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.vocabulary import check_network_items
from bazar.models.registry import (
    ModelRegistry,
    make_network_reader,
    name_components,
)
from bazar.training import blend_weights

Networks = dict[tuple[str, int], RecurrentNetwork]
"""Networks by the name of the model and the seed of its training."""


def load_component_networks(
    trained_networks: Mapping[str, Callable[[], RecurrentNetwork]],
    classifier_results: dict[str, ModelResults],
    regressor_results: dict[str, ModelResults],
    splits: Splits,
    item_index: ir.Table,
    blend: BlendOptions,
    seed: int,
) -> Networks:
    """Load the networks that the blend combines.

    Raises:
        InputError: if a network is missing, or was trained or measured on other data.
    """
    item_ids = list_item_ids(item_index)
    read = make_network_reader(trained_networks)
    named = name_components(blend, seed).values()
    needed = dict.fromkeys((part.model, of_seed) for part, of_seed in named if part.is_network)
    networks = {}
    for model, of_seed in needed:
        networks[model, of_seed] = read(model, of_seed)
        check_network_items(
            networks[model, of_seed], item_ids, f"the {model} of seed {of_seed}",
            f"modelling_{model}",
        )  # fmt: skip
    own = classifier_results | regressor_results
    blended = {model: own[model] for model, _ in networks if model in own}
    check_measured_on(blended, describe_test_part(splits, item_ids))
    return networks


def build_components(
    networks: Networks,
    splits: Splits,
    item_index: ir.Table,
    item_vectors: np.ndarray,
    blend: BlendOptions,
    baselines: BaselineOptions,
    seed: int,
) -> dict[str, Component]:
    """Build the components of the blend, by name."""
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    registry = ModelRegistry(
        item_vectors,
        splits.train,
        splits.training_counts,
        splits.recent_counts,
        baselines,
        lambda model, of_seed: networks[model, of_seed],
    )
    return registry.build_components(name_components(blend, seed))


def choose_weights(
    components: dict[str, Component],
    networks: Networks,
    splits: Splits,
    blend: BlendOptions,
    evaluation: EvaluationOptions,
    seed: int,
) -> dict[str, Any]:
    """Choose the weights of the components by validation NDCG@10.

    Returns:
        ``weights`` and ``validation_ndcg@10`` of each component, ``blend_validation_ndcg@10``,
        ``validation_rows``, ``n_parameters`` of the networks with a weight, and
        ``seconds_training``: the time to choose the weights.
    """
    started = time.monotonic()
    choice = blend_weights.choose_weights(
        components,
        splits.validation,
        blend.rows,
        blend.rounds,
        evaluation.batch_size,
        blend.seed,
        filter_seen=splits.filter_seen,
    )
    named = name_components(blend, seed)
    weighted = {
        (named[name][0].model, named[name][1])
        for name, weight in choice.weights.items()
        if weight > 0 and named[name][0].is_network
    }
    return {
        "weights": choice.weights,
        "validation_ndcg@10": choice.component_ndcg,
        "blend_validation_ndcg@10": choice.ndcg,
        "validation_rows": choice.n_rows,
        "n_parameters": sum(networks[key].count_trainable_parameters() for key in weighted),
        "seconds_training": time.monotonic() - started,
    }


def evaluate_blend(
    components: dict[str, Component],
    training: dict[str, Any],
    splits: Splits,
    item_index: ir.Table,
    evaluation: EvaluationOptions,
) -> dict[str, ModelResults]:
    """Evaluate the blend on the test part."""
    scorer = Blend(components, training["weights"])
    item_ids = list_item_ids(item_index)
    facts = training | {"description": _describe_weights(training)}
    return {"blend": evaluate_scorer(scorer, splits, item_ids, evaluation, facts)}


def _describe_weights(training: dict[str, Any]) -> str:
    shares = ", ".join(
        f"{weight:.0%} {name}" for name, weight in training["weights"].items() if weight > 0
    )
    return (
        f"{shares}; chosen by NDCG@10 on {training['validation_rows']:,} validation rows, "
        f"{training['blend_validation_ndcg@10']:.4f}"
    )
