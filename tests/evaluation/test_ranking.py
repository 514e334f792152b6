import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.sequences import DAY_MS, Sequences
from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows
from bazar.evaluation.metrics import compute_target_ranks
from bazar.evaluation.ranking import rank_catalogue
from bazar.evaluation.results import (
    build_ranks_table,
    build_recommendations_table,
    compute_model_metrics,
)
from bazar.models import histories
from bazar.models.baselines import LastItemCooccurrence, NearestTitles
from bazar.models.nearest_titles import TitleIndex
from bazar.models.popularity import Popularity
from bazar.models.recommending import map_batches
from bazar.models.scorer import Scorer
from bazar.models.top_k import find_top_positions, select_top_k
from tests.models.order_rows import make_order_sequences


def make_sequences(lists: list[list[int]]) -> Sequences:
    """Make sequences of items; each item is an order of its own."""
    starts = np.cumsum([0, *(len(items) for items in lists)]).astype(np.int64)
    users = pa.array([f"u{user:03}" for user in range(len(lists))], pa.large_string())
    return Sequences(users, np.concatenate(lists).astype(np.int32), starts)


def make_windows(histories: list[list[int]], targets: list[int], length: int = 4) -> Windows:
    """Make one row per user, with a history and a target."""
    lists = [[*history, target] for history, target in zip(histories, targets, strict=True)]
    return split_leave_one_out(make_sequences(lists), max(targets), length).test


def make_order_windows(users: list[list[list[int]]]) -> Windows:
    """Make one row per user. The targets are the items of the last order."""
    sequences = make_order_sequences(users)
    last = sequences.number_orders(sequences.starts[1:] - 1)
    return Windows(sequences, sequences.find_order_starts(last), 10)


class FixedScores(Scorer):
    """The same scores for all rows."""

    def __init__(self, scores: list[float]) -> None:
        self._scores = np.array([0.0, *scores], np.float32)

    def score(self, windows: Windows) -> np.ndarray:
        return np.tile(self._scores, (len(windows), 1))


def test_seen_items_are_filtered_from_ranks_and_recommendations() -> None:
    windows = make_windows([[1, 2], [4]], [3, 4])
    rankings = rank_catalogue(FixedScores([0.9, 0.8, 0.7, 0.6]), windows, k=3, batch_size=10)

    assert rankings["unfiltered"].ranks.tolist() == [3, 4]
    assert rankings["unfiltered"].items.tolist() == [[1, 2, 3], [1, 2, 3]]
    # The first user's items are left out. The second user buys an item again: a miss.
    assert rankings["filtered"].ranks.tolist() == [1, 4]
    assert rankings["filtered"].items.tolist() == [[3, 4, 0], [1, 2, 3]]
    assert rankings["filtered"].scores[0].tolist() == [
        pytest.approx(0.7), pytest.approx(0.6), -np.inf,
    ]  # fmt: skip


def test_several_targets_have_a_rank_each() -> None:
    windows = make_order_windows([[[1, 2], [3, 1, 3]], [[4], [2]]])
    rankings = rank_catalogue(FixedScores([0.9, 0.8, 0.7, 0.6]), windows, k=3, batch_size=1)
    # The targets of the first row are 3 and the repeat 1, which is a miss in a filtered ranking.
    assert rankings["unfiltered"].ranks.tolist() == [3, 1, 2]
    assert rankings["filtered"].ranks.tolist() == [1, 3.5, 2]
    assert rankings["unfiltered"].items.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert rankings["filtered"].items.tolist() == [[3, 4, 0], [1, 2, 3]]


def test_items_seen_before_the_history_window_are_filtered() -> None:
    windows = make_windows([[1, 2, 3, 4, 5, 6]], [8], length=2)
    items = rank_catalogue(FixedScores([9, 8, 7, 6, 5, 4, 3, 2]), windows, 8, 1)["filtered"].items
    assert items.tolist() == [[7, 8, 0, 0, 0, 0, 0, 0]]


