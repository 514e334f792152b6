from dataclasses import replace
from typing import Any, get_args

import ibis
import numpy as np
import pytest

from bazar.config.evaluation import EvaluationOptions
from bazar.config.models import BlendModel, BlendOptions
from bazar.errors import InputError
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.pipelines.modelling_blend.nodes import (
    build_components,
    choose_weights,
    evaluate_blend,
    load_component_networks,
)
from tests.models.networks.test_networks import (
    build_random_network,
    describe_network,
    make_title_vectors,
)
from tests.models.test_baselines import BASELINE_OPTIONS, make_random_split

ITEM_IDS = np.array(["", *(f"i{item}" for item in range(1, 21))], dtype=object)


def make_options(*components: dict[str, object], seeds: tuple[int, ...] = ()) -> BlendOptions:
    return BlendOptions.model_validate(
        {"components": components, "seeds": seeds, "rows": 50, "rounds": 3, "seed": 1}
    )


def make_network(**keys: Any) -> RecurrentNetwork:
    network = build_random_network(describe_network(**keys))
    network.item_ids = ITEM_IDS
    return network


class BlendRun:
    """The inputs of the nodes, with random networks, and the nodes in their order."""

    def __init__(self) -> None:
        self.splits = make_random_split(6, n_items=20)
        self.item_index = ibis.memtable(
            {"item_id": ITEM_IDS[1:].tolist(), "item_index": list(range(1, 21))}
        )
        self.network = make_network()
        self.networks = {
            "seed_42/classifier": lambda: self.network,
            "seed_42/regressor": lambda: self.network,
            "seed_43/classifier": lambda: make_network(head="tied_softmax"),
        }
        self.evaluation = EvaluationOptions(
            top_k=20, batch_size=16, validation_rows=100, bootstrap_resamples=100, seed=1
        )

    def load_networks(self, options: BlendOptions, seed: int = 42) -> Any:
        return load_component_networks(
            self.networks, {}, {}, self.splits, self.item_index, options, seed
        )

    def choose(self, options: BlendOptions, seed: int = 42) -> tuple[Any, dict[str, Any]]:
        networks = self.load_networks(options, seed)
        components = build_components(
            networks, self.splits, self.item_index, make_title_vectors(), options,
            BASELINE_OPTIONS, seed,
        )  # fmt: skip
        training = choose_weights(components, networks, self.splits, options, self.evaluation, seed)
        return components, training

    def compute_ranks(self, components: Any, training: dict[str, Any]) -> Any:
        results = evaluate_blend(
            components, training, self.splits, self.item_index, self.evaluation
        )
        return results["blend"].ranks["rank_filtered"]


def test_every_model_can_be_a_component() -> None:
    run = BlendRun()
    components, training = run.choose(
        make_options(*({"model": model} for model in get_args(BlendModel)))
    )
    assert list(training["weights"]) == list(get_args(BlendModel))
    results = evaluate_blend(components, training, run.splits, run.item_index, run.evaluation)
    assert len(results["blend"].ranks) == len(run.splits.test)
    assert results["blend"].recommendations["rank"].max() == 20


def test_networks_of_other_seeds_are_components() -> None:
    run = BlendRun()
    options = make_options({"model": "classifier"}, {"model": "popularity"}, seeds=(43,))
    components, training = run.choose(options)
    assert list(training["weights"]) == ["classifier", "popularity", "classifier, seed 43"]
    training["weights"] = {"classifier": 0.0, "popularity": 0.0, "classifier, seed 43": 1.0}
    ranks = run.compute_ranks(components, training)
    scorer = make_scorer(run.networks["seed_43/classifier"](), make_title_vectors())
    expected = rank_catalogue(scorer, run.splits.test, 20, 16)["filtered"].ranks
    np.testing.assert_array_equal(ranks, expected)
    # In a run with seed 43, it is the network of the run.
    assert list(run.choose(options, seed=43)[1]["weights"]) == ["classifier", "popularity"]


def test_any_network_file_can_be_a_component() -> None:
    run = BlendRun()
    run.networks = dict.fromkeys(
        ("seed_42/short", "seed_43/short"), run.networks["seed_43/classifier"]
    )
    components, training = run.choose(
        make_options(
            {"model": "popularity"}, {"model": "short.keras", "history_length": 3}, seeds=(43,)
        )
    )
    assert list(training["weights"]) == [
        "popularity", "short.keras, history 3", "short.keras, history 3, seed 43",
    ]  # fmt: skip
    weights = dict.fromkeys(training["weights"], 0.0) | {"short.keras, history 3": 1.0}
    ranks = run.compute_ranks(components, training | {"weights": weights})
    scorer = make_scorer(run.networks["seed_42/short"](), make_title_vectors())
    test = replace(run.splits.test, history_length=3)
    np.testing.assert_array_equal(ranks, rank_catalogue(scorer, test, 20, 16)["filtered"].ranks)


def test_a_network_of_another_catalogue_is_rejected() -> None:
    run = BlendRun()
    # The same number of items in another order.
    run.network.item_ids = ITEM_IDS[[0, *range(20, 0, -1)]]
    expected = "classifier of seed 42 was trained for another catalogue"
    with pytest.raises(InputError, match=expected):
        run.load_networks(make_options({"model": "classifier"}))


def test_parameters_of_networks_with_a_weight_are_counted_once() -> None:
    run = BlendRun()
    _, training = run.choose(
        make_options({"model": "classifier"}, {"model": "classifier", "history_length": 2})
    )
    assert training["n_parameters"] == run.network.count_trainable_parameters()
    _, training = run.choose(make_options({"model": "popularity"}))
    assert training["n_parameters"] == 0
    assert training["weights"] == {"popularity": 1.0}
    assert training["validation_rows"] == 50
