from dataclasses import replace
from typing import Any, get_args

import ibis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bazar.config.models import BlendModel, BlendOptions
from bazar.config.parameters import EvaluationOptions, RecommendationOptions
from bazar.data.splits import leave_one_out
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models import blend as blending
from bazar.models.baselines import DecayedCooccurrence, Ease, NearestTitles, Popularity
from bazar.models.blend import Blend, Component
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.networks.scorers import make_scorer
from bazar.models.scorer import Scorer
from bazar.pipelines.modelling_blend.nodes import choose_weights as choose_node
from bazar.pipelines.modelling_blend.nodes import recommend_by_blend
from bazar.pipelines.recommendation.nodes import describe_bundle
from bazar.training.blend_weights import Choice, choose_weights
from tests.data.test_splits import sequences_of
from tests.evaluation.test_ranking import Fixed, unit, windows_of
from tests.models.networks.test_networks import described, made, title_vectors
from tests.models.test_baselines import DECAYED, EASE, KNN, random_split

N_ITEMS = 300


def rows_of(n_rows: int = 120, seed: int = 0) -> Windows:
    """Rows of anything: one of three kinds of users each, by their first item."""
    rng = np.random.default_rng(seed)
    lists = rng.integers(4, N_ITEMS + 1, (n_rows, 6))
    lists[:, 0] = rng.integers(1, 3, n_rows)
    return leave_one_out(sequences_of(lists.tolist()), N_ITEMS, 10).test


class Oracle:
    """Knows the target of the users whose first item is one of some, and guesses otherwise."""

    informative = None

    def __init__(self, known: set[int], seed: int = 1) -> None:
        self._known = list(known)
        self._seed = seed

    def score(self, windows: Windows) -> np.ndarray:
        first = windows.sequences.items[windows.sequences.starts[windows.users]]
        guesses = [
            np.random.default_rng([self._seed, place]).random(N_ITEMS + 1) * 0.5
            for place in windows.target_positions
        ]
        scores = np.array(guesses, np.float32)
        sure = np.isin(first, self._known)
        scores[sure, windows.targets[sure]] = 300
        return scores


def choose(components: dict[str, Component], rows: Windows, **options: int) -> Choice:
    defaults = {"max_rows": 10_000, "rounds": 5, "batch_size": 64, "seed": 3}
    return choose_weights(components, rows, **(defaults | options))


def ndcg(scorer: Scorer, rows: Windows) -> float:
    ranks = rank_catalogue(scorer, rows, 20, 50)["filtered"].ranks
    return float(row_metrics(ranks)["ndcg@10"].mean())


def components_of(**scorers: Scorer) -> dict[str, Component]:
    return {name: Component(scorer) for name, scorer in scorers.items()}


def test_noise_gets_nothing() -> None:
    rows = rows_of()
    choice = choose(components_of(noise=Oracle(set()), perfect=Oracle({1, 2}, 2)), rows)
    assert choice.weights == {"noise": 0, "perfect": 1}
    # A target that was bought before is filtered, and so a miss for everybody.
    assert choice.ndcg == choice.of_components["perfect"] >= 0.9
    assert choice.of_components["noise"] < 0.1


def test_two_that_know_half_the_users_beat_either() -> None:
    rows = rows_of()
    components = components_of(one=Oracle({1}), other=Oracle({2}, 2))
    choice = choose(components, rows)
    assert max(choice.of_components.values()) < 0.7
    assert choice.ndcg > 0.9
    assert min(choice.weights.values()) > 0
    assert sum(choice.weights.values()) == pytest.approx(1)
    # Chosen on these rows, as good on others.
    assert ndcg(Blend(components, choice.weights), rows_of(seed=8)) > 0.9


def test_what_is_told_is_what_full_ranking_gives() -> None:
    split = random_split(4, n_items=150)
    components = components_of(
        popularity=Popularity(split.training_counts),
        decayed=DecayedCooccurrence(split.train, split.training_counts, DECAYED),
        ease=Ease(split.train, split.training_counts, EASE),
        titles=NearestTitles(unit(np.random.default_rng(1).normal(size=(151, 8)))),
    )
    rows = split.validation
    choice = choose(components, rows)
    for name, component in components.items():
        assert choice.of_components[name] == pytest.approx(ndcg(component.scorer, rows))
    assert choice.ndcg == pytest.approx(ndcg(Blend(components, choice.weights), rows))
    assert choice.ndcg >= max(choice.of_components.values())
    assert choice.n_rows == len(rows)


def test_weights_are_tried_out_as_full_ranking_would(monkeypatch: pytest.MonkeyPatch) -> None:
    components = components_of(one=Oracle({1}), other=Oracle({2}, 2), no=Oracle(set(), 5))
    rows = rows_of(60)
    few = choose(components, rows)
    monkeypatch.setattr(blending, "_CONTENDERS", N_ITEMS + 1)
    assert choose(components, rows) == few