def list_pool_threads() -> set[threading.Thread]:
    """Return the threads of thread pools, without the thread of a progress bar."""
    return {
        thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")
    }


def test_batches_run_in_parallel_and_results_keep_their_order() -> None:
    windows = make_windows([[user + 1] for user in range(12)], [13] * 12)
    both_started, second_is_done = threading.Barrier(2, timeout=60), threading.Event()
    lock, n_active_rows, most_active_rows = threading.Lock(), [0], [0]

    def process(batch: Windows) -> list[int]:
        with lock:
            n_active_rows[0] += len(batch)
            most_active_rows[0] = max(most_active_rows[0], n_active_rows[0])
        first = int(batch.build_histories()[0, -1])
        if first in (1, 3):
            # Neither of the first two batches ends before the other has started.
            both_started.wait()
        if first == 1:
            assert second_is_done.wait(60)
        with lock:
            n_active_rows[0] -= len(batch)
        if first == 3:
            second_is_done.set()
        return batch.build_histories()[:, -1].tolist()

    results = list(map_batches(process, windows, 4, "test"))
    assert results == [[row, row + 1] for row in range(1, 13, 2)]
    assert most_active_rows == [4]


def test_a_failing_batch_stops_the_remaining_batches() -> None:
    windows = make_windows([[1]] * 30, [2] * 30)
    started: list[int] = []

    def fail(batch: Windows) -> None:
        started.append(len(batch))
        raise ValueError("no such batch")

    running = list_pool_threads()
    with pytest.raises(ValueError, match="no such batch"):
        list(map_batches(fail, windows, 2, "test"))
    assert len(started) <= 3
    assert list_pool_threads() == running


def test_closing_the_iterator_stops_the_threads() -> None:
    windows = make_windows([[1]] * 30, [2] * 30)
    running = list_pool_threads()
    results = map_batches(len, windows, 2, "test")
    assert next(results) == 1
    results.close()
    assert list_pool_threads() == running


def test_batch_size_does_not_change_rankings() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(50, 8)))
    histories = [rng.integers(1, 50, rng.integers(1, 9)).tolist() for _ in range(23)]
    windows = make_windows(histories, rng.integers(1, 50, 23).tolist())
    model = NearestTitles(vectors)
    at_once = rank_catalogue(model, windows, 20, batch_size=100)
    in_parts = rank_catalogue(model, windows, 20, batch_size=5)
    for filter_mode in ("filtered", "unfiltered"):
        np.testing.assert_array_equal(at_once[filter_mode].ranks, in_parts[filter_mode].ranks)
        np.testing.assert_array_equal(at_once[filter_mode].items, in_parts[filter_mode].items)


def test_recommendations_and_ranks_agree() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(300, 16)))
    vectors[7] = 0
    histories = [rng.integers(1, 300, rng.integers(1, 30)).tolist() for _ in range(40)]
    windows = make_windows(histories, rng.integers(1, 300, 40).tolist())
    train = make_windows(histories, rng.integers(1, 300, 40).tolist())
    counts = np.bincount(train.list_targets()[1], minlength=300)
    for model in (NearestTitles(vectors), LastItemCooccurrence(train, counts)):
        for filter_mode, ranking in rank_catalogue(model, windows, 20, batch_size=16).items():
            for row, target in zip(*windows.list_targets(), strict=True):
                scores = model.score(windows.slice_rows(row, row + 1))
                if filter_mode == "filtered":
                    scores[0, histories[row]] = -np.inf
                    assert not set(ranking.items[row]) & set(histories[row])
                assert (
                    ranking.ranks[row]
                    == compute_target_ranks(scores, np.array([0]), np.array([target]))[0]
                )
                expected = np.sort(scores[0, 1:])[::-1][:20]
                np.testing.assert_allclose(ranking.scores[row], expected, atol=1e-5)
                is_unique = np.count_nonzero(scores[0, 1:] == scores[0, target]) == 1
                if is_unique and ranking.ranks[row] <= 20:
                    assert ranking.items[row, int(ranking.ranks[row]) - 1] == target


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors[0] = 0
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def test_popularity_ranks_by_counts() -> None:
    model = Popularity(np.array([0, 5, 0, 9]))
    ranking = rank_catalogue(model, make_windows([[1]], [1]), 3, 1)["unfiltered"]
    assert ranking.items.tolist() == [[3, 1, 2]]
    assert ranking.ranks.tolist() == [2]


