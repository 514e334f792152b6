"""Training of small networks on data whose right answers are known."""

import copy
import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from tqdm import tqdm

from bazar.config.networks import NetworkBlock
from bazar.data.sequences import DAY_MS
from bazar.data.splits import (
    Splits,
    split_leave_one_out,
    split_next_order,
    split_shuffled_windows,
)
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import compute_row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.models.popularity import Popularity
from bazar.models.scorer import Scorer
from bazar.training import training_loop
from bazar.training.batches import Batches
from bazar.training.checkpoints import Checkpoint
from bazar.training.distillation import Distillation, compute_soft_targets
from bazar.training.train_step import make_train_steps
from bazar.training.trainer import TrainedNetwork, train_network
from tests.data.test_splits import read as read_items
from tests.data.test_splits import sequences_of, targets_of
from tests.evaluation.test_ranking import unit
from tests.training.test_batches import all_rows

N_ITEMS = 12
TINY: dict[str, Any] = {
    "item": "id",
    "item_dimension": 16,
    "layers": [{"type": "gru", "units": 24}],
    "head": "tied_softmax",
    "training": {
        "rows": "every_position",
        "loss": "cross_entropy",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "epochs": 20,
        "batch_size": 64,
        "choose_by": "val_loss",
    },
}
RESIDUAL = {"type": "residual", "cell": "gru", "units": 16, "feed_forward": 16, "dropout": 0.2}
WINDOW = {"rows": "window"}


def block(training: dict[str, Any] | None = None, **network: Any) -> NetworkBlock:
    """Make the block of a tiny network with some keys changed."""
    values = copy.deepcopy(TINY) | network
    values["training"] |= training or {}
    return NetworkBlock.model_validate(values)


BLOCKS = {
    "softmax": block(
        WINDOW,
        head="softmax",
        layers=[{"type": "lstm", "units": 24}, {"type": "dropout", "rate": 0.1}],
    ),
    "vector": block(WINDOW | {"loss": "mse"}, item="title", item_dimension=None, head="vector"),
    "tied": block(layers=[RESIDUAL]),
    "titles": block(item="title", head="tied_softmax", temperature=0.1),
    "ids and titles": block(
        {"schedule": "cosine"}, item="id+title", layers=[{"type": "dropout", "rate": 0.2}, RESIDUAL]
    ),
    "skip connection": block(
        item="id+title", head="tied_softmax", temperature=0.1, history_decay=0.6, layers=[RESIDUAL]
    ),
    "history vectors": block(history_vectors=True, temperature=0.1, history_decay=0.6),
}
every_block = pytest.mark.parametrize("described", BLOCKS.values(), ids=BLOCKS.keys())


def change_training(described: NetworkBlock, **changes: Any) -> NetworkBlock:
    return described.model_copy(update={"training": described.training.model_copy(update=changes)})


def make_one_batch_block(**changes: Any) -> NetworkBlock:
    """Make a block whose epochs are one step on all rows. The last epoch is the best one."""
    training = {"batch_size": 4_096, "choose_by": "val_loss", "early_stopping_patience": None}
    return block(training | {"learning_rate": 0.003} | changes)


def cycle_split(users: int = 96, length: int = 10) -> Splits:
    """All users go through the same cycle of items, each from their own start."""
    lists = [[(user + step) % N_ITEMS + 1 for step in range(length)] for user in range(users)]
    return split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def vectors(n_items: int = N_ITEMS) -> np.ndarray:
    return unit(np.random.default_rng(3).normal(size=(n_items + 1, 24)))


def train(
    split: Splits,
    described: NetworkBlock,
    seed: int = 1,
    checkpoint: Checkpoint | None = None,
    item_vectors: np.ndarray | None = None,
) -> TrainedNetwork:
    n_items = len(split.training_counts) - 1
    read = vectors(n_items) if item_vectors is None else item_vectors
    return train_network(split.train, split.validation, described, n_items, seed, read, checkpoint)