def test_batches_and_runs_change_nothing() -> None:
    split = random_split(5)
    components = components_of(
        popularity=Popularity(split.training_counts),
        decayed=DecayedCooccurrence(split.train, split.training_counts, DECAYED),
        titles=NearestTitles(unit(np.random.default_rng(1).normal(size=(31, 8)))),
    )
    at_once, again, one_by_one = (
        choose(components, split.validation, batch_size=size) for size in (1000, 1000, 1)
    )
    assert at_once == again
    assert one_by_one.weights == at_once.weights
    assert one_by_one.ndcg == pytest.approx(at_once.ndcg)
    blend = Blend(components, {"popularity": 0.2, "decayed": 0.3, "titles": 0.5})
    whole = blend.score(split.test)
    parts = np.concatenate([blend.score(batch) for batch in split.test.batches(7)])
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_rows_are_drawn_by_the_seed() -> None:
    rows = rows_of(80)
    components = components_of(one=Oracle({1}), other=Oracle({2}, 2))
    first, again, other = (choose(components, rows, max_rows=20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.n_rows == 20
    assert first.of_components != other.of_components


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_component_alone_keeps_its_order(seed: int) -> None:
    split = random_split(seed)
    item_vectors = unit(np.random.default_rng(seed).normal(size=(31, 4)))
    item_vectors[5] = 0
    for scorer in (
        Popularity(split.training_counts),
        DecayedCooccurrence(split.train, split.training_counts, DECAYED),
        Ease(split.train, split.training_counts, EASE),
        NearestTitles(item_vectors),
    ):
        component = Component(scorer)
        scores = scorer.score(split.test)[:, 1:]
        np.testing.assert_array_equal(
            Blend({"it": component, "no": component}, {"it": 1.0, "no": 0.0}).score(split.test)[
                :, 1:
            ],
            scores,
        )
        shares = component.to_shares(scorer.score(split.test))
        assert shares.dtype == np.float32
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        order = np.argsort(scores, axis=1)
        assert (np.diff(np.take_along_axis(shares[:, 1:], order, axis=1), axis=1) >= 0).all()
        assert (shares[:, 1:][np.isneginf(scores)] == 0).all()


def test_an_item_is_closed_only_where_it_is_for_all() -> None:
    nothing = -np.inf
    components = components_of(
        one=Fixed([3, 1, nothing, nothing]), other=Fixed([nothing, 1, 1, nothing])
    )
    rows = windows_of([[1]], [2])
    scores = Blend(components, {"one": 0.5, "other": 0.5}).score(rows)[0, 1:]
    np.testing.assert_allclose(scores, [0.375, 0.375, 0.25, nothing], rtol=1e-5)
    # What one of them cannot recommend has nothing of it, however much it weighs.
    scores = Blend(components, {"one": 0.99, "other": 0.01}).score(rows)[0, 1:]
    assert np.argsort(-scores).tolist() == [0, 1, 2, 3]
    assert scores[2] == pytest.approx(0.005, rel=1e-5)


def test_a_row_that_a_model_has_nothing_for_leaves_it_to_the_others() -> None:
    closed = Fixed([-np.inf] * 3)
    titles = NearestTitles(np.zeros((4, 2), np.float32))
    for empty in (closed, titles):
        components = components_of(empty=empty, known=Fixed([1, 3, 2]))
        scores = Blend(components, {"empty": 0.9, "known": 0.1}).score(windows_of([[1]], [2]))
        assert np.argsort(-scores[0, 1:]).tolist() == [1, 2, 0]


def test_what_tells_any_component_tells_the_blend() -> None:
    item_vectors = unit(np.random.default_rng(1).normal(size=(4, 2)))
    item_vectors[[0, 2]] = 0
    titles = Component(NearestTitles(item_vectors))
    components = {"titles": titles, "same": titles, "all": Component(Fixed([1, 2, 3]))}
    blend = Blend(components, {"titles": 0.5, "same": 0.5, "all": 0.0})
    assert blend.informative_items is not None
    assert blend.informative_items.tolist() == [False, True, False, True]
    assert Blend(components, {"titles": 0.5, "all": 0.5}).informative_items is None


def test_scales_by_hand() -> None:
    # Evidence is shared out in proportion; what is not above 0 keeps its order far behind.
    shares = Component(Fixed([])).to_shares(np.array([[0, 3, 1, -0.5, -0.2]], np.float32))[0]
    np.testing.assert_allclose(shares[1:3], [0.75, 0.25], rtol=1e-6)
    assert 0 < shares[3] < shares[4] < 1e-8
    # The cosines are 1, 0 and -1 for the items with a title: their deviation is sqrt(2 / 3).
    item_vectors = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, 0]], np.float32)
    titles = Component(NearestTitles(item_vectors))
    shares = titles.to_shares(titles.score(windows_of([[1]], [2])))[0]
    expected = np.exp(np.array([1, 0, -1]) / np.sqrt(2 / 3))
    np.testing.assert_allclose(shares[1:4], expected / expected.sum(), rtol=1e-5)
    assert shares[4] == 0
    # A network's probabilities stay as they are.
    network = Component(make_scorer(made(described()), title_vectors()))
    probabilities = network.score(windows_of([[1, 2]], [3]))
    np.testing.assert_array_equal(network.to_shares(probabilities), probabilities)


