"""Networks that read orders and times, and that score previously bought items."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bazar.config.base import format_validation_errors
from bazar.config.networks import NetworkBlock
from bazar.data.windows import Windows
from bazar.datasets.network import NetworkDataset
from bazar.evaluation.ranking import rank_catalogue
from bazar.models.network_inputs import (
    N_SEEN_FEATURES,
    N_TIME_FEATURES,
    InputOptions,
    build_network_input,
)
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.networks.scorers import make_scorer
from bazar.models.networks.vocabulary import remap_network
from bazar.training.trainer import TrainedNetwork
from bazar.training.warm_start import NetworkState
from tests.evaluation.test_ranking import unit
from tests.models.order_rows import Orders, make_requests, order_lists
from tests.training.order_shops import (
    N_CONSUMABLES,
    N_SHOP_ITEMS,
    make_shop_without_repeats,
    order_block,
    score,
    shop_vectors,
    split_rhythm_shop,
    split_shop,
    train_on,
)
from tests.training.test_trainer import BLOCKS

READS_ALL = InputOptions(None, reads_times=True, reads_seen=True, typical_gap=10.0)


def build_random_order_network(**keys: Any) -> RecurrentNetwork:
    """Build a network with random weights. The layers that start at 0 have weights, too."""
    network = build_network(order_block(**keys).network, N_SHOP_ITEMS, 8)
    rng = np.random.default_rng(6)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    assert network.typical_gap is not None
    network.typical_gap.assign(10)
    return network


# The input.


def test_orders_are_steps_with_scaled_weights() -> None:
    windows = make_requests([[[1, 2, 3, 4], [5]], [[6, 7]]], [[0, 10], [4]], request_day=30)
    inputs = build_network_input(windows, READS_ALL)
    assert inputs.items.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert inputs.steps.tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert inputs.weights.tolist() == pytest.approx([0.5] * 4 + [1] + [0.5**0.5] * 2)
    assert inputs.shape.tolist() == [2, 2]
    assert inputs.positions.tolist() == [1, 2]
    assert inputs.times.shape == (2, 2, N_TIME_FEATURES)
    # The time from each order to the next, and from the last order to the request.
    gaps = np.log1p(np.array([[10, 20], [26, 0]]) / 10)
    np.testing.assert_allclose(inputs.times[..., 0], gaps, rtol=1e-6)
    np.testing.assert_allclose(inputs.times[..., 1], gaps**2, rtol=1e-6)
    # The season is that of the next order; the step behind the history is 0.
    angles = 2 * np.pi * np.array([10, 30, 30]) / 365.25
    waves = np.stack([np.sin(angles), np.cos(angles), np.sin(2 * angles), np.cos(2 * angles)], 1)
    np.testing.assert_allclose(inputs.times[[0, 0, 1], [0, 1, 0], 2:], waves, atol=1e-6)
    assert not inputs.times[1, 1].any()
    assert inputs.seen_states.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert inputs.seen_items.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert inputs.seen_features.shape == (7, N_SEEN_FEATURES)


def test_an_order_without_a_readable_item_is_no_step() -> None:
    readable = np.ones(9, bool)
    readable[[2, 3]] = False
    windows = make_requests([[[1, 2], [3], [4]]], [[0, 10, 20]], request_day=25)
    inputs = build_network_input(windows, replace(READS_ALL, readable_items=readable))
    assert inputs.items.tolist() == [1, 4]
    assert inputs.steps.tolist() == [0, 1]
    assert inputs.weights.tolist() == [1, 1]
    np.testing.assert_allclose(np.expm1(inputs.times[0, :, 0]) * 10, [10, 5], rtol=1e-5)
    assert inputs.seen_items.tolist() == [1, 4]


def test_repeat_features_by_hand() -> None:
    windows = make_requests([[[1, 2], [1], [2, 3]]], [[0, 10, 30]], request_day=40)
    features = build_network_input(windows, READS_ALL).seen_features
    # Items 1, 2 and 3, in gaps of 10 days: last purchase 3, 1 and 1 ago; mean gap 1, 3 and none.
    expected = [
        np.log1p([3, 1, 1]),
        np.log1p([1, 0, 0]),
        np.log([2, 2, 1]),
        [2 / 3, 2 / 3, 1 / 3],
        [1, 1, 0],
        np.log1p([1, 3, 0]),
        [np.log(3.05 / 1.05), np.log(1.05 / 3.05), 0],
        np.log1p([3, 3, 3]),
        np.log1p([4, 4, 1]),
        np.log1p([1, 1, 1]),
    ]
    np.testing.assert_allclose(features, np.transpose(expected), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def random_network() -> RecurrentNetwork:
    return build_random_order_network()


def compute_logits(
    network: RecurrentNetwork, rows: Windows, vectors: np.ndarray | None = None
) -> np.ndarray:
    inputs = build_network_input(rows, network.get_input_options(vectors))
    return np.asarray(network.call(inputs, network.prepare_vectors(vectors)))


@settings(max_examples=25, deadline=None)
@given(
    users=order_lists(N_SHOP_ITEMS),
    random=st.randoms(use_true_random=False),
    has_clock=st.booleans(),
)
def test_the_order_of_the_lines_of_an_order_changes_nothing(
    random_network: RecurrentNetwork, users: list[Orders], random: Any, has_clock: bool
) -> None:
    days = [[7.0 * number for number in range(len(orders))] for orders in users]

    def compute(orders: list[Orders]) -> np.ndarray:
        rows = make_requests(orders, days if has_clock else None, request_day=50)
        return compute_logits(random_network, rows)

    permuted = [[random.sample(order, len(order)) for order in orders] for orders in users]
    found = compute(permuted)
    assert found.shape == (len(users), N_SHOP_ITEMS + 1)
    np.testing.assert_allclose(found, compute(users), rtol=1e-3, atol=1e-3)


def test_the_order_of_the_orders_and_their_times_count(random_network: RecurrentNetwork) -> None:
    orders, days = [[1, 2], [3], [4]], [0.0, 10.0, 20.0]

    def compute(orders: Orders, days: list[float] | None, day: float = 30) -> np.ndarray:
        rows = make_requests([orders], None if days is None else [days], day)
        return compute_logits(random_network, rows)[0, 1:]

    expected = compute(orders, days)
    for other in (
        compute([[3], [1, 2], [4]], days),
        compute([[1], [2, 3], [4]], days),
        compute(orders, [0, 15, 20]),
        compute(orders, days, day=31),
        compute(orders, None),
    ):
        # All items are affected, not only those that were bought before.
        assert np.abs(other - expected)[4:].max() > 0.01


# Networks trained on shops whose right answers are known.


@pytest.fixture(scope="module")
def rhythm() -> TrainedNetwork:
    return train_on(split_rhythm_shop(), order_block())


def make_late_requests(
    day: float | None, consumable: int = 2, durables: tuple[int, ...] = (9, 15)
) -> Windows:
    """Make a request some days after the last of four purchases of a consumable."""
    orders = [[consumable], [durables[0]], [consumable], [consumable], [durables[1]], [consumable]]
    days = [0.0, 8.0, 30.0, 60.0, 70.0, 90.0]
    if day is None:
        return make_requests([orders])
    return make_requests([orders], [days], request_day=90 + day)


def rank_items(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each item of one row, from 1; the padding item is the last."""
    scores = np.where(np.arange(len(scores)) == 0, -np.inf, scores)
    return np.argsort(np.argsort(-scores)) + 1


