from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.config.models import DecayedCooccurrenceOptions, EaseOptions, SessionKnnOptions
from bazar.data.splits import Split, leave_one_out
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.ranking import rank_catalogue
from bazar.models import baselines
from bazar.models.baselines import (
    DecayedCooccurrence,
    Ease,
    LastItemCooccurrence,
    Popularity,
    RecentPopularity,
    SessionKnn,
)
from bazar.models.scorer import Scorer
from tests.data.test_splits import sequences_of
from tests.evaluation.test_ranking import windows_of

DECAYED = DecayedCooccurrenceOptions(
    distance_power=0.5, backward_weight=0.25, popularity_power=0.1, history_decay=0.5
)
KNN = SessionKnnOptions(neighbours=20, history_decay=0.5)
EASE = EaseOptions(regularisation=2.0, history_decay=0.7, max_items=100)
BASELINES: dict[str, Callable[[Split], Scorer]] = {
    "popularity": lambda split: Popularity(split.training_counts),
    "last_item_cooccurrence": lambda split: LastItemCooccurrence(
        split.train, split.training_counts
    ),
    "decayed_cooccurrence": lambda split: DecayedCooccurrence(
        split.train, split.training_counts, DECAYED
    ),
    "session_knn": lambda split: SessionKnn(split.train, split.training_counts, KNN),
    "ease": lambda split: Ease(split.train, split.training_counts, EASE),
}


def trained_on(lists: list[list[int]], n_items: int, history_length: int = 10) -> Split:
    """A split whose training part is these lists: two more items are held out of each."""
    held_out = [[*items, 1, 1] for items in lists]
    return leave_one_out(sequences_of(held_out), n_items, history_length)


def asked(*histories: list[int], length: int = 10) -> Windows:
    return windows_of(list(histories), [1] * len(histories), length)


def random_split(seed: int, n_items: int = 30, history_length: int = 6) -> Split:
    rng = np.random.default_rng(seed)
    lists = [rng.integers(1, n_items, rng.integers(3, 12)).tolist() for _ in range(60)]
    return leave_one_out(sequences_of(lists), n_items, history_length)


def test_recent_popularity_by_hand() -> None:
    # Items 2 and 3 are as popular of late; 3 is more so overall, by less than float32 can add.
    recent, overall = np.array([0, 0, 100_000, 100_000, 7]), np.array([0, 9, 200_000, 200_001, 8])
    model = RecentPopularity(recent, overall)
    ranking = rank_catalogue(model, windows_of([[1], [2]], [1, 2]), 4, 2)["unfiltered"]
    assert ranking.items.tolist() == [[3, 2, 4, 1]] * 2
    assert ranking.ranks.tolist() == [4, 2]


def test_decayed_cooccurrence_by_hand() -> None:
    split = trained_on([[1, 2, 3], [1, 3]], n_items=4)
    assert split.training_counts.tolist() == [0, 2, 1, 2, 0]
    options = DecayedCooccurrenceOptions(
        distance_power=1, backward_weight=0.25, popularity_power=0.5, history_decay=0.5
    )
    scores = DecayedCooccurrence(split.train, split.training_counts, options).score(
        asked([1], [3, 1], [2, 3, 4])
    )
    # Forward: 1-2 once at distance 1; 1-3 at 2 and at 1; 2-3 at 1. Item 4 was never bought.
    to_1 = {2: 0.25 * 1 / np.sqrt(2), 3: 0.25 * 1.5 / np.sqrt(2)}
    to_2 = {1: 1.0, 3: 0.25}
    to_3 = {1: 1.5 / np.sqrt(2), 2: 1 / np.sqrt(2)}
    np.testing.assert_allclose(scores[0, [2, 3]], [to_2[1], to_3[1]], rtol=1e-6)
    np.testing.assert_allclose(
        scores[1, 1:4], [0.5 * to_1[3], to_2[1] + 0.5 * to_2[3], to_3[1]], rtol=1e-6
    )
    np.testing.assert_allclose(
        scores[2, 1:4], [0.25 * to_1[2] + 0.5 * to_1[3], 0.5 * to_2[3], 0.25 * to_3[2]], rtol=1e-6
    )
    # What no pair speaks for is behind, the popular first: 1 (bought twice) before 4.
    assert 0 > scores[0, 1] > scores[0, 4]


