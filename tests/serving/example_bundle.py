"""A small store with known answers: every customer buys the products of a cycle in order."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from bazar.config.networks import NetworkBlock
from bazar.config.recommendation import BundleOptions
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.sequences import Sequences
from bazar.data.splits import split_leave_one_out
from bazar.data.windows import build_full_histories
from bazar.models.exported.network import ExportedNetwork
from bazar.models.networks.export import export_network
from bazar.serving.bundle import Bundle
from bazar.training.trainer import train_network
from tests.serving.baseline_options import BASELINE_OPTIONS

N_ITEMS = 12
PURCHASES = [[(user + step) % N_ITEMS + 1 for step in range(5)] for user in range(N_ITEMS)]
# Nobody has bought the last product. Its title is like that of the first.
N_PRODUCTS = N_ITEMS + 1
NEW_PRODUCT = f"P{N_PRODUCTS}"
OPTIONS = BundleOptions.model_validate(
    {
        "dataset": "cycle",
        "split": "leave_one_out",
        "seed": 42,
        "models": ["blend", "classifier", "regressor"],
        "filter_seen": True,
        "blend": {
            "components": [{"model": "classifier"}, {"model": "decayed_cooccurrence"}],
            "seeds": [], "rows": 10, "rounds": 1, "seed": 1,
        },
        "embedded_text": "title",
        "live_sequence": 0,
        "weights": {"classifier": 0.7, "decayed_cooccurrence": 0.3},
        "baselines": BASELINE_OPTIONS,
    }
)  # fmt: skip


# Both networks score every item. The first reads ids and titles, the second only titles.
_NETWORK = {
    "item": "id+title", "item_dimension": 16, "head": "tied_softmax",
    "layers": [
        {"type": "dropout", "rate": 0.2},
        {"type": "residual", "cell": "gru", "units": 16, "feed_forward": 16, "dropout": 0.2},
    ],
    "training": {
        "rows": "every_position", "loss": "cross_entropy", "optimizer": "adam",
        "learning_rate": 0.01, "epochs": 20, "batch_size": 64, "choose_by": "val_loss",
        "schedule": "cosine",
    },
}  # fmt: skip
NETWORKS = {
    "classifier": NetworkBlock.model_validate(_NETWORK),
    "regressor": NetworkBlock.model_validate(
        _NETWORK | {"item": "title", "temperature": 0.1, "layers": [{"type": "gru", "units": 24}]}
    ),
}


def make_sequences(purchases: list[list[int]]) -> Sequences:
    users = pa.array([f"u{user:03}" for user in range(len(purchases))], pa.large_string())
    starts = np.cumsum([0, *(len(items) for items in purchases)])
    return Sequences(users, np.concatenate(purchases).astype(np.int32), starts)


def make_item_ids(n_products: int) -> np.ndarray:
    return np.array(["", *(f"P{index:02d}" for index in range(1, n_products + 1))], dtype=object)


def make_title_vectors() -> np.ndarray:
    vectors = np.random.default_rng(3).normal(size=(N_PRODUCTS + 1, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    similar_to_first = vectors[1] + 0.05 * vectors[2]
    vectors[N_PRODUCTS] = similar_to_first / np.linalg.norm(similar_to_first)
    return vectors


def make_products() -> Products:
    counts, recent = count_interactions(make_sequences(PURCHASES), N_PRODUCTS, 0.2)
    titles = np.array([None, *(f"title {index}" for index in range(1, N_PRODUCTS + 1))], object)
    colours = [f"{'Red' if index % 2 else 'Blue'}, Brand {index}" for index in range(N_PRODUCTS)]
    attributes = np.array([None, *colours], object)
    groups = np.full(N_PRODUCTS + 1, None, object)
    groups[2:4] = "P02"
    item_ids, vectors = make_item_ids(N_PRODUCTS), make_title_vectors()
    return Products(item_ids, titles, attributes, counts, recent, vectors, groups)


def make_products_without_title(item: int) -> Products:
    products = make_products()
    vectors, titles = products.vectors.copy(), products.titles.copy()
    vectors[item], titles[item] = 0, None
    return replace(products, vectors=vectors, titles=titles)


def make_bundle(
    networks: Mapping[str, Callable[[], ExportedNetwork]],
    products: Products | None = None,
    purchases: list[list[int]] | None = None,
    **options: object,
) -> Bundle:
    return Bundle(
        OPTIONS.model_copy(update=options),
        products or make_products(),
        build_full_histories(make_sequences(purchases or PURCHASES), history_length=8),
        networks,
    )


def train_networks() -> dict[str, Callable[[], ExportedNetwork]]:
    """Train and export both networks, before the last product was in the catalogue."""
    purchases = [[(user + step) % N_ITEMS + 1 for step in range(10)] for user in range(96)]
    splits = split_leave_one_out(make_sequences(purchases), N_ITEMS, history_length=8)
    vectors = make_title_vectors()[: N_ITEMS + 1]
    networks: dict[str, Callable[[], ExportedNetwork]] = {}
    for model, block in NETWORKS.items():
        network = train_network(splits.train, splits.validation, block, N_ITEMS, 1, vectors).network
        network.item_ids = make_item_ids(N_ITEMS)
        networks[f"seed_42/{model}"] = make_loader(export_network(network))
    return networks


def make_loader(network: ExportedNetwork) -> Callable[[], ExportedNetwork]:
    return lambda: network
