import tracemalloc

import numpy as np
import pytest

from bazar.errors import InputError
from bazar.floors import Popularity
from bazar.metrics import row_metrics
from bazar.options import ModelOptions
from bazar.ranking import rank_catalogue
from bazar.recommenders import NetworkClassifier, NetworkRegressor, Recommender
from bazar.training import Batches, TrainedNetwork, train_network
from bazar.windows import Split, leave_one_out
from tests.test_networks import options_of
from tests.test_ranking import unit
from tests.test_windows import sequences_of

N_ITEMS = 12


def cycle_split(users: int = 120, length: int = 10) -> Split:
    """Everybody walks the same cycle of items, from a start of their own."""
    lists = [[(user + step) % N_ITEMS + 1 for step in range(length)] for user in range(users)]
    return leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)


def vectors() -> np.ndarray:
    return unit(np.random.default_rng(3).normal(size=(N_ITEMS + 1, 24)))


def small(model: str, **training: object) -> ModelOptions:
    """The model as configured, trained for longer on tiny data."""
    options = options_of(model).model_dump()
    options["training"] |= {"learning_rate": 0.001, "early_stopping_patience": 4}
    options["training"] |= {"epochs": 30, "batch_size": 16}
    options["training"] |= training
    return ModelOptions.model_validate(options)


def train(model: str, split: Split, options: ModelOptions) -> TrainedNetwork:
    item_vectors = vectors() if model == "regressor" else None
    return train_network(split.train, split.validation, options, N_ITEMS, item_vectors)


def hit_rate_at_1(recommender: Recommender, split: Split) -> float:
    ranking = rank_catalogue(recommender, split.test, k=20, batch_size=64)["unmasked"]
    return float(row_metrics(ranking.ranks)["hr@1"].mean())


@pytest.mark.parametrize("model", ["classifier", "regressor"])
def test_a_cycle_is_learned(model: str) -> None:
    split = cycle_split()
    network = train(model, split, small(model)).network
    recommender: Recommender = (
        NetworkClassifier(network)
        if model == "classifier"
        else NetworkRegressor(network, vectors())
    )
    assert hit_rate_at_1(recommender, split) >= 0.95
    assert hit_rate_at_1(Popularity(split.training_counts), split) <= 0.2


@pytest.mark.parametrize("model", ["classifier", "regressor"])
def test_one_seed_gives_one_network(model: str) -> None:
    split = cycle_split(users=40)
    first, again, other = (
        train(model, split, small(model, epochs=2, seed=seed)) for seed in (5, 5, 6)
    )
    for one, two in zip(first.network.weights, again.network.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    assert first.history["val_loss"].tolist() == again.history["val_loss"].tolist()
    assert first.history["val_loss"].tolist() != other.history["val_loss"].tolist()


def test_history_and_facts() -> None:
    split = cycle_split(users=40)
    trained = train("classifier", split, small("classifier", epochs=3))
    assert trained.history["epoch"].tolist() == [1, 2, 3]
    assert {"loss", "val_loss", "accuracy", "val_accuracy", "seconds"} <= set(trained.history)
    assert trained.facts["n_parameters"] == trained.network.count_params()
    assert trained.facts["training_rows"] == len(split.train)
    assert trained.facts["seconds_training"] > 0
    best = trained.history["val_loss"].idxmin() + 1
    assert trained.facts["best_epoch"] == best


@pytest.mark.parametrize("patience", [0, None])
def test_the_best_epoch_is_kept(patience: int | None) -> None:
    # A rate far too high: the loss goes up and down, and later epochs are not better ones.
    split = cycle_split(users=40)
    options = small("classifier", epochs=6, learning_rate=0.2, early_stopping_patience=patience)
    trained = train("classifier", split, options)
    losses = trained.history["val_loss"]
    assert losses.idxmin() != len(losses) - 1
    if patience is None:
        assert len(losses) == 6
    trained.network.compile(loss="sparse_categorical_crossentropy")
    validation = Batches(split.validation, 256, None, False, None).dataset()
    assert trained.network.evaluate(validation, verbose=0, return_dict=True)[
        "loss"
    ] == pytest.approx(losses.min(), rel=1e-4)


def test_batches_hold_every_row_once_and_no_needless_padding() -> None:
    split = cycle_split(users=23)
    batches = Batches(split.train, 16, None, False, seed=1)
    first, second = list(batches), list(batches)
    assert len(first) == len(second) == len(batches)
    for epoch in (first, second):
        rows = sorted(
            (tuple(history[history > 0]), target)
            for histories, targets in epoch
            for history, target in zip(histories, targets, strict=True)
        )
        assert rows == sorted(
            (tuple(history[history > 0]), target)
            for history, target in zip(split.train.histories(), split.train.targets, strict=True)
        )
        assert all(histories[:, 0].any() for histories, _ in epoch)
    assert [targets.tolist() for _, targets in first] != [targets.tolist() for _, targets in second]


def test_a_seed_gives_the_same_batches_as_ever() -> None:
    lists = [[(user + step) % N_ITEMS + 1 for step in range(3 + user % 11)] for user in range(60)]
    split = leave_one_out(sequences_of(lists), N_ITEMS, history_length=6)
    rows = [
        (items[max(0, place - 6) : place], items[place])
        for items in lists
        for place in range(1, len(items) - 2)
    ]
    batches, rng = Batches(split.train, 16, None, False, seed=7), np.random.default_rng(7)
    for _ in range(2):
        order = np.arange(len(rows))
        rng.shuffle(order)
        # Python's sort is stable: rows of one length stay as they were shuffled.
        order = np.array(sorted(order, key=lambda row: len(rows[row][0])))
        cut = [order[start : start + 16] for start in range(0, len(order), 16)]
        expected = [[rows[row] for row in cut[place]] for place in rng.permutation(len(cut))]
        assert expected == [
            [
                (history[history > 0].tolist(), target)
                for history, target in zip(histories, targets.tolist(), strict=True)
            ]
            for histories, targets in batches
        ]


def test_batches_never_hold_the_histories_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    lists = rng.integers(1, N_ITEMS + 1, (20, 2000)).tolist()
    train = leave_one_out(sequences_of(lists), N_ITEMS, history_length=500).train
    all_at_once = len(train) * 500 * 4
    batches = Batches(train, 64, None, False, seed=1)
    tracemalloc.start()
    read = sum(len(targets) for _, targets in batches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == len(train)
    assert peak < all_at_once / 20


def test_targets_without_title_are_not_learned_from() -> None:
    split = cycle_split(users=60)
    item_vectors = vectors()
    item_vectors[3] = 0
    trained = train_network(
        split.train, split.validation, small("regressor", epochs=1), N_ITEMS, item_vectors
    )
    assert trained.facts["training_rows"] == np.count_nonzero(split.train.targets != 3)


def test_nothing_to_learn_from() -> None:
    split = leave_one_out(sequences_of([[1, 2], [3, 4, 5]]), 5, 4)
    with pytest.raises(InputError, match="0 training rows"):
        train_network(split.train, split.validation, small("classifier"), 5)