def test_scores_that_are_no_numbers_are_not_hidden() -> None:
    components = components_of(broken=Fixed([1, 2, np.nan]), known=Fixed([1, 2, 3]))
    with pytest.raises(ValueError, match="NaN"):
        choose(components, windows_of([[1]], [2]))


def test_one_network_over_histories_of_different_lengths() -> None:
    network = make_scorer(made(described()), title_vectors())
    histories = [[1, 2, 3, 4], [5, 6, 7, 8]]
    component = Component(network, history_length=2)
    rows = windows_of(histories, [9, 9])
    short = windows_of([history[-2:] for history in histories], [9, 9])
    np.testing.assert_allclose(component.score(rows), network.score(short), rtol=1e-5)
    assert np.abs(component.score(rows) - network.score(rows)).max() > 1e-3
    # No longer than the rows allow.
    np.testing.assert_array_equal(Component(network, 99).score(rows), network.score(rows))
    blend = Blend({"long": Component(network), "short": component}, {"long": 0.25, "short": 0.75})
    np.testing.assert_allclose(
        blend.score(rows), 0.25 * network.score(rows) + 0.75 * network.score(short), rtol=1e-4
    )


def test_there_must_be_rows_to_choose_by() -> None:
    rows = windows_of([[1]], [2])
    with pytest.raises(InputError, match="there are none"):
        choose(components_of(one=Fixed([1, 2])), rows.rows(0, 0))


@pytest.mark.parametrize(
    ("component", "told"),
    [
        ({"model": "transformer"}, "'classifier'"),
        ({"model": "../other/classifier.keras"}, "'classifier'"),
        ({"model": "ease", "history_length": 0}, "history_length"),
        ({"model": "classifier"}, "name classifier more than once"),
    ],
)
def test_components_that_cannot_be(component: dict[str, object], told: str) -> None:
    known = {"model": "classifier"}
    options = {"components": [known, component], "seeds": [], "rows": 9, "rounds": 1, "seed": 1}
    with pytest.raises(ValidationError, match=told):
        BlendOptions.model_validate(options)


class Shop:
    """What the nodes read, with networks of no special kind."""

    def __init__(self) -> None:
        self.split = random_split(6, n_items=20)
        self.index = ibis.memtable(
            {"item_id": [f"i{item}" for item in range(1, 21)], "item_index": list(range(1, 21))}
        )
        self.network = self.trained()
        self.others = {"seed_43/classifier": lambda: self.trained(head="tied_softmax")}
        self.evaluation = EvaluationOptions(
            top_k=20, batch_size=16, bootstrap_resamples=100, seed=1
        )

    @staticmethod
    def trained(**keys: Any) -> RecurrentNetwork:
        network = made(described(**keys))
        network.item_ids = np.array(["", *(f"i{item}" for item in range(1, 21))], dtype=object)
        return network

    def options(self, *components: dict[str, object], seeds: tuple[int, ...] = ()) -> BlendOptions:
        return BlendOptions.model_validate(
            {"components": components, "seeds": seeds, "rows": 50, "rounds": 3, "seed": 1}
        )

    def made_of(self, options: BlendOptions, seed: int) -> tuple[Any, ...]:
        return (
            options, seed, self.network, self.network, self.others, title_vectors(),
            self.split.train, self.split.recent_counts, DECAYED, KNN, EASE,
        )  # fmt: skip

    def choose(self, options: BlendOptions, seed: int = 42) -> dict[str, Any]:
        return choose_node(
            self.split.validation,
            self.index,
            self.split.training_counts,
            self.evaluation,
            *self.made_of(options, seed),
        )

    def recommend(self, chosen: dict[str, Any], options: BlendOptions) -> Any:
        return recommend_by_blend(
            self.split.test,
            self.index,
            self.split.training_counts,
            self.evaluation,
            chosen,
            *self.made_of(options, 42),
        )


