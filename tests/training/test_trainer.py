import copy
import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ibis
import keras
import numpy as np
import pandas as pd
import pytest
from tqdm import tqdm

from bazar.config.networks import ModelOptions, NetworkBlock, WarmStartOptions
from bazar.data.splits import Split, leave_one_out, shuffled_windows
from bazar.data.windows import Windows
from bazar.errors import InputError
from bazar.evaluation.metrics import row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.modelling.nodes import train_configured_network
from bazar.models.baselines import Popularity
from bazar.models.networks.files import load_network, save_network
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.models.scorer import Scorer
from bazar.training import checkpoints, weight_averaging
from bazar.training import trainer as training
from bazar.training.batches import Batches
from bazar.training.checkpoints import Checkpoint
from bazar.training.train_step import make_train_steps
from bazar.training.trainer import TrainedNetwork, train_network
from bazar.training.warm_start import (
    Start,
    load_optimizer_state,
    make_warm_start,
    save_optimizer_state,
)
from tests.data.test_splits import sequences_of
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
    """A tiny network, with some keys of its own and of its training's."""
    described = copy.deepcopy(TINY) | network
    described["training"] |= training or {}
    return NetworkBlock.model_validate(described)


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
    "a way around": block(
        item="id+title", head="tied_softmax", temperature=0.1, history_decay=0.6, layers=[RESIDUAL]
    ),
}
every_block = pytest.mark.parametrize("described", BLOCKS.values(), ids=BLOCKS.keys())


def with_training(described: NetworkBlock, **changes: Any) -> NetworkBlock:
    return described.model_copy(update={"training": described.training.model_copy(update=changes)})


def cycle_split(users: int = 96, length: int = 10) -> Split:
    """Everybody walks the same cycle of items, from a start of their own."""
    lists = [[(user + step) % N_ITEMS + 1 for step in range(length)] for user in range(users)]
    return leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def vectors(n_items: int = N_ITEMS) -> np.ndarray:
    return unit(np.random.default_rng(3).normal(size=(n_items + 1, 24)))


