import numpy as np
import pytest

from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import compute_row_metrics, compute_target_ranks
from bazar.models.baselines import DecayedCooccurrence, Ease, NearestTitles
from bazar.models.blend import Blend, Component
from bazar.models.personal_frequency import PersonalFrequency
from bazar.models.popularity import Popularity
from bazar.models.scorer import Scorer
from bazar.models.tifu_knn import TifuKnn
from bazar.training import blend_weights
from bazar.training.blend_weights import BlendWeights, choose_weights
from tests.data.test_splits import sequences_of
from tests.evaluation.test_ranking import FixedScores, make_windows, unit
from tests.models.order_rows import count_items, make_training_rows
from tests.models.test_baselines import DECAYED, EASE, TIFU, make_random_split

N_ITEMS = 300


def make_kind_rows(n_rows: int = 120, seed: int = 0) -> Windows:
    """Make rows of random items by two kinds of users. The first item shows the kind."""
    rng = np.random.default_rng(seed)
    lists = rng.integers(4, N_ITEMS + 1, (n_rows, 6))
    lists[:, 0] = rng.integers(1, 3, n_rows)
    return split_leave_one_out(sequences_of(lists.tolist()), N_ITEMS, 10).test


class Oracle(Scorer):
    """Knows the targets of users with some first items, and scores at random for the others."""

    def __init__(self, known: set[int], seed: int = 1) -> None:
        self._known = list(known)
        self._seed = seed

    def score(self, windows: Windows) -> np.ndarray:
        first = windows.sequences.items[windows.sequences.starts[windows.users]]
        guesses = [
            np.random.default_rng([self._seed, position]).random(N_ITEMS + 1) * 0.5
            for position in windows.target_positions
        ]
        scores = np.array(guesses, np.float32)
        rows, targets = windows.list_targets()
        is_known = np.isin(first, self._known)[rows]
        scores[rows[is_known], targets[is_known]] = 300
        return scores


def choose_by(
    components: dict[str, Component], rows: Windows, filter_seen: bool = True, **options: int
) -> BlendWeights:
    defaults = {"max_rows": 10_000, "rounds": 5, "batch_size": 64, "seed": 3}
    return choose_weights(components, rows, **(defaults | options), filter_seen=filter_seen)


def measure_ndcg(scorer: Scorer, rows: Windows, filter_seen: bool = True) -> float:
    """Return NDCG@10 over the full catalogue, ranked in one batch."""
    scores = scorer.score(rows)
    if filter_seen:
        scores[rows.list_seen_pairs()] = -np.inf
    target_rows, targets = rows.list_targets()
    ranks = compute_target_ranks(scores, target_rows, targets)
    return float(compute_row_metrics(ranks, target_rows)["ndcg@10"].mean())


def make_order_rows(seed: int = 0, n_items: int = 150) -> Windows:
    """Make rows with several orders of several items. Many targets are repeats."""
    rng = np.random.default_rng(seed)
    users = []
    for _ in range(60):
        favourites = rng.integers(1, n_items + 1, 6)
        users.append(
            [
                np.unique(
                    np.append(rng.choice(favourites, 2), rng.integers(1, n_items + 1, 2))
                ).tolist()
                for _ in range(rng.integers(2, 7))
            ]
        )
    return make_training_rows(users)


def make_order_components(rows: Windows, n_items: int = 150) -> dict[str, Component]:
    counts = count_items(rows, n_items)
    return make_components(
        popularity=Popularity(counts),
        decayed=DecayedCooccurrence(rows, counts, DECAYED),
        frequency=PersonalFrequency(counts),
        tifu=TifuKnn(rows, counts, TIFU),
    )


def make_components(**scorers: Scorer) -> dict[str, Component]:
    return {name: Component(scorer) for name, scorer in scorers.items()}


def test_noise_gets_no_weight() -> None:
    rows = make_kind_rows()
    choice = choose_by(make_components(noise=Oracle(set()), perfect=Oracle({1, 2}, 2)), rows)
    assert choice.weights == {"noise": 0, "perfect": 1}
    # A target that was bought before is filtered: a miss for all models.
    assert choice.ndcg == choice.component_ndcg["perfect"] >= 0.9
    assert choice.component_ndcg["noise"] < 0.1


def test_a_blend_beats_components_that_know_half_the_users_each() -> None:
    rows = make_kind_rows()
    components = make_components(one=Oracle({1}), other=Oracle({2}, 2))
    choice = choose_by(components, rows)
    assert max(choice.component_ndcg.values()) < 0.7
    assert choice.ndcg > 0.9
    assert min(choice.weights.values()) > 0
    assert sum(choice.weights.values()) == pytest.approx(1)
    # The weights are as good on other rows.
    assert measure_ndcg(Blend(components, choice.weights), make_kind_rows(seed=8)) > 0.9