def test_session_knn_by_hand() -> None:
    # The first sequence is as long as two items, the second as three, the last meets no history.
    split = trained_on([[1, 2], [1, 3, 4], [2, 5, 5], [6, 7]], n_items=8)

    def scores(neighbours: int, *history: int) -> np.ndarray:
        options = SessionKnnOptions(neighbours=neighbours, history_decay=0.5)
        model = SessionKnn(split.train, split.training_counts, options)
        return model.score(asked(list(history)))[0]

    # Item 1 is last and weighs 1, item 2 weighs 1/2; buying an item twice makes it no nearer.
    near = [1.5 / np.sqrt(2), 1 / np.sqrt(3), 0.5 / np.sqrt(2)]
    np.testing.assert_allclose(
        scores(3, 2, 1)[1:6],
        [near[0] + near[1], near[0] + near[2], near[1], near[1], near[2]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(scores(2, 2, 1)[1:5], [near[0] + near[1], near[0], *near[1:2] * 2])
    assert (scores(2, 2, 1)[5:] < 0).all()
    # The first two sequences with item 2 are equally near: the first is taken.
    assert scores(1, 2)[1] > 0 > scores(1, 2)[5]
    # Nobody bought item 8: popularity decides.
    assert np.argmax(scores(3, 8)[1:]) + 1 in (1, 2, 5)
    assert (scores(3, 8) < 0).all()


def naive_ease(lists: list[list[int]], n_items: int, regularisation: float) -> np.ndarray:
    """Steck (2019), algorithm 1, as it stands there."""
    bought = np.zeros((len(lists), n_items + 1))
    for user, items in enumerate(lists):
        bought[user, items] = 1
    gram = bought.T @ bought + regularisation * np.eye(n_items + 1)
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("columns_at_a_time", [1, 7, 1000])
def test_ease_is_the_closed_form(columns_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_COLUMNS_AT_A_TIME", columns_at_a_time)
    rng = np.random.default_rng(5)
    lists = [rng.integers(1, 20, rng.integers(2, 9)).tolist() for _ in range(50)]
    split = trained_on(lists, n_items=22)
    weights = naive_ease(lists, 22, EASE.regularisation)
    model = Ease(split.train, split.training_counts, EASE)
    scores = model.score(asked(*([item] for item in range(1, 20)), [3, 5, 3]))
    assert model.items.tolist() == list(range(1, 20))
    np.testing.assert_allclose(scores[:19, 1:20], weights[1:20, 1:20], atol=1e-5)
    assert not np.diag(scores[:19, 1:20]).any()
    np.testing.assert_allclose(
        scores[19, 1:20], 1.49 * weights[3, 1:20] + 0.7 * weights[5, 1:20], atol=1e-5
    )
    # What nobody bought is not recommended.
    assert np.isneginf(scores[:, [0, 20, 21, 22]]).all()


def test_ease_knows_the_most_popular_items() -> None:
    lists = [[1, 2], [2, 1], [2, 3, 1], [4, 3], [5, 3]]
    split = trained_on(lists, n_items=5)
    model = Ease(split.train, split.training_counts, EASE.model_copy(update={"max_items": 3}))
    assert model.items.tolist() == [1, 2, 3]
    alone = naive_ease([[1, 2], [2, 1], [2, 3, 1], [3], [3]], 5, EASE.regularisation)
    scores = model.score(asked([2, 4], [4, 5]))
    np.testing.assert_allclose(scores[0, 1:4], 0.7 * alone[2, 1:4], atol=1e-6)
    assert np.isneginf(scores[:, 4:]).all()
    # A history of items that it does not know: popularity, here equal.
    assert scores[1, 1] == scores[1, 2] == scores[1, 3] > 0


def test_an_ease_that_cannot_be_solved_says_what_to_set() -> None:
    # Two items that are always bought together make the matrix singular in float32.
    split = trained_on([[1, 2]] * 50, n_items=2)
    options = EASE.model_copy(update={"regularisation": 1e-9})
    with pytest.raises(InputError, match=r"ease.regularisation 1e-09: set a larger one"):
        Ease(split.train, split.training_counts, options)


@pytest.mark.parametrize("baseline", ["last_item_cooccurrence", "decayed_cooccurrence"])
def test_a_cycle_of_items_is_solved(baseline: str) -> None:
    n_items = 12
    lists = [[(start + step) % n_items + 1 for step in range(6)] for start in range(n_items)]
    split = leave_one_out(sequences_of(lists), n_items, history_length=3)
    ranks = rank_catalogue(BASELINES[baseline](split), split.test, 5, 4)["filtered"].ranks
    assert (ranks == 1).all()


@pytest.mark.parametrize("baseline", ["session_knn", "ease"])
def test_what_is_bought_together_is_found(baseline: str) -> None:
    """Two groups of items; the order within a group means nothing."""
    rng = np.random.default_rng(0)
    lists = [(rng.permutation(6) + (1 if user % 2 else 7)).tolist() for user in range(40)]
    split = leave_one_out(sequences_of(lists), 12, history_length=4)
    for history in ("filtered", "unfiltered"):
        items = rank_catalogue(BASELINES[baseline](split), split.test, 6, 16)[history].items
        same_group = (items[:, 0] > 6) == (split.test.targets > 6)
        assert same_group.all()


@pytest.mark.parametrize("baseline", BASELINES)
def test_rows_at_a_time_change_nothing(baseline: str) -> None:
    split = random_split(3)
    model = BASELINES[baseline](split)
    whole = model.score(split.test)
    assert whole.dtype == np.float32
    assert whole.shape == (len(split.test), 31)
    for size in (1, 7):
        parts = [model.score(batch) for batch in split.test.batches(size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("baseline", ["decayed_cooccurrence", "session_knn"])
@pytest.mark.parametrize("pairs_at_a_time", [1, 50])
def test_pairs_at_a_time_change_nothing(
    baseline: str, pairs_at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = random_split(4)
    whole = BASELINES[baseline](split).score(split.test)
    monkeypatch.setattr(baselines, "_PAIRS_AT_A_TIME", pairs_at_a_time)
    np.testing.assert_allclose(BASELINES[baseline](split).score(split.test), whole, rtol=1e-5)


@pytest.mark.parametrize("baseline", BASELINES)
@given(item=st.integers(1, 29), times=st.integers(2, 6))
@settings(max_examples=10, deadline=None)
def test_buying_one_item_again_and_again_says_nothing_new(
    baseline: str, item: int, times: int
) -> None:
    split = random_split(5)
    model = BASELINES[baseline](split)
    once, again = model.score(asked([item], [item] * times))[:, 1:]
    # Scores may be larger by a factor; the order is the same.
    ratio = again[once > 0] / once[once > 0]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    np.testing.assert_array_equal(np.isneginf(again), np.isneginf(once))


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_only_the_training_part_is_learned_from(data: st.DataObject) -> None:
    """Validation and test items can be anything: no baseline knows them."""
    lists = [[1, 2, 3], [2, 3, 4, 5], [5, 1], [3, 1, 4]]
    held_out = st.lists(st.integers(1, 6), min_size=2, max_size=2)
    one = leave_one_out(sequences_of([[*items, 6, 6] for items in lists]), 6, 10)
    other = leave_one_out(sequences_of([[*items, *data.draw(held_out)] for items in lists]), 6, 10)
    history = asked([1], [4, 2], [3, 3, 5])
    for make in BASELINES.values():
        np.testing.assert_array_equal(make(one).score(history), make(other).score(history))