def train(
    split: Split,
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
    return float(row_metrics(ranking.ranks)[f"hr@{k}"].mean())


def assert_same(one: TrainedNetwork, two: TrainedNetwork) -> None:
    """Bit for bit: weights, losses and figures."""
    for ours, theirs in zip(one.network.variables, two.network.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    pd.testing.assert_frame_equal(
        one.training_log.drop(columns="seconds"),
        two.training_log.drop(columns="seconds"),
        check_exact=True,
    )
    assert one.facts["best_epoch"] == two.facts["best_epoch"]


# What a network must be able to learn, where the right answer is known.


@every_block
def test_a_cycle_is_learned(described: NetworkBlock) -> None:
    split = cycle_split()
    network = train(split, described).network
    assert hit_rates(make_scorer(network, vectors()), split.test) >= 0.95
    assert hit_rates(Popularity(split.training_counts), split.test) <= 0.2


def test_a_cycle_is_learned_from_a_sample_of_the_items() -> None:
    split = cycle_split()
    sampled = block({"sample_above": N_ITEMS - 1, "negatives": 6})
    network = train(split, sampled).network
    assert hit_rates(make_scorer(network, vectors()), split.test) >= 0.95


def interleaved_split(users: int = 300, cycle: int = 8, length: int = 10) -> Split:
    """Two cycles, taken in turns, each from a start of its own: the next item follows from the
    one before the last, and the last tells nothing about it."""
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
    return leave_one_out(sequences_of(lists), 2 * cycle, history_length=8)


class Bigrams:
    """Counts what is bought next after the last item of the history, and forgets all before it."""

    informative = None

    def __init__(self, split: Split) -> None:
        size = len(split.training_counts)
        self._counts = np.zeros((size, size), np.float32)
        np.add.at(self._counts, (split.train.histories()[:, -1], split.train.targets), 1)

    def score(self, windows: Windows) -> np.ndarray:
        return self._counts[windows.histories()[:, -1]]


@pytest.mark.parametrize(
    "described",
    [block(layers=[{"type": "gru", "units": 32}]), block(WINDOW, head="softmax")],
    ids=["every_position", "window"],
)
def test_two_cycles_need_a_memory_of_two_steps(described: NetworkBlock) -> None:
    split = interleaved_split()
    network = train(split, described).network
    assert hit_rates(make_scorer(network, vectors(16)), split.test) >= 0.95
    assert hit_rates(Bigrams(split), split.test) <= 0.35


KINDS, OF_A_KIND, COLD_OF_A_KIND = 6, 24, 4


def titled_shop() -> tuple[Split, np.ndarray, np.ndarray]:
    """A shop where a product's kind, which its title tells, decides the kind of the next one.

    Some products of each kind are bought by nobody in training, and by many in test.

    Returns:
        The split, the title vectors, and which test rows have a cold target.
    """
    rng = np.random.default_rng(4)
    n_items = KINDS * OF_A_KIND
    kind = np.arange(n_items) // OF_A_KIND
    directions = np.linalg.qr(rng.normal(size=(8, 8)))[0][:KINDS]
    item_vectors = np.zeros((n_items + 1, 8))
    item_vectors[1:] = directions[kind] + rng.normal(scale=0.1, size=(n_items, 8))
    lists, cold = [], []
    for user in range(120):
        start = rng.integers(0, KINDS)
        items = [
            (start + step) % KINDS * OF_A_KIND + rng.integers(0, OF_A_KIND - COLD_OF_A_KIND) + 1
            for step in range(5)
        ]
        cold.append(user % 3 == 0)
        if cold[-1]:
            last = (start + 4) % KINDS * OF_A_KIND + OF_A_KIND
            items[-1] = last - rng.integers(0, COLD_OF_A_KIND)
        lists.append([int(item) for item in items])
    split = leave_one_out(sequences_of(lists), n_items, history_length=4)
    return split, unit(item_vectors), np.array(cold)


def test_titles_tell_what_ids_cannot() -> None:
    split, item_vectors, cold = titled_shop()
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
        found[name] = [hit_rates(scorer, split.test.where(rows), 20) for rows in (~cold, cold)]
    # Twenty of the 24 products of a kind: one that knows the kind and nothing more finds .83.
    warm = {name: rates[0] for name, rates in found.items()}
    assert warm["title"] >= 0.7
    assert warm["title"] >= warm["id"] + 0.3
    assert warm["shuffled"] <= warm["title"] - 0.3
    on_cold = {name: rates[1] for name, rates in found.items()}
    assert on_cold["id"] == 0
    assert on_cold["title"] >= 0.7
    assert on_cold["id+title"] >= 0.3
    # By chance, 20 of 144.
    assert on_cold["shuffled"] <= 0.35


# How it learns.


def random_network(described: NetworkBlock, n_items: int) -> RecurrentNetwork:
    """A network with weights of no special kind."""
    network = build_network(described.network, n_items)
    rng = np.random.default_rng(10)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return network


def loss_of_a_step(
    network: RecurrentNetwork, described: NetworkBlock, counts: np.ndarray, rows: Windows
) -> float:
    """The loss of rows of one length, in one batch; the network stays as it is."""
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.build(network.trainable_variables)
    steps = make_train_steps(network, described, optimizer, None, counts, seed=3)
    (batch,) = Batches(rows, 256, True, None).batches(0)
    return float(steps([batch], [0.0])[0])


@pytest.mark.parametrize("temperature", [None, 0.3])
def test_a_sampled_softmax_comes_near_the_full_one(temperature: float | None) -> None:
    rng = np.random.default_rng(0)
    # Purchases as uneven as in a shop, so that what is drawn often must weigh little.
    counts = np.concatenate([[0], rng.permutation(1_000 // np.arange(1, 41))])
    rows = all_rows(rng.integers(1, 41, (20, 6)).tolist(), 5, [True])
    full = block(temperature=temperature)
    network = random_network(full, 40)
    expected = loss_of_a_step(network, full, counts, rows)
    losses = {}
    for negatives in (20, 200_000):
        sampled = block({"sample_above": 1, "negatives": negatives}, temperature=temperature)
        losses[negatives] = loss_of_a_step(network, sampled, counts, rows)
    assert losses[200_000] == pytest.approx(expected, rel=0.01)
    assert abs(losses[20] - expected) > abs(losses[200_000] - expected)


def test_both_kinds_of_rows_have_the_same_losses() -> None:
    split = cycle_split(users=40)
    # At this rate nothing is learned: the loss of the epoch is that of the first weights.
    losses = [
        train(split, block({"rows": rows, "learning_rate": 1e-12, "epochs": 1})).training_log[
            "loss"
        ][0]
        for rows in ("window", "every_position")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] == pytest.approx(np.log(N_ITEMS), rel=0.05)


@every_block
def test_one_seed_gives_one_network(described: NetworkBlock) -> None:
    split = cycle_split(users=40)
    first, again, other = (
        train(split, with_training(described, epochs=2), seed) for seed in (5, 5, 6)
    )
    assert_same(first, again)
    assert first.training_log["val_loss"].tolist() != other.training_log["val_loss"].tolist()


def test_steps_taken_together_learn_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    split = cycle_split(users=40)
    described = block({"epochs": 2, "batch_size": 16, "schedule": "cosine"}, layers=[RESIDUAL])
    together = train(split, described)
    monkeypatch.setattr(training, "_MOST_STEPS", 1)
    assert_same(train(split, described), together)


def test_a_bar_that_is_switched_off_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split = cycle_split(users=40)
    described = block({"epochs": 2, "batch_size": 16, "schedule": "cosine"})
    shown = train(split, described)
    monkeypatch.setattr(training, "_MOST_STEPS", 2)
    monkeypatch.setattr(training, "tqdm", partial(tqdm, disable=True))
    assert_same(train(split, described), shown)


def test_a_product_without_title_spoils_nothing() -> None:
    split, item_vectors = cycle_split(users=20), vectors()
    item_vectors[3] = 0
    # It stands in the table that the softmax is over, as zeros that have no direction.
    described = block({"epochs": 1}, item="title", temperature=0.1, history_decay=0.6)
    assert np.isfinite(
        train(split, described, item_vectors=item_vectors).training_log["loss"]
    ).all()


def test_history_and_facts() -> None:
    split = cycle_split(users=40)
    trained = train(split, with_training(BLOCKS["ids and titles"], epochs=3))
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
def test_the_best_epoch_is_kept(
    described: NetworkBlock, choose_by: str, patience: int | None
) -> None:
    split = cycle_split(users=40)
    # Validation goes round the other way: the better training is learned, the worse it gets.
    backwards = [[(user - step) % N_ITEMS + 1 for step in range(10)] for user in range(40)]
    validation = leave_one_out(sequences_of(backwards), N_ITEMS, history_length=8).validation
    split = replace(split, validation=validation)
    described = with_training(
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

    # What was measured after that epoch is what the network that is kept gives.
    scorer = make_scorer(trained.network, vectors())
    filtered = rank_catalogue(scorer, split.validation, 20, 16)["filtered"]
    ndcg = row_metrics(filtered.ranks)["ndcg@10"].mean()
    assert trained.training_log["val_ndcg@10"][best] == pytest.approx(ndcg, abs=1e-9)
    if choose_by == "val_loss":
        of_targets = scorer.score(split.validation)[
            np.arange(len(split.validation)), split.validation.targets
        ]
        assert figures[best] == pytest.approx(-np.log(of_targets).mean(), rel=1e-4)


class Recorder(Checkpoint):
    """Keeps what is saved after each epoch in memory."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.saved: list[list[np.ndarray]] = []

    def save(self, fingerprint: str, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        self.saved.append(arrays)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_schedule_of_the_learning_rate(schedule: str) -> None:
    split, recorder = cycle_split(users=80), Recorder()
    described = block({"schedule": schedule, "epochs": 3, "batch_size": 32})
    train(split, described, checkpoint=recorder)
    # The one number among what the optimizer keeps: the rate of the epoch's last step.
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
def test_a_training_that_diverges_says_so(rate: float) -> None:
    described = with_training(BLOCKS["vector"], learning_rate=rate, optimizer="sgd", epochs=3)
    with pytest.raises(InputError, match=r"diverged: .* epoch 1 .* smaller .*learning_rate"):
        train(cycle_split(users=40), described)


def test_targets_without_title_are_not_learned_from() -> None:
    split, item_vectors = cycle_split(users=60), vectors()
    item_vectors[3] = 0
    described = with_training(BLOCKS["vector"], epochs=1)
    trained = train(split, described, item_vectors=item_vectors)
    # Nor from those before which no title is read.
    reads = ~np.isin(split.train.histories(), [0, 3]).all(axis=1)
    assert np.count_nonzero(~reads) > 0
    kept = reads & (split.train.targets != 3)
    assert trained.facts["training_rows"] == np.count_nonzero(kept)


def test_known_is_what_stands_in_the_training_rows() -> None:
    rng = np.random.default_rng(1)
    # No item twice: most stand in one window or two, as a target or as what is read before it.
    lists = np.split(np.arange(1, 61), np.sort(rng.choice(np.arange(4, 57), 9, replace=False)))
    sequences = sequences_of([part.tolist() for part in lists])
    split = shuffled_windows(sequences, 60, 3, test_share=0.4, validation_share=0.2, seed=2)
    trained = train(split, block({"epochs": 1} | WINDOW, head="softmax"))
    expected = np.zeros(61)
    expected[split.train.histories().ravel()] = 1
    expected[split.train.targets] = 1
    expected[0] = 0
    assert 0 < expected.sum() < 60
    np.testing.assert_array_equal(trained.network.in_training.numpy(), expected)


def test_nothing_to_learn_from() -> None:
    split = leave_one_out(sequences_of([[1, 2], [3, 4, 5]]), 5, 4)
    with pytest.raises(InputError, match="0 training rows"):
        train(split, BLOCKS["tied"])


# What happens to it when it is interrupted.


class StoppedError(Exception):
    """The training was stopped."""


class StopsAfter(Checkpoint):
    """Lets training go on for some epochs, then stops it as a signal would, between two."""

    def __init__(self, path: Path, epochs: int) -> None:
        super().__init__(path)
        self._left = epochs

    def save(self, fingerprint: str, arrays: list[np.ndarray], facts: dict[str, Any]) -> None:
        super().save(fingerprint, arrays, facts)
        self._left -= 1
        if not self._left:
            raise StoppedError


def interrupt(path: Path, epochs: int, split: Split, described: NetworkBlock) -> None:
    with pytest.raises(StoppedError):
        train(split, described, checkpoint=StopsAfter(path, epochs))
    assert path.is_file()


RESUMED = {
    name: with_training(described, epochs=5, early_stopping_patience=3)
    for name, described in BLOCKS.items()
    if name in {"softmax", "vector", "ids and titles"}
} | {"sampled": block({"epochs": 5, "sample_above": 3, "negatives": 4})}


@pytest.mark.parametrize("described", RESUMED.values(), ids=RESUMED.keys())
def test_interrupted_training_ends_at_the_same_weights(
    tmp_path: Path, described: NetworkBlock
) -> None:
    split, path = cycle_split(users=40), tmp_path / "training" / "state.npz"
    whole = train(split, described)
    # Twice: after the first epoch, and two epochs later.
    interrupt(path, 1, split, described)
    interrupt(path, 2, split, described)
    resumed = train(split, described, checkpoint=Checkpoint(path))
    assert_same(resumed, whole)
    # The state stays until the network is safe: who saves it clears it.
    assert path.is_file()


def test_a_training_over_before_it_was_saved_runs_no_epoch(tmp_path: Path) -> None:
    split, described, path = cycle_split(users=40), block({"epochs": 2}), tmp_path / "state.npz"
    interrupt(path, 2, split, described)
    assert_same(train(split, described, checkpoint=Checkpoint(path)), train(split, described))


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    split, path = cycle_split(users=40), tmp_path / "state.npz"
    described = block({"epochs": 2})
    interrupt(path, 1, split, described)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"state.npz cannot be read: .*\nRemove it"):
        train(split, described, checkpoint=Checkpoint(path))


def test_the_state_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    split, path = cycle_split(users=40), tmp_path / "state.npz"
    described = block({"epochs": 2})
    interrupt(path, 1, split, described)
    resumed = train(split, described, seed=2, checkpoint=Checkpoint(path))
    assert_same(resumed, train(split, described, seed=2))
    # Nor where nothing but products that nobody bought have joined.
    interrupt(path, 1, split, described)
    grown = train_network(
        split.train, split.validation, described, N_ITEMS + 3, 1, None, Checkpoint(path)
    )
    assert len(grown.training_log) == 2


def test_fingerprints_tell_trainings_apart() -> None:
    described, items = block(), np.arange(6, dtype=np.int32)
    marks = [
        checkpoints.fingerprint(*arguments)
        for arguments in (
            (described, 1, [items]),
            (described, 2, [items]),
            (block({"epochs": 3}), 1, [items]),
            (block(temperature=0.1), 1, [items]),
            (described, 1, [items[::-1]]),
            (described, 1, [items.astype(np.int64)]),
            (described, 1, [items.reshape(2, 3)]),
            (described, 1, [items[:3], items[3:]]),
            (described, 1, [items, items]),
        )
    ]
    assert len(set(marks)) == len(marks)
    assert checkpoints.fingerprint(block(), 1, [items.copy()]) == marks[0]


def test_a_state_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "state.npz")
    assert checkpoint.load("a") is None
    arrays = [np.arange(3), np.float32(0.5), np.zeros((2, 0))]
    checkpoint.save("a", arrays, {"epochs": [{"loss": 0.1}]})

    def no_space(descriptor: int) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr("os.fsync", no_space)
        checkpoint.save("a", [np.ones(3)], {"epochs": []})
    loaded = checkpoint.load("a")
    assert loaded is not None
    for one, two in zip(loaded[0], arrays, strict=True):
        np.testing.assert_array_equal(one, two)
    assert loaded[1] == {"epochs": [{"loss": 0.1}]}
    assert checkpoint.load("b") is None
    checkpoint.clear()
    checkpoint.clear()
    assert checkpoint.load("a") is None


def test_validation_chooses_what_whole_titles_weigh() -> None:
    # Nothing to be learned: what is best is chance, and many weights differ.
    n_items = 60
    lists = np.random.default_rng(4).integers(1, n_items + 1, (60, 6)).tolist()
    split = leave_one_out(sequences_of(lists), n_items, history_length=8)
    described = block(
        {"epochs": 1, "learning_rate": 0.01}, item="title", temperature=0.1, history_decay=0.6,
        add_title_similarity=True,
    )  # fmt: skip
    trained = train(split, described)
    chosen, reached = (trained.facts[name] for name in ("title_weight", "val_ndcg@10"))

    def ndcg(weight: float) -> float:
        trained.network.title_weight.assign(weight)
        scorer = make_scorer(trained.network, vectors(n_items))
        ranks = rank_catalogue(scorer, split.validation, 20, 16)["filtered"].ranks
        return float(row_metrics(ranks)["ndcg@10"].mean())

    assert trained.network.title_weight.numpy() == np.float32(chosen)
    figures = {weight: ndcg(weight) for weight in training._TITLE_WEIGHTS}
    assert reached == pytest.approx(max(figures.values()), abs=1e-6)
    assert figures[chosen] == pytest.approx(reached, abs=1e-6)
    assert figures[0.0] == pytest.approx(trained.training_log["val_ndcg@10"][0], abs=1e-6)
    assert len(set(figures.values())) > 3


def test_a_warm_start_goes_on_where_training_ended() -> None:
    described = with_training(
        BLOCKS["ids and titles"], warm=WarmStartOptions(epochs=2, learning_rate=0.01)
    )
    early = cycle_split(users=48)
    trained = train(early, described)
    trained.network.item_ids = np.arange(N_ITEMS + 1).astype(object)
    # Two products join the cycle, and as many customers again.
    longer = N_ITEMS + 2
    lists = [[(user + step) % longer + 1 for step in range(10)] for user in range(98)]
    late = leave_one_out(sequences_of(lists), longer, history_length=8)
    item_ids = np.arange(longer + 1).astype(object)
    read = np.concatenate([vectors(), unit(np.random.default_rng(9).normal(size=(3, 24)))[1:]])

    def train_late(block: NetworkBlock, start: Start | None) -> TrainedNetwork:
        return train_network(late.train, late.validation, block, longer, 1, read, start=start)

    start = make_warm_start(trained.network, trained.optimizer, item_ids)
    warm = train_late(described.warmed, start)
    cold = train_late(described.warmed, None)
    assert len(warm.training_log) == len(cold.training_log) == 2
    assert warm.facts["warm_start"]
    assert not cold.facts["warm_start"]
    assert hit_rates(make_scorer(warm.network, read), late.test) >= 0.95
    assert warm.training_log["val_loss"][0] < 0.6 * cold.training_log["val_loss"][0]
    assert (warm.network.in_training.numpy()[1:] == 1).all()


def one_batch(**changes: Any) -> NetworkBlock:
    """Every epoch is one step on all rows, and the last one is the best."""
    training = {"batch_size": 4_096, "choose_by": "val_loss", "early_stopping_patience": None}
    return block(training | {"learning_rate": 0.003} | changes)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_a_training_in_two_parts_is_one_training(optimizer: str) -> None:
    described = one_batch(optimizer=optimizer, epochs=6)
    split = cycle_split(users=40)
    whole = train(split, described)
    assert whole.facts["best_epoch"] == 6

    first = train(split, with_training(described, epochs=4))
    first.network.item_ids = np.array(["", *(f"P{item:02d}" for item in range(1, N_ITEMS + 1))])
    # Between the parts all products are numbered anew.
    order = np.random.default_rng(1).permutation(N_ITEMS) + 1
    place = np.zeros(N_ITEMS + 1, int)
    place[order] = np.arange(1, N_ITEMS + 1)
    lists = [[int(place[(user + step) % N_ITEMS + 1]) for step in range(10)] for user in range(40)]
    renumbered = leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)
    item_ids = first.network.item_ids[[0, *order]]

    def second(known: list[np.ndarray] | None) -> np.ndarray:
        trained = train_network(
            renumbered.train, renumbered.validation, with_training(described, epochs=2), N_ITEMS,
            9, start=make_warm_start(first.network, known, item_ids),
        )  # fmt: skip
        assert trained.facts["best_epoch"] == 2
        return trained.network.item_embedding.embeddings.numpy()[place]

    expected = whole.network.item_embedding.embeddings.numpy()
    np.testing.assert_allclose(second(first.optimizer)[1:], expected[1:], rtol=1e-3, atol=1e-5)
    if optimizer != "sgd":
        assert np.abs(second(None) - expected)[1:].max() > 1e-3


@pytest.mark.parametrize(
    ("head", "axes"),
    [
        ("softmax", {"embeddings": 0, "head/kernel": 1, "head/bias": 0}),
        ("tied_softmax", {"embeddings": 0}),
    ],
)
def test_a_new_item_has_what_an_optimizer_keeps_of_the_others(
    head: str, axes: dict[str, int]
) -> None:
    network = build_network(block(head=head).network, N_ITEMS)
    network.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    unknown = 3
    network.in_training.assign((np.arange(N_ITEMS + 1) % N_ITEMS != unknown).astype(np.float32))
    rng = np.random.default_rng(6)
    shapes = [weight.shape for weight in network.trainable_variables for _ in range(2)]
    kept = [rng.random(shape).astype(np.float32) for shape in shapes]
    head_of_all = [np.array(40), np.array(0.01, np.float32)]
    # One more product, in the middle of the others, and the last ones gone.
    places = [*range(6), -1, *range(6, N_ITEMS - 1)]
    item_ids = np.array(["new" if place < 0 else str(place) for place in places], dtype=object)
    start = make_warm_start(network, [*head_of_all, *kept], item_ids)
    assert start.optimizer is not None
    assert start.optimizer[:2] == head_of_all
    known = network.in_training.numpy() > 0
    found = 0
    for place, values in enumerate(kept):
        weight, moved = start.network.trainable_variables[place // 2], start.optimizer[2 + place]
        assert moved.shape == weight.shape
        axis = next((axis for name, axis in axes.items() if weight.path.endswith(name)), None)
        if axis is None:
            np.testing.assert_array_equal(moved, values)
            continue
        found += 1
        of_items, before = np.moveaxis(moved, axis, 0), np.moveaxis(values, axis, 0)
        for item, earlier in enumerate(places):
            expected = before[known].mean(axis=0) if earlier < 0 else before[earlier]
            np.testing.assert_allclose(of_items[item], expected, rtol=1e-6)
    assert found == 2 * len(axes)


def test_a_nightly_training_goes_on_with_the_optimizer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    described = block(
        {"epochs": 3, "schedule": "cosine", "warm": {"epochs": 2, "learning_rate": 0.003}}
    )
    options = ModelOptions(network="mine", networks={"mine": described})
    split = cycle_split(users=40)
    index = ibis.memtable(
        {"item_id": [str(item) for item in range(N_ITEMS)], "item_index": range(1, N_ITEMS + 1)}
    )
    state, last, knew = (tmp_path / name for name in ("state.npz", "last.keras", "knew.npz"))

    def night(*, warm: bool) -> RecurrentNetwork:
        made = train_configured_network(
            split.train, split.validation, index, vectors(), options, 1, warm, state, last, knew
        )
        for network, _, _ in made:
            save_network(network, last, last)
            trained = network
        return trained

    first = night(warm=False)
    start = Start(first, load_optimizer_state(knew, first, "adam"))
    assert start.optimizer is not None
    as_told = {"epochs": 2, "learning_rate": 0.003, "schedule": "constant"}
    block_of_the_night = with_training(described, **as_told, average_weights=True)
    expected = train_network(
        split.train, split.validation, block_of_the_night, N_ITEMS, 1, start=start
    ).network
    begun_anew = train_network(
        split.train, split.validation, block_of_the_night, N_ITEMS, 1, start=Start(first)
    ).network
    second = night(warm=True)
    assert "begins anew" not in caplog.text
    for ours, theirs in zip(second.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())

    # The file is of another network than that which was put back.
    save_network(first, last, last)
    other = night(warm=True)
    assert "adam begins anew" in caplog.text
    for ours, theirs in zip(other.weights, begun_anew.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert np.abs(other.weights[1].numpy() - second.weights[1].numpy()).max() > 1e-4


def test_weights_count_for_as_many_steps_as_were_taken() -> None:
    weight = keras.Variable(np.zeros(2, np.float32))
    mean = weight_averaging._MeanWeights([weight])
    for steps, value in ((3, [4.0, 8.0]), (4, [2.0, 0.0])):
        weight.assign(np.array(value, np.float32))
        mean.update(steps)
    np.testing.assert_allclose(mean.of_weights[0], [(0 + 3 * 4 + 4 * 2) / 8, 3 * 8 / 8])
    with mean.in_place():
        np.testing.assert_allclose(weight.numpy(), mean.of_weights[0])
    np.testing.assert_allclose(weight.numpy(), [2.0, 0.0])


def test_what_an_optimizer_knew_is_of_one_network(tmp_path: Path) -> None:
    split, path = cycle_split(users=40), tmp_path / "optimizer.npz"
    trained = train(split, block({"epochs": 1}))
    assert load_optimizer_state(path, trained.network, "adam") is None
    save_optimizer_state(path, trained.network, "adam", trained.optimizer)
    save_network(trained.network, tmp_path / "network.keras", tmp_path / "network.keras")
    read = load_network(tmp_path / "network.keras")
    for ours, theirs in zip(
        load_optimizer_state(path, read, "adam") or [], trained.optimizer, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert load_optimizer_state(path, read, "rmsprop") is None
    other = train(split, block({"epochs": 1}), seed=2).network
    assert load_optimizer_state(path, other, "adam") is None


def test_averaged_weights_are_the_mean_over_all_steps() -> None:
    split, described = cycle_split(users=40), one_batch(epochs=3)

    def embeddings(**changes: Any) -> np.ndarray:
        trained = train(split, with_training(described, **changes))
        assert trained.facts["best_epoch"] == len(trained.training_log)
        return trained.network.item_embedding.embeddings.numpy()

    on_the_way = [embeddings(epochs=1, learning_rate=1e-12)]
    on_the_way += [embeddings(epochs=epochs) for epochs in (1, 2, 3)]
    found = embeddings(average_weights=True)
    np.testing.assert_allclose(found, np.mean(on_the_way, axis=0), rtol=1e-4, atol=1e-6)
    assert np.abs(found - on_the_way[-1]).max() > 1e-3


def test_a_warm_start_is_of_the_same_network() -> None:
    split = cycle_split(users=40)
    trained = train(split, with_training(BLOCKS["tied"], epochs=1)).network
    with pytest.raises(InputError, match=r"(?s)warm_start: .* is not the one .* warm_start: false"):
        train_network(
            split.train, split.validation, BLOCKS["titles"], N_ITEMS, 1, vectors(),
            start=Start(trained),
        )  # fmt: skip


def test_a_warm_start_reads_the_same_vectors() -> None:
    split, described = cycle_split(users=40), with_training(BLOCKS["titles"], epochs=1)
    trained = train(split, described).network
    trained.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    trained.record_vector_samples(vectors())
    of_another_encoder = unit(np.random.default_rng(8).normal(size=(N_ITEMS + 1, 24)))
    for others in (unit(vectors()[:, :12]), of_another_encoder):
        with pytest.raises(InputError, match="trained with other vectors"):
            train_network(
                split.train, split.validation, described, N_ITEMS, 1, others, start=Start(trained)
            )
        with pytest.raises(InputError, match="trained with other vectors"):
            make_scorer(trained, others)
    # A few titles may be written otherwise now.
    changed = vectors()
    changed[1:4] = of_another_encoder[1:4]
    make_scorer(trained, changed)


def test_ids_are_learned_where_no_product_has_a_title() -> None:
    split, none = cycle_split(), np.zeros_like(vectors())
    trained = train(split, with_training(BLOCKS["a way around"], epochs=30), item_vectors=none)
    assert hit_rates(make_scorer(trained.network, none), split.test) >= 0.95


def test_products_without_titles_are_said_to_be_what_is_missing() -> None:
    split, none = cycle_split(users=40), np.zeros_like(vectors())
    with pytest.raises(InputError, match="none has a title to learn from"):
        train_network(split.train, split.validation, BLOCKS["titles"], N_ITEMS, 1, none)


def test_an_interrupted_warm_start_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    split = cycle_split(users=40)
    described = with_training(BLOCKS["ids and titles"], epochs=3, average_weights=True)
    last = tmp_path / "last.keras"
    trained = train(split, with_training(described, epochs=1))
    network = trained.network
    network.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    save_network(network, last, last)

    def go_on(checkpoint: Checkpoint | None, after_epoch: Any = None) -> TrainedNetwork:
        # As in another process, which draws other numbers before it reads the network.
        random.seed()
        return train_network(
            split.train, split.validation, described, N_ITEMS, 2, vectors(), checkpoint,
            after_epoch, Start(load_network(last), trained.optimizer),
        )  # fmt: skip

    def stop(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path / "state.npz")
    with pytest.raises(KeyboardInterrupt):
        go_on(checkpoint, stop)
    resumed = []
    assert_same(go_on(checkpoint, resumed.append), go_on(None))
    assert [figures["epoch"] for figures in resumed] == [3]
