"""Measure the load time and the latency of a Recommender on one core, as Markdown.

    .venv/bin/python benchmarks/latency.py

The data is synthetic: catalogues of 12,000 and 112,000 products with random title vectors, and
20,000 customers. The networks of conf/base have their initial weights, because the latency does not
depend on the values of the weights. The blend has all components of conf/base. Each request has
another history of 1 to 20 purchases. For comparison, Keras' `predict` is measured for the same
networks and a single history, without the selection of the best products.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Set the core before libraries that start threads are imported, so that their threads use it.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import keras
import numpy as np
import pyarrow as pa
from kedro.config import OmegaConfigLoader
from timing import describe_machine

from bazar.config.models import BaselineOptions, BlendOptions
from bazar.config.networks import ModelOptions
from bazar.config.recommendation import BundleOptions
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.sequences import Sequences
from bazar.data.windows import build_full_histories
from bazar.models.networks.export import export_network
from bazar.models.networks.recurrent import RecurrentNetwork, build_network
from bazar.models.registry import get_network_path
from bazar.serving.bundle import Bundle, write_bundle
from bazar.serving.recommender import Recommender
from bazar.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[1]
SIZES = (12_000, 112_000)
N_CUSTOMERS, DIMENSION, SEED = 20_000, 384, 42
MAX_HISTORY, N_ANSWERS, N_WARM_UP_ANSWERS = 20, 300, 10
NETWORKS = ("classifier", "regressor")


def make_purchases(n_products: int, rng: np.random.Generator) -> Sequences:
    """Return random purchases of all customers. A few products have most of the purchases."""
    lengths = rng.integers(2, MAX_HISTORY, N_CUSTOMERS)
    items = 1 + (n_products * rng.random(lengths.sum()) ** 3).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    users = pa.array([str(user) for user in range(N_CUSTOMERS)], pa.large_string())
    return Sequences(users, items, starts)


def make_products(purchases: Sequences, n_products: int, rng: np.random.Generator) -> Products:
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


def make_network(options: ModelOptions, products: Products) -> RecurrentNetwork:
    """Return a network with its initial weights."""
    network = build_network(options.block.network, len(products), DIMENSION)
    network.fit_whitening(products.vectors)
    network.item_ids = products.item_ids
    if network.title_weight is not None:
        # With the weight 0, the title similarities would not be computed.
        network.title_weight.assign(0.2)
    return network


def write_synthetic_bundle(folder: Path, n_products: int) -> dict[str, RecurrentNetwork]:
    """Write a synthetic bundle, and return its networks.

    Args:
        folder: folder of the bundle.
        n_products: size of the catalogue.

    Returns:
        The networks by model.
    """
    rng = np.random.default_rng(1)
    purchases = make_purchases(n_products, rng)
    products = make_products(purchases, n_products, rng)
    parameters = OmegaConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
    networks = {
        model: make_network(ModelOptions.model_validate(parameters[model]), products)
        for model in NETWORKS
    }
    blend = BlendOptions.model_validate(parameters["blend"])
    options = BundleOptions(
        dataset="latency",
        split="leave_one_out",
        seed=SEED,
        models=("classifier", "regressor"),
        filter_seen=True,
        blend=blend,
        # Each component has a weight, because components without a weight are skipped.
        weights={component.name: 1 / len(blend.components) for component in blend.components},
        baselines=BaselineOptions.model_validate(parameters["baselines"]),
        embedded_text="title",
        live_sequence=0,
    )
    loaders = {
        get_network_path(model, SEED): partial(export_network, networks[model])
        for model in networks
    }
    customers = build_full_histories(purchases, MAX_HISTORY)
    write_bundle(Bundle(options, products, customers, loaders), folder)
    return networks


def measure_answers(answer: Callable[[int], object], n_answers: int) -> tuple[float, float]:
    """Return the latency of a function, measured after a few warm-up calls.

    Args:
        answer: function that is called with the numbers 0, 1, and so on.
        n_answers: number of measured calls.

    Returns:
        Median and 95th percentile in milliseconds.
    """
    milliseconds = []
    for number in range(n_answers + N_WARM_UP_ANSWERS):
        started = time.perf_counter()
        answer(number)
        milliseconds.append(1_000 * (time.perf_counter() - started))
    measured = milliseconds[N_WARM_UP_ANSWERS:]
    return float(np.median(measured)), float(np.percentile(measured, 95))


def measure_catalogue(size: int, folder: Path) -> None:
    """Measure a catalogue of ``size`` products and print its table rows."""

    def print_row(name: str, answer: Callable[[int], object], n_answers: int = N_ANSWERS) -> None:
        median, percentile = measure_answers(answer, n_answers)
        print(f"| {size:,} | {name} | {median:.1f} ms | {percentile:.1f} ms |", flush=True)

    networks = write_synthetic_bundle(folder, size)
    started = time.perf_counter()
    recommender = Recommender.load(folder)
    print(f"| {size:,} | `Recommender.load` | {time.perf_counter() - started:.1f} s | |")
    started = time.perf_counter()
    load = f"from bazar import Recommender; Recommender.load({str(folder)!r})"
    subprocess.run([sys.executable, "-c", load], check=True)
    seconds = time.perf_counter() - started
    print(f"| {size:,} | a process that imports and loads | {seconds:.1f} s | |", flush=True)
    rng = np.random.default_rng(2)
    histories = [
        [f"P{1 + int(size * value**3):06d}" for value in rng.random(rng.integers(1, MAX_HISTORY))]
        for _ in range(N_ANSWERS + N_WARM_UP_ANSWERS)
    ]
    for model in ("classifier", "regressor", "blend"):
        recommend = partial(recommender.recommend, model=model)
        print_row(f"`recommend`, {model}", lambda number, call=recommend: call(histories[number]))  # type: ignore[misc]
    print_row("`similar`", lambda number: recommender.similar(histories[number][0]))
    for model, network in networks.items():
        with_titles = NetworkWithTitles(network, recommender.products.vectors)
        print_row(f"`predict`, {model}", partial(predict, with_titles, size), N_ANSWERS // 10)


def main() -> None:
    """Run the benchmark and print the table."""
    print(f"One core of {describe_machine()}.\n")
    print("| products | | median | 95th percentile |")
    print("|---:|---|---:|---:|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            measure_catalogue(size, Path(folder) / "bundle")


class NetworkWithTitles(keras.Model):
    """A network with its title vectors, so that the input of `predict` is only a history."""

    def __init__(self, network: RecurrentNetwork, item_vectors: np.ndarray) -> None:
        super().__init__()
        self.network = network
        self._vectors = network.prepare_vectors(item_vectors)

    def call(self, histories: object) -> object:
        """Return the output of the network."""
        return self.network(histories, self._vectors)


def predict(model: NetworkWithTitles, size: int, seed: int) -> object:
    """Return the output of Keras' `predict` for one random history."""
    history = np.random.default_rng(seed).integers(1, size, (1, MAX_HISTORY)).astype(np.int32)
    return model.predict(history, verbose=0)


if __name__ == "__main__":
    main()
