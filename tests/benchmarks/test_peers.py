"""The benchmark of other libraries: the exported split, the metrics, and resumed trainings."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import write_section
from peers.exchange import (
    FilterMode,
    Part,
    SplitArrays,
    compute_mean_metrics,
    find_top_ranks,
    select_top,
)
from peers.progress import PROGRESS_FILE, Limits, Progress
from peers.run import (
    ENVIRONMENTS,
    PEERS,
    find_dataset,
    load_classifier,
    load_variant,
    make_split_arrays,
    measure_peer,
)
from peers.tables import PAGE, STYLES, Run, draw_curves, format_table

from bazar.data.sequences import Sequences
from bazar.data.splits import split_leave_one_out, split_shuffled_windows
from bazar.datasets.results import ResultsDataset
from bazar.errors import InputError
from bazar.evaluation.metrics import compute_row_metrics, compute_target_ranks
from bazar.evaluation.results import ModelResults
from tests.project import ROOT

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
    assert again.compute_fingerprint() == arrays.compute_fingerprint()


@pytest.mark.parametrize("name", ["items", "starts", "validation", "test", "n_items"])
def test_fingerprint_depends_on_every_array(arrays: SplitArrays, name: str) -> None:
    before = arrays.compute_fingerprint()
    getattr(arrays, name)[...] += 1
    assert arrays.compute_fingerprint() != before


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
    assert select_top(scores.copy(), [np.array([2])], k=6).tolist() == [[3, 1, 0, 0, 0, 0]]
    assert select_top(scores.copy(), k=6).tolist() == [[2, 3, 1, 0, 0, 0]]


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
    top = select_top(scores, histories)
    by_table = compute_row_metrics(find_top_ranks(top, targets), rows)
    for name, values in by_scores.items():
        np.testing.assert_array_equal(by_table[name], values, err_msg=name)


# Progress of a training. The peer recommends every target in one epoch, and nothing in others.

Save = Callable[[Path], None]


def make_recommend(progress: Progress, good_epoch: int) -> Callable[[Part, FilterMode], np.ndarray]:
    def recommend(part: Part, filter_mode: FilterMode) -> np.ndarray:
        top = np.zeros((len(progress.split.get_targets(part)), 20), np.int32)
        # A row is recorded after its evaluation, and the test rows after all epochs.
        if part == "test" or progress.epoch + 1 == good_epoch:
            top[:, 0 if filter_mode == "filtered" else 1] = progress.split.get_targets(part)
        return top

    return recommend


def train(progress: Progress, good_epoch: int, epochs: int = 100) -> None:
    """Train until the progress stops, or for a number of epochs. A checkpoint names its epoch."""
    progress.start()
    while not progress.is_stopped and epochs:
        epochs -= 1
        progress.finish_epoch(
            make_recommend(progress, good_epoch),
            lambda path: path.write_text(f"state after epoch {progress.epoch}"),
        )
    if progress.has_converged:
        progress.write_test_tables(make_recommend(progress, good_epoch))


def list_checkpoints(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.ckpt")}


def test_training_stops_without_improvement(arrays: SplitArrays, tmp_path: Path) -> None:
    progress = Progress(arrays, tmp_path, Limits(patience=3), {})
    train(progress, good_epoch=2)
    assert [point["epoch"] for point in progress.curve] == [1, 2, 3, 4, 5]
    assert [point["val_ndcg@10"] for point in progress.curve] == [0, 1, 0, 0, 0]
    assert progress.best_epoch == 2
    assert progress.is_finished
    written = json.loads((tmp_path / PROGRESS_FILE).read_text())
    assert written["curve"] == progress.curve
    # Without the later epochs, the training has not converged.
    del progress.curve[4:]
    assert not progress.has_converged


def test_training_without_any_improvement_has_its_best_epoch_first(
    arrays: SplitArrays, tmp_path: Path
) -> None:
    progress = Progress(arrays, tmp_path, Limits(patience=3), {})
    assert progress.best_epoch == 0
    train(progress, good_epoch=1)
    assert (progress.epoch, progress.best_epoch) == (4, 1)


def test_only_the_latest_and_the_best_checkpoint_are_kept(
    arrays: SplitArrays, tmp_path: Path
) -> None:
    train(Progress(arrays, tmp_path, Limits(patience=3), {}), good_epoch=2)
    assert list_checkpoints(tmp_path) == {
        "epoch_2.ckpt": "state after epoch 2",
        "epoch_5.ckpt": "state after epoch 5",
    }


def test_stopped_training_continues_after_its_last_epoch(
    arrays: SplitArrays, tmp_path: Path
) -> None:
    facts, limits = {"seed": 1}, Limits(patience=3)
    train(Progress(arrays, tmp_path, limits, facts), good_epoch=2, epochs=3)
    # A process that is killed while it writes the next checkpoint leaves an incomplete file.
    (tmp_path / "epoch_4.ckpt").write_text("incompl")
    resumed = Progress(arrays, tmp_path, limits, facts)
    resumed.load()
    assert (resumed.epoch, resumed.best_epoch, resumed.is_finished) == (3, 2, False)
    checkpoint = resumed.get_checkpoint_path(resumed.epoch)
    assert checkpoint.read_text() == "state after epoch 3"
    train(resumed, good_epoch=2)
    assert [point["epoch"] for point in resumed.curve] == [1, 2, 3, 4, 5]
    assert resumed.is_finished
    assert list_checkpoints(tmp_path)["epoch_5.ckpt"] == "state after epoch 5"


@pytest.mark.parametrize("name", ["seed", "library", "split"])
def test_training_with_other_facts_is_not_continued(
    arrays: SplitArrays, tmp_path: Path, name: str
) -> None:
    facts = {"seed": "1", "library": "a 1.0", "split": "0f"}
    train(Progress(arrays, tmp_path, Limits(patience=1), facts), good_epoch=1)
    with pytest.raises(InputError, match=f"another {name}: '.*' instead of 'other'"):
        Progress(arrays, tmp_path, Limits(patience=1), facts | {name: "other"}).load()


def test_training_stops_before_the_time_limit_and_continues_with_a_higher_one(
    arrays: SplitArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 60))
    monkeypatch.setattr("peers.progress.time.perf_counter", lambda: next(clock))
    progress = Progress(arrays, tmp_path, Limits(patience=4, minutes=3), {})
    train(progress, good_epoch=2)
    # The clock is read twice per epoch: each epoch takes a minute, and each evaluation another.
    assert [point["seconds"] for point in progress.curve] == [60, 120, 180]
    assert progress.is_out_of_time
    assert not progress.has_converged
    assert not (tmp_path / "test.npz").exists()
    longer = Progress(arrays, tmp_path, Limits(patience=4, minutes=30), {})
    longer.load()
    assert not longer.is_stopped
    train(longer, good_epoch=2)
    assert longer.curve[-1] == {"epoch": 6, "seconds": 360, "val_ndcg@10": 0, "val_hr@10": 0}
    assert longer.is_finished


# Results


def test_results_are_the_metrics_of_the_saved_tables(arrays: SplitArrays, tmp_path: Path) -> None:
    progress = Progress(arrays, tmp_path, Limits(patience=1), {})
    peer, users = PEERS["cornac_sasrec"], ["a", "b", "c", "d"]
    train(progress, good_epoch=1, epochs=1)
    assert measure_peer(peer, progress, users) == Run("Cornac SASRec", progress.curve, None)
    train(progress, good_epoch=1)
    measured = measure_peer(peer, progress, users).test
    assert measured is not None
    assert measured["filtered"]["ndcg@10"] == measured["filtered"]["hr@10"] == 1
    # The target is the second item: 1 / log2(3).
    assert measured["unfiltered"]["ndcg@10"] == pytest.approx(0.6309, abs=1e-4)
    assert measured["unfiltered"]["hr@10"] == 1
    assert measured["filtered"]["coverage@10"] == pytest.approx(3 / 9)  # 5, 9 and 4


def make_runs() -> list[Run]:
    def make_curve(*values: float) -> list[dict[str, float]]:
        return [
            {"epoch": epoch, "seconds": 90.0 * epoch, "val_ndcg@10": value}
            for epoch, value in enumerate(values, 1)
        ]

    filtered = {
        "hr@10": 0.1, "hr@10_ci95": [0.09, 0.11], "ndcg@10": 0.05, "ndcg@10_ci95": [0.04, 0.06]
    }  # fmt: skip
    test = {"filtered": filtered, "unfiltered": {"hr@10": 0.08, "ndcg@10": 0.03}}
    return [
        Run("Bazar classifier", make_curve(0.05, 0.07, 0.06), test),
        Run("RecTools SASRec", make_curve(0.01, 0.02), None),
    ]


def test_table_marks_trainings_that_are_not_finished() -> None:
    lines = format_table(make_runs()).splitlines()
    assert lines[2:] == [
        "| Bazar classifier | 0.1000 (0.0900–0.1100) | 0.0500 (0.0400–0.0600) | 0.0800 | 0.0300 "
        "| 0.0700 | 2 of 3 | 3.0 | 4.5 |",
        "| RecTools SASRec | not finished | – | – | – | 0.0200 | 2 of 2 | 3.0 | 3.0 |",
    ]
    assert len({line.count("|") for line in lines}) == 1


def test_figure_has_a_line_and_a_label_per_run() -> None:
    figure = draw_curves(make_runs())
    (axes,) = figure.axes
    curves = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in curves] == [
        "Bazar classifier",
        "RecTools SASRec (not finished)",
    ]
    assert list(curves[0].get_xdata()) == [1.5, 3.0, 4.5]
    assert list(curves[0].get_ydata()) == [0.05, 0.07, 0.06]
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [(star.get_xdata()[0], star.get_ydata()[0]) for star in stars] == [(3, 0.07), (3, 0.02)]


def test_every_model_has_its_own_style() -> None:
    own = {"Bazar classifier", "Bazar, ids alone"}
    assert {peer.label for peer in PEERS.values()} | own == set(STYLES)
    assert len(set(STYLES.values())) == len(STYLES)


def test_page_has_a_section_for_the_table(tmp_path: Path) -> None:
    page = tmp_path / PAGE.name
    page.write_bytes(PAGE.read_bytes())
    write_section(page, "peers", "| new |", "amazon_beauty_2014")
    assert "| new |" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("env", "dataset"),
    [(None, "sample"), *((name, name) for name in ("amazon_beauty_2014", "amazon_toys_2014"))],
)
def test_environment_selects_the_data_set(env: str | None, dataset: str) -> None:
    assert find_dataset(env) == dataset


CURVE = [
    {"epoch": 1, "seconds": 20, "val_ndcg@10": 0.3},
    {"epoch": 2, "seconds": 35, "val_ndcg@10": 0.4},
]
OWN_METRICS = {"filtered": {"hr@10": 0.2}, "unfiltered": {"hr@10": 0.1}}
OWN_LOG = pd.DataFrame({"epoch": [1, 2], "seconds": [20.0, 15.0], "val_ndcg@10": [0.3, 0.4]})


def test_own_curve_has_the_time_since_the_start_of_the_training(tmp_path: Path) -> None:
    assert load_classifier(tmp_path, ["a", "b"]) is None
    ranks = pd.DataFrame({"user_id": ["a", "b"]})
    results = ModelResults(OWN_METRICS, ranks, pd.DataFrame(), {}, OWN_LOG)
    ResultsDataset(filepath=str(tmp_path)).save({"classifier": results})
    assert load_classifier(tmp_path, ["a", "b"]) == Run("Bazar classifier", CURVE, OWN_METRICS)
    with pytest.raises(InputError, match=r"The classifier was measured on other test rows\. Run"):
        load_classifier(tmp_path, ["a", "c"])


def test_the_network_on_ids_alone_is_that_of_the_ablation(tmp_path: Path) -> None:
    assert load_variant(tmp_path, 42, ["a"]) is None
    metrics = OWN_METRICS | {"curve": OWN_LOG.to_dict("records")}
    (tmp_path / "ids_42.json").write_text(json.dumps(metrics))
    pd.DataFrame({"user_id": ["a"]}).to_parquet(tmp_path / "ids_42.parquet")
    assert load_variant(tmp_path, 42, ["a"]) == Run("Bazar, ids alone", CURVE, OWN_METRICS)
    with pytest.raises(InputError, match="The variant ids was measured on other test rows"):
        load_variant(tmp_path, 42, ["b"])


# A training of RecTools


def make_cyclic_split(n_users: int) -> SplitArrays:
    """Return the split of users who buy the products in a circle, from different first ones."""
    items = (np.arange(n_users)[:, None] * 7 + np.arange(6)) % 30 + 1
    starts = np.arange(n_users + 1) * 6
    ends = starts[1:]
    return SplitArrays(
        items.ravel().astype(np.int32), starts, ends - 2, ends - 2, ends - 1, np.array(30)
    )


RECTOOLS = ENVIRONMENTS / "rectools" / "bin" / "python"
# The training of the benchmark with a network that learns the circle in seconds.
SMALL_TRAINING = """
from peers import rectools_models
small = {"n_blocks": 1, "n_heads": 1, "n_factors": 16, "session_max_len": 6, "lr": 0.02}
rectools_models.SETTINGS["sasrec"] |= small
rectools_models.main()
"""


@pytest.mark.skipif(not RECTOOLS.is_file(), reason="the environment of RecTools is not installed")
def test_killed_training_has_the_result_of_an_uninterrupted_one(tmp_path: Path) -> None:
    make_cyclic_split(384).save(tmp_path / "split.npz")

    def start(name: str) -> subprocess.Popen[bytes]:
        (tmp_path / name).mkdir(exist_ok=True)
        command = [RECTOOLS, "-c", SMALL_TRAINING, "sasrec"]
        command += ["--split", tmp_path / "split.npz", "--folder", tmp_path / name]
        command += ["--max-minutes", "inf", "--patience", "2", "--seed", "1"]
        paths = f"{ROOT / 'src'}{os.pathsep}{ROOT / 'benchmarks'}"
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})

    def load(name: str) -> Progress:
        progress = Progress(make_cyclic_split(384), tmp_path / name, Limits(patience=2), {})
        progress.load()
        return progress

    process = start("killed")
    while not load("killed").epoch and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = load("killed")
    assert before.epoch
    assert not before.is_finished
    both = [start("killed"), start("uninterrupted")]
    assert [process.wait() for process in both] == [0, 0]
    killed, uninterrupted = load("killed"), load("uninterrupted")
    assert killed.is_finished
    assert killed.curve[: before.epoch] == before.curve
    for name in ("val_ndcg@10", "epoch"):
        assert [point[name] for point in killed.curve] == pytest.approx(
            [point[name] for point in uninterrupted.curve]
        )
    # The items after the history are predicted far better than by chance: 0.33 of 30 items.
    with np.load(tmp_path / "killed" / "test.npz") as tables:
        assert (
            compute_mean_metrics(tables["filtered"], killed.split.get_targets("test"))["hr@10"]
            > 0.6
        )