def test_cooccurrence_ranks_by_pair_counts() -> None:
    # Bought together: 1-2 twice, 1-3 once, 4 is popular and alone.
    train = make_windows([[1], [2], [1]], [2, 1, 3])
    model = LastItemCooccurrence(train, np.array([0, 3, 2, 1, 9]))
    ranking = rank_catalogue(model, make_windows([[4, 1], [3], [4]], [2, 1, 1]), 4, 8)["unfiltered"]
    assert ranking.items.tolist() == [[2, 3, 4, 1], [1, 4, 2, 3], [4, 1, 2, 3]]


def test_cooccurrence_counts_do_not_depend_on_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(2)
    lists = [rng.integers(1, 20, rng.integers(2, 15)).tolist() for _ in range(50)]
    split = split_leave_one_out(make_sequences(lists), 19, history_length=3)
    counts = np.zeros((20, 20))
    for items in lists:
        for position in range(1, len(items) - 2):
            for before in items[max(0, position - 3) : position]:
                counts[before, items[position]] += 1
                counts[items[position], before] += 1
    for max_pairs in (1, 30, 10**6):
        monkeypatch.setattr(histories, "MAX_PAIRS", max_pairs)
        model = LastItemCooccurrence(split.train, np.zeros(20))
        last = np.array([items[-2] for items in lists])
        np.testing.assert_array_equal(model.score(split.test), counts[last])


def test_items_with_the_same_title_share_their_rank() -> None:
    vectors = unit(np.array([[0.0, 0], [1, 0], [0.6, 0.8], [0.6, 0.8], [0, 1]]))
    ranking = rank_catalogue(NearestTitles(vectors), make_windows([[1]], [3]), 4, 1)["filtered"]
    assert ranking.ranks.tolist() == [1.5]


def test_nearest_titles_use_the_last_titled_item() -> None:
    vectors = unit(np.array([[0.0, 0], [1, 0], [0.9, 0.1], [0, 1], [0, 0]]))
    ranking = rank_catalogue(NearestTitles(vectors), make_windows([[3, 1, 4]], [2]), 4, 1)
    assert ranking["filtered"].items.tolist() == [[2, 0, 0, 0]]


def test_an_untitled_item_is_never_recommended_by_its_title() -> None:
    vectors = unit(np.array([[0.0, 0], [1, 0], [0, 0], [-1, 0.1]]))
    ranking = rank_catalogue(NearestTitles(vectors), make_windows([[1]], [2]), 3, 1)["unfiltered"]
    assert ranking.items.tolist() == [[1, 3, 0]]
    assert ranking.ranks.tolist() == [3]


def test_index_finds_the_nearest_items() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(500, 32)))
    points = unit(rng.normal(size=(9, 32)))[1:]
    found, cosines = TitleIndex(vectors).find_nearest_items(points, 10)
    exact = points @ vectors[1:].T
    np.testing.assert_array_equal(found, np.argsort(-exact, axis=1)[:, :10] + 1)
    np.testing.assert_allclose(cosines, -np.sort(-exact, axis=1)[:, :10], atol=1e-6)


