"""Training on orders: several targets per state, times and repeats."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.config.networks import NetworkBlock, WarmStartOptions
from bazar.data.splits import Splits
from bazar.data.windows import Windows
from bazar.evaluation.metrics import compute_row_metrics
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.network_inputs import build_network_input
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.training.batches import Batch, Batches, stack_batches
from bazar.training.checkpoints import Checkpoint
from bazar.training.train_step import make_train_steps
from bazar.training.warm_start import make_warm_start
from tests.evaluation.test_ranking import unit
from tests.models.order_rows import Orders, make_training_rows, order_lists
from tests.training.order_shops import (
    N_SHOP_ITEMS,
    make_rhythm_shop,
    make_shop_without_repeats,
    order_block,
    shop_vectors,
    split_rhythm_shop,
    split_shop,
    train_on,
)
from tests.training.test_batches import READS_ITEMS, list_order_targets
from tests.training.test_checkpoints import StoppedError, StopsAfter
from tests.training.test_trainer import assert_same, block, change_training

READS_ALL = replace(READS_ITEMS, reads_times=True, reads_seen=True, typical_gap=7.0)


def number_orders(users: list[Orders]) -> list[Orders]:
    """Replace the items so that each line of the shop has its own item."""
    next_item = iter(range(1, 10_000))
    return [[[next(next_item) for _ in order] for order in orders] for orders in users]


batch_options = {
    "users": order_lists(9),
    "history_length": st.integers(1, 6),
    "batch_size": st.integers(1, 20),
    "every_position": st.booleans(),
    "seed": st.one_of(st.none(), st.integers(0, 5)),
}


@given(**batch_options)
def test_every_target_occurs_once_after_the_earlier_orders(
    users: list[Orders],
    history_length: int,
    batch_size: int,
    every_position: bool,
    seed: int | None,
) -> None:
    users = number_orders(users)
    before = {
        item: orders[max(0, number - history_length) : number]
        for orders in users
        for number, order in enumerate(orders)
        if number
        for item in order
    }
    rows = make_training_rows(users, history_length=history_length)
    batches = Batches(rows, batch_size, every_position, seed, READS_ITEMS)
    for epoch in (0, 3):
        found = [pair for batch in batches.batches(epoch) for pair in list_order_targets(batch)]
        assert sorted(target for _, target in found) == sorted(before)
        for history, target in found:
            assert history
            # Shared pieces may start later than the history.
            expected = before[target][-len(history) :] if every_position else before[target]
            assert history == expected


def list_states(batch: Batch) -> dict[int, tuple[tuple[float, ...], dict[int, tuple[float, ...]]]]:
    """Return the last time features and the features of the seen items, by target."""
    inputs = batch.inputs
    times = inputs.times.reshape(-1, inputs.times.shape[-1])
    seen: dict[int, dict[int, tuple[float, ...]]] = {}
    for state, item, features in zip(
        inputs.seen_states.tolist(), inputs.seen_items.tolist(), inputs.seen_features, strict=True
    ):
        seen.setdefault(state, {})[item] = tuple(features.tolist())
    return {
        target: (tuple(times[inputs.positions[state]].tolist()), seen[state])
        for state, target, weight in zip(
            batch.target_states.tolist(), batch.targets.tolist(), batch.weights, strict=True
        )
        if weight
    }


@given(**batch_options)
def test_times_and_seen_items_of_a_state_are_those_of_the_request(
    users: list[Orders],
    history_length: int,
    batch_size: int,
    every_position: bool,
    seed: int | None,
) -> None:
    users = number_orders(users)
    days = [[float(number**2) for number in range(len(orders))] for orders in users]
    rows = make_training_rows(users, days, history_length)
    batches = Batches(rows, batch_size, every_position, seed, READS_ALL)
    found = {}
    for batch in batches.batches(0):
        found.update(list_states(batch))
    # The input that the trained network reads for the same rows.
    inputs = build_network_input(rows, READS_ALL)
    row_numbers, targets = rows.list_targets()
    weights, nothing = np.ones(len(targets), np.float32), np.zeros((len(rows), 0), np.float32)
    alone = Batch(inputs, row_numbers, targets, weights, nothing.astype(np.int32), nothing)
    assert found == list_states(alone)


def test_repeats_within_an_order_are_one_target() -> None:
    rows = make_training_rows([[[1, 2], [3, 1, 3]]])
    (batch,) = Batches(rows, 8, True, None, READS_ALL).batches(0)
    assert batch.targets.tolist() == [3, 1, 0, 0, 0, 0, 0, 0]
    assert batch.weights.tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert batch.target_states[:2].tolist() == [0, 0]
    assert batch.inputs.seen_items.tolist() == [1, 2]


def test_stacked_batches_have_padding_without_effect() -> None:
    rows = make_training_rows(*make_rhythm_shop(8))
    network = make_random_network(order_block())
    batches = Batches(rows, 16, True, 1, network.get_input_options(None))
    by_shape: dict[tuple[int, ...], list[Batch]] = {}
    for batch in batches.batches(0):
        by_shape.setdefault(batch.shape, []).append(batch)
    group = max(by_shape.values(), key=len)
    assert len(group) > 1
    stacked = stack_batches(group)
    n_inputs = len(group[0].inputs.to_tuple())
    for number, batch in enumerate(group):
        padded = type(batch.inputs)(*(array[number] for array in stacked[:n_inputs]))
        np.testing.assert_allclose(
            network.call(padded), network.call(batch.inputs), rtol=1e-4, atol=1e-4
        )


# The loss.


def make_random_network(described: NetworkBlock) -> RecurrentNetwork:
    """Make a network whose weights are not 0 anywhere."""
    network = build_network(described.network, N_SHOP_ITEMS)
    rng = np.random.default_rng(10)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return network


def run_step(described: NetworkBlock, rows: Windows) -> tuple[float, list[np.ndarray]]:
    """Return the loss of all rows in one batch, and the gradient of each weight."""
    network = make_random_network(described)
    before = [weight.numpy() for weight in network.trainable_variables]
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(network.trainable_variables)
    counts = np.bincount(rows.sequences.items, minlength=N_SHOP_ITEMS + 1)
    batches = Batches(rows, 2_048, True, None, network.get_input_options(None))
    steps = make_train_steps(network, described, optimizer, None, counts, 3, batches)
    # All histories have the same length, so that all rows are in one batch.
    (batch,) = batches.batches(0)
    loss = float(steps([batch], [1.0])[0])
    after = [weight.numpy() for weight in network.trainable_variables]
    return loss, [old - new for old, new in zip(before, after, strict=True)]


def make_equal_rows() -> Windows:
    """Make rows of customers with the same number of orders, with repeats."""
    rng = np.random.default_rng(1)
    users = [
        [(rng.permutation(N_SHOP_ITEMS)[: rng.integers(1, 4)] + 1).tolist() for _ in range(6)]
        for _ in range(30)
    ]
    days = [np.cumsum(rng.uniform(1, 20, 6)).tolist() for _ in users]
    rows = make_training_rows(users, days)
    assert 20 < np.count_nonzero(rows.find_repeats()) < len(rows.list_targets()[0]) / 2
    return rows


def test_sampled_softmax_with_repeats_approximates_the_full_one() -> None:
    rows = make_equal_rows()
    full_loss, full = run_step(order_block(), rows)
    sampled_loss, sampled = run_step(order_block({"sample_above": 1, "negatives": 20_000}), rows)
    assert sampled_loss == pytest.approx(full_loss, rel=0.02)
    for found, expected in zip(sampled, full, strict=True):
        assert np.isfinite(found).all()
        assert np.linalg.norm(expected) > 0
        assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_sampled_softmax_with_few_negatives_has_a_finite_gradient() -> None:
    rows = make_equal_rows()
    loss, gradient = run_step(order_block({"sample_above": 1, "negatives": 3}), rows)
    assert np.isfinite(loss)
    assert all(np.isfinite(part).all() for part in gradient)


def test_loss_is_the_mean_over_all_targets() -> None:
    rows = make_equal_rows()
    described = order_block()
    loss, _ = run_step(described, rows)
    network = make_random_network(described)
    # Pieces end with the last order, so that the histories of all rows are complete.
    scores = make_scorer(network, None).score(rows)
    expected = -np.log(scores[rows.list_targets()]).mean()
    assert loss == pytest.approx(expected, rel=1e-3)


# Trainings.


def compute_ndcg(network: RecurrentNetwork, split: Splits, read: np.ndarray | None = None) -> float:
    rows = split.test.list_targets()[0]
    ranks = rank_catalogue(make_scorer(network, read), split.test, 20, 64)["unfiltered"].ranks
    return float(compute_row_metrics(ranks, rows)["ndcg@10"].mean())


RESUMED = {
    "ids and titles": order_block(
        {"epochs": 3, "schedule": "cosine", "average_weights": True},
        item="id+title",
        layers=[{"type": "residual", "cell": "gru", "units": 8, "feed_forward": 8, "dropout": 0.2}],
        history_decay=0.6,
        repeats={"units": 8, "dropout": 0.3},
    ),
    "sampled": order_block({"epochs": 3, "sample_above": 3, "negatives": 6}),
    "window": order_block({"epochs": 3, "rows": "window"}),
}


@pytest.mark.parametrize("described", RESUMED.values(), ids=RESUMED.keys())
def test_interrupted_training_on_orders_ends_with_the_same_weights(
    tmp_path: Path, described: NetworkBlock
) -> None:
    split, path, read = split_rhythm_shop(n_users=16), tmp_path / "state.npz", shop_vectors()
    expected = train_on(split, described, read)
    with pytest.raises(StoppedError):
        train_on(split, described, read, checkpoint=StopsAfter(path, 1))
    assert_same(train_on(split, described, read, checkpoint=Checkpoint(path)), expected)
    assert len(expected.training_log) == 3


def test_other_times_or_orders_start_a_new_training(tmp_path: Path) -> None:
    users, days = make_rhythm_shop(20)
    described, path = order_block({"epochs": 2}), tmp_path / "state.npz"
    split = split_shop(users, days, N_SHOP_ITEMS)
    later = split_shop(users, [[2 * day for day in own] for own in days], N_SHOP_ITEMS)
    with pytest.raises(StoppedError):
        train_on(split, described, checkpoint=StopsAfter(path, 2))
    ran: list[float] = []
    train_on(
        later, described, checkpoint=Checkpoint(path),
        after_epoch=lambda metrics: ran.append(metrics["epoch"]),
    )  # fmt: skip
    assert ran == [1, 2]


def test_repeats_and_times_improve_a_shop_with_a_rhythm() -> None:
    split = split_rhythm_shop()
    found = {}
    for name, described in (
        ("both", order_block()),
        ("neither", order_block(time=False, repeats=None)),
    ):
        found[name] = compute_ndcg(train_on(split, described).network, split)
    assert found["both"] > found["neither"] + 0.1


def test_warm_start_with_times_and_repeats_continues_the_training() -> None:
    described = change_training(order_block(), warm=WarmStartOptions(epochs=2, learning_rate=0.003))
    trained = train_on(split_rhythm_shop(n_users=40), described)
    network = trained.network
    network.item_ids = np.arange(N_SHOP_ITEMS + 1).astype(object)
    # A product is added, and there are more customers.
    users, days = make_rhythm_shop(60)
    late = split_shop(users, days, N_SHOP_ITEMS + 1)
    item_ids = np.arange(N_SHOP_ITEMS + 2).astype(object)
    start = make_warm_start(trained.state, item_ids, "adam")
    warm = train_on(late, described.warm_start_block, warm_start=start)
    cold = train_on(late, described.warm_start_block)
    assert warm.facts["warm_start"]
    assert warm.training_log["val_loss"][0] < 0.8 * cold.training_log["val_loss"][0]
    assert compute_ndcg(warm.network, late) > compute_ndcg(cold.network, late) + 0.1
    # The network keeps the unit of its times.
    assert float(warm.network.typical_gap) == float(network.typical_gap)


@pytest.mark.parametrize("gets_timestamps", [True, False])
def test_warm_start_notices_that_timestamps_come_or_go(
    gets_timestamps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    described = change_training(
        order_block({"epochs": 1}), warm=WarmStartOptions(epochs=1, learning_rate=0.003)
    )
    users, days = make_rhythm_shop(12)
    timed, untimed = (split_shop(users, found, N_SHOP_ITEMS) for found in (days, None))
    before, after = (untimed, timed) if gets_timestamps else (timed, untimed)
    trained = train_on(before, described)
    trained.network.item_ids = np.arange(N_SHOP_ITEMS + 1).astype(object)
    start = make_warm_start(trained.state, trained.network.item_ids, "adam")
    warm = train_on(after, described.warm_start_block, warm_start=start).network
    cold = train_on(after, described.warm_start_block).network
    assert float(warm.time_layer.has_clock) == float(gets_timestamps)
    assert float(warm.typical_gap) == float(cold.typical_gap)
    found = ("no", "some") if gets_timestamps else ("some", "none")
    assert (
        "the last training had {} timestamps, and now there are {}.".format(*found) in caplog.text
    )


def test_a_closed_repeat_layer_opens_when_customers_buy_again() -> None:
    users, days = make_shop_without_repeats()
    described = change_training(
        order_block({"epochs": 1}), warm=WarmStartOptions(epochs=3, learning_rate=0.01)
    )
    closed = train_on(split_shop(users, days, N_SHOP_ITEMS), described)
    closed.network.item_ids = np.arange(N_SHOP_ITEMS + 1).astype(object)
    start = make_warm_start(closed.state, closed.network.item_ids, "adam")
    still_closed = train_on(
        split_shop(users, days, N_SHOP_ITEMS), described.warm_start_block, warm_start=start
    )
    assert still_closed.network.repeat_layer.is_closed
    split = split_rhythm_shop(n_users=40)
    opened = train_on(split, described.warm_start_block, warm_start=start)
    assert not opened.network.repeat_layer.is_closed
    # It ranks products that were bought before: most validation targets are repeats.
    assert compute_ndcg(opened.network, split) > compute_ndcg(closed.network, split) + 0.2


@pytest.mark.parametrize("head", ["softmax", "vector"])
def test_other_heads_learn_from_orders(head: str) -> None:
    # Each order is one of three pairs of items, in a cycle.
    users = [
        [[2 * number + 1, 2 * number + 2] for number in np.arange(user, user + 7) % 3]
        for user in range(36)
    ]
    split = split_shop([[list(map(int, order)) for order in own] for own in users], None, 6)
    # The mean of the titles of a pair is near both of them.
    read = unit(np.eye(4)[[3, 0, 0, 1, 1, 2, 2]] + 0.1 * shop_vectors(6)[:, :4])
    training = {"epochs": 20, "learning_rate": 0.01, "rows": "window"}
    loss = {"loss": "mse"} if head == "vector" else {}
    described = block(training | loss, head=head, time=True, layers=[{"type": "gru", "units": 16}])
    network = train_on(split, described, read).network
    assert compute_ndcg(network, split, read) > 0.9


def test_targets_without_a_title_leave_the_other_targets_of_their_order() -> None:
    # Item 3 is in each order, and has no title.
    users = [[[1, 3], [2, 3], [1, 3], [2, 3], [1, 3]] for _ in range(12)]
    split = split_shop(users, None, 3)
    vectors = unit(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    vectors[[0, 3]] = 0
    described = block(
        {"epochs": 15, "learning_rate": 0.03, "rows": "window", "loss": "mse"},
        item="title", item_dimension=None, head="vector", layers=[{"type": "gru", "units": 8}],
    )  # fmt: skip
    trained = train_on(split, described, vectors)
    assert trained.facts["training_rows"] == len(split.train) == 24
    # The loss is that of the titled targets alone: with zeros as targets, it would stay above .05.
    assert trained.training_log["loss"].iloc[-1] < 0.02
    assert trained.training_log["val_loss"].iloc[-1] < 0.02

    # With cosines, an untitled target would be counted as another item: the loss would stay high.
    described = block(
        {"epochs": 30, "learning_rate": 0.03, "rows": "window"},
        item="title", head="tied_softmax", temperature=0.1, layers=[{"type": "gru", "units": 8}],
    )  # fmt: skip
    trained = train_on(split, described, vectors)
    assert trained.training_log["loss"].iloc[-1] < 0.05
