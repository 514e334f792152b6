"""Measure the load time and the latency of a Recommender on one core, as Markdown.

    .venv/bin/python benchmarks/latency.py

The data is synthetic: catalogues of 12,000 and 112,000 products with random title vectors, and
20,000 customers. Each request has another history of 1 to 20 purchases. For comparison, the scores
of all products are computed in four ways, without the selection of the best ones: by the exported
network, as the Recommender does; by a compiled function of Keras, with tables of all products that
are computed once; by a call of the Keras network; and by `predict`. The last two compute the
vectors of all products again, and get a history in which each purchase is an order.
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
import tensorflow as tf
from synthetic_bundle import MAX_HISTORY, NETWORKS, SIZES, make_histories, write_synthetic_bundle
from timing import describe_machine

from bazar.models.network_inputs import N_SEEN_FEATURES, N_TIME_FEATURES, NetworkInput
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.scorer import Scorer
from bazar.serving.bundle import read_bundle
from bazar.serving.recommender import Recommender

N_ANSWERS, N_WARM_UP_ANSWERS = 300, 10


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
    histories = make_histories(size, N_ANSWERS + N_WARM_UP_ANSWERS)
    for model in (*NETWORKS, "blend"):
        recommend = partial(recommender.recommend, model=model)
        print_row(f"`recommend`, {model}", lambda number, call=recommend: call(histories[number]))  # type: ignore[misc]
    print_row("`similar`", lambda number: recommender.similar(histories[number][0]))
    customers = read_bundle(folder).customers

    def score_customer(scorer: Scorer, number: int) -> object:
        return scorer.score(customers.take(np.array([number])))

    for model, network in networks.items():
        exported = recommender.get_scorer(model)
        print_row(f"exported network, {model}", partial(score_customer, exported))
        compiled = network.make_scorer(recommender.products.vectors)
        print_row(f"compiled Keras function, {model}", partial(score_customer, compiled))
        with_titles = NetworkWithTitles(network, recommender.products.vectors)
        print_row(f"call of the Keras network, {model}", partial(call, with_titles, size), 50)
        print_row(f"`predict`, {model}", partial(predict, with_titles, size), 50)


class NetworkWithTitles(keras.Model):
    """A network with its title vectors, so that the input of `predict` is only a history."""

    def __init__(self, network: RecurrentNetwork, item_vectors: np.ndarray) -> None:
        super().__init__()
        self.network = network
        self._vectors = network.prepare_vectors(item_vectors)

    def call(self, histories: tf.Tensor) -> tf.Tensor:
        """Return the output of the network for one history, shape (1, purchases)."""
        items, no_pairs = histories[0], tf.zeros((0,), tf.int32)
        inputs = NetworkInput(
            items=items,
            steps=tf.range(MAX_HISTORY),
            weights=tf.ones((MAX_HISTORY,)),
            shape=tf.constant([1, MAX_HISTORY]),
            positions=tf.constant([MAX_HISTORY - 1]),
            times=tf.zeros((1, MAX_HISTORY, N_TIME_FEATURES)),
            seen_states=no_pairs,
            seen_items=no_pairs,
            seen_features=tf.zeros((0, N_SEEN_FEATURES)),
        )
        return self.network.call(inputs, self._vectors)


def call(model: NetworkWithTitles, size: int, seed: int) -> object:
    """Return the output of the network for one random history, without a compiled function."""
    return model(tf.constant(make_items(size, seed))).numpy()


def predict(model: NetworkWithTitles, size: int, seed: int) -> object:
    """Return the output of Keras' `predict` for one random history."""
    return model.predict(make_items(size, seed), verbose=0)


def make_items(size: int, seed: int) -> np.ndarray:
    """Return a random history, shape (1, MAX_HISTORY), int32."""
    return np.random.default_rng(seed).integers(1, size, (1, MAX_HISTORY)).astype(np.int32)


def main() -> None:
    """Run the benchmark and print the table."""
    print(f"One core of {describe_machine()}.\n")
    print("| products | | median | 95th percentile |")
    print("|---:|---|---:|---:|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            measure_catalogue(size, Path(folder) / "bundle")


if __name__ == "__main__":
    main()
