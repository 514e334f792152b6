"""Shops whose customers come back, and small networks for them."""

from typing import Any

import numpy as np

from bazar.config.networks import NetworkBlock
from bazar.data.splits import Splits, split_next_order
from bazar.models.networks.scorers import make_scorer
from bazar.training.trainer import TrainedNetwork, train_network
from tests.evaluation.test_ranking import unit
from tests.models.order_rows import Orders, make_order_sequences
from tests.training.test_trainer import block

N_CONSUMABLES, N_DURABLES = 4, 20
N_SHOP_ITEMS = N_CONSUMABLES + N_DURABLES
PERIOD = 30


def make_rhythm_shop(
    n_users: int = 60, n_periods: int = 5
) -> tuple[list[Orders], list[list[float]]]:
    """Make customers that buy their consumable every 30 days, and durables once between.

    Items 1 to 4 are consumables; each customer buys one of them. The other items are durables:
    nobody buys one again. Up to two orders of one or two durables follow a consumable.

    Returns:
        The orders of each customer, and the times of the orders in days.
    """
    rng = np.random.default_rng(0)
    users, days = [], []
    for user in range(n_users):
        consumable = user % N_CONSUMABLES + 1
        new = (rng.permutation(N_DURABLES) + N_CONSUMABLES + 1).tolist()
        orders, times = [], []
        start = float(rng.integers(0, PERIOD))
        for period in range(n_periods):
            orders.append([consumable])
            times.append(start + PERIOD * period + float(rng.uniform(-1, 1)))
            for offset in sorted(rng.uniform(2, 20, rng.integers(0, 3)).tolist()):
                orders.append([new.pop() for _ in range(rng.integers(1, 3))])
                times.append(times[0] + PERIOD * period + offset)
        users.append(orders)
        days.append(times)
    return users, days


def make_shop_without_repeats(n_users: int = 40) -> tuple[list[Orders], list[list[float]]]:
    rng = np.random.default_rng(2)
    users = [
        np.split(rng.permutation(N_SHOP_ITEMS)[:9] + 1, [2, 3, 5, 6, 8]) for _ in range(n_users)
    ]
    orders = [[[int(item) for item in order] for order in parts] for parts in users]
    return orders, [sorted(rng.uniform(0, 100, 6).tolist()) for _ in range(n_users)]


def split_shop(users: list[Orders], days: list[list[float]] | None, n_items: int) -> Splits:
    return split_next_order(make_order_sequences(users, days), n_items, history_length=10)


def split_rhythm_shop(n_users: int = 60, has_clock: bool = True) -> Splits:
    users, days = make_rhythm_shop(n_users)
    return split_shop(users, days if has_clock else None, N_SHOP_ITEMS)


def order_block(training: dict[str, Any] | None = None, **network: Any) -> NetworkBlock:
    """Make the block of a small network that reads times and scores repeats."""
    values: dict[str, Any] = {
        "item_dimension": 12,
        "layers": [{"type": "gru", "units": 12}],
        "temperature": 0.15,
        "time": True,
        "repeats": {"units": 12, "dropout": 0.0},
    }
    fixed = {"epochs": 15, "learning_rate": 0.01, "batch_size": 64}
    return block(fixed | (training or {}), **(values | network))


def shop_vectors(n_items: int = N_SHOP_ITEMS) -> np.ndarray:
    """Make random title vectors."""
    return unit(np.random.default_rng(7).normal(size=(n_items + 1, 8)))


def train_on(
    split: Splits, described: NetworkBlock, item_vectors: np.ndarray | None = None, **changes: Any
) -> TrainedNetwork:
    n_items = len(split.training_counts) - 1
    arguments = {"seed": 1, "filter_seen": False} | changes
    return train_network(
        split.train, split.validation, described, n_items, item_vectors=item_vectors, **arguments
    )


def score(trained: TrainedNetwork, rows: Any, item_vectors: np.ndarray | None = None) -> np.ndarray:
    return make_scorer(trained.network, item_vectors).score(rows)