def test_ranks_and_recommendations_become_tables() -> None:
    windows = make_windows([[1, 2], [4]], [3, 4])
    rankings = rank_catalogue(FixedScores([0.9, 0.8, 0.7, 0.6]), windows, k=20, batch_size=10)
    ids = np.array(["", "0a", "0b", "0c", "0d"], dtype=object)
    ranks = build_ranks_table(rankings, windows, ids, np.array([0, 5, 4, 3, 0]))
    assert ranks.to_dict("records") == [
        {"row": 0, "user_id": "u000", "item_id": "0c", "n_seen": 2, "target_count": 3,
         "is_repeat": False, "rank_filtered": 1.0, "rank_unfiltered": 3.0},
        {"row": 1, "user_id": "u001", "item_id": "0d", "n_seen": 1, "target_count": 0,
         "is_repeat": True, "rank_filtered": 4.0, "rank_unfiltered": 4.0},
    ]  # fmt: skip
    table = build_recommendations_table(rankings, windows, ids)
    filtered = table[(table["seen_items"] == "filtered") & (table["row"] == 0)]
    assert filtered["item_id"].tolist() == ["0c", "0d"]
    assert filtered["rank"].tolist() == [1, 2]
    counts = pd.Series([5, 4, 3, 0], index=ids[1:])
    figures = compute_model_metrics(ranks, table, counts, bootstrap_resamples=100, seed=0)
    assert figures["filtered"]["hr@1"] == 0.5
    assert figures["unfiltered"]["hr@1"] == 0.0
    assert figures["filtered"]["coverage@10"] == 1.0
    cold, known = figures["filtered"]["by_target_popularity"]
    assert (cold["label"], cold["rows"], cold["hr@10"]) == ("0 (cold)", 1, 1.0)
    assert (known["label"], known["rows"], known["ndcg@10"]) == ("1–4", 1, 1.0)


def test_the_table_of_ranks_knows_the_targets_on_a_new_day() -> None:
    windows = make_windows([[1, 2], [4], [1]], [3, 3, 2])
    rankings = rank_catalogue(FixedScores([0.9, 0.8, 0.7, 0.6]), windows, k=20, batch_size=10)
    times = np.array([0, 5, DAY_MS, 7, 9, 3, DAY_MS])
    timed = replace(
        windows, sequences=replace(windows.sequences, timestamps=times, untimed=np.array([5]))
    )
    arguments = (np.array(["", *"abcd"], object), np.array([0, 5, 4, 3, 0]))
    ranks = build_ranks_table(rankings, timed, *arguments, has_new_days=True)
    assert ranks["is_new_day"].dtype == "boolean"
    assert ranks["is_new_day"].isna().tolist() == [False, False, True]
    assert ranks["is_new_day"][:2].tolist() == [True, False]
    for rows, has_new_days in ((timed, False), (windows, True)):
        table = build_ranks_table(rankings, rows, *arguments, has_new_days=has_new_days)
        pd.testing.assert_frame_equal(table, ranks.drop(columns="is_new_day"))


def test_the_table_of_ranks_has_a_line_per_target() -> None:
    windows = make_order_windows([[[1, 2], [3, 1]], [[4], [2]]])
    rankings = rank_catalogue(FixedScores([0.9, 0.8, 0.7, 0.6]), windows, k=20, batch_size=10)
    ids = np.array(["", "0a", "0b", "0c", "0d"], dtype=object)
    ranks = build_ranks_table(rankings, windows, ids, np.array([0, 5, 4, 3, 0]))
    columns = ["row", "user_id", "item_id", "n_seen", "target_count", "is_repeat",
               "rank_unfiltered"]  # fmt: skip
    assert ranks[columns].to_numpy().tolist() == [
        [0, "u0", "0c", 2, 3, False, 3.0],
        [0, "u0", "0a", 2, 5, True, 1.0],
        [1, "u1", "0b", 1, 4, False, 2.0],
    ]
    table = build_recommendations_table(rankings, windows, ids)
    counts = pd.Series([5, 4, 3, 0], index=ids[1:])
    figures = compute_model_metrics(ranks, table, counts, bootstrap_resamples=100, seed=0)
    assert figures["unfiltered"]["hr@1"] == 0.5
    assert figures["unfiltered"]["recall@5"] == 1
    assert (figures["unfiltered"]["repeat"]["rows"], figures["unfiltered"]["repeat"]["hr@10"]) == (
        1, 1.0,
    )  # fmt: skip
    assert figures["unfiltered"]["explore"]["rows"] == 2


