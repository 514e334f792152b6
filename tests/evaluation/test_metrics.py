import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from bazar.evaluation import metrics
from bazar.evaluation.metrics import (
    HISTORY_EDGES,
    POPULARITY_EDGES,
    compute_bootstrap_interval,
    compute_catalogue_coverage,
    compute_novelty,
    compute_ranking_metrics,
    compute_row_metrics,
    compute_target_ranks,
    count_shared_items,
    find_new_day_targets,
    label_slices,
    measure_part,
    measure_slices,
)


def rank_targets(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the ranks of one target per row."""
    return compute_target_ranks(scores, np.arange(len(targets)), targets)


def measure_single_targets(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics of rows with one target each."""
    return compute_row_metrics(ranks, np.arange(len(ranks)))


def make_targets(rows: list[int] | np.ndarray, users: list[str] | None = None) -> pd.DataFrame:
    names = [f"u{row}" for row in rows] if users is None else users
    return pd.DataFrame({"row": rows, "user_id": names})


def test_ranks_by_hand() -> None:
    scores = np.array([[9.0, 0.5, 0.9, 0.1], [9.0, 0.5, 0.5, 0.5], [9.0, 0.1, 0.7, 0.7]])
    assert rank_targets(scores, np.array([1, 2, 3])).tolist() == [2.0, 2.0, 1.5]


def test_ranks_of_several_targets_by_hand() -> None:
    scores = np.array([[9.0, 0.5, 0.9, 0.1, 0.5], [9.0, 1.0, 2.0, 3.0, 4.0]])
    rows, items = np.array([0, 0, 0, 1]), np.array([4, 2, 1, 1])
    assert compute_target_ranks(scores, rows, items).tolist() == [2.5, 1.0, 2.5, 4.0]
    assert compute_target_ranks(scores, rows[:0], items[:0]).tolist() == []


def test_ranks_do_not_depend_on_the_size_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 20, (50, 31)).astype(float)
    rows, items = np.sort(rng.integers(0, 50, 200)), rng.integers(1, 31, 200)
    expected = compute_target_ranks(scores, rows, items)
    for n_scores in (1, 31, 100):
        monkeypatch.setattr(metrics, "_SCORES_PER_STEP", n_scores)
        np.testing.assert_array_equal(compute_target_ranks(scores, rows, items), expected)


def test_a_constant_scorer_ranks_in_the_middle() -> None:
    scores = np.zeros((1000, 1001))
    targets = np.random.default_rng(0).integers(1, 1001, 1000)
    ranks = rank_targets(scores, targets)
    assert (ranks == 500.5).all()
    assert measure_single_targets(ranks)["hr@20"].sum() == 0


def test_random_scores_have_the_hit_rate_of_chance() -> None:
    rng = np.random.default_rng(0)
    ranks = rank_targets(rng.random((20000, 101)), rng.integers(1, 101, 20000))
    assert measure_single_targets(ranks)["hr@10"].mean() == pytest.approx(0.10, abs=0.01)


def test_padding_is_never_ranked() -> None:
    assert rank_targets(np.array([[9.0, 1.0, 0.0]]), np.array([1])) == [1.0]


def test_a_filtered_target_shares_the_last_ranks() -> None:
    scores = np.array([[0.0, -np.inf, 0.3, 0.2, -np.inf]])
    assert rank_targets(scores, np.array([1])) == [3.5]


def test_nan_scores_raise() -> None:
    with pytest.raises(ValueError, match="NaN"):
        rank_targets(np.array([[0.0, np.nan, 0.3]]), np.array([2]))


