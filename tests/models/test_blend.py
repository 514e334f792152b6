import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bazar.config.models import BlendOptions
from bazar.models.baselines import DecayedCooccurrence, Ease, NearestTitles
from bazar.models.blend import Blend, Component
from bazar.models.networks.scorers import make_scorer
from bazar.models.popularity import Popularity
from bazar.models.scorer import Scorer
from tests.evaluation.test_ranking import FixedScores, make_windows, unit
from tests.models.networks.test_networks import (
    build_random_network,
    describe_network,
    make_title_vectors,
)
from tests.models.test_baselines import DECAYED, EASE, make_random_split


def make_components(**scorers: Scorer) -> dict[str, Component]:
    return {name: Component(scorer) for name, scorer in scorers.items()}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_shares_keep_the_order_of_the_scores(seed: int) -> None:
    split = make_random_split(seed)
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
            Blend(
                {"weighted": component, "unweighted": component},
                {"weighted": 1.0, "unweighted": 0.0},
            ).score(split.test)[:, 1:],
            scores,
        )
        shares = component.to_shares(scorer.score(split.test))
        assert shares.dtype == np.float32
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
        order = np.argsort(scores, axis=1)
        assert (np.diff(np.take_along_axis(shares[:, 1:], order, axis=1), axis=1) >= 0).all()
        assert (shares[:, 1:][np.isneginf(scores)] == 0).all()


def test_an_item_is_excluded_only_if_all_components_exclude_it() -> None:
    nothing = -np.inf
    components = make_components(
        one=FixedScores([3, 1, nothing, nothing]), other=FixedScores([nothing, 1, 1, nothing])
    )
    rows = make_windows([[1]], [2])
    scores = Blend(components, {"one": 0.5, "other": 0.5}).score(rows)[0, 1:]
    np.testing.assert_allclose(scores, [0.375, 0.375, 0.25, nothing], rtol=1e-5)
    # An item gets no share from a component that excludes it, whatever its weight.
    scores = Blend(components, {"one": 0.99, "other": 0.01}).score(rows)[0, 1:]
    assert np.argsort(-scores).tolist() == [0, 1, 2, 3]
    assert scores[2] == pytest.approx(0.005, rel=1e-5)


def test_a_component_without_scores_leaves_the_ranking_to_the_others() -> None:
    excluding = FixedScores([-np.inf] * 3)
    titles = NearestTitles(np.zeros((4, 2), np.float32))
    for empty in (excluding, titles):
        components = make_components(empty=empty, known=FixedScores([1, 3, 2]))
        scores = Blend(components, {"empty": 0.9, "known": 0.1}).score(make_windows([[1]], [2]))
        assert np.argsort(-scores[0, 1:]).tolist() == [1, 2, 0]


def test_items_informative_for_a_component_are_informative_for_the_blend() -> None:
    item_vectors = unit(np.random.default_rng(1).normal(size=(4, 2)))
    item_vectors[[0, 2]] = 0
    titles = Component(NearestTitles(item_vectors))
    components = {"titles": titles, "same": titles, "all": Component(FixedScores([1, 2, 3]))}
    blend = Blend(components, {"titles": 0.5, "same": 0.5, "all": 0.0})
    assert blend.informative_items is not None
    assert blend.informative_items.tolist() == [False, True, False, True]
    assert Blend(components, {"titles": 0.5, "all": 0.5}).informative_items is None


def test_shares_equal_a_hand_calculation() -> None:
    # Shares are proportional to evidence. Scores of 0 or less keep their order far behind.
    shares = Component(FixedScores([])).to_shares(np.array([[0, 3, 1, -0.5, -0.2]], np.float32))[0]
    np.testing.assert_allclose(shares[1:3], [0.75, 0.25], rtol=1e-6)
    assert 0 < shares[3] < shares[4] < 1e-8
    # The cosines are 1, 0 and -1 for the items with a title: their deviation is sqrt(2 / 3).
    item_vectors = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, 0]], np.float32)
    titles = Component(NearestTitles(item_vectors))
    shares = titles.to_shares(titles.score(make_windows([[1]], [2])))[0]
    expected = np.exp(np.array([1, 0, -1]) / np.sqrt(2 / 3))
    np.testing.assert_allclose(shares[1:4], expected / expected.sum(), rtol=1e-5)
    assert shares[4] == 0
    # The probabilities of a network are not changed.
    network = Component(make_scorer(build_random_network(describe_network()), make_title_vectors()))
    probabilities = network.score(make_windows([[1, 2]], [3]))
    np.testing.assert_array_equal(network.to_shares(probabilities), probabilities)


def test_components_may_read_shorter_histories() -> None:
    network = make_scorer(build_random_network(describe_network()), make_title_vectors())
    histories = [[1, 2, 3, 4], [5, 6, 7, 8]]
    component = Component(network, history_length=2)
    rows = make_windows(histories, [9, 9])
    short = make_windows([history[-2:] for history in histories], [9, 9])
    np.testing.assert_allclose(component.score(rows), network.score(short), rtol=1e-5)
    assert np.abs(component.score(rows) - network.score(rows)).max() > 1e-3
    # Histories are never longer than those of the rows.
    np.testing.assert_array_equal(Component(network, 99).score(rows), network.score(rows))
    blend = Blend({"long": Component(network), "short": component}, {"long": 0.25, "short": 0.75})
    np.testing.assert_allclose(
        blend.score(rows), 0.25 * network.score(rows) + 0.75 * network.score(short), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ({"model": "transformer"}, "'classifier'"),
        ({"model": "../other/classifier.keras"}, "'classifier'"),
        ({"model": "ease", "history_length": 0}, "history_length"),
        ({"model": "classifier"}, "name classifier more than once"),
    ],
)
def test_invalid_components_are_rejected(component: dict[str, object], expected: str) -> None:
    known = {"model": "classifier"}
    options = {"components": [known, component], "seeds": [], "rows": 9, "rounds": 1, "seed": 1}
    with pytest.raises(ValidationError, match=expected):
        BlendOptions.model_validate(options)


def test_batch_size_does_not_change_blended_scores() -> None:
    split = make_random_split(5)
    components = make_components(
        popularity=Popularity(split.training_counts),
        decayed=DecayedCooccurrence(split.train, split.training_counts, DECAYED),
        titles=NearestTitles(unit(np.random.default_rng(1).normal(size=(31, 8)))),
    )
    blend = Blend(components, {"popularity": 0.2, "decayed": 0.3, "titles": 0.5})
    expected = blend.score(split.test)
    parts = np.concatenate([blend.score(batch) for batch in split.test.iter_batches(7)])
    np.testing.assert_allclose(parts, expected, rtol=1e-5)
