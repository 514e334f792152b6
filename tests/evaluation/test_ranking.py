import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.splits import leave_one_out
from bazar.data.windows import Windows
from bazar.evaluation.metrics import target_ranks
from bazar.evaluation.ranking import map_batches, rank_catalogue
from bazar.evaluation.results import measure, ranks_table, recommendations_table
from bazar.evaluation.top_k import select_top_k
from bazar.models import baselines
from bazar.models.baselines import LastItemCooccurrence, NearestTitles, Popularity
from bazar.models.nearest_titles import TitleVectorScorer
from tests.data.test_splits import sequences_of


def windows_of(histories: list[list[int]], targets: list[int], length: int = 4) -> Windows:
    """A row per user, who bought all of his history before the target."""
    lists = [[*history, target] for history, target in zip(histories, targets, strict=True)]
    return leave_one_out(sequences_of(lists), max(targets), length).test


class Fixed:
    """Scores the same for all rows."""

    informative = None

    def __init__(self, scores: list[float]) -> None:
        self._scores = np.array([0.0, *scores], np.float32)

    def score(self, windows: Windows) -> np.ndarray:
        return np.tile(self._scores, (len(windows), 1))


def test_masking_by_hand() -> None:
    windows = windows_of([[1, 2], [4]], [3, 4])
    rankings = rank_catalogue(Fixed([0.9, 0.8, 0.7, 0.6]), windows, k=3, batch_size=10)

    assert rankings["unfiltered"].ranks.tolist() == [3, 4]
    assert rankings["unfiltered"].items.tolist() == [[1, 2, 3], [1, 2, 3]]
    # The first user's purchases are left out; the second buys again what he has: a miss.
    assert rankings["filtered"].ranks.tolist() == [1, 4]
    assert rankings["filtered"].items.tolist() == [[3, 4, 0], [1, 2, 3]]
    assert rankings["filtered"].scores[0].tolist() == [
        pytest.approx(0.7), pytest.approx(0.6), -np.inf,
    ]  # fmt: skip


def test_everything_seen_is_masked_not_only_the_history_shown() -> None:
    windows = windows_of([[1, 2, 3, 4, 5, 6]], [8], length=2)
    items = rank_catalogue(Fixed([9, 8, 7, 6, 5, 4, 3, 2]), windows, 8, 1)["filtered"].items
    assert items.tolist() == [[7, 8, 0, 0, 0, 0, 0, 0]]


def workers() -> set[threading.Thread]:
    """Threads of pools: a progress bar may have one of its own."""
    return {one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")}


def test_batches_are_worked_on_side_by_side_and_come_in_order() -> None:
    windows = windows_of([[user + 1] for user in range(12)], [13] * 12)
    together, second_is_done = threading.Barrier(2, timeout=60), threading.Event()
    counting, at_work, most = threading.Lock(), [0], [0]

    def rows_of(batch: Windows) -> list[int]:
        with counting:
            at_work[0] += len(batch)
            most[0] = max(most[0], at_work[0])
        first = int(batch.histories()[0, -1])
        if first in (1, 3):
            # Neither of the first two is done before the other was begun.
            together.wait()
        if first == 1:
            assert second_is_done.wait(60)
        with counting:
            at_work[0] -= len(batch)
        if first == 3:
            second_is_done.set()
        return batch.histories()[:, -1].tolist()

    made = list(map_batches(rows_of, windows, 4, "test"))
    assert made == [[row, row + 1] for row in range(1, 13, 2)]
    assert most == [4]


def test_a_batch_that_fails_ends_the_work() -> None:
    windows = windows_of([[1]] * 30, [2] * 30)
    begun: list[int] = []

    def fail(batch: Windows) -> None:
        begun.append(len(batch))
        raise ValueError("no such batch")

    running = workers()
    with pytest.raises(ValueError, match="no such batch"):
        list(map_batches(fail, windows, 2, "test"))
    assert len(begun) <= 3
    assert workers() == running


def test_who_stops_taking_stops_the_work() -> None:
    windows = windows_of([[1]] * 30, [2] * 30)
    running = workers()
    taken = map_batches(len, windows, 2, "test")
    assert next(taken) == 1
    taken.close()
    assert workers() == running


def test_batches_change_nothing() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(50, 8)))
    histories = [rng.integers(1, 50, rng.integers(1, 9)).tolist() for _ in range(23)]
    windows = windows_of(histories, rng.integers(1, 50, 23).tolist())
    model = NearestTitles(vectors)
    whole = rank_catalogue(model, windows, 20, batch_size=100)
    parts = rank_catalogue(model, windows, 20, batch_size=5)
    for history in ("filtered", "unfiltered"):
        np.testing.assert_array_equal(whole[history].ranks, parts[history].ranks)
        np.testing.assert_array_equal(whole[history].items, parts[history].items)


