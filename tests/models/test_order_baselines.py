"""All baselines with orders of several items."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.config.models import DecayedCooccurrenceOptions
from bazar.data.windows import Windows
from bazar.models.baselines import (
    DecayedCooccurrence,
    Ease,
    LastItemCooccurrence,
    NearestTitles,
    SessionKnn,
)
from bazar.models.histories import list_order_items
from bazar.models.personal_frequency import PersonalFrequency, RecentPersonalFrequency
from bazar.models.repurchase_timing import RepurchaseTiming
from bazar.models.scorer import Scorer
from bazar.models.tifu_knn import TifuKnn
from tests.evaluation.test_ranking import unit
from tests.models.order_rows import (
    Orders,
    count_items,
    make_requests,
    make_training_rows,
    order_lists,
)
from tests.models.test_baselines import DECAYED, EASE, KNN, RECENT, TIFU, TIMING

N_ITEMS = 8
VECTORS = unit(np.random.default_rng(2).normal(size=(N_ITEMS + 1, 3))).astype(np.float32)
VECTORS[[0, 4]] = 0

BUILDERS: dict[str, Callable[[Windows, np.ndarray], Scorer]] = {
    "last_item_cooccurrence": LastItemCooccurrence,
    "decayed_cooccurrence": lambda rows, counts: DecayedCooccurrence(rows, counts, DECAYED),
    "session_knn": lambda rows, counts: SessionKnn(rows, counts, KNN),
    "ease": lambda rows, counts: Ease(rows, counts, EASE),
    "nearest_titles": lambda rows, counts: NearestTitles(VECTORS),
    "personal_frequency": lambda rows, counts: PersonalFrequency(counts),
    "recent_personal_frequency": lambda rows, counts: RecentPersonalFrequency(counts, RECENT),
    "tifu_knn": lambda rows, counts: TifuKnn(rows, counts, TIFU),
    "repurchase_timing": lambda rows, counts: RepurchaseTiming(rows, counts, TIMING),
}


def score(name: str, training: list[Orders], requests: list[Orders]) -> np.ndarray:
    rows = make_training_rows(training)
    return BUILDERS[name](rows, count_items(rows, N_ITEMS)).score(make_requests(requests))


def test_an_order_has_an_item_once() -> None:
    rows = make_requests([[[3, 1, 3], [2, 1]], [[5]]])
    listed = [part.tolist() for part in list_order_items(rows)]
    assert listed == [[0, 0, 0, 0, 1], [1, 3, 1, 2, 5], [1, 1, 0, 0, 0]]


@pytest.mark.parametrize("name", BUILDERS)
@given(training=order_lists(N_ITEMS), requests=order_lists(N_ITEMS, 1), data=st.data())
@settings(max_examples=25, deadline=None)
def test_scores_do_not_depend_on_the_lines_of_an_order(
    name: str, training: list[Orders], requests: list[Orders], data: st.DataObject
) -> None:
    def permute(users: list[Orders]) -> list[Orders]:
        return [[data.draw(st.permutations(order)) for order in orders] for orders in users]

    expected = score(name, training, requests)
    permuted = score(name, permute(training), permute(requests))
    np.testing.assert_allclose(permuted[:, 1:], expected[:, 1:], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
@given(training=order_lists(N_ITEMS), requests=order_lists(N_ITEMS, 1))
@settings(max_examples=15, deadline=None)
def test_every_user_alone_gets_the_same_scores(
    name: str, training: list[Orders], requests: list[Orders]
) -> None:
    rows = make_training_rows(training)
    model = BUILDERS[name](rows, count_items(rows, N_ITEMS))
    together = make_requests(requests)
    expected = model.score(together)
    assert expected.dtype == np.float32
    assert expected.shape == (len(requests), N_ITEMS + 1)
    parts = np.concatenate([model.score(batch) for batch in together.iter_batches(1)])
    np.testing.assert_allclose(parts[:, 1:], expected[:, 1:], rtol=1e-5, atol=1e-6)


def test_each_pair_of_a_history_item_and_a_target_counts() -> None:
    # One user: {1, 2}, then {3}, then {4, 5}. The pairs of the training rows and their distances:
    # 1-3 and 2-3 at 1; 3-4 and 3-5 at 1; 1-4, 1-5, 2-4 and 2-5 at 2. Items of one order are no
    # pair.
    training = [[[1, 2], [3], [4, 5]]]
    rows = make_training_rows(training)
    options = DecayedCooccurrenceOptions(
        distance_power=1, backward_weight=0.25, popularity_power=0, history_decay=0.5
    )
    model = DecayedCooccurrence(rows, count_items(rows, N_ITEMS), options)
    scores = model.score(make_requests([[[1, 2]], [[3], [1, 2]], [[4]]]))
    np.testing.assert_allclose(scores[0, 3:6], [2, 2 * 0.5, 2 * 0.5])
    assert (scores[0, [1, 2]] < 0).all()
    # The order before the last has the weight 1/2, for both directions of its pairs.
    np.testing.assert_allclose(
        scores[1, 1:6], [0.5 * 0.25, 0.5 * 0.25, 2, 1 + 0.5, 1 + 0.5], rtol=1e-6
    )
    # Backwards from 4: 3 at distance 1, 1 and 2 at distance 2.
    np.testing.assert_allclose(scores[2, 1:4], [0.25 * 0.5, 0.25 * 0.5, 0.25])


def test_pairs_with_all_items_of_the_last_order_are_added_up() -> None:
    scores = score("last_item_cooccurrence", [[[1, 2], [3]], [[2], [4]]], [[[4], [1, 2]]])[0]
    # 3 was bought after 1 and after 2, 4 after 2 alone. Item 4 of the earlier order is not used.
    np.testing.assert_array_equal(np.floor(scores[1:6]), [0, 0, 2, 1, 0])


def test_nearest_titles_uses_the_mean_title_of_the_last_titled_order() -> None:
    # Item 4 has no title. The last order with a title is {1, 2}, then {3}.
    points = NearestTitles(VECTORS).predict_points(
        make_requests([[[3], [1, 4, 2], [4]], [[1], [3]], [[4]]])
    )
    mean = (VECTORS[1] + VECTORS[2]) / 2
    np.testing.assert_allclose(points[0], mean / np.linalg.norm(mean), rtol=1e-5)
    np.testing.assert_array_equal(points[1], VECTORS[3])
    np.testing.assert_array_equal(points[2], 0)


def test_opposite_titles_have_no_direction() -> None:
    vectors = np.array([[0, 0], [1, 0], [-1, 0], [0, 1]], np.float32)
    scores = NearestTitles(vectors).score(make_requests([[[1, 2]]]))
    np.testing.assert_array_equal(scores[0, 1:], 0)


def test_history_length_limits_the_orders() -> None:
    rows = make_training_rows([[[1, 2], [3], [4, 5]]])
    model = DecayedCooccurrence(rows, count_items(rows, N_ITEMS), DECAYED)
    long = make_requests([[[1], [2, 3], [3, 5]]], history_length=2)
    np.testing.assert_allclose(model.score(long), model.score(make_requests([[[2, 3], [3, 5]]])))
