"""Measure the time to train the networks of the original study to the same validation loss.

    .venv/bin/python benchmarks/training.py

The notebooks of the study train with Keras' `fit` on arrays in memory for 5 epochs with Adam at its
default learning rate. The batch size is 32 (Model I) or 20 (Model II). Bazar trains the same
networks on the same rows with `train_network` and the options in TRAININGS. The benchmark
measures the time until Bazar's validation loss is at most the lowest validation loss of `fit`.
The rows are 119,742 windows over 23,838 products of the synthetic store. A window has two purchases
and a third one as the target. Titles are embedded once. The time includes training and the
compilation of the first step, but not the validation. The script prints both curves and the ratios
as Markdown. `--share 0.05` uses 5% of the windows and products.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.config import OmegaConfigLoader
from timing import describe_machine, log_to_stderr

from bazar.config.networks import REPRODUCTION_NETWORKS, ModelOptions, NetworkBlock, TrainingOptions
from bazar.data.sequences import Sequences
from bazar.data.splits import Splits, split_shuffled_windows
from bazar.data.title_embeddings import (
    EMPTY_TITLE_VECTORS,
    PACKAGED_ENCODER,
    embed_texts,
    find_encoder,
    get_vectors,
)
from bazar.data.windows import Windows
from bazar.settings import CONFIG_LOADER_ARGS
from bazar.synthetic.catalogue import Catalogue
from bazar.synthetic.simulator import draw_lengths, simulate_purchases
from bazar.training.trainer import train_network

ROOT = Path(__file__).parents[1]
WINDOWS, PRODUCTS, WINDOW_LENGTH = 119_742, 23_838, 3
SEED = 42
# Purchases per customer: the mean of the sample store.
MEAN_LENGTH = 25_000 / 3_000
EPOCHS = 5
TRAININGS = {
    "classifier": TrainingOptions(
        rows="window",
        loss="cross_entropy",
        optimizer="adam",
        learning_rate=0.008,
        schedule="cosine",
        epochs=2,
        batch_size=128,
        choose_by="val_loss",
    ),
    "regressor": TrainingOptions(
        rows="window",
        loss="mse",
        optimizer="adam",
        learning_rate=0.005,
        schedule="cosine",
        epochs=3,
        batch_size=96,
        choose_by="val_loss",
    ),
}
NAMES = {"classifier": "Model I", "regressor": "Model II"}
Curve = list[tuple[float, float]]
"""Total seconds of training and validation loss after each epoch."""


def make_rows(n_windows: int, n_products: int) -> tuple[Splits, list[str]]:
    """Return windows of simulated purchases, and the titles of the products.

    Args:
        n_windows: exact number of windows.
        n_products: size of the catalogue.

    Returns:
        The windows and the title of each product. The windows are shuffled. 20% are for test, 8%
        for validation and 72% for training.
    """
    rng = np.random.default_rng([SEED, 0])
    catalogue = Catalogue(n_products, rng)
    before_first = WINDOW_LENGTH - 1
    n_customers = int(n_windows / (MEAN_LENGTH - before_first))
    lengths = draw_lengths(n_customers, round(n_customers * MEAN_LENGTH), 1.2, rng)
    # Customers with too few purchases have no window. The last customers are shortened or removed
    # to get the exact number of windows.
    lengths = lengths[lengths > before_first]
    made = np.cumsum(lengths - before_first)
    last = int(np.searchsorted(made, n_windows))
    lengths = lengths[: last + 1]
    lengths[-1] -= made[last] - n_windows
    items = simulate_purchases(catalogue, lengths, np.random.default_rng([SEED, 1])).items
    sequences = Sequences(
        pa.array([str(customer) for customer in range(len(lengths))], pa.large_string()),
        (items + 1).astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths)]),
    )
    split = split_shuffled_windows(sequences, n_products, WINDOW_LENGTH, 0.2, 0.1, SEED)
    return split, list(catalogue.titles)


def embed(titles: list[str], work_dir: Path) -> np.ndarray:
    """Return title vectors. Titles that an earlier run embedded are not embedded again.

    Returns:
        Unit vectors by item index, shape (titles + 1, dimension), float32; zeros at index 0.
    """
    path = work_dir / "title_vectors.parquet"
    encoder = find_encoder(PACKAGED_ENCODER, None)
    known = (
        pq.read_table(path).cast(EMPTY_TITLE_VECTORS.schema)
        if path.is_file()
        else EMPTY_TITLE_VECTORS
    )
    embedded = embed_texts(sorted(set(titles)), known, encoder, 32)
    work_dir.mkdir(parents=True, exist_ok=True)
    pq.write_table(embedded, path)
    return get_vectors([None, *titles], embedded, encoder)


class TrainingTimer(keras.callbacks.Callback):
    """Records the training time without validation, and the validation loss after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.curve: Curve = []
        self._seconds = 0.0
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Start the timer."""
        self._started = time.perf_counter()

    def on_test_begin(self, logs: object = None) -> None:
        """Stop the timer for the validation."""
        self._seconds += time.perf_counter() - self._started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the loss."""
        assert logs is not None
        self.curve.append((self._seconds, logs["val_loss"]))


