"""Nodes of the blend."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar import blending
from bazar.errors import InputError
from bazar.floors import (
    DecayedCooccurrence,
    Ease,
    LastItemCooccurrence,
    Popularity,
    RecentPopularity,
    SessionKnn,
    TitleNeighbours,
)
from bazar.networks import RecurrentNetwork
from bazar.options import (
    DEFAULT_SEED,
    BlendComponent,
    BlendOptions,
    DecayedCooccurrenceOptions,
    EaseOptions,
    EvaluationOptions,
    SessionKnnOptions,
)
from bazar.pipelines.modelling import check_size, recommend_to_rows
from bazar.scorers import Scorer, of_network
from bazar.windows import Windows

Networks = dict[str, Callable[[], RecurrentNetwork]]


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
    sources = _Sources(
        item_index, seed, {"classifier": classifier, "regressor": regressor}, networks,
        item_vectors, train, training_counts, recent_counts, decayed_cooccurrence, session_knn,
        ease,
    )  # fmt: skip
    named = _named(blend, seed)
    choice = blending.choose_weights(
        sources.components(named),
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
        "n_parameters": sources.count_parameters(_with_weight(named, choice.weights)),
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
    """Rank the catalogue by the blend; components of weight 0 are not made."""
    sources = _Sources(
        item_index, seed, {"classifier": classifier, "regressor": regressor}, networks,
        item_vectors, train, training_counts, recent_counts, decayed_cooccurrence, session_knn,
        ease,
    )  # fmt: skip
    weights, named = chosen["weights"], _named(blend, seed)
    if set(weights) != set(named):
        raise InputError(
            f"the weights were chosen for {', '.join(weights)}, and blend names "
            f"{', '.join(named)}\nRun the pipeline modelling_blend again"
        )
    components = sources.components(_with_weight(named, weights))
    return recommend_to_rows(
        blending.Blend(components, weights), test, item_index, training_counts, evaluation
    )


# A component, and the seed of its training.
_Named = dict[str, tuple[BlendComponent, int]]


def _named(blend: BlendOptions, seed: int) -> _Named:
    """Name the components, those of other seeds after the run's own."""
    named = {component.name: (component, seed) for component in blend.components}
    for other in blend.seeds:
        named |= {
            f"{component.name}, seed {other}": (component, other)
            for component in blend.components
            if component.is_network and other != seed
        }
    return named


def _with_weight(named: _Named, weights: dict[str, float]) -> _Named:
    return {name: named[name] for name, weight in weights.items() if weight > 0}


@dataclass(frozen=True)
class _Sources:
    """What components are made of."""

    item_index: ir.Table
    seed: int
    own_networks: dict[str, RecurrentNetwork]
    networks: Networks
    item_vectors: np.ndarray
    train: Windows
    training_counts: np.ndarray
    recent_counts: np.ndarray
    decayed_cooccurrence: DecayedCooccurrenceOptions
    session_knn: SessionKnnOptions
    ease: EaseOptions

    def components(self, named: _Named) -> dict[str, blending.Component]:
        """Make components, each model once, over whichever lengths of history it is blended."""
        check_size(len(self.item_vectors) - 1, self.item_index, "item_vectors", "embedding")
        models = {(component.model, seed) for component, seed in named.values()}
        made = {(model, seed): self._make(model, seed) for model, seed in sorted(models)}
        return {
            name: blending.Component(made[component.model, seed], component.history_length)
            for name, (component, seed) in named.items()
        }

    def count_parameters(self, named: _Named) -> int:
        """Parameters of the networks among the components, each network once."""
        models = {(one.model, seed) for one, seed in named.values() if one.is_network}
        return sum(self._network(model, seed).count_trainable() for model, seed in models)

    def _make(self, model: str, seed: int) -> Scorer:
        floors: dict[str, Callable[[], Scorer]] = {
            "popularity": lambda: Popularity(self.training_counts),
            "recent_popularity": lambda: RecentPopularity(self.recent_counts, self.training_counts),
            "last_item_cooccurrence": lambda: LastItemCooccurrence(
                self.train, self.training_counts
            ),
            "decayed_cooccurrence": lambda: DecayedCooccurrence(
                self.train, self.training_counts, self.decayed_cooccurrence
            ),
            "session_knn": lambda: SessionKnn(self.train, self.training_counts, self.session_knn),
            "ease": lambda: Ease(self.train, self.training_counts, self.ease),
            "title_neighbours": lambda: TitleNeighbours(self.item_vectors),
        }
        if model in floors:
            return floors[model]()
        return of_network(self._network(model, seed), self.item_vectors)

    def _network(self, model: str, seed: int) -> RecurrentNetwork:
        if seed == self.seed:
            network = self.own_networks[model]
        else:
            file = model if seed == DEFAULT_SEED else f"seed_{seed}/{model}"
            if file not in self.networks:
                raise InputError(
                    f"blend.seeds: there is no {model} of seed {seed}\nTrain it with "
                    f"kedro run --pipelines modelling_{model} --params seed={seed} (and the --env "
                    "and split of this run), or leave the seed out"
                )
            network = self.networks[file]()
        check_size(
            network.n_items, self.item_index, f"the {model} of seed {seed}", f"modelling_{model}"
        )
        return network