def test_metrics_by_hand() -> None:
    figures = measure_single_targets(np.array([1.0, 3.0, 10.0, 10.5, 21.0]))
    assert figures["hr@1"].tolist() == [1, 0, 0, 0, 0]
    assert figures["hr@5"].tolist() == [1, 1, 0, 0, 0]
    assert figures["hr@10"].tolist() == [1, 1, 1, 0, 0]
    assert figures["ndcg@10"] == pytest.approx([1, 0.5, 1 / math.log2(11), 0, 0])
    assert figures["ndcg@20"] == pytest.approx([1, 0.5, 1 / math.log2(11), 1 / math.log2(11.5), 0])
    assert figures["mrr@20"] == pytest.approx([1, 1 / 3, 0.1, 1 / 10.5, 0])
    assert figures["mrr@10"] == pytest.approx([1, 1 / 3, 0.1, 0, 0])


def test_metrics_of_several_targets_by_hand() -> None:
    # Row 2 has two targets, row 5 three, row 6 one. Rows 0, 1, 3 and 4 have none.
    rows = np.array([2, 2, 5, 5, 5, 6])
    figures = compute_row_metrics(np.array([3.0, 1.0, 30.0, 7.0, 12.0, 40.0]), rows)
    assert figures["hr@1"].tolist() == [1, 0, 0]
    assert figures["hr@5"].tolist() == [1, 0, 0]
    assert figures["hr@10"].tolist() == [1, 1, 0]
    assert figures["recall@5"].tolist() == [1, 0, 0]
    assert figures["recall@10"] == pytest.approx([1, 1 / 3, 0])
    assert figures["recall@20"] == pytest.approx([1, 2 / 3, 0])
    second, third = 1 / math.log2(3), 0.5
    assert figures["ndcg@10"] == pytest.approx(
        [(1 + 0.5) / (1 + second), (1 / math.log2(8)) / (1 + second + third), 0]
    )
    assert figures["ndcg@20"][1] == pytest.approx(
        (1 / math.log2(8) + 1 / math.log2(13)) / (1 + second + third)
    )
    assert figures["mrr@10"] == pytest.approx([1, 1 / 7, 0])


def test_ideal_ranking_of_more_targets_than_k_has_ndcg_1() -> None:
    figures = compute_row_metrics(np.arange(1.0, 13), np.zeros(12, int))
    assert figures["ndcg@5"].tolist() == figures["ndcg@10"].tolist() == [1]
    assert figures["recall@5"] == pytest.approx([5 / 12])
    assert figures["recall@10"] == pytest.approx([10 / 12])
    assert figures["recall@20"].tolist() == [1]


def test_tied_targets_never_have_more_than_the_ideal_ndcg() -> None:
    # Nine tied targets share the rank 5.
    figures = compute_row_metrics(np.full(9, 5.0), np.zeros(9, int))
    assert figures["ndcg@5"].tolist() == [1]
    # Two targets that share the ranks 1 and 2.
    tied = compute_row_metrics(np.array([1.5, 1.5]), np.zeros(2, int))
    assert tied["hr@1"].tolist() == [0]
    assert tied["ndcg@10"] == pytest.approx([2 / math.log2(2.5) / (1 + 1 / math.log2(3))])


def test_metrics_without_targets_are_empty() -> None:
    for values in compute_row_metrics(np.empty(0), np.empty(0, int)).values():
        assert values.shape == (0,)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(2, 100).map(lambda half: half / 2), min_size=1, max_size=30))
def test_metrics_of_single_targets_have_the_simple_definition(ranks: list[float]) -> None:
    values = np.array(ranks)
    figures = measure_single_targets(values)
    for k in (5, 10, 20):
        is_hit = values <= k
        np.testing.assert_array_equal(figures[f"hr@{k}"], is_hit)
        np.testing.assert_array_equal(figures[f"recall@{k}"], is_hit)
        np.testing.assert_array_equal(
            figures[f"ndcg@{k}"], np.where(is_hit, 1 / np.log2(values + 1), 0)
        )
    for k in (10, 20):
        np.testing.assert_array_equal(figures[f"mrr@{k}"], np.where(values <= k, 1 / values, 0))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=25, unique=True), min_size=1))