@pytest.mark.parametrize("consumable", range(1, N_CONSUMABLES + 1))
def test_a_product_bought_every_30_days_is_due_on_day_29(
    rhythm: TrainedNetwork, consumable: int
) -> None:
    (early,), (late,) = (score(rhythm, make_late_requests(day, consumable)) for day in (3.0, 29.0))
    assert rank_items(late)[consumable] == 1
    assert late[consumable] > 0.5
    # On day 3, products that nobody has bought yet come first.
    assert rank_items(early)[consumable] > 10
    # Durables that the customer has bought are never due.
    for scores in (early, late):
        assert max(scores[[9, 15]]) < 0.02


def test_a_request_without_times_is_scored(rhythm: TrainedNetwork) -> None:
    (scores,) = score(rhythm, make_late_requests(None))
    assert np.isfinite(scores[1:]).all()
    assert scores[1:].sum() == pytest.approx(1, rel=1e-5)


def test_a_shop_without_a_clock_is_learned() -> None:
    split = split_rhythm_shop(has_clock=False)
    trained = train_on(split, order_block())
    ranks = rank_catalogue(make_scorer(trained.network, None), split.test, 20, 16)["unfiltered"]
    rows, items = split.test.list_targets()
    is_consumable = items <= N_CONSUMABLES
    # Without times, a consumable is about as likely as any new product: it is near the top.
    assert np.median(ranks.ranks[is_consumable]) <= 2
    assert is_consumable.any()
    assert len(rows) == len(ranks.ranks)
    (timeless,) = score(trained, make_late_requests(None))
    assert timeless[1:].sum() == pytest.approx(1, rel=1e-5)
    network = trained.network
    assert network.time_layer is not None
    assert float(network.time_layer.has_clock) == 0
    assert float(network.typical_gap) == 1


