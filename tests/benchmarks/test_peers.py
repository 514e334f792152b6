"""The benchmark of other libraries: the exported split, the metrics, and when training stops."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers.exchange import (
    Part,
    SplitArrays,
    compute_mean_metrics,
    find_top_ranks,
    select_top_unseen,
)
from peers.progress import Limits, Progress
from peers.run import find_best_ndcg, make_split_arrays, measure_peers, select_best_settings

from bazar.data.sequences import Sequences
from bazar.data.splits import split_leave_one_out, split_shuffled_windows
from bazar.errors import InputError
from bazar.evaluation.metrics import compute_row_metrics, compute_target_ranks

# Five customers with 5, 4, 3, 2 and 1 purchases, from a catalogue of 9 products.
ITEMS = [[1, 2, 3, 4, 5], [6, 7, 8, 9], [1, 3, 5], [2, 4], [9]]


def make_sequences() -> Sequences:
    lengths = [len(items) for items in ITEMS]
    return Sequences(
        pa.array([f"user {user}" for user in range(len(ITEMS))], pa.large_string()),
        np.concatenate(ITEMS).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


@pytest.fixture
def arrays() -> SplitArrays:
    # The exported histories must not be cut to this length.
    return make_split_arrays(split_leave_one_out(make_sequences(), 9, history_length=2))


def test_training_part_is_everything_before_the_held_out_items(arrays: SplitArrays) -> None:
    users, items = arrays.get_training_interactions()
    assert users.tolist() == [0, 0, 0, 1, 1]
    assert items.tolist() == [1, 2, 3, 6, 7]


@pytest.mark.parametrize(
    ("part", "users", "targets", "histories"),
    [
        ("validation", [0, 1, 2], [4, 8, 3], [[1, 2, 3], [6, 7], [1]]),
        ("test", [0, 1, 2, 3], [5, 9, 5, 4], [[1, 2, 3, 4], [6, 7, 8], [1, 3], [2]]),
    ],
)
def test_row_has_the_full_history_of_its_user(
    arrays: SplitArrays,
    part: Part,
    users: list[int],
    targets: list[int],
    histories: list[list[int]],
) -> None:
    assert arrays.get_users(part).tolist() == users
    assert arrays.get_targets(part).tolist() == targets
    assert [history.tolist() for history in arrays.get_histories(part)] == histories


def test_saved_split_is_loaded_unchanged(arrays: SplitArrays, tmp_path: Path) -> None:
    arrays.save(tmp_path / "split.npz")
    again = SplitArrays.load(tmp_path / "split.npz")
    for name, array in vars(arrays).items():
        np.testing.assert_array_equal(getattr(again, name), array)


def test_split_with_overlapping_windows_raises_input_error() -> None:
    split = split_shuffled_windows(
        make_sequences(), 9, 2, test_share=0.3, validation_share=0.3, seed=1
    )
    with pytest.raises(InputError, match="leave-one-out"):
        make_split_arrays(split)


def test_target_that_is_not_in_the_table_is_a_miss() -> None:
    top = np.array([[3, 1, 2], [3, 1, 2], [4, 0, 0], [0, 0, 0]])
    assert find_top_ranks(top, np.array([3, 2, 9, 1])).tolist() == [1, 3, np.inf, np.inf]
    metrics = compute_mean_metrics(top, np.array([3, 2, 9, 1]))
    assert metrics["hr@1"] == 0.25
    assert metrics["hr@10"] == 0.5
    assert metrics["ndcg@10"] == pytest.approx((1 + 0.5) / 4)  # 1 / log2(3 + 1)
    assert metrics["mrr@20"] == pytest.approx((1 + 1 / 3) / 4)


def test_item_that_is_recommended_twice_raises_value_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        find_top_ranks(np.array([[1, 2, 1]]), np.array([1]))


def test_row_with_too_few_items_ends_with_zeros() -> None:
    scores = np.array([[9.0, 0.1, 0.3, 0.2, -np.inf]])
    assert select_top_unseen(scores, [np.array([2])], k=6).tolist() == [[3, 1, 0, 0, 0, 0]]


@given(st.integers(0, 2**32 - 1))
def test_table_has_the_metrics_of_the_scores_behind_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(41.0), (6, 1)), axis=1)
    targets = rng.integers(1, 41, 6)
    histories = [rng.choice(40, size, replace=False) + 1 for size in range(6)]
    filtered = scores.copy()
    for row, history in enumerate(histories):
        filtered[row, history] = -np.inf
    rows = np.arange(len(targets))
    by_scores = compute_row_metrics(compute_target_ranks(filtered, rows, targets), rows)
    top = select_top_unseen(scores, histories)
    by_table = compute_row_metrics(find_top_ranks(top, targets), rows)
    for name, values in by_scores.items():
        np.testing.assert_array_equal(by_table[name], values, err_msg=name)


def make_perfect_after(epochs: int, arrays: SplitArrays) -> Callable[[Progress, Part], np.ndarray]:
    """Make a peer that recommends every target after some epochs, and nothing before."""

    def recommend(progress: Progress, part: Part) -> np.ndarray:
        top = np.zeros((len(arrays.get_targets(part)), 20), np.int32)
        if progress.epoch >= epochs:
            top[:, 0] = arrays.get_targets(part)
        return top

    return recommend


def train(progress: Progress, recommend: Callable[[Progress, Part], np.ndarray]) -> None:
    progress.start()
    while not progress.finish_epoch(lambda part: recommend(progress, part)):
        pass


def test_training_stops_without_improvement(arrays: SplitArrays, tmp_path: Path) -> None:
    limits = Limits(minutes=60, epochs=100, evaluate_every=2, patience=3)
    train(Progress(arrays, tmp_path, limits, {"library": "a"}), make_perfect_after(3, arrays))
    written = json.loads((tmp_path / "curve.json").read_text())
    assert written["best_epoch"] == 4
    assert [point["epoch"] for point in written["curve"]] == [2, 4, 6, 8, 10]
    assert [point["val_ndcg@10"] for point in written["curve"]] == [0, 1, 1, 1, 1]
    top = np.load(tmp_path / "top.npy")
    assert top[:, 0].tolist() == arrays.get_targets("test").tolist()


def test_training_stops_before_the_time_limit(arrays: SplitArrays, tmp_path: Path) -> None:
    limits = Limits(minutes=0, epochs=100, evaluate_every=2, patience=3)
    train(Progress(arrays, tmp_path, limits, {}), make_perfect_after(1, arrays))
    written = json.loads((tmp_path / "curve.json").read_text())
    assert written["epochs"] == written["best_epoch"] == 1
    assert written["stopped"] == "0 minutes"


def test_time_of_evaluations_is_not_counted(
    arrays: SplitArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("peers.progress.time.perf_counter", lambda: clock[0])
    progress = Progress(arrays, tmp_path, Limits(60, 2, 1, 9), {})
    progress.start()

    def recommend(part: Part) -> np.ndarray:
        clock[0] += 1000
        return make_perfect_after(2, arrays)(progress, part)

    for _ in range(2):
        clock[0] += 7
        progress.finish_epoch(recommend)
    assert [point["seconds"] for point in progress.curve] == [7, 14]


def test_results_are_the_metrics_of_the_saved_table(arrays: SplitArrays, tmp_path: Path) -> None:
    run = tmp_path / "model" / "setting"
    run.mkdir(parents=True)
    train(Progress(arrays, run, Limits(60, 1, 1, 1), {}), make_perfect_after(1, arrays))
    users = ["a", "b", "c", "d"]
    (measured,) = measure_peers(tmp_path, ["model/setting", "not/there"], arrays, users).values()
    assert measured["test"]["hr@10"] == measured["test"]["ndcg@10"] == 1
    assert measured["test"]["coverage@10"] == pytest.approx(3 / 9)  # 5, 9 and 4


def test_best_ndcg_within_a_time() -> None:
    curve = [
        {"seconds": 10, "val_ndcg@10": 0.3},
        {"seconds": 20, "val_ndcg@10": 0.2},
        {"seconds": 30, "val_ndcg@10": 0.4},
    ]
    assert [find_best_ndcg(curve, seconds) for seconds in (9, 10, 29, 30)] == [None, 0.3, 0.3, 0.4]


def test_best_setting_of_each_model_is_selected_by_validation() -> None:
    def facts(*values: float) -> dict:
        return {
            "curve": [{"val_ndcg@10": value} for value in values],
            "test": {"hr@10": -values[0]},
        }

    measured = {
        "a/wide": facts(0.1, 0.3),
        "a/narrow": facts(0.2, 0.2),
        "b/only": facts(0.1),
        "ours/classifier": facts(0.5),
        "ours/regressor": facts(0.1),
    }
    assert select_best_settings(measured) == {
        "a/wide",
        "b/only",
        "ours/classifier",
        "ours/regressor",
    }
