"""A synthetic bundle of a given size, for the benchmarks of answers."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from kedro.config import OmegaConfigLoader

from bazar.config.data import EmbeddingOptions
from bazar.config.models import BaselineOptions, BlendOptions
from bazar.config.networks import ModelOptions
from bazar.config.recommendation import BundleOptions, RecommendingModel
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.encoder_cache import get_exported_encoder
from bazar.data.sequences import Sequences
from bazar.data.title_embeddings import find_encoder
from bazar.data.windows import build_full_histories
from bazar.models.networks.export import export_network
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.registry import get_network_path
from bazar.serving.bundle import Bundle, write_bundle
from bazar.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[1]
SIZES = (12_000, 112_000)
N_CUSTOMERS, DIMENSION, SEED, MAX_HISTORY = 20_000, 384, 42, 20
NETWORKS: tuple[RecommendingModel, ...] = ("classifier", "regressor")


def write_synthetic_bundle(
    folder: Path,
    n_products: int,
    models: tuple[RecommendingModel, ...] = NETWORKS,
    has_encoder: bool = False,
) -> dict[RecommendingModel, RecurrentNetwork]:
    """Write a synthetic bundle, and return its networks.

    The networks of conf/base have their initial weights, because the latency does not depend on
    the values of the weights. The blend has all components of conf/base.

    Args:
        folder: folder of the bundle.
        n_products: size of the catalogue.
        models: the models that recommend, the default first.
        has_encoder: whether the bundle contains the sentence encoder.

    Returns:
        The networks by model.
    """
    rng = np.random.default_rng(1)
    purchases = _make_purchases(n_products, rng)
    products = _make_products(purchases, n_products, rng)
    parameters = OmegaConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
    networks = {
        model: _make_network(ModelOptions.model_validate(parameters[model]), products)
        for model in NETWORKS
    }
    blend = BlendOptions.model_validate(parameters["blend"])
    embedding = EmbeddingOptions.model_validate(parameters["embedding"])
    options = BundleOptions(
        dataset="latency",
        split="leave_one_out",
        seed=SEED,
        models=models,
        filter_seen=True,
        blend=blend,
        # Each component has a weight, because components without a weight are skipped.
        weights={component.name: 1 / len(blend.components) for component in blend.components},
        baselines=BaselineOptions.model_validate(parameters["baselines"]),
        embedded_text=embedding.text,
        live_sequence=0,
    )
    loaders = {
        get_network_path(model, SEED): partial(export_network, networks[model])
        for model in networks
    }
    customers = build_full_histories(purchases, MAX_HISTORY)
    encoder_folder = None
    if has_encoder:
        encoder_folder = get_exported_encoder(find_encoder(embedding.encoder, embedding.sha256))
    write_bundle(Bundle(options, products, customers, loaders, encoder_folder), folder)
    return networks


def make_histories(n_products: int, count: int) -> list[list[str]]:
    """Return random histories of 1 to 20 purchases, with popular and rare products."""
    rng = np.random.default_rng(2)
    return [
        [
            f"P{1 + int(n_products * value**3):06d}"
            for value in rng.random(rng.integers(1, MAX_HISTORY))
        ]
        for _ in range(count)
    ]


def _make_purchases(n_products: int, rng: np.random.Generator) -> Sequences:
    """Return random purchases of all customers. A few products have most of the purchases."""
    lengths = rng.integers(2, MAX_HISTORY, N_CUSTOMERS)
    items = 1 + (n_products * rng.random(lengths.sum()) ** 3).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    # Ingestion sorts the ids, so that a search need not read all of them.
    users = pa.array(sorted(map(str, range(N_CUSTOMERS))), pa.large_string())
    return Sequences(users, items, starts)


def _make_products(purchases: Sequences, n_products: int, rng: np.random.Generator) -> Products:
    """Return a catalogue with random unit vectors as title vectors."""
    vectors = rng.normal(size=(n_products + 1, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    numbers = range(1, n_products + 1)
    ids = np.array(["", *(f"P{number:06d}" for number in numbers)], dtype=object)
    titles = np.array([None, *(f"Product {number}" for number in numbers)], dtype=object)
    counts = count_interactions(purchases, n_products, 0.1)
    nothing = np.full(n_products + 1, None)
    return Products(ids, titles, nothing, *counts, vectors, nothing)


def _make_network(options: ModelOptions, products: Products) -> RecurrentNetwork:
    """Return a network with its initial weights."""
    network = build_network(options.block.network, len(products), DIMENSION)
    network.fit_whitening(products.vectors)
    network.item_ids = products.item_ids
    if network.title_weight is not None:
        # With the weight 0, the title similarities would not be computed.
        network.title_weight.assign(0.2)
    return network