def test_typical_gap_is_the_median_time_between_orders(rhythm: TrainedNetwork) -> None:
    train = split_rhythm_shop().train
    assert train.request_times is not None
    assert train.sequences.timestamps is not None
    before = train.sequences.timestamps[train.target_positions - 1]
    expected = np.median(train.request_times - before) / 86_400_000
    assert float(rhythm.network.typical_gap) == pytest.approx(expected, rel=1e-5)


def test_filtered_equals_unfiltered_where_nobody_buys_again() -> None:
    users, days = make_shop_without_repeats()
    split = split_shop(users, days, N_SHOP_ITEMS)
    trained = train_on(split, order_block({"epochs": 2}))
    assert trained.network.repeat_layer is not None
    assert trained.network.repeat_layer.is_closed
    rankings = rank_catalogue(make_scorer(trained.network, None), split.test, 10, 16)
    filtered, unfiltered = rankings["filtered"], rankings["unfiltered"]
    np.testing.assert_array_equal(unfiltered.items, filtered.items)
    np.testing.assert_array_equal(unfiltered.scores, filtered.scores)
    np.testing.assert_array_equal(unfiltered.ranks, filtered.ranks)


def test_a_closed_repeat_layer_does_not_change_the_training() -> None:
    users, days = make_shop_without_repeats()
    split = split_shop(users, days, N_SHOP_ITEMS)
    closed, without = (
        train_on(split, order_block({"epochs": 2, "choose_by": "val_loss"}, repeats=repeats))
        for repeats in ({"units": 4, "dropout": 0.5}, None)
    )
    assert closed.network.item_embedding is not None
    assert without.network.item_embedding is not None
    np.testing.assert_allclose(closed.training_log["loss"], without.training_log["loss"], rtol=1e-5)
    np.testing.assert_allclose(
        closed.network.item_embedding.embeddings, without.network.item_embedding.embeddings,
        rtol=1e-4, atol=1e-6,
    )  # fmt: skip


# Items 1 to 10 are consumables, 11 to 20 durables. The last two of each kind are new.
N_KIND = 10
NEW_CONSUMABLES, NEW_DURABLES = (9, 10), (19, 20)