def test_reported_ndcg_equals_a_full_ranking() -> None:
    split = make_random_split(4, n_items=150)
    components = make_components(
        popularity=Popularity(split.training_counts),
        decayed=DecayedCooccurrence(split.train, split.training_counts, DECAYED),
        ease=Ease(split.train, split.training_counts, EASE),
        titles=NearestTitles(unit(np.random.default_rng(1).normal(size=(151, 8)))),
    )
    rows = split.validation
    choice = choose_by(components, rows)
    for name, component in components.items():
        assert choice.component_ndcg[name] == pytest.approx(measure_ndcg(component.scorer, rows))
    assert choice.ndcg == pytest.approx(measure_ndcg(Blend(components, choice.weights), rows))
    assert choice.ndcg >= max(choice.component_ndcg.values())
    assert choice.n_rows == len(rows)


@pytest.mark.parametrize("filter_seen", [False, True])
def test_reported_ndcg_of_several_targets_equals_a_full_ranking(filter_seen: bool) -> None:
    rows = make_order_rows()
    assert rows.n_targets.max() > 2
    components = make_order_components(rows)
    choice = choose_by(components, rows, filter_seen)
    for name, ndcg in choice.component_ndcg.items():
        assert ndcg == pytest.approx(measure_ndcg(components[name].scorer, rows, filter_seen))
    blend = Blend(components, choice.weights)
    assert choice.ndcg == pytest.approx(measure_ndcg(blend, rows, filter_seen))
    assert choice.ndcg >= max(choice.component_ndcg.values()) - 1e-9
    assert sum(choice.weights.values()) == pytest.approx(1)


def test_several_targets_do_not_depend_on_contenders_or_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = make_order_rows(1)
    components = make_order_components(rows)
    expected = choose_by(components, rows, False)
    one_by_one = choose_by(components, rows, False, batch_size=1)
    assert one_by_one.weights == expected.weights
    assert one_by_one.ndcg == pytest.approx(expected.ndcg)
    monkeypatch.setattr(blend_weights, "_CONTENDERS", 200)
    monkeypatch.setattr(blend_weights, "_MAX_VALUES", 500)
    assert choose_by(components, rows, False).weights == expected.weights


def test_models_of_repeats_get_weight_only_if_seen_items_are_not_filtered() -> None:
    rows = make_order_rows(2)
    components = make_order_components(make_order_rows(7))
    unfiltered = choose_by(components, rows, False).weights
    assert unfiltered["frequency"] + unfiltered["tifu"] > 0
    filtered = choose_by(components, rows, True)
    assert list(filtered.weights) == list(components)
    assert filtered.weights["frequency"] == filtered.weights["tifu"] == 0
    assert list(filtered.component_ndcg) == ["popularity", "decayed"]
    # Without any other component, they are used.
    alone = choose_by({"frequency": components["frequency"]}, rows, True)
    assert alone.weights == {"frequency": 1}


def test_contenders_give_the_weights_of_a_full_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    components = make_components(one=Oracle({1}), other=Oracle({2}, 2), no=Oracle(set(), 5))
    rows = make_kind_rows(60)
    expected = choose_by(components, rows)
    monkeypatch.setattr(blend_weights, "_CONTENDERS", N_ITEMS + 1)
    assert choose_by(components, rows) == expected


def test_weights_do_not_depend_on_batches_or_runs() -> None:
    split = make_random_split(5)
    components = make_components(
        popularity=Popularity(split.training_counts),
        decayed=DecayedCooccurrence(split.train, split.training_counts, DECAYED),
        titles=NearestTitles(unit(np.random.default_rng(1).normal(size=(31, 8)))),
    )
    at_once, again, one_by_one = (
        choose_by(components, split.validation, batch_size=size) for size in (1000, 1000, 1)
    )
    assert at_once == again
    assert one_by_one.weights == at_once.weights
    assert one_by_one.ndcg == pytest.approx(at_once.ndcg)


def test_validation_rows_are_drawn_with_the_seed() -> None:
    rows = make_kind_rows(80)
    components = make_components(one=Oracle({1}), other=Oracle({2}, 2))
    first, again, other = (
        choose_by(components, rows, max_rows=20, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.n_rows == 20
    assert first.component_ndcg != other.component_ndcg


def test_nan_scores_are_rejected() -> None:
    components = make_components(broken=FixedScores([1, 2, np.nan]), known=FixedScores([1, 2, 3]))
    with pytest.raises(ValueError, match="NaN"):
        choose_by(components, make_windows([[1]], [2]))


def test_validation_rows_are_required() -> None:
    rows = make_windows([[1]], [2])
    with pytest.raises(InputError, match="no validation rows"):
        choose_by(make_components(one=FixedScores([1, 2])), rows.slice_rows(0, 0))
