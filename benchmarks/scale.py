"""Measure time and memory at three sizes of Set B, and extrapolate to 100 times its size.

    .venv/bin/python benchmarks/scale.py

The output is Markdown. `kedro run` processes synthetic files in the format of Set B
(`bazar.synthetic.set_b`) up to model input. The cost of the models depends on the numbers of rows
and products. Therefore the script measures training steps and ranking steps for three sizes of the
catalogue. Linear regression over the three measurements gives the value at 100 times the size.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
from kedro.config import OmegaConfigLoader
from timing import describe_machine, measure_command

from bazar.config.networks import ModelOptions
from bazar.data.sequences import Sequences
from bazar.data.title_embeddings import (
    EMPTY_TITLE_VECTORS,
    PACKAGED_ENCODER,
    embed_texts,
    find_encoder,
)
from bazar.data.windows import Windows
from bazar.evaluation.metrics import compute_target_ranks
from bazar.models.networks.recurrent import build_network
from bazar.models.networks.scorers import make_scorer
from bazar.models.scorer import Scorer
from bazar.settings import CONFIG_LOADER_ARGS
from bazar.synthetic.set_b import SetBOptions, generate_set_b
from bazar.training.batches import Batch, Batches
from bazar.training.train_step import make_train_steps

ROOT = Path(__file__).parents[1]
PIPELINES = ["ingestion", "joining", "sequencing"]
SET_B = SetBOptions()
SHARES = [0.25, 1.0, 4.0]
FACTOR = 100
CATALOGUES = [6_000, 24_000, 96_000]
BATCH, HISTORY, DIMENSION = 256, 10, 384
RANKED = 512


def run_pipelines(work_dir: Path, share: float) -> tuple[dict[str, float], float, float]:
    """Run the pipelines on synthetic files with a share of the size of Set B.

    Args:
        work_dir: folder of the files. Existing files are reused.
        share: factor for the interactions, customers, products and listed products of Set B.

    Returns:
        Seconds by pipeline, peak memory in GB, and GB written under ``data/``.
    """
    folder = work_dir / f"set_b_{share:g}"
    if not folder.is_dir():
        sizes = {
            name: round(getattr(SET_B, name) * share)
            for name in ("interactions", "customers", "products", "listed")
        }
        generate_set_b(folder, SET_B.model_copy(update=sizes))
    dataset = f"benchmark_set_b_{share:g}"
    seconds, peak = {}, 0.0
    for pipeline in PIPELINES:
        command = [sys.executable, "-m", "kedro", "run", "--env", "set_b"]
        command += ["--pipelines", pipeline, "--params", f"dataset={dataset},raw_dir={folder}"]
        seconds[pipeline], pipeline_peak = measure_command(command, ROOT)
        peak = max(peak, pipeline_peak)
    written = 0
    for layer in (ROOT / "data").glob(f"*/{dataset}"):
        written += sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        shutil.rmtree(layer)
    return seconds, peak, written / 1e9


def measure_seconds(function: Callable[[], object], repetitions: int = 5) -> float:
    """Return the median time of a function in seconds, after a warm-up call."""
    function()
    laps = []
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        laps.append(time.perf_counter() - start)
    return float(np.median(laps))


def time_models(items: int) -> dict[str, float]:
    """Return the time of training and ranking steps of the networks.

    Args:
        items: number of products.

    Returns:
        For each network: seconds of a training step and of a ranking step, and memory of the
        training in GB.
    """
    rng = np.random.default_rng(0)
    length = HISTORY + 1
    sequences = Sequences(
        pa.array([str(user) for user in range(RANKED)], pa.large_string()),
        rng.integers(1, items + 1, RANKED * length).astype(np.int32),
        np.arange(0, (RANKED + 1) * length, length),
    )
    rows = Windows(sequences, sequences.starts[1:] - 1, HISTORY)
    vectors = rng.standard_normal((items + 1, DIMENSION), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    counts = np.ones(items + 1, np.int64)
    counts[0] = 0
    parameters = OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER_ARGS)
    figures = {}
    for model in ("classifier", "regressor"):
        options = ModelOptions.model_validate(parameters["parameters"][model])
        for name, block in options.networks.items():
            network = build_network(block.network, items, DIMENSION)
            optimizer = keras.optimizers.get(block.training.optimizer)
            optimizer.build(network.trainable_variables)
            reads = network.get_input_options(vectors)
            batches = Batches(rows, BATCH, every_position=False, seed=0, options=reads)
            steps = make_train_steps(network, block, optimizer, vectors, counts, 0, batches)
            batch = next(batches.batches(0))
            figures[f"{model} {name}: training step"] = measure_seconds(
                partial(train_batch, steps, batch)
            )
            # Weights, gradients, and the two moments of Adam. A value has 4 bytes.
            figures[f"{model} {name}: memory"] = network.count_params() * 4 * 4 / 1e9
            scorer = make_scorer(network, vectors)
            figures[f"{model} {name}: ranking step"] = measure_seconds(
                partial(rank_rows, scorer, rows), 3
            )
            keras.utils.clear_session()
    return figures


def train_batch(steps: Callable[[list[Batch], list[float]], object], batch: Batch) -> float:
    """Train on a batch and return the loss, which also waits for the end of the step."""
    return float(np.asarray(steps([batch], [0.001]))[0])


def rank_rows(scorer: Scorer, rows: Windows) -> np.ndarray:
    """Return the ranks of the targets in the full catalogue."""
    return compute_target_ranks(scorer.score(rows), *rows.list_targets())


def time_title() -> float:
    """Return the time to embed a title in seconds."""
    rng = np.random.default_rng(0)
    words = np.array(["rose", "serum", "gentle", "cleanser", "night", "repair", "ml", "matte"])
    titles = [f"{number} {' '.join(rng.choice(words, 9))}" for number in range(1_000)]
    encoder = find_encoder(PACKAGED_ENCODER, None)
    embed_texts(titles[:32], EMPTY_TITLE_VECTORS, encoder, 32)
    start = time.perf_counter()
    embed_texts(titles, EMPTY_TITLE_VECTORS, encoder, 32)
    return (time.perf_counter() - start) / len(titles)


def extrapolate(sizes: list[float], values: list[float], at: float) -> float:
    """Return the value of a linear regression at a size."""
    slope, start = np.polyfit(sizes, values, 1)
    return float(start + slope * at)


def format_table(header: list[str], rows: dict[str, list[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()])


def build_pipelines_table(measured: dict[float, tuple[dict[str, float], float, float]]) -> str:
    """Return a table of time, memory and disk use of the pipelines by size."""
    shares = list(measured)
    rows = {}
    for pipeline in PIPELINES:
        values = [measured[share][0][pipeline] for share in shares]
        at = extrapolate(shares, values, FACTOR)
        rows[pipeline] = [*(f"{value:.0f} s" for value in values), f"{at / 60:.0f} min"]
    peaks = [measured[share][1] for share in shares]
    rows["peak memory"] = [*(f"{value:.1f} GB" for value in peaks), "bounded: see below"]
    disk = [measured[share][2] for share in shares]
    rows["written under data/"] = [
        *(f"{value:.2f} GB" for value in disk),
        f"{extrapolate(shares, disk, FACTOR):.0f} GB",
    ]
    header = ["step", *(f"{share * SET_B.interactions:,.0f} purchases" for share in shares)]
    return format_table([*header, f"{FACTOR * SET_B.interactions:,.0f}"], rows)


def build_models_table(measured: dict[int, dict[str, float]]) -> str:
    """Return a table of time and memory of the models by number of products."""
    at = FACTOR * SET_B.products
    rows = {}
    for name in next(iter(measured.values())):
        values = [figures[name] for figures in measured.values()]
        unit, scale = ("GB", 1.0) if name.endswith("memory") else ("ms", 1000.0)
        cells = [f"{value * scale:,.2f} {unit}" for value in values]
        # If a step does not depend on the number of products, its differences are noise.
        estimate = max(extrapolate(list(measured), values, at), values[-1])
        rows[name] = [*cells, f"{estimate * scale:,.0f} {unit}"]
    return format_table(["step", *(f"{items:,} products" for items in measured), f"{at:,}"], rows)


def main() -> None:
    """Run the benchmark and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work-dir", type=Path, default=Path(tempfile.gettempdir()) / "bazar-scale"
    )
    work_dir = parser.parse_args().work_dir.resolve()
    prepared = {share: run_pipelines(work_dir, share) for share in SHARES}
    modelled = {items: time_models(items) for items in CATALOGUES}
    per_title = time_title()
    print(
        f"\n({describe_machine()})\n\n{build_pipelines_table(prepared)}\n\n"
        f"{build_models_table(modelled)}\n"
    )
    print(f"A training step is {BATCH} rows of {HISTORY} items, a ranking step {RANKED} rows.")
    print(
        f"Embedding takes {per_title * 1000:.1f} ms per title: "
        f"{SET_B.products * per_title / 60:.0f} minutes for {SET_B.products:,} titles, "
        f"{FACTOR * SET_B.products * per_title / 3600:.1f} hours for {FACTOR * SET_B.products:,}. "
        "Each title is embedded once."
    )


if __name__ == "__main__":
    main()
