"""Warm starts: the weights and the optimizer of an earlier training are used again."""

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pytest

from bazar.config.networks import ModelOptions, NetworkBlock, WarmStartOptions
from bazar.data.splits import split_leave_one_out
from bazar.datasets.network import NetworkDataset
from bazar.errors import InputError
from bazar.modelling.nodes import make_training_function
from bazar.models.networks.files import load_network, save_network
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.training.optimizer_files import (
    OptimizerState,
    load_optimizer_state,
    save_optimizer_state,
)
from bazar.training.previous_training import PreviousTraining
from bazar.training.trainer import TrainedNetwork, train_network
from bazar.training.warm_start import NetworkState, WarmStart, make_warm_start
from tests.data.test_splits import sequences_of
from tests.evaluation.test_ranking import unit
from tests.training.test_trainer import (
    BLOCKS,
    N_ITEMS,
    block,
    change_training,
    cycle_split,
    hit_rates,
    make_one_batch_block,
    train,
    vectors,
)


def test_warm_start_continues_the_earlier_training() -> None:
    described = change_training(
        BLOCKS["ids and titles"], warm=WarmStartOptions(epochs=2, learning_rate=0.01)
    )
    early = cycle_split(users=48)
    trained = train(early, described)
    trained.network.item_ids = np.arange(N_ITEMS + 1).astype(object)
    # Two products are added to the cycle, and the number of customers doubles.
    longer = N_ITEMS + 2
    lists = [[(user + step) % longer + 1 for step in range(10)] for user in range(98)]
    late = split_leave_one_out(sequences_of(lists), longer, history_length=8)
    item_ids = np.arange(longer + 1).astype(object)
    read = np.concatenate([vectors(), unit(np.random.default_rng(9).normal(size=(3, 24)))[1:]])

    def train_late(block: NetworkBlock, start: WarmStart | None) -> TrainedNetwork:
        return train_network(late.train, late.validation, block, longer, 1, read, warm_start=start)

    start = make_warm_start(trained.state, item_ids, "adam")
    warm = train_late(described.warm_start_block, start)
    cold = train_late(described.warm_start_block, None)
    assert len(warm.training_log) == len(cold.training_log) == 2
    assert warm.facts["warm_start"]
    assert not cold.facts["warm_start"]
    assert hit_rates(make_scorer(warm.network, read), late.test) >= 0.95
    assert warm.training_log["val_loss"][0] < 0.6 * cold.training_log["val_loss"][0]
    assert (warm.network.id_weights.numpy()[1:] == 1).all()


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_two_trainings_of_few_epochs_equal_one_long_training(optimizer: str) -> None:
    described = make_one_batch_block(optimizer=optimizer, epochs=6)
    split = cycle_split(users=40)
    full = train(split, described)
    assert full.facts["best_epoch"] == 6

    first = train(split, change_training(described, epochs=4))
    first.network.item_ids = np.array(["", *(f"P{item:02d}" for item in range(1, N_ITEMS + 1))])
    # All items get new indices between the trainings.
    order = np.random.default_rng(1).permutation(N_ITEMS) + 1
    new_index = np.zeros(N_ITEMS + 1, int)
    new_index[order] = np.arange(1, N_ITEMS + 1)
    lists = [
        [int(new_index[(user + step) % N_ITEMS + 1]) for step in range(10)] for user in range(40)
    ]
    renumbered = split_leave_one_out(sequences_of(lists), N_ITEMS, history_length=8)
    item_ids = first.network.item_ids[[0, *order]]

    def train_second(state: NetworkState) -> np.ndarray:
        trained = train_network(
            renumbered.train, renumbered.validation, change_training(described, epochs=2), N_ITEMS,
            9, warm_start=make_warm_start(state, item_ids, optimizer),
        )  # fmt: skip
        assert trained.facts["best_epoch"] == 2
        return trained.network.item_embedding.embeddings.numpy()[new_index]

    expected = full.network.item_embedding.embeddings.numpy()
    np.testing.assert_allclose(train_second(first.state)[1:], expected[1:], rtol=1e-3, atol=1e-5)
    if optimizer != "sgd":
        assert np.abs(train_second(NetworkState(first.network)) - expected)[1:].max() > 1e-3


