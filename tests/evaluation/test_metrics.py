import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

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
    label_slices,
    measure_slices,
)


def test_ranks_by_hand() -> None:
    scores = np.array([[9.0, 0.5, 0.9, 0.1], [9.0, 0.5, 0.5, 0.5], [9.0, 0.1, 0.7, 0.7]])
    assert compute_target_ranks(scores, np.array([1, 2, 3])).tolist() == [2.0, 2.0, 1.5]


def test_a_constant_scorer_ranks_in_the_middle() -> None:
    scores = np.zeros((1000, 1001))
    targets = np.random.default_rng(0).integers(1, 1001, 1000)
    ranks = compute_target_ranks(scores, targets)
    assert (ranks == 500.5).all()
    assert compute_row_metrics(ranks)["hr@20"].sum() == 0


def test_random_scores_have_the_hit_rate_of_chance() -> None:
    rng = np.random.default_rng(0)
    ranks = compute_target_ranks(rng.random((20000, 101)), rng.integers(1, 101, 20000))
    assert compute_row_metrics(ranks)["hr@10"].mean() == pytest.approx(0.10, abs=0.01)


def test_padding_is_never_ranked() -> None:
    assert compute_target_ranks(np.array([[9.0, 1.0, 0.0]]), np.array([1])) == [1.0]


def test_a_filtered_target_shares_the_last_ranks() -> None:
    scores = np.array([[0.0, -np.inf, 0.3, 0.2, -np.inf]])
    assert compute_target_ranks(scores, np.array([1])) == [3.5]


def test_nan_scores_raise() -> None:
    with pytest.raises(ValueError, match="NaN"):
        compute_target_ranks(np.array([[0.0, np.nan, 0.3]]), np.array([2]))


def test_metrics_by_hand() -> None:
    figures = compute_row_metrics(np.array([1.0, 3.0, 10.0, 10.5, 21.0]))
    assert figures["hr@1"].tolist() == [1, 0, 0, 0, 0]
    assert figures["hr@5"].tolist() == [1, 1, 0, 0, 0]
    assert figures["hr@10"].tolist() == [1, 1, 1, 0, 0]
    assert figures["ndcg@10"] == pytest.approx([1, 0.5, 1 / math.log2(11), 0, 0])
    assert figures["ndcg@20"] == pytest.approx([1, 0.5, 1 / math.log2(11), 1 / math.log2(11.5), 0])
    assert figures["mrr@20"] == pytest.approx([1, 1 / 3, 0.1, 1 / 10.5, 0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 10, 20]))
def test_ndcg_agrees_with_scikit_learn(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permutation(60).reshape(2, 30).astype(float)
    targets = rng.integers(1, 30, 2)
    relevance = np.zeros((2, 29))
    relevance[[0, 1], targets - 1] = 1
    ours = compute_row_metrics(compute_target_ranks(scores, targets))[f"ndcg@{k}"].mean()
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
def test_metrics_agree_with_ranx(seed: int) -> None:
    from ranx import Qrels, Run, evaluate

    rng = np.random.default_rng(seed)
    rows, items = 400, 40
    scores = rng.permuted(np.tile(np.arange(items + 1.0), (rows, 1)), axis=1)
    targets = rng.integers(1, items + 1, rows)
    ours = compute_row_metrics(compute_target_ranks(scores, targets))
    qrels = Qrels({f"{row:03d}": {str(item): 1} for row, item in enumerate(targets)})
    run = Run(
        {
            f"{row:03d}": {str(item): scores[row, item] for item in range(1, items + 1)}
            for row in range(rows)
        }
    )
    names = {"hr@1": "hit_rate@1", "hr@10": "hit_rate@10", "ndcg@5": "ndcg@5",
             "ndcg@10": "ndcg@10", "ndcg@20": "ndcg@20", "mrr@20": "mrr@20"}  # fmt: skip
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
    found = measure_slices(
        values, HISTORY_EDGES, compute_row_metrics(ranks), list("uvwxyz"), 100, 0
    )
    columns = ("label", "rows", "hr@10", "ndcg@10")
    assert [tuple(row[name] for name in columns) for row in found] == [
        ("0", 1, 1.0, 1.0), ("1–2", 2, 0.5, 0.5), ("3–5", 1, 1.0, 0.5), ("21+", 2, 0.5, 0.5),
    ]  # fmt: skip
    found = measure_slices(
        values, POPULARITY_EDGES, compute_row_metrics(ranks), list("uvwxyz"), 100, 0, "cold"
    )
    assert [row["label"] for row in found] == ["cold", "1–4", "5–9", "20–49", "50+"]
    low, high = found[1]["hr@10_ci95"]
    assert (low, high) == (0, 1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40)), min_size=1, max_size=60),
    st.sampled_from([HISTORY_EDGES, POPULARITY_EDGES]),
)
def test_slices_add_up_to_all_rows(rows: list[tuple[int, int]], edges: tuple[int, ...]) -> None:
    values, ranks = (np.array(column) for column in zip(*rows, strict=True))
    per_row = compute_row_metrics(ranks.astype(float))
    found = measure_slices(values, edges, per_row, np.arange(len(rows)) // 2, 100, 0)
    assert sum(row["rows"] for row in found) == len(rows)
    labels, counts = np.unique(label_slices(values, edges), return_counts=True)
    n_rows = {row["label"]: row["rows"] for row in found}
    assert n_rows == dict(zip(labels.tolist(), counts.tolist(), strict=True))
    for name in ("hr@10", "ndcg@10"):
        mean = sum(row["rows"] * row[name] for row in found) / len(rows)
        assert mean == pytest.approx(per_row[name].mean())


def test_ranking_metrics_have_every_key() -> None:
    table = pd.DataFrame({"rank": [1, 1], "item_id": ["a", "b"]})
    rows = pd.DataFrame({"user_id": ["u", "v"], "n_seen": [1, 4], "target_count": [0, 9]})
    counts = pd.Series([1, 1, 1, 1], index=list("abcd"))
    figures = compute_ranking_metrics(
        np.array([1.0, 30.0]), rows, table, counts, resamples=100, seed=0
    )
    assert figures["hr@10"] == 0.5
    assert figures["coverage@10"] == 0.5
    assert figures["novelty@10"] == 2.0
    assert [row["label"] for row in figures["by_history_length"]] == ["1–2", "3–5"]
    assert [row["label"] for row in figures["by_target_popularity"]] == ["0 (cold)", "5–9"]
    assert set(figures) == {
        "hr@1", "hr@5", "hr@10", "hr@20", "ndcg@5", "ndcg@10", "ndcg@20", "mrr@20",
        "coverage@10", "novelty@10", "hr@10_ci95", "ndcg@10_ci95", "by_history_length",
        "by_target_popularity",
    }  # fmt: skip
    low, high = figures["hr@10_ci95"]
    assert low <= 0.5 <= high