def hit_rates(scorer: Scorer, rows: Windows, k: int = 1) -> float:
    ranking = rank_catalogue(scorer, rows, k=20, batch_size=64)["unfiltered"]
    return float(compute_row_metrics(ranking.ranks, rows.list_targets()[0])[f"hr@{k}"].mean())


def assert_same(one: TrainedNetwork, two: TrainedNetwork) -> None:
    """Assert that weights, losses and metrics are equal bit by bit."""
    for ours, theirs in zip(one.network.variables, two.network.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    pd.testing.assert_frame_equal(
        one.training_log.drop(columns="seconds"),
        two.training_log.drop(columns="seconds"),
        check_exact=True,
    )
    assert one.facts["best_epoch"] == two.facts["best_epoch"]


# What a network must learn if the right answer is known.


@every_block
def test_cycle_is_learned(described: NetworkBlock) -> None:
    split = cycle_split()
    network = train(split, described).network
    assert hit_rates(make_scorer(network, vectors()), split.test) >= 0.95
    assert hit_rates(Popularity(split.training_counts), split.test) <= 0.2


def test_cycle_is_learned_with_a_sampled_softmax() -> None:
    split = cycle_split()
    sampled = block({"sample_above": N_ITEMS - 1, "negatives": 6})
    network = train(split, sampled).network
    assert hit_rates(make_scorer(network, vectors()), split.test) >= 0.95


def make_interleaved_split(users: int = 300, cycle: int = 8, length: int = 10) -> Splits:
    """Make sequences of two cycles in turns, each from its own start.

    The next item depends on the item before the last one, and not on the last one.
    """
    rng = np.random.default_rng(0)
    lists = []
    for _ in range(users):
        starts = rng.integers(0, cycle, 2)
        lists.append(
            [
                int((starts[step % 2] + step // 2) % cycle + 1 + cycle * (step % 2))
                for step in range(length)
            ]
        )
    return split_leave_one_out(sequences_of(lists), 2 * cycle, history_length=8)


class Bigrams(Scorer):
    """Counts the items that follow the last item of the history, and ignores earlier items."""

    def __init__(self, split: Splits) -> None:
        size = len(split.training_counts)
        self._counts = np.zeros((size, size), np.float32)
        np.add.at(self._counts, (split.train.build_histories()[:, -1], targets_of(split.train)), 1)

    def score(self, windows: Windows) -> np.ndarray:
        return self._counts[windows.build_histories()[:, -1]]


@pytest.mark.parametrize(
    "described",
    [block(layers=[{"type": "gru", "units": 32}]), block(WINDOW, head="softmax")],
    ids=["every_position", "window"],
)
def test_interleaved_cycles_are_learned(described: NetworkBlock) -> None:
    split = make_interleaved_split()
    network = train(split, described).network
    assert hit_rates(make_scorer(network, vectors(16)), split.test) >= 0.95
    assert hit_rates(Bigrams(split), split.test) <= 0.35


N_KINDS, KIND_SIZE, N_COLD = 6, 24, 4


def make_titled_shop() -> tuple[Splits, np.ndarray, np.ndarray]:
    """Make a shop in which the kind of a product, known from its title, decides the next kind.

    Some products of each kind occur only as test targets.

    Returns:
        The split, the title vectors, and a mask of the test rows with a cold target.
    """
    rng = np.random.default_rng(4)
    n_items = N_KINDS * KIND_SIZE
    kind = np.arange(n_items) // KIND_SIZE
    directions = np.linalg.qr(rng.normal(size=(8, 8)))[0][:N_KINDS]
    item_vectors = np.zeros((n_items + 1, 8))
    item_vectors[1:] = directions[kind] + rng.normal(scale=0.1, size=(n_items, 8))
    lists, cold = [], []
    for user in range(120):
        start = rng.integers(0, N_KINDS)
        items = [
            (start + step) % N_KINDS * KIND_SIZE + rng.integers(0, KIND_SIZE - N_COLD) + 1
            for step in range(5)
        ]
        cold.append(user % 3 == 0)
        if cold[-1]:
            last = (start + 4) % N_KINDS * KIND_SIZE + KIND_SIZE
            items[-1] = last - rng.integers(0, N_COLD)
        lists.append([int(item) for item in items])
    split = split_leave_one_out(sequences_of(lists), n_items, history_length=4)
    return split, unit(item_vectors), np.array(cold)


def test_titles_recommend_cold_items() -> None:
    split, item_vectors, cold = make_titled_shop()
    rng = np.random.default_rng(5)
    shuffled = np.vstack([item_vectors[:1], rng.permutation(item_vectors[1:])])
    trainings = {
        "id": (block({"epochs": 15}), item_vectors),
        "title": (block({"epochs": 15}, item="title"), item_vectors),
        "id+title": (block({"epochs": 15}, item="id+title"), item_vectors),
        "shuffled": (block({"epochs": 15}, item="title"), shuffled),
    }
    found = {}
    for name, (described, read) in trainings.items():
        network = train(split, described, item_vectors=read).network
        scorer = make_scorer(network, read)
        found[name] = [hit_rates(scorer, split.test.filter(rows), 20) for rows in (~cold, cold)]
    # 20 of the 24 products of a kind: a model that knows only the kind has a hit rate of .83.
    warm = {name: rates[0] for name, rates in found.items()}
    assert warm["title"] >= 0.7
    assert warm["title"] >= warm["id"] + 0.3
    assert warm["shuffled"] <= warm["title"] - 0.3
    on_cold = {name: rates[1] for name, rates in found.items()}
    assert on_cold["id"] == 0
    assert on_cold["title"] >= 0.7
    assert on_cold["id+title"] >= 0.3
    # Chance is 20 of 144.
    assert on_cold["shuffled"] <= 0.35


# How a network learns.


def make_random_network(described: NetworkBlock, n_items: int) -> RecurrentNetwork:
    """Make a network with normally distributed weights."""
    network = build_network(described.network, n_items)
    rng = np.random.default_rng(10)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return network


def compute_step_loss(
    network: RecurrentNetwork, described: NetworkBlock, counts: np.ndarray, rows: Windows
) -> float:
    """Compute the loss of rows of equal length in one batch. The network is not changed."""
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.build(network.trainable_variables)
    batches = Batches(rows, 256, True, None, network.get_input_options(None))
    steps = make_train_steps(network, described, optimizer, None, counts, 3, batches)
    (batch,) = batches.batches(0)
    return float(steps([batch], [0.0])[0])


@pytest.mark.parametrize(
    "keys", [{"temperature": None}, {"temperature": 0.3, "history_vectors": True}]
)
def test_sampled_softmax_approximates_the_full_one(keys: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    # As skewed as in a shop, so that the correction matters.
    counts = np.concatenate([[0], rng.permutation(1_000 // np.arange(1, 41))])
    rows = all_rows(rng.integers(1, 41, (20, 6)).tolist(), 5, [True])
    full = block(**keys)
    network = make_random_network(full, 40)
    expected = compute_step_loss(network, full, counts, rows)
    losses = {}
    for negatives in (20, 200_000):
        sampled = block({"sample_above": 1, "negatives": negatives}, **keys)
        losses[negatives] = compute_step_loss(network, sampled, counts, rows)
    assert losses[200_000] == pytest.approx(expected, rel=0.01)
    assert abs(losses[20] - expected) > abs(losses[200_000] - expected)


def test_windows_and_positions_have_the_same_loss() -> None:
    split = cycle_split(users=40)
    # At this rate nothing is learned: the loss is that of the initial weights.
    losses = [
        train(split, block({"rows": rows, "learning_rate": 1e-12, "epochs": 1})).training_log[
            "loss"
        ][0]
        for rows in ("window", "every_position")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(np.log(N_ITEMS), rel=0.05)


@every_block
def test_same_seed_gives_the_same_network(described: NetworkBlock) -> None:
    split = cycle_split(users=40)
    first, again, other = (
        train(split, change_training(described, epochs=2), seed) for seed in (5, 5, 6)
    )
    assert_same(first, again)
    assert first.training_log["val_loss"].tolist() != other.training_log["val_loss"].tolist()


def test_number_of_steps_per_call_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split = cycle_split(users=40)
    described = block({"epochs": 2, "batch_size": 16, "schedule": "cosine"}, layers=[RESIDUAL])
    together = train(split, described)
    monkeypatch.setattr(training_loop, "_MAX_STEPS_PER_CALL", 1)
    assert_same(train(split, described), together)


def test_progress_bar_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split = cycle_split(users=40)
    described = block({"epochs": 2, "batch_size": 16, "schedule": "cosine"})
    expected = train(split, described)
    monkeypatch.setattr(training_loop, "_MAX_STEPS_PER_CALL", 2)
    for disable in (False, True):
        monkeypatch.setattr(
            training_loop,
            "tqdm",
            lambda disable=disable, **options: tqdm(**options | {"disable": disable}),
        )
        assert_same(train(split, described), expected)


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_epochs_are_logged_if_there_is_no_terminal(
    stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bazar")
    stderr = stream()
    monkeypatch.setattr("sys.stderr", stderr)
    log = train(cycle_split(users=20), block({"epochs": 2})).training_log
    lines = [line for line in caplog.messages if line.startswith("Epoch ")]
    if stream is Terminal:
        assert lines == []
        assert "epoch 2/2" in stderr.getvalue()
        return
    assert "\r" not in stderr.getvalue()
    assert lines == [
        f"Epoch {row.epoch} of 2: loss {row.loss:.4g}, val_loss {row.val_loss:.4g}, "
        f"val_ndcg@10 {ndcg:.4f}, {line.split()[-2]} s"
        for line, row, ndcg in zip(lines, log.itertuples(), log["val_ndcg@10"], strict=True)
    ]


def test_a_network_that_reads_titles_learns_nothing_from_untitled_targets() -> None:
    split, item_vectors = cycle_split(users=20), vectors()
    item_vectors[3] = 0
    described = block({"epochs": 1}, item="title", temperature=0.1, history_decay=0.6)
    log = train(split, described, item_vectors=item_vectors).training_log
    assert np.isfinite(log["loss"][0])
    # Two items with the same title have the same score. The loss is then ln 2, unless the
    # softmax contains untitled items.
    item_vectors[2] = item_vectors[1]
    item_vectors[3:] = 0
    log = train(split, described, item_vectors=item_vectors).training_log
    assert log["loss"][0] == pytest.approx(np.log(2), abs=1e-5)


def test_training_log_and_facts() -> None:
    split = cycle_split(users=40)
    trained = train(split, change_training(BLOCKS["ids and titles"], epochs=3))
    assert trained.training_log.columns.tolist() == [
        "epoch", "loss", "val_loss", "val_ndcg@10", "seconds",
    ]  # fmt: skip
    assert trained.training_log["epoch"].tolist() == [1, 2, 3]
    sizes = [int(np.prod(weight.shape)) for weight in trained.network.trainable_weights]
    assert trained.facts["n_parameters"] == sum(sizes)
    assert trained.facts["training_rows"] == len(split.train)
    assert trained.facts["seconds_training"] > 0


@pytest.mark.parametrize(
    ("described", "choose_by"),
    [
        (BLOCKS["softmax"], "val_loss"),
        (BLOCKS["tied"], "val_ndcg@10"),
        (BLOCKS["vector"], "val_ndcg@10"),
    ],
    ids=["softmax", "tied", "vector"],
)
@pytest.mark.parametrize("patience", [1, None])
def test_best_epoch_is_kept(described: NetworkBlock, choose_by: str, patience: int | None) -> None:
    split = cycle_split(users=40)
    # The validation cycle goes the other way: validation gets worse during training.
    backwards = [[(user - step) % N_ITEMS + 1 for step in range(10)] for user in range(40)]
    validation = split_leave_one_out(sequences_of(backwards), N_ITEMS, history_length=8).validation
    split = replace(split, validation=validation)
    described = change_training(
        described, epochs=8, learning_rate=0.01, choose_by=choose_by,
        early_stopping_patience=patience,
    )  # fmt: skip
    trained = train(split, described)
    figures = trained.training_log[choose_by]
    best = int(figures.idxmin() if choose_by == "val_loss" else figures.idxmax())
    assert trained.facts["best_epoch"] == best + 1
    if patience is None:
        assert len(figures) == 8
        assert best != 7
    else:
        assert len(figures) == min(best + patience + 2, 8)

    # The kept network has the metrics that were measured after that epoch.
    scorer = make_scorer(trained.network, vectors())
    filtered = rank_catalogue(scorer, split.validation, 20, 16)["filtered"]
    ndcg = compute_row_metrics(filtered.ranks, np.arange(len(filtered.ranks)))["ndcg@10"].mean()
    assert trained.training_log["val_ndcg@10"][best] == pytest.approx(ndcg, abs=1e-9)
    if choose_by == "val_loss":
        target_scores = scorer.score(split.validation)[split.validation.list_targets()]
        assert figures[best] == pytest.approx(-np.log(target_scores).mean(), rel=1e-4)


class Recorder(Checkpoint):
    """Keeps the saved states in memory."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.saved: list[list[np.ndarray]] = []

    def save(self, fingerprint: str, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        self.saved.append(arrays)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_learning_rate_schedule(schedule: str) -> None:
    split, recorder = cycle_split(users=80), Recorder()
    described = block({"schedule": schedule, "epochs": 3, "batch_size": 32})
    train(split, described, checkpoint=recorder)
    # The only scalar float of the optimizer is the learning rate of the epoch's last step.
    rates = [
        next(float(array) for array in arrays if not array.shape and array.dtype == np.float32)
        for arrays in recorder.saved
    ]
    if schedule == "constant":
        assert rates == pytest.approx([0.01] * 3)
    else:
        assert rates[0] == pytest.approx(0.0075, rel=0.1)
        assert rates[1] == pytest.approx(0.0025, rel=0.2)
        assert 0 < rates[2] < 0.0001


@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_divergence_is_reported(rate: float) -> None:
    described = change_training(BLOCKS["vector"], learning_rate=rate, optimizer="sgd", epochs=3)
    with pytest.raises(
        InputError, match=r"diverged in epoch 1: .* Set a smaller training.learning_rate"
    ):
        train(cycle_split(users=40), described)


@pytest.mark.parametrize(
    "described", [BLOCKS["vector"], block({}, item="title", temperature=0.1)],
    ids=["title vector as target", "cosines with titles"],
)  # fmt: skip
def test_targets_without_title_are_left_out(described: NetworkBlock) -> None:
    split, item_vectors = cycle_split(users=60), vectors()
    item_vectors[3] = 0
    described = change_training(described, epochs=1)
    trained = train(split, described, item_vectors=item_vectors)
    # Rows without a title in their history are left out, too.
    reads = ~np.isin(split.train.build_histories(), [0, 3]).all(axis=1)
    assert np.count_nonzero(~reads) > 0
    kept = reads & (np.array(targets_of(split.train)) != 3)
    assert trained.facts["training_rows"] == np.count_nonzero(kept)


def test_id_weights_mark_the_items_of_the_training_rows() -> None:
    rng = np.random.default_rng(1)
    # Each item occurs once: it is in one or two windows, as a target or in a history.
    lists = np.split(np.arange(1, 61), np.sort(rng.choice(np.arange(4, 57), 9, replace=False)))
    sequences = sequences_of([part.tolist() for part in lists])
    split = split_shuffled_windows(sequences, 60, 3, test_share=0.4, validation_share=0.2, seed=2)
    trained = train(split, block({"epochs": 1} | WINDOW, head="softmax"))
    expected = np.zeros(61)
    expected[split.train.build_histories().ravel()] = 1
    expected[targets_of(split.train)] = 1
    expected[0] = 0
    assert 0 < expected.sum() < 60
    np.testing.assert_array_equal(trained.network.id_weights.numpy(), expected)


def test_id_shrinkage_scales_learned_vectors_by_item_counts() -> None:
    # Training has all items but the last two: item 1 three times, item 2 once.
    split = split_leave_one_out(sequences_of([[1, 1, 4, 5], [1, 2, 4, 5]]), 5, 4)
    described = block({"epochs": 1}, item="id+title", temperature=0.1, id_shrinkage=3)
    network = train(split, described).network
    expected = np.array([0, 3 / 6, 1 / 4, 0, 0, 0], np.float32)
    np.testing.assert_array_equal(network.id_weights.numpy(), expected)
    # The vector of an item is its title plus its share of the learned vector.
    prepared = network.prepare_vectors(vectors(5))
    learned = network.item_embedding.embeddings.numpy()
    np.testing.assert_allclose(
        network.embed_catalogue(prepared),
        network.title_adapter(prepared) + expected[:, None] * learned,
        atol=1e-6,
    )


def test_too_short_histories_raise_input_error() -> None:
    split = split_leave_one_out(sequences_of([[1, 2], [3, 4, 5]]), 5, 4)
    with pytest.raises(InputError, match="There are 0 training rows and 1 validation rows"):
        train(split, BLOCKS["tied"])


def test_ids_are_learned_if_no_product_has_a_title() -> None:
    split, none = cycle_split(), np.zeros_like(vectors())
    trained = train(split, change_training(BLOCKS["skip connection"], epochs=30), item_vectors=none)
    assert hit_rates(make_scorer(trained.network, none), split.test) >= 0.95


def test_missing_titles_raise_input_error() -> None:
    split, none = cycle_split(users=40), np.zeros_like(vectors())
    with pytest.raises(InputError, match=r"None of the .* rows has a title to learn from"):
        train_network(split.train, split.validation, BLOCKS["titles"], N_ITEMS, 1, none)


def make_sorted_days() -> Splits:
    """Make a shop whose customers buy two of six pairs, each on one day and sorted by id.

    In the test rows, the last item of the history is the second one of its pair.
    """
    rng = np.random.default_rng(11)
    lists, times = [], []
    for _ in range(400):
        pairs = rng.permutation(6)[:3]
        items = [int(item) for pair in pairs[:2] for item in (2 * pair + 1, 2 * pair + 2)]
        lists.append([*items, int(2 * pairs[2] + 2), int(2 * pairs[2] + 1)])
        times.append([DAY_MS * day for day in (1, 1, 2, 2, 3, 4)])
    return split_leave_one_out(sequences_of(lists, times), N_ITEMS, history_length=5)


def test_shuffled_days_teach_both_orders_of_a_day() -> None:
    """In the order of the source, the first item of a pair never follows the second one."""
    split = make_sorted_days()
    shares = []
    for shuffles in (True, False):
        described = block({"shuffle_equal_days": shuffles, "epochs": 10})
        trained = train_network(split.train, split.validation, described, N_ITEMS, 1)
        best = make_scorer(trained.network, None).score(split.test).argmax(axis=1)
        shares.append(np.mean(best == split.test.list_targets()[1]))
    assert shares[0] > 0.9
    assert shares[1] < 0.1


def test_equal_days_that_cannot_be_shuffled_are_reported() -> None:
    described = block({"shuffle_equal_days": True})
    split = make_sorted_days()

    def train(parts: Splits, distillation: Distillation | None = None) -> None:
        train_network(
            parts.train, parts.validation, described, N_ITEMS, 1, distillation=distillation
        )

    untimed = split_leave_one_out(sequences_of([[1, 2, 3, 4]] * 3), N_ITEMS, history_length=5)
    with pytest.raises(InputError, match=r"no interaction has a timestamp.\nSet .* to false"):
        train(untimed)
    orders = split_next_order(read_items([[1, 2, 3, 4, 5]] * 3, [[1, 2, 3, 4, 5]] * 3), N_ITEMS, 5)
    with pytest.raises(InputError, match="the protocol is next_order"):
        train(orders)
    soft_targets = compute_soft_targets(Popularity(split.training_counts), split.train, 3)
    with pytest.raises(InputError, match="the soft targets of the teacher"):
        train(split, Distillation(soft_targets, 0.5))