def test_lists_and_ranks_agree() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(300, 16)))
    vectors[7] = 0
    histories = [rng.integers(1, 300, rng.integers(1, 30)).tolist() for _ in range(40)]
    windows = windows_of(histories, rng.integers(1, 300, 40).tolist())
    train = windows_of(histories, rng.integers(1, 300, 40).tolist())
    counts = np.bincount(train.targets, minlength=300)
    for model in (NearestTitles(vectors), LastItemCooccurrence(train, counts)):
        for history, ranking in rank_catalogue(model, windows, 20, batch_size=16).items():
            for row, target in enumerate(windows.targets):
                scores = model.score(windows.rows(row, row + 1))
                if history == "filtered":
                    scores[0, histories[row]] = -np.inf
                    assert not set(ranking.items[row]) & set(histories[row])
                assert ranking.ranks[row] == target_ranks(scores, np.array([target]))[0]
                expected = np.sort(scores[0, 1:])[::-1][:20]
                np.testing.assert_allclose(ranking.scores[row], expected, atol=1e-5)
                alone = np.count_nonzero(scores[0, 1:] == scores[0, target]) == 1
                if alone and ranking.ranks[row] <= 20:
                    assert ranking.items[row, int(ranking.ranks[row]) - 1] == target


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors[0] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def test_popularity_by_hand() -> None:
    model = Popularity(np.array([0, 5, 0, 9]))
    ranking = rank_catalogue(model, windows_of([[1]], [1]), 3, 1)["unfiltered"]
    assert ranking.items.tolist() == [[3, 1, 2]]
    assert ranking.ranks.tolist() == [2]


def test_cooccurrence_by_hand() -> None:
    # Bought together: 1-2 twice, 1-3 once, 4 is popular and alone.
    train = windows_of([[1], [2], [1]], [2, 1, 3])
    model = LastItemCooccurrence(train, np.array([0, 3, 2, 1, 9]))
    ranking = rank_catalogue(model, windows_of([[4, 1], [3], [4]], [2, 1, 1]), 4, 8)["unfiltered"]
    assert ranking.items.tolist() == [[2, 3, 4, 1], [1, 4, 2, 3], [4, 1, 2, 3]]


def test_cooccurrence_is_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    lists = [rng.integers(1, 20, rng.integers(2, 15)).tolist() for _ in range(50)]
    split = leave_one_out(sequences_of(lists), 19, history_length=3)
    counts = np.zeros((20, 20))
    for items in lists:
        for place in range(1, len(items) - 2):
            for before in items[max(0, place - 3) : place]:
                counts[before, items[place]] += 1
                counts[items[place], before] += 1
    for pairs_at_a_time in (1, 30, 10**6):
        monkeypatch.setattr(baselines, "_PAIRS_AT_A_TIME", pairs_at_a_time)
        model = LastItemCooccurrence(split.train, np.zeros(20))
        last = np.array([items[-2] for items in lists])
        np.testing.assert_array_equal(model.score(split.test), counts[last])


def test_products_of_one_title_share_their_rank() -> None:
    vectors = unit(np.array([[0.0, 0], [1, 0], [0.6, 0.8], [0.6, 0.8], [0, 1]]))
    ranking = rank_catalogue(NearestTitles(vectors), windows_of([[1]], [3]), 4, 1)["filtered"]
    assert ranking.ranks.tolist() == [1.5]


def test_title_neighbours_use_the_last_title_there_is() -> None:
    vectors = unit(np.array([[0.0, 0], [1, 0], [0.9, 0.1], [0, 1], [0, 0]]))
    ranking = rank_catalogue(NearestTitles(vectors), windows_of([[3, 1, 4]], [2]), 4, 1)
    assert ranking["filtered"].items.tolist() == [[2, 0, 0, 0]]