def make_titled_repeat_shop() -> tuple[list[Orders], list[list[float]], np.ndarray]:
    """Make a shop in which titles tell consumables from durables.

    Consumables are bought again in each order after the first purchase; durables never. New
    products are bought only in the last order of the training part, so that nobody buys them again
    there.
    """
    rng = np.random.default_rng(3)
    users = []
    for user in range(80):
        kept = (rng.permutation(N_KIND - 2) + 1)[:2].tolist()
        durables = (rng.permutation(N_KIND - 2) + N_KIND + 1).tolist()
        orders = [[*kept, durables[number]] for number in range(6)]
        # Two orders are held out.
        orders[3] = [*orders[3], NEW_CONSUMABLES[user % 2], NEW_DURABLES[user // 2 % 2]]
        users.append(orders)
    days = [[10.0 * number + user % 7 for number in range(6)] for user in range(len(users))]
    kind = np.zeros((2 * N_KIND + 1, 8))
    kind[1 : N_KIND + 1, 0], kind[N_KIND + 1 :, 0] = 1, -1
    return users, days, unit(kind + rng.normal(scale=0.25, size=kind.shape))


@pytest.mark.parametrize("item", ["title", "id+title"])
def test_titles_tell_which_products_are_bought_again(item: str) -> None:
    users, days, vectors = make_titled_repeat_shop()
    split = split_shop(users, days, 2 * N_KIND)
    described = order_block({"epochs": 20}, item=item, item_dimension=6)
    trained = train_on(split, described, vectors)
    counts = split.training_counts
    assert (counts[[*NEW_CONSUMABLES, *NEW_DURABLES]] == 40).all()
    repeats = split.train.list_targets()[1][split.train.find_repeats()]
    assert set(repeats.tolist()) == set(range(1, N_KIND - 1))
    for consumable in NEW_CONSUMABLES:
        for durable in NEW_DURABLES:
            # Bought once, together, ten days ago.
            rows = make_requests([[[1, 11], [1, 12, consumable, durable]]], [[0, 10]], 20)
            (scores,) = score(trained, rows, vectors)
            assert scores[consumable] > 5 * scores[durable]
    # The same holds for products that are bought again in training.
    rows = make_requests([[[3, 13], [3, 14]]], [[0, 10]], 20)
    (scores,) = score(trained, rows, vectors)
    assert rank_items(scores)[3] == 1
    assert scores[3] > 3 * scores[[13, 14]].max()


# Files and catalogues.


@pytest.mark.parametrize("item", ["id", "title", "id+title"])
def test_a_saved_network_keeps_its_scores(tmp_path: Path, item: str) -> None:
    vectors = shop_vectors()
    trained = train_on(
        split_rhythm_shop(n_users=20), order_block({"epochs": 1}, item=item), vectors
    )
    dataset = NetworkDataset(filepath=str(tmp_path / "network.keras"))
    dataset.save(NetworkState(trained.network))
    loaded = dataset.load()
    for loaded_weight, weight in zip(loaded.weights, trained.network.weights, strict=True):
        np.testing.assert_array_equal(loaded_weight, weight)
    assert float(loaded.typical_gap) == float(trained.network.typical_gap) != 1
    rows = split_rhythm_shop().test
    np.testing.assert_array_equal(
        make_scorer(loaded, vectors).score(rows), score(trained, rows, vectors)
    )


def test_a_closed_repeat_layer_is_loaded_closed(tmp_path: Path) -> None:
    network = build_random_order_network()
    assert network.repeat_layer is not None
    network.repeat_layer.close()
    dataset = NetworkDataset(filepath=str(tmp_path / "network.keras"))
    dataset.save(NetworkState(network))
    loaded = dataset.load()
    assert loaded.repeat_layer.is_closed
    (scores,) = make_scorer(loaded, None).score(make_requests([[[1, 2], [3]]]))
    assert scores[[1, 2, 3]].max() == 0
    assert (scores[4:] > 0).all()


@pytest.mark.parametrize("item", ["id", "title", "id+title"])
def test_a_grown_catalogue_keeps_the_scores_of_known_items(item: str) -> None:
    vectors = shop_vectors()
    network = build_random_order_network(item=item)
    if item != "id":
        network.fit_whitening(vectors)
    network.item_ids = np.array(["", *(f"P{number:02d}" for number in range(1, 25))], dtype=object)
    # A product is added in front, and another one in the middle.
    item_ids = np.insert(network.item_ids, [1, 12], ["A", "P11b"])
    old = np.array([0, 0, *range(1, 12), 0, *range(12, 25)])
    new_index = {int(before): now for now, before in enumerate(old) if before}
    grown = remap_network(network, item_ids)
    moved = vectors[old]
    moved[[1, 13]] = vectors[[5, 6]]
    orders = [[1, 2], [3, 14], [1, 24], [2]]
    renumbered = [[new_index[item] for item in order] for order in orders]
    days = [[0.0, 11.0, 19.0, 34.0]]

    def compute(network: RecurrentNetwork, orders: Orders, read: np.ndarray) -> np.ndarray:
        return compute_logits(network, make_requests([orders], days, request_day=41), read)[0]

    before = compute(network, orders, vectors)
    after = compute(grown, renumbered, moved)
    kept = np.arange(1, 25)
    np.testing.assert_allclose(
        after[[new_index[item] for item in kept]], before[kept], rtol=1e-3, atol=1e-4
    )
    assert float(grown.typical_gap) == 10


def test_weights_of_times_and_repeats_are_created_last() -> None:
    network = build_network(order_block().network, N_SHOP_ITEMS)
    assert [layer.name for layer in network.layers] == [
        "item_embedding", "gru_1", "head", "time", "repeats",
    ]  # fmt: skip
    names = [weight.path.rsplit("/", 2)[-1] for weight in network.non_trainable_weights]
    assert names == ["id_weights", "typical_gap", "has_clock", "offset"]


def test_networks_without_times_and_repeats_do_not_read_them() -> None:
    network = build_network(BLOCKS["tied"].network, 9)
    assert network.typical_gap is None
    options = network.get_input_options(None)
    inputs = build_network_input(make_requests([[[1], [2]]], [[0, 3]], 9), options)
    assert inputs.times.shape == (0, 2, N_TIME_FEATURES)
    assert len(inputs.seen_items) == 0


# Parameters.


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"temperature": None}, "repeats needs a temperature, found null. Set a temperature, or"),
        (
            {"repeats": {"units": 8, "dropout": 1.0}},
            "repeats.dropout: must be less than 1, found 1.0",
        ),
        (
            {"repeats": {"units": 0, "dropout": 0.1}},
            "repeats.units: must be greater than or equal to 1, found 0",
        ),
        ({"repeats": {"units": 8}}, "repeats.dropout: is missing"),
        ({"repeats": {"units": 8, "dropout": 0.1, "unit": 3}}, "repeats.unit: unknown key. Did"),
        ({"time": "often"}, "time: .*found 'often'"),
    ],
)
def test_wrong_parameters_are_reported_with_key_and_value(
    keys: dict[str, Any], message: str
) -> None:
    values = order_block().model_dump() | keys
    with pytest.raises(ValidationError) as error:
        NetworkBlock.model_validate(values)
    lines = format_validation_errors(error.value, NetworkBlock)
    assert len(lines.splitlines()) == 1
    assert re.search(message, lines)