def fit_classifier(split: Splits, vectors: np.ndarray) -> Curve:
    """Train Model I with Keras' `fit`, like the notebooks of the study."""
    size = len(vectors)
    network = keras.Sequential(
        [
            keras.layers.Embedding(size, 128),
            keras.layers.LSTM(256, return_sequences=True),
            keras.layers.Dropout(0.3),
            keras.layers.LSTM(256),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(size, activation="softmax"),
        ]
    )

    def build_arrays(rows: Windows) -> tuple[np.ndarray, np.ndarray]:
        return rows.build_histories(), rows.list_targets()[1]

    return fit(network, "sparse_categorical_crossentropy", 32, split, build_arrays)


def fit_regressor(split: Splits, vectors: np.ndarray) -> Curve:
    """Train Model II with Keras' `fit`, like the notebooks of the study."""
    network = keras.Sequential(
        [
            keras.layers.GRU(312, return_sequences=True),
            keras.layers.LSTM(312, return_sequences=True),
            keras.layers.GRU(312),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(vectors.shape[1]),
        ]
    )

    def build_arrays(rows: Windows) -> tuple[np.ndarray, np.ndarray]:
        return vectors[rows.build_histories()], vectors[rows.list_targets()[1]]

    return fit(network, "mse", 20, split, build_arrays)


def fit(
    network: keras.Model,
    loss: str,
    batch_size: int,
    split: Splits,
    build_arrays: Callable[[Windows], tuple[np.ndarray, np.ndarray]],
) -> Curve:
    """Train a network with Keras' `fit`, and return its curve."""
    timer = TrainingTimer()
    network.compile(optimizer="adam", loss=loss)
    with redirect_stdout(sys.stderr):
        network.fit(
            *build_arrays(split.train),
            batch_size=batch_size,
            epochs=EPOCHS,
            validation_data=build_arrays(split.validation),
            callbacks=[timer],
            verbose=2,
        )
    return timer.curve


def train_with_bazar(block: NetworkBlock, split: Splits, vectors: np.ndarray) -> Curve:
    """Train a network with Bazar, and return its curve."""
    log = train_network(
        split.train, split.validation, block, len(vectors) - 1, SEED, vectors
    ).training_log
    return list(zip(log["seconds"].cumsum(), log["val_loss"], strict=True))


def format_curves(model: str, theirs: Curve, ours: Curve, training: TrainingOptions) -> str:
    """Return both curves, and the ratio of the times to the lowest loss of `fit`, as Markdown."""
    lines = [
        f"**{NAMES[model]}**. Bazar: batch {training.batch_size}, Adam {training.learning_rate:g}, "
        f"{training.schedule}, {training.epochs} epochs.\n",
        "| epoch | Keras' `fit`: seconds | validation loss | Bazar: seconds | validation loss |",
        "|---:|---:|---:|---:|---:|",
    ]
    for epoch in range(max(len(theirs), len(ours))):
        cells = [
            f"{curve[epoch][0]:.1f} | {curve[epoch][1]:.5g}" if epoch < len(curve) else " | "
            for curve in (theirs, ours)
        ]
        lines.append(f"| {epoch + 1} | {cells[0]} | {cells[1]} |")
    seconds, target = min(theirs, key=lambda point: point[1])
    reached = [point[0] for point in ours if point[1] <= target]
    if reached:
        conclusion = f"Bazar reaches {target:.5g} in {reached[0] / seconds:.2f} of the time."
    else:
        conclusion = f"Bazar does not reach {target:.5g}."
    return "\n".join([*lines, "", conclusion])


def main() -> None:
    """Run the benchmark and print the curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the windows and the products"
    )
    parser.add_argument("--models", nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=Path(tempfile.gettempdir()) / "bazar-training",
        help="folder of the title vectors",
    )
    arguments = parser.parse_args()
    log_to_stderr()
    split, titles = make_rows(round(WINDOWS * arguments.share), round(PRODUCTS * arguments.share))
    vectors = embed(titles, arguments.work_dir.resolve())
    parameters = OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER_ARGS)
    sections = []
    for model in arguments.models:
        options = ModelOptions.model_validate(parameters["parameters"][model])
        block = options.networks[REPRODUCTION_NETWORKS[model]].model_copy(
            update={"training": TRAININGS[model]}
        )
        keras.utils.set_random_seed(SEED)
        theirs = {"classifier": fit_classifier, "regressor": fit_regressor}[model](split, vectors)
        keras.utils.clear_session()
        sections.append(
            format_curves(model, theirs, train_with_bazar(block, split, vectors), block.training)
        )
        keras.utils.clear_session()
    n_rows = sum(len(rows) for rows in (split.train, split.validation, split.test))
    print(
        f"\n{n_rows:,} windows over {len(titles):,} products: {len(split.train):,} for training, "
        f"{len(split.validation):,} for validation ({describe_machine()})\n\n"
        + "\n\n".join(sections)
    )


if __name__ == "__main__":
    main()
