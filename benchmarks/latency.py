"""Measure how long a Recommender takes to load, and to answer one customer, on one core.

    .venv/bin/python benchmarks/latency.py

Shops of 12,000 and of 112,000 products are made up: random titles' vectors, 20,000 customers, and
the networks of conf/base with the weights that they start with; how long an answer takes does not
depend on what a network has learned. Each answer is to another history of 1 to 20 purchases.
Beside it, what Keras' `predict` takes for the same network and one history, without a search for
the best products. The blend is that of conf/base, of all its components. Prints Markdown.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Before anything that starts threads is imported: a library's own threads keep to the core, too.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import keras
import numpy as np
import pyarrow as pa
from kedro.config import OmegaConfigLoader
from timing import machine

from bazar.config.models import (
    BaselineOptions,
    BlendOptions,
    BundleOptions,
)
from bazar.config.networks import ModelOptions
from bazar.data.catalogue import Products
from bazar.data.counts import count_interactions
from bazar.data.sequences import Sequences
from bazar.data.windows import build_full_histories
from bazar.datasets.arrays import (
    ArrayDataset,
    WindowsDataset,
)
from bazar.datasets.kedro_types import (
    JSONDataset,
    ParquetDataset,
)
from bazar.datasets.network import NetworkDataset
from bazar.models.networks.recurrent import (
    RecurrentNetwork,
    build_network,
)
from bazar.serving.recommender import (
    BUNDLE,
    CUSTOMERS,
    PRODUCTS,
    VECTORS,
    Recommender,
)
from bazar.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[1]
SIZES = (12_000, 112_000)
N_CUSTOMERS, DIMENSION, ANSWERS, LONGEST, UNTIMED = 20_000, 384, 300, 20, 10
NETWORKS = ("classifier", "regressor")


def make_shop(folder: Path, n_products: int) -> dict[str, RecurrentNetwork]:
    """Write what a run would leave.

    Returns:
        The networks by model.
    """
    rng = np.random.default_rng(1)
    lengths = rng.integers(2, LONGEST, N_CUSTOMERS)
    # As uneven as a shop's: few products make most of the purchases.
    items = 1 + (n_products * rng.random(lengths.sum()) ** 3).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    users = pa.array([str(user) for user in range(N_CUSTOMERS)], pa.large_string())
    bought = Sequences(users, items, starts)
    vectors = rng.normal(size=(n_products + 1, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    ids = np.array(["", *(f"P{index:06d}" for index in range(1, n_products + 1))], dtype=object)
    titles = np.array([None, *(f"Product {index}" for index in range(1, n_products + 1))], object)
    counts = count_interactions(bought, n_products, None, 0.1)
    products = Products(ids, titles, np.full(n_products + 1, None), *counts, vectors)
    parameters = OmegaConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER_ARGS)["parameters"]
    made = {}
    for model in NETWORKS:
        block = ModelOptions.model_validate(parameters[model]).block
        made[model] = build_network(block.network, n_products, DIMENSION)
        made[model].fit_whitening(vectors)
        made[model].item_ids = ids
        if (weight := made[model].title_weight) is not None:
            # Any but 0, with which whole titles are not compared.
            weight.assign(0.2)
        NetworkDataset(filepath=str(folder / f"{model}.keras")).save(made[model])
    baselines = {name: parameters[name] for name in BaselineOptions.model_fields}
    blend = BlendOptions.model_validate(parameters["blend"])
    # All of them: what has no weight would cost nothing.
    weights = {component.name: 1 / len(blend.components) for component in blend.components}
    shop = BundleOptions(
        dataset="latency", seed=42, models=("classifier",), filter_seen=True, blend=blend,
        weights=weights, baselines=BaselineOptions.model_validate(baselines),
    )  # fmt: skip
    JSONDataset(filepath=str(folder / BUNDLE)).save(shop.model_dump(mode="json"))
    ParquetDataset(filepath=str(folder / PRODUCTS)).save(products.to_frame())
    ArrayDataset(filepath=str(folder / VECTORS)).save(vectors)
    WindowsDataset(filepath=str(folder / CUSTOMERS)).save(build_full_histories(bought, LONGEST))
    return made


def median_of(answer: Callable[[int], object], times: int) -> tuple[float, float]:
    """Median and 95th percentile of what answers take, in milliseconds, less the first few."""
    taken = []
    for place in range(times + UNTIMED):
        started = time.perf_counter()
        answer(place)
        taken.append(1_000 * (time.perf_counter() - started))
    return float(np.median(taken[UNTIMED:])), float(np.percentile(taken[UNTIMED:], 95))


def measure_shop(size: int, folder: Path) -> None:
    """Print the lines of a shop of ``size`` products."""

    def line(what: str, answer: Callable[[int], object], times: int = ANSWERS) -> None:
        median, slow = median_of(answer, times)
        print(f"| {size:,} | {what} | {median:.1f} ms | {slow:.1f} ms |", flush=True)

    networks = make_shop(folder, size)
    started = time.perf_counter()
    shop = Recommender.load(folder)
    print(f"| {size:,} | `Recommender.load` | {time.perf_counter() - started:.1f} s | |")
    started = time.perf_counter()
    load = f"from bazar import Recommender; Recommender.load({str(folder)!r})"
    subprocess.run([sys.executable, "-c", load], check=True)
    taken = time.perf_counter() - started
    print(f"| {size:,} | a process that imports and loads | {taken:.1f} s | |", flush=True)
    rng = np.random.default_rng(2)
    histories = [
        [f"P{1 + int(size * one**3):06d}" for one in rng.random(rng.integers(1, LONGEST))]
        for _ in range(ANSWERS + UNTIMED)
    ]
    for model in ("classifier", "regressor", "blend"):
        answer = partial(shop.recommend, model=model)
        line(f"`recommend`, {model}", lambda place, of=answer: of(histories[place]))  # type: ignore[misc]
    line("`similar`", lambda place: shop.similar(histories[place][0]))
    for model, network in networks.items():
        whole = Whole(network, shop.products.vectors)
        line(f"`predict`, {model}", partial(predict, whole, size), ANSWERS // 10)


def main() -> None:
    """Measure both shops."""
    print(f"One core of {machine()}.\n")
    print("| products | | median | 95th percentile |")
    print("|---:|---|---:|---:|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            measure_shop(size, Path(folder))


class Whole(keras.Model):
    """A network with the titles that it reads, so that it can be asked by `predict`."""

    def __init__(self, network: RecurrentNetwork, vectors: np.ndarray) -> None:
        super().__init__()
        self.network = network
        self._prepared = network.prepare(vectors)

    def call(self, histories: object) -> object:
        """Score all items."""
        return self.network(histories, self._prepared)


def predict(whole: Whole, size: int, place: int) -> object:
    """Ask for the scores of one history."""
    history = np.random.default_rng(place).integers(1, size, (1, LONGEST)).astype(np.int32)
    return whole.predict(history, verbose=0)


if __name__ == "__main__":
    main()