def test_equal_scores_are_recommended_in_index_order() -> None:
    rng = np.random.default_rng(6)
    windows = make_windows([[1], [2]], [3, 4])
    for _ in range(20):
        scores = rng.integers(0, 4, 60).astype(float)
        scores[rng.integers(0, 60, 20)] = -np.inf
        expected = np.argsort(-scores, kind="stable")[:50] + 1
        expected[np.isneginf(scores[expected - 1])] = 0
        items = rank_catalogue(FixedScores(scores.tolist()), windows, 50, 2)["unfiltered"].items
        np.testing.assert_array_equal(items, [expected] * 2)


@given(
    scores=st.lists(
        st.sampled_from([-np.inf, *np.linspace(-1, 1, 9).tolist()]), min_size=1, max_size=400
    ),
    k=st.integers(1, 30),
)
def test_top_k_equals_a_sort(scores: list[float], k: int) -> None:
    row = np.array([0.5, *scores], np.float32)
    expected = sorted(
        (item for item in range(1, len(row)) if row[item] > -np.inf),
        key=lambda item: (-row[item], item),
    )[:k]
    for rows in (1, 2):
        items, values = select_top_k(np.tile(row, (rows, 1)), k)
        assert items.shape == values.shape == (rows, k)
        missing = k - len(expected)
        assert items[-1].tolist() == expected + [0] * missing
        assert values[-1].tolist() == row[expected].tolist() + [-np.inf] * missing


def test_top_k_rejects_nan() -> None:
    scores = np.zeros((2, 100), np.float32)
    scores[1, 70] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        select_top_k(scores, 3)


@given(
    values=st.lists(st.integers(-3, 3), min_size=1, max_size=200),
    k=st.integers(1, 250),
)
def test_top_positions_equal_a_stable_sort(values: list[int], k: int) -> None:
    row = np.array(values, np.float32)
    expected = np.argsort(-row, kind="stable")[:k]
    np.testing.assert_array_equal(find_top_positions(np.stack([row, row]), k), [expected] * 2)


@pytest.mark.parametrize("n_rows", [1, 6])
def test_items_with_the_same_title_have_equal_cosines(n_rows: int) -> None:
    # With a single row, the columns of a matrix product are rounded differently.
    rng = np.random.default_rng(3)
    vectors = unit(rng.normal(size=(1001, 384)))
    vectors[500:] = vectors[499]
    cosines = TitleIndex(vectors).compute_cosines(unit(rng.normal(size=(n_rows + 1, 384)))[1:])
    assert (cosines[:, 499:] == cosines[:, 499:500]).all()
    np.testing.assert_array_equal(cosines[:, 0], -np.inf)


def test_a_scorer_lists_the_items_that_its_scores_rank_first() -> None:
    rng = np.random.default_rng(4)
    vectors = unit(rng.normal(size=(60, 8)))
    windows = make_windows([[3], [9, 4]], [1, 2])
    for scorer in (NearestTitles(vectors), Popularity(rng.permutation(60))):
        scores, items, item_scores = scorer.rank(windows, 5)
        np.testing.assert_array_equal(scores, scorer.score(windows))
        np.testing.assert_array_equal(items, np.argsort(-scores[:, 1:], axis=1)[:, :5] + 1)
        np.testing.assert_allclose(item_scores, np.take_along_axis(scores, items, 1), atol=1e-6)


def test_scorers_limit_the_batches_that_are_scored_in_parallel() -> None:
    windows = make_windows([[1]] * 12, [2] * 12)
    lock, active, most_active = threading.Lock(), [0], [0]

    class Counting(FixedScores):
        max_parallel_batches = 1

        def score(self, windows: Windows) -> np.ndarray:
            with lock:
                active[0] += 1
                most_active[0] = max(most_active[0], active[0])
            time.sleep(0.01)
            with lock:
                active[0] -= 1
            return super().score(windows)

    rank_catalogue(Counting([1, 2, 3]), windows, 2, 3)
    assert most_active == [1]
    assert NearestTitles.max_parallel_batches == 1