def test_rows_are_measured_independently(rows: list[list[int]]) -> None:
    numbers = np.repeat(np.arange(len(rows)), [len(ranks) for ranks in rows])
    together = compute_row_metrics(np.concatenate(rows).astype(float), numbers)
    for row, ranks in enumerate(rows):
        alone = compute_row_metrics(np.array(ranks, float), np.zeros(len(ranks), int))
        for name, values in together.items():
            assert values[row] == pytest.approx(alone[name][0])
            assert 0 <= values[row] <= 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 10, 20]))
def test_ndcg_agrees_with_scikit_learn(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permutation(60).reshape(2, 30).astype(float)
    relevance = rng.integers(0, 2, (2, 29))
    relevance[:, 0] = 1
    rows, items = np.nonzero(relevance)
    ranks = compute_target_ranks(scores, rows, items + 1)
    ours = compute_row_metrics(ranks, rows)[f"ndcg@{k}"].mean()
    assert ours == pytest.approx(ndcg_score(relevance, scores[:, 1:], k=k))


def test_coverage() -> None:
    table = pd.DataFrame({"rank": [1, 2, 11, 1], "item_id": ["a", "b", "c", "a"]})
    assert compute_catalogue_coverage(table, n_items=8, k=10) == 0.25


def test_interval_covers_the_true_mean_in_95_percent() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        values = (rng.random(400) < 0.1).astype(float)
        low, high = compute_bootstrap_interval(values, np.arange(400), 300, seed=trial)
        covered += low <= 0.1 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_rows_of_one_user_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    per_user = (rng.random(100) < 0.3).astype(float)
    values, users = np.repeat(per_user, 20), np.repeat(np.arange(100), 20)
    clustered = np.ptp(compute_bootstrap_interval(values, users, 500, seed=1))
    alone = np.ptp(compute_bootstrap_interval(per_user, np.arange(100), 500, seed=1))
    assert clustered == pytest.approx(alone, rel=1e-9)
    assert clustered > 3 * np.ptp(compute_bootstrap_interval(values, np.arange(2000), 500, seed=1))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_agree_with_ranx(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its functions run as plain Python: Numba would take 40 seconds to compile them.
    monkeypatch.setattr("numba.config.DISABLE_JIT", True)
    from ranx import Qrels, Run, evaluate

    rng = np.random.default_rng(seed)
    rows, items = 400, 40
    scores = rng.permuted(np.tile(np.arange(items + 1.0), (rows, 1)), axis=1)
    n_targets = rng.integers(1, 15, rows)
    targets = [rng.choice(items, n, replace=False) + 1 for n in n_targets]
    numbers = np.repeat(np.arange(rows), n_targets)
    ranks = compute_target_ranks(scores, numbers, np.concatenate(targets))
    ours = compute_row_metrics(ranks, numbers)
    qrels = Qrels(
        {f"{row:03d}": {str(item): 1 for item in of_row} for row, of_row in enumerate(targets)}
    )
    run = Run(
        {
            f"{row:03d}": {str(item): scores[row, item] for item in range(1, items + 1)}
            for row in range(rows)
        }
    )
    names = {"hr@1": "hit_rate@1", "hr@10": "hit_rate@10", "ndcg@5": "ndcg@5",
             "ndcg@10": "ndcg@10", "ndcg@20": "ndcg@20", "mrr@20": "mrr@20",
             "recall@5": "recall@5", "recall@10": "recall@10"}  # fmt: skip
    expected = evaluate(qrels, run, list(names.values()))
    for name, ranx_name in names.items():
        assert 0 < ours[name].mean() < 1
        assert ours[name].mean() == pytest.approx(expected[ranx_name])


def test_novelty_by_hand() -> None:
    # One is added to each count: shares of 4, 2, 1 and 1 eighths.
    counts = pd.Series({"a": 3, "b": 1, "c": 0, "d": 0})
    table = pd.DataFrame({"rank": [1, 2, 1, 2, 11], "item_id": ["a", "b", "a", "c", "d"]})
    assert compute_novelty(table, counts, k=10) == pytest.approx((1 + 2 + 1 + 3) / 4)
    assert compute_novelty(table.head(0), counts, k=10) == 0


def test_shared_items_by_hand() -> None:
    columns = ["row", "rank", "item_id"]
    first = pd.DataFrame(
        [(0, 1, "a"), (0, 2, "b"), (0, 3, "c"), (1, 1, "a"), (2, 1, "a"), (2, 2, "b")],
        columns=columns,
    )
    second = pd.DataFrame(
        [(0, 1, "c"), (0, 2, "a"), (0, 3, "d"), (1, 1, "b"), (2, 1, "b"), (2, 2, "a")],
        columns=columns,
    )
    # Row 3 has no recommendations; "c" is not among the first two items of one list.
    assert count_shared_items(first, second, 4, k=3).tolist() == [2, 0, 2, 0]
    assert count_shared_items(first, second, 4, k=2).tolist() == [1, 0, 2, 0]
    assert count_shared_items(first, first, 4, k=3).tolist() == [3, 1, 2, 0]


def test_slices_by_hand() -> None:
    ranks = np.array([1.0, 20, 3, 1, 30, 1])
    values = np.array([1, 2, 5, 21, 90, 0])
    targets = make_targets([0, 1, 2, 3, 4, 5])
    found = measure_slices(values, HISTORY_EDGES, ranks, targets, 100, 0)
    columns = ("label", "rows", "hr@10", "ndcg@10")
    assert [tuple(row[name] for name in columns) for row in found] == [
        ("0", 1, 1.0, 1.0), ("1–2", 2, 0.5, 0.5), ("3–5", 1, 1.0, 0.5), ("21+", 2, 0.5, 0.5),
    ]  # fmt: skip
    found = measure_slices(values, POPULARITY_EDGES, ranks, targets, 100, 0, "cold")
    assert [row["label"] for row in found] == ["cold", "1–4", "5–9", "20–49", "50+"]
    low, high = found[1]["hr@10_ci95"]
    assert (low, high) == (0, 1)


def test_only_the_targets_of_a_slice_are_relevant() -> None:
    # The popular targets of the first row are hits, and its cold target is a miss.
    targets = make_targets([0, 0, 0, 1])
    counts, ranks = np.array([0, 7, 9, 0]), np.array([50.0, 1, 2, 1])
    cold, popular = measure_slices(counts, POPULARITY_EDGES, ranks, targets, 100, 0)
    assert (cold["rows"], cold["hr@10"], cold["recall@10"], cold["ndcg@10"]) == (2, 0.5, 0.5, 0.5)
    assert (popular["rows"], popular["hr@10"], popular["ndcg@10"]) == (1, 1, 1)


def test_repeats_and_other_targets_by_hand() -> None:
    # Row 0 has two repeats and one other target, row 1 a repeat, row 2 another target.
    targets = make_targets([0, 0, 0, 1, 2])
    is_repeat = np.array([True, True, False, True, False])
    ranks = np.array([1.0, 30, 2, 3, 40])
    repeat = measure_part(is_repeat, ranks, targets, 100, 0)
    explore = measure_part(~is_repeat, ranks, targets, 100, 0)
    assert repeat is not None and explore is not None
    assert (repeat["rows"], repeat["targets"]) == (2, 3)
    assert (repeat["hr@10"], repeat["recall@10"]) == (1, 0.75)
    assert repeat["ndcg@10"] == pytest.approx((1 / (1 + 1 / math.log2(3)) + 0.5) / 2)
    low, high = repeat["ndcg@10_ci95"]
    assert low <= repeat["ndcg@10"] <= high
    assert (explore["rows"], explore["targets"]) == (2, 2)
    assert (explore["hr@10"], explore["recall@10"]) == (0.5, 0.5)
    assert explore["ndcg@10"] == pytest.approx(1 / math.log2(3) / 2)
    assert measure_part(np.zeros(5, bool), ranks, targets, 100, 0) is None


@pytest.mark.parametrize(
    ("is_new_day", "expected"),
    [
        ([True, False, None, True], [True, False, False, True]),
        ([False, False, None, None], [False] * 4),
        ([True, True, None, True], [False] * 4),
        ([None] * 4, [False] * 4),
    ],
)
def test_new_days_are_a_part_if_some_targets_have_the_day_before_them(
    is_new_day: list[bool | None], expected: list[bool]
) -> None:
    targets = make_targets([0, 1, 2, 3]).assign(is_new_day=pd.array(is_new_day, "boolean"))
    assert find_new_day_targets(targets).tolist() == expected
    assert not find_new_day_targets(targets.drop(columns="is_new_day")).any()


def test_metrics_of_targets_on_a_new_day() -> None:
    targets = make_targets([0, 1, 2, 3]).assign(
        n_seen=1, target_count=1, is_repeat=False,
        is_new_day=pd.array([True, False, None, True], "boolean"),
    )  # fmt: skip
    figures = compute_ranking_metrics(
        np.array([1.0, 1.0, 1.0, 99.0]), targets, pd.DataFrame({"rank": [1], "item_id": ["a"]}),
        pd.Series([1], index=["a"]), resamples=100, seed=0,
    )  # fmt: skip
    assert (figures["hr@10"], figures["new_day"]["hr@10"]) == (0.75, 0.5)
    assert figures["new_day"]["rows"] == 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=60),
    st.sampled_from([HISTORY_EDGES, POPULARITY_EDGES]),
)
def test_slices_add_up_to_all_rows(rows: list[tuple[int, int]], edges: tuple[int, ...]) -> None:
    values, ranks = (np.array(column) for column in zip(*rows, strict=True))
    per_row = measure_single_targets(ranks.astype(float))
    targets = make_targets(np.arange(len(rows)), [f"u{row // 2}" for row in range(len(rows))])
    found = measure_slices(values, edges, ranks.astype(float), targets, 100, 0)
    assert sum(row["rows"] for row in found) == len(rows)
    labels, counts = np.unique(label_slices(values, edges), return_counts=True)
    n_rows = {row["label"]: row["rows"] for row in found}
    assert n_rows == dict(zip(labels.tolist(), counts.tolist(), strict=True))
    for name in ("hr@10", "ndcg@10"):
        mean = sum(row["rows"] * row[name] for row in found) / len(rows)
        assert mean == pytest.approx(per_row[name].mean())