def test_every_component_can_be_blended() -> None:
    shop = Shop()
    options = shop.options(*({"model": model} for model in get_args(BlendModel)))
    chosen = shop.choose(options)
    assert list(chosen["weights"]) == list(get_args(BlendModel))
    ranks, recommendations = shop.recommend(chosen, options)
    assert len(ranks) == len(shop.split.test)
    assert recommendations["rank"].max() == 20


def test_networks_of_other_seeds_are_components() -> None:
    shop = Shop()
    options = shop.options({"model": "classifier"}, {"model": "popularity"}, seeds=(43,))
    chosen = shop.choose(options)
    assert list(chosen["weights"]) == ["classifier", "popularity", "classifier, seed 43"]
    weights = {"classifier": 0.0, "popularity": 0.0, "classifier, seed 43": 1.0}
    ranks, _ = shop.recommend(chosen | {"weights": weights}, options)
    alone = make_scorer(shop.others["seed_43/classifier"](), title_vectors())
    expected = rank_catalogue(alone, shop.split.test, 20, 16)["filtered"].ranks
    np.testing.assert_array_equal(ranks["rank_filtered"], expected)
    # In a run of that seed it is the run's own.
    assert list(shop.choose(options, seed=43)["weights"]) == ["classifier", "popularity"]


def test_any_network_is_a_component_by_its_file() -> None:
    shop = Shop()
    shop.others = dict.fromkeys(("short", "seed_43/short"), shop.others["seed_43/classifier"])
    options = shop.options(
        {"model": "popularity"}, {"model": "short.keras", "history_length": 3}, seeds=(43,)
    )
    chosen = shop.choose(options)
    assert list(chosen["weights"]) == [
        "popularity", "short.keras, history 3", "short.keras, history 3, seed 43",
    ]  # fmt: skip
    weights = dict.fromkeys(chosen["weights"], 0.0) | {"short.keras, history 3": 1.0}
    ranks, _ = shop.recommend(chosen | {"weights": weights}, options)
    alone = make_scorer(shop.others["short"](), title_vectors())
    test = replace(shop.split.test, history_length=3)
    expected = rank_catalogue(alone, test, 20, 16)["filtered"].ranks
    np.testing.assert_array_equal(ranks["rank_filtered"], expected)
    with pytest.raises(InputError, match=r"there is no other.keras among the trained networks"):
        shop.choose(shop.options({"model": "other.keras"}))


def test_a_missing_network_is_told_with_the_command_that_makes_it() -> None:
    shop = Shop()
    told = r"no regressor of seed 43\n.*--pipelines modelling_regressor --params seed=43"
    with pytest.raises(InputError, match=told):
        shop.choose(shop.options({"model": "regressor"}, seeds=(43,)))
    # In a run of another seed, the default one is another.
    with pytest.raises(InputError, match="no classifier of seed 42"):
        shop.choose(shop.options({"model": "classifier"}, seeds=(42,)), seed=7)


def test_a_network_of_another_catalogue_is_refused() -> None:
    shop = Shop()
    # As many products, and others.
    shop.network.item_ids = shop.network.item_ids[[0, *range(20, 0, -1)]]
    with pytest.raises(InputError, match=r"classifier of seed 42 was .* the same: it grew"):
        shop.choose(shop.options({"model": "classifier"}))


def test_weights_of_other_components_are_refused() -> None:
    shop = Shop()
    chosen = shop.choose(shop.options({"model": "popularity"}))
    with pytest.raises(InputError, match="Run the pipeline modelling_blend again"):
        shop.recommend(chosen, shop.options({"model": "popularity"}, {"model": "ease"}))


def test_a_shop_is_not_described_with_weights_of_other_components() -> None:
    shop = Shop()
    chosen = shop.choose(shop.options({"model": "classifier"}, seeds=(43,)))
    recommendation = RecommendationOptions(
        models=("classifier",), top_k=5, filter_seen=True, batch_size=9
    )
    told = r"chosen for\n  classifier; classifier, seed 43\nand blend names\n  classifier\n"
    with pytest.raises(InputError, match=told):
        describe_bundle(
            "shop", 42, recommendation, shop.options({"model": "classifier"}), chosen,
            DECAYED, KNN, EASE,
        )  # fmt: skip


def test_parameters_are_those_of_the_networks_that_have_a_weight() -> None:
    shop = Shop()
    chosen = shop.choose(
        shop.options({"model": "classifier"}, {"model": "classifier", "history_length": 2})
    )
    assert chosen["n_parameters"] == shop.network.count_trainable()
    chosen = shop.choose(shop.options({"model": "popularity"}))
    assert chosen["n_parameters"] == 0
    assert chosen["weights"] == {"popularity": 1.0}
    assert chosen["validation_rows"] == 50