def test_a_product_without_title_is_never_near() -> None:
    vectors = unit(np.array([[0.0, 0], [1, 0], [0, 0], [-1, 0.1]]))
    ranking = rank_catalogue(NearestTitles(vectors), windows_of([[1]], [2]), 3, 1)["unfiltered"]
    assert ranking.items.tolist() == [[1, 3, 0]]
    assert ranking.ranks.tolist() == [3]


def test_the_index_finds_the_nearest() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(500, 32)))
    points = unit(rng.normal(size=(9, 32)))[1:]
    found, cosines = TitleVectorScorer(vectors).nearest(points, 10)
    exact = points @ vectors[1:].T
    np.testing.assert_array_equal(found, np.argsort(-exact, axis=1)[:, :10] + 1)
    np.testing.assert_allclose(cosines, -np.sort(-exact, axis=1)[:, :10], atol=1e-6)


def test_tables() -> None:
    windows = windows_of([[1, 2], [4]], [3, 4])
    rankings = rank_catalogue(Fixed([0.9, 0.8, 0.7, 0.6]), windows, k=20, batch_size=10)
    ids = np.array(["", "0a", "0b", "0c", "0d"], dtype=object)
    ranks = ranks_table(rankings, windows, ids, np.array([0, 5, 4, 3, 0]))
    assert ranks.to_dict("records") == [
        {"row": 0, "user_id": "u000", "item_id": "0c", "n_seen": 2, "target_count": 3,
         "rank_filtered": 1.0, "rank_unfiltered": 3.0},
        {"row": 1, "user_id": "u001", "item_id": "0d", "n_seen": 1, "target_count": 0,
         "rank_filtered": 4.0, "rank_unfiltered": 4.0},
    ]  # fmt: skip
    table = recommendations_table(rankings, windows, ids)
    filtered = table[(table["history"] == "filtered") & (table["row"] == 0)]
    assert filtered["item_id"].tolist() == ["0c", "0d"]
    assert filtered["rank"].tolist() == [1, 2]
    counts = pd.Series([5, 4, 3, 0], index=ids[1:])
    figures = measure(ranks, table, counts, bootstrap_resamples=100, seed=0)
    assert figures["filtered"]["hr@1"] == 0.5
    assert figures["unfiltered"]["hr@1"] == 0.0
    assert figures["filtered"]["coverage@10"] == 1.0
    cold, known = figures["filtered"]["by_target_popularity"]
    assert (cold["label"], cold["rows"], cold["hr@10"]) == ("0 (cold)", 1, 1.0)
    assert (known["label"], known["rows"], known["ndcg@10"]) == ("1–4", 1, 1.0)


def test_equal_scores_are_listed_in_order_of_their_index() -> None:
    rng = np.random.default_rng(6)
    windows = windows_of([[1], [2]], [3, 4])
    for _ in range(20):
        scores = rng.integers(0, 4, 60).astype(float)
        scores[rng.integers(0, 60, 20)] = -np.inf
        expected = np.argsort(-scores, kind="stable")[:50] + 1
        expected[np.isneginf(scores[expected - 1])] = 0
        items = rank_catalogue(Fixed(scores.tolist()), windows, 50, 2)["unfiltered"].items
        np.testing.assert_array_equal(items, [expected] * 2)


@given(
    scores=st.lists(
        st.sampled_from([-np.inf, *np.linspace(-1, 1, 9).tolist()]), min_size=1, max_size=400
    ),
    k=st.integers(1, 30),
)
def test_the_best_of_one_row_and_of_many(scores: list[float], k: int) -> None:
    row = np.array([0.5, *scores], np.float32)
    by_hand = sorted(
        (place for place in range(1, len(row)) if row[place] > -np.inf),
        key=lambda place: (-row[place], place),
    )[:k]
    for rows in (1, 2):
        items, values = select_top_k(np.tile(row, (rows, 1)), k)
        assert items.shape == values.shape == (rows, k)
        assert items[-1].tolist() == by_hand + [0] * (k - len(by_hand))
        assert values[-1].tolist() == [
            *row[by_hand].tolist(), *[-np.inf] * (k - len(by_hand)),
        ]  # fmt: skip
