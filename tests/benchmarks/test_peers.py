"""What the benchmark of other libraries exports, and how their tables are measured."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers.exchange import Part, SplitArrays, mean_metrics, top_ranks, top_unseen
from peers.progress import Limits, Progress
from peers.run import as_arrays, chosen, reached, results

from bazar.data.sequences import Sequences
from bazar.data.splits import Split, leave_one_out, shuffled_windows
from bazar.errors import InputError
from bazar.evaluation.metrics import row_metrics, target_ranks

# Five customers of 5, 4, 3, 2 and 1 purchases, of a catalogue of 9 products.
ITEMS = [[1, 2, 3, 4, 5], [6, 7, 8, 9], [1, 3, 5], [2, 4], [9]]


def sequences() -> Sequences:
    lengths = [len(items) for items in ITEMS]
    return Sequences(
        pa.array([f"user {user}" for user in range(len(ITEMS))], pa.large_string()),
        np.concatenate(ITEMS).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


def exported(split: Split) -> SplitArrays:
    return as_arrays(split.train, split.validation, split.test, 9)


@pytest.fixture
def arrays() -> SplitArrays:
    # A history of 2: what is exported must not be cut to it.
    return exported(leave_one_out(sequences(), 9, history_length=2))


def test_the_training_part_is_what_stands_before_the_held_out_items(arrays: SplitArrays) -> None:
    users, items = arrays.training()
    assert users.tolist() == [0, 0, 0, 1, 1]
    assert items.tolist() == [1, 2, 3, 6, 7]


@pytest.mark.parametrize(
    ("part", "users", "targets", "histories"),
    [
        ("validation", [0, 1, 2], [4, 8, 3], [[1, 2, 3], [6, 7], [1]]),
        ("test", [0, 1, 2, 3], [5, 9, 5, 4], [[1, 2, 3, 4], [6, 7, 8], [1, 3], [2]]),
    ],
)
def test_a_row_has_its_users_whole_history(
    arrays: SplitArrays,
    part: Part,
    users: list[int],
    targets: list[int],
    histories: list[list[int]],
) -> None:
    assert arrays.users(part).tolist() == users
    assert arrays.targets(part).tolist() == targets
    assert [history.tolist() for history in arrays.histories(part)] == histories


def test_what_is_saved_is_read_again(arrays: SplitArrays, tmp_path: Path) -> None:
    arrays.save(tmp_path / "split.npz")
    again = SplitArrays.load(tmp_path / "split.npz")
    for name, array in vars(arrays).items():
        np.testing.assert_array_equal(getattr(again, name), array)


def test_a_split_whose_windows_overlap_is_refused() -> None:
    split = shuffled_windows(sequences(), 9, 2, test_share=0.3, validation_share=0.3, seed=1)
    with pytest.raises(InputError, match="leave-one-out"):
        exported(split)


def test_a_target_beyond_the_table_is_a_miss() -> None:
    top = np.array([[3, 1, 2], [3, 1, 2], [4, 0, 0], [0, 0, 0]])
    assert top_ranks(top, np.array([3, 2, 9, 1])).tolist() == [1, 3, np.inf, np.inf]
    metrics = mean_metrics(top, np.array([3, 2, 9, 1]))
    assert metrics["hr@1"] == 0.25
    assert metrics["hr@10"] == 0.5
    assert metrics["ndcg@10"] == pytest.approx((1 + 0.5) / 4)  # 1 / log2(3 + 1)
    assert metrics["mrr@20"] == pytest.approx((1 + 1 / 3) / 4)


def test_an_item_that_is_recommended_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        top_ranks(np.array([[1, 2, 1]]), np.array([1]))


def test_a_row_with_few_items_left_ends_in_zeros() -> None:
    scores = np.array([[9.0, 0.1, 0.3, 0.2, -np.inf]])
    assert top_unseen(scores, [np.array([2])], k=6).tolist() == [[3, 1, 0, 0, 0, 0]]


@given(st.integers(0, 2**32 - 1))
def test_a_table_is_measured_as_the_scores_behind_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(41.0), (6, 1)), axis=1)
    targets = rng.integers(1, 41, 6)
    histories = [rng.choice(40, size, replace=False) + 1 for size in range(6)]
    filtered = scores.copy()
    for row, history in enumerate(histories):
        filtered[row, history] = -np.inf
    by_scores = row_metrics(target_ranks(filtered, targets))
    by_table = row_metrics(top_ranks(top_unseen(scores, histories), targets))
    for name, values in by_scores.items():
        np.testing.assert_array_equal(by_table[name], values, err_msg=name)


def perfect_after(epochs: int, arrays: SplitArrays) -> Callable[[Progress], np.ndarray]:
    """A peer that knows every target after some epochs, and nothing before."""

    def recommend(progress: Progress, part: Part) -> np.ndarray:
        top = np.zeros((len(arrays.targets(part)), 20), np.int32)
        if progress.epoch >= epochs:
            top[:, 0] = arrays.targets(part)
        return top

    return recommend


def train(progress: Progress, recommend: Callable[[Progress, Part], np.ndarray]) -> None:
    progress.start()
    while not progress.epoch_done(lambda part: recommend(progress, part)):
        pass


def test_training_stops_when_nothing_gets_better(arrays: SplitArrays, tmp_path: Path) -> None:
    limits = Limits(minutes=60, epochs=100, evaluate_every=2, patience=3)
    train(Progress(arrays, tmp_path, limits, {"library": "a"}), perfect_after(3, arrays))
    written = json.loads((tmp_path / "curve.json").read_text())
    assert written["best_epoch"] == 4
    assert [point["epoch"] for point in written["curve"]] == [2, 4, 6, 8, 10]
    assert [point["val_ndcg@10"] for point in written["curve"]] == [0, 1, 1, 1, 1]
    top = np.load(tmp_path / "top.npy")
    assert top[:, 0].tolist() == arrays.targets("test").tolist()


def test_training_stops_before_the_budget_is_spent(arrays: SplitArrays, tmp_path: Path) -> None:
    limits = Limits(minutes=0, epochs=100, evaluate_every=2, patience=3)
    train(Progress(arrays, tmp_path, limits, {}), perfect_after(1, arrays))
    written = json.loads((tmp_path / "curve.json").read_text())
    assert written["epochs"] == written["best_epoch"] == 1
    assert written["stopped"] == "0 minutes"


def test_the_clock_stands_still_while_measuring(
    arrays: SplitArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("peers.progress.time.perf_counter", lambda: clock[0])
    progress = Progress(arrays, tmp_path, Limits(60, 2, 1, 9), {})
    progress.start()

    def recommend(part: Part) -> np.ndarray:
        clock[0] += 1000
        return perfect_after(2, arrays)(progress, part)

    for _ in range(2):
        clock[0] += 7
        progress.epoch_done(recommend)
    assert [point["seconds"] for point in progress.curve] == [7, 14]


def test_the_results_are_the_metrics_of_the_kept_table(arrays: SplitArrays, tmp_path: Path) -> None:
    run = tmp_path / "model" / "setting"
    run.mkdir(parents=True)
    train(Progress(arrays, run, Limits(60, 1, 1, 1), {}), perfect_after(1, arrays))
    users = ["a", "b", "c", "d"]
    (measured,) = results(tmp_path, ["model/setting", "not/there"], arrays, users).values()
    assert measured["test"]["hr@10"] == measured["test"]["ndcg@10"] == 1
    assert measured["test"]["coverage@10"] == pytest.approx(3 / 9)  # 5, 9 and 4


def test_what_was_reached_within_some_time() -> None:
    curve = [
        {"seconds": 10, "val_ndcg@10": 0.3},
        {"seconds": 20, "val_ndcg@10": 0.2},
        {"seconds": 30, "val_ndcg@10": 0.4},
    ]
    assert [reached(curve, seconds) for seconds in (9, 10, 29, 30)] == [None, 0.3, 0.3, 0.4]


def test_the_best_setting_of_each_model_is_chosen_by_validation() -> None:
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
    assert chosen(measured) == {"a/wide", "b/only", "ours/classifier", "ours/regressor"}