def test_ranking_metrics_have_every_key() -> None:
    table = pd.DataFrame({"rank": [1, 1], "item_id": ["a", "b"]})
    targets = make_targets([0, 1]).assign(n_seen=[1, 4], target_count=[0, 9], is_repeat=False)
    counts = pd.Series([1, 1, 1, 1], index=list("abcd"))
    figures = compute_ranking_metrics(
        np.array([1.0, 30.0]), targets, table, counts, resamples=100, seed=0
    )
    assert figures["hr@10"] == 0.5
    assert figures["coverage@10"] == 0.5
    assert figures["novelty@10"] == 2.0
    assert [row["label"] for row in figures["by_history_length"]] == ["1–2", "3–5"]
    assert [row["label"] for row in figures["by_target_popularity"]] == ["0 (cold)", "5–9"]
    assert set(figures) == {
        "hr@1", "hr@5", "hr@10", "hr@20", "recall@5", "recall@10", "recall@20", "ndcg@5",
        "ndcg@10", "ndcg@20", "mrr@10", "mrr@20", "coverage@10", "novelty@10", "hr@10_ci95",
        "recall@10_ci95", "ndcg@10_ci95", "by_history_length", "by_target_popularity", "repeat",
        "explore", "new_day",
    }  # fmt: skip
    assert figures["repeat"] is None
    assert figures["new_day"] is None
    for name in ("hr@10", "recall@10", "ndcg@10", "hr@10_ci95"):
        assert figures["explore"][name] == figures[name]
    low, high = figures["hr@10_ci95"]
    assert low <= 0.5 <= high