@pytest.mark.parametrize(
    ("keys", "axes"),
    [
        ({"head": "softmax"}, {"embeddings": 0, "head/kernel": 1, "head/bias": 0}),
        ({}, {"embeddings": 0}),
        (
            {"history_vectors": True},
            {"item_embedding/embeddings": 0, "history_embedding/embeddings": 0},
        ),
    ],
    ids=["softmax", "tied_softmax", "history vectors"],
)
def test_optimizer_variables_of_a_new_item_are_means(
    keys: dict[str, Any], axes: dict[str, int]
) -> None:
    network = build_network(block({}, **keys).network, N_ITEMS)
    network.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    unknown = 3
    network.id_weights.assign((np.arange(N_ITEMS + 1) % N_ITEMS != unknown).astype(np.float32))
    rng = np.random.default_rng(6)
    shapes = [weight.shape for weight in network.trainable_variables for _ in range(2)]
    kept = [rng.random(shape).astype(np.float32) for shape in shapes]
    step_and_rate = [np.array(40), np.array(0.01, np.float32)]
    # A new item in the middle of the others; the last items are gone.
    earlier_index = [*range(6), -1, *range(6, N_ITEMS - 1)]
    item_ids = np.array(
        ["new" if index < 0 else str(index) for index in earlier_index], dtype=object
    )
    start = make_warm_start(
        NetworkState(network, OptimizerState("adam", [*step_and_rate, *kept])), item_ids, "adam"
    )
    assert start.optimizer_variables is not None
    assert start.optimizer_variables[:2] == step_and_rate
    known = network.id_weights.numpy() > 0
    found = 0
    for index, values in enumerate(kept):
        weight = start.network.trainable_variables[index // 2]
        moved = start.optimizer_variables[2 + index]
        assert moved.shape == weight.shape
        axis = next((axis for name, axis in axes.items() if weight.path.endswith(name)), None)
        if axis is None:
            np.testing.assert_array_equal(moved, values)
            continue
        found += 1
        of_items, before = np.moveaxis(moved, axis, 0), np.moveaxis(values, axis, 0)
        for item, earlier in enumerate(earlier_index):
            expected = before[known].mean(axis=0) if earlier < 0 else before[earlier]
            np.testing.assert_allclose(of_items[item], expected, rtol=1e-6)
    assert found == 2 * len(axes)


def test_a_warm_start_keeps_the_history_vectors() -> None:
    described = block({"epochs": 1, "learning_rate": 1e-12}, history_vectors=True)
    network = build_network(described.network, N_ITEMS)
    rng = np.random.default_rng(3)
    tables = [network.item_embedding.embeddings, network.history_embedding.embeddings]
    for table in tables:
        table.assign(rng.normal(size=table.shape))
    split = cycle_split(users=12)
    start = WarmStart(network, None)
    found = train_network(
        split.train, split.validation, described, N_ITEMS, 1, warm_start=start
    ).network
    for table, kept in zip(
        tables, (found.item_embedding.embeddings, found.history_embedding.embeddings), strict=True
    ):
        np.testing.assert_allclose(kept, table, atol=1e-6)


def test_missing_optimizer_state_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    network = build_network(block().network, N_ITEMS)
    network.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    state = OptimizerState("rmsprop", [np.zeros(3)])
    assert make_warm_start(NetworkState(network, state), network.item_ids, "rmsprop") == (
        WarmStart(network, state.variables)
    )
    assert not caplog.records
    for optimizer, reason in ((None, "is not available"), (state, "is of rmsprop")):
        start = make_warm_start(NetworkState(network, optimizer), network.item_ids, "adam")
        assert start == WarmStart(network)
        assert f"earlier training {reason}. adam starts without it" in caplog.messages[-1]


def test_nightly_training_continues_with_its_optimizer(
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
    products = index.select("item_id", title=ibis.null(str), attributes=ibis.null(str))
    dataset = NetworkDataset(filepath=str(tmp_path / "classifier.keras"))
    previous = PreviousTraining(tmp_path)
    train_classifier = make_training_function("classifier")

    def run_night(*, warm: bool) -> RecurrentNetwork:
        state, _ = train_classifier(split, index, vectors(), products, options, 1, warm, previous)
        assert previous.get_checkpoint("classifier")._path.is_file()
        dataset.save(state)
        assert not previous.get_checkpoint("classifier")._path.is_file()
        return state.network

    def train_expected(start: WarmStart) -> RecurrentNetwork:
        changes = {"epochs": 2, "learning_rate": 0.003, "schedule": "constant"}
        changed = change_training(described, **changes, average_weights=True)
        return train_network(
            split.train, split.validation, changed, N_ITEMS, 1, warm_start=start
        ).network

    first = run_night(warm=False)
    first_state = previous.load_network("classifier")
    assert first_state is not None
    assert first_state.optimizer is not None
    expected = train_expected(WarmStart(first, first_state.optimizer.variables))
    without_optimizer = train_expected(WarmStart(first))
    second = run_night(warm=True)
    assert "starts without it" not in caplog.text
    for found, weight in zip(second.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(found.numpy(), weight.numpy())

    # An older network was put back: the optimizer file belongs to another one.
    dataset.save(NetworkState(first))
    third = run_night(warm=True)
    assert "adam starts without it" in caplog.text
    for found, weight in zip(third.weights, without_optimizer.weights, strict=True):
        np.testing.assert_array_equal(found.numpy(), weight.numpy())
    assert np.abs(third.weights[1].numpy() - second.weights[1].numpy()).max() > 1e-4


def test_optimizer_file_belongs_to_one_network(tmp_path: Path) -> None:
    split, path = cycle_split(users=40), tmp_path / "optimizer.npz"
    trained = train(split, block({"epochs": 1}))
    assert load_optimizer_state(path, trained.network) is None
    save_optimizer_state(path, trained.network, trained.optimizer)
    save_network(trained.network, tmp_path / "network.keras", tmp_path / "network.keras")
    loaded = load_optimizer_state(path, load_network(tmp_path / "network.keras"))
    assert loaded is not None
    assert loaded.name == "adam"
    for found, expected in zip(loaded.variables, trained.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    other = train(split, block({"epochs": 1}), seed=2).network
    assert load_optimizer_state(path, other) is None


def test_warm_start_with_another_network_raises_input_error() -> None:
    split = cycle_split(users=40)
    trained = train(split, change_training(BLOCKS["tied"], epochs=1)).network
    with pytest.raises(
        InputError, match=r"(?s)warm_start: .* another network .* warm_start: false"
    ):
        train_network(
            split.train, split.validation, BLOCKS["titles"], N_ITEMS, 1, vectors(),
            warm_start=WarmStart(trained),
        )  # fmt: skip


def test_warm_start_with_other_vectors_raises_input_error() -> None:
    split, described = cycle_split(users=40), change_training(BLOCKS["titles"], epochs=1)
    trained = train(split, described).network
    trained.item_ids = np.arange(N_ITEMS + 1).astype(str).astype(object)
    trained.record_vector_samples(vectors())
    other_encoder = unit(np.random.default_rng(8).normal(size=(N_ITEMS + 1, 24)))
    for others in (unit(vectors()[:, :12]), other_encoder):
        with pytest.raises(InputError, match="trained with other title vectors"):
            train_network(
                split.train,
                split.validation,
                described,
                N_ITEMS,
                1,
                others,
                warm_start=WarmStart(trained),
            )
        with pytest.raises(InputError, match="trained with other title vectors"):
            make_scorer(trained, others)
    # Some titles may change.
    changed = vectors()
    changed[1:4] = other_encoder[1:4]
    make_scorer(trained, changed)
