"""Measure each step at three sizes of Set B, and say what it would take at 100 times its size.

    .venv/bin/python benchmarks/scale.py

Made-up files of Set B's format (`bazar.sample_sets`) go through the pipelines up to model input by
`kedro run`. What the models cost depends on the rows and on the catalogue: steps of training and
of ranking are timed at three sizes of the catalogue, in this process, and multiplied by the rows.
A straight line through the three measurements gives the figure at 100 times the size. Markdown.
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
from timing import machine, measure

from bazar.config.networks import ModelOptions
from bazar.data.sequences import Sequences
from bazar.data.title_embeddings import EMPTY, PACKAGED_ENCODER, embed_texts, find_encoder
from bazar.data.windows import Windows
from bazar.evaluation.metrics import target_ranks
from bazar.models.networks.recurrent import build_network
from bazar.models.networks.scorers import make_scorer
from bazar.models.scorer import Scorer
from bazar.settings import CONFIG_LOADER_ARGS
from bazar.synthetic.benchmark_sets import SetBOptions, generate_set_b
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


def prepare(work_dir: Path, share: float) -> tuple[dict[str, float], float, float]:
    """Run the pipelines on files of a share of Set B's size.

    Args:
        work_dir: where the files are; those that are there are used again.
        share: of Set B's interactions, customers, products and listed products.

    Returns:
        Seconds by pipeline, peak memory in GB, and GB that were written under ``data/``.
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
        seconds[pipeline], of_this = measure(command, ROOT)
        peak = max(peak, of_this)
    written = 0
    for layer in (ROOT / "data").glob(f"*/{dataset}"):
        written += sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
        shutil.rmtree(layer)
    return seconds, peak, written / 1e9


def time_of(work: Callable[[], object], times: int = 5) -> float:
    """Median seconds of a piece of work, after it was done once."""
    work()
    laps = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        laps.append(time.perf_counter() - start)
    return float(np.median(laps))


def time_models(items: int) -> dict[str, float]:
    """Time steps of the networks on a catalogue of some size.

    Args:
        items: size of the catalogue.

    Returns:
        Seconds of a training step and of ranking a batch, and GB of memory in training, by network.
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
            steps = make_train_steps(network, block, optimizer, vectors, counts, seed=0)
            batch = next(Batches(rows, BATCH, every_position=False, seed=0).batches(0))
            figures[f"{model} {name}: training step"] = time_of(partial(learn, steps, batch))
            # The weights, their gradients, and the two moments of Adam.
            figures[f"{model} {name}: memory"] = network.count_params() * 4 * 4 / 1e9
            scorer = make_scorer(network, vectors)
            figures[f"{model} {name}: ranking step"] = time_of(partial(rank, scorer, rows), 3)
            keras.utils.clear_session()
    return figures


def learn(steps: Callable[[list[Batch], list[float]], object], batch: Batch) -> float:
    """Train on a batch, and wait for its loss."""
    return float(np.asarray(steps([batch], [0.001]))[0])


def rank(scorer: Scorer, rows: Windows) -> np.ndarray:
    """Rank the catalogue for a batch of rows."""
    return target_ranks(scorer.score(rows), rows.targets)


def time_title() -> float:
    """Seconds to embed a title."""
    rng = np.random.default_rng(0)
    words = np.array(["rose", "serum", "gentle", "cleanser", "night", "repair", "ml", "matte"])
    titles = [f"{number} {' '.join(rng.choice(words, 9))}" for number in range(1_000)]
    encoder = find_encoder(PACKAGED_ENCODER, None)
    embed_texts(titles[:32], EMPTY, encoder, 32)
    start = time.perf_counter()
    embed_texts(titles, EMPTY, encoder, 32)
    return (time.perf_counter() - start) / len(titles)


def line(sizes: list[float], values: list[float], at: float) -> float:
    """Value of the straight line through the measurements."""
    slope, start = np.polyfit(sizes, values, 1)
    return float(start + slope * at)


def table(heads: list[str], rows: dict[str, list[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join(lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()])


def preparation_table(measured: dict[float, tuple[dict[str, float], float, float]]) -> str:
    """Seconds, memory and disk of the pipelines by size, and at 100 times the size."""
    shares = list(measured)
    rows = {}
    for pipeline in PIPELINES:
        values = [measured[share][0][pipeline] for share in shares]
        at = line(shares, values, FACTOR)
        rows[pipeline] = [*(f"{value:.0f} s" for value in values), f"{at / 60:.0f} min"]
    peaks = [measured[share][1] for share in shares]
    rows["peak memory"] = [*(f"{value:.1f} GB" for value in peaks), "bounded: see below"]
    disk = [measured[share][2] for share in shares]
    rows["written under data/"] = [
        *(f"{value:.2f} GB" for value in disk),
        f"{line(shares, disk, FACTOR):.0f} GB",
    ]
    heads = ["step", *(f"{share * SET_B.interactions:,.0f} purchases" for share in shares)]
    return table([*heads, f"{FACTOR * SET_B.interactions:,.0f}"], rows)


def models_table(measured: dict[int, dict[str, float]]) -> str:
    """Cost of the models' steps by the size of the catalogue, and at 100 times Set B's."""
    at = FACTOR * SET_B.products
    rows = {}
    for name in next(iter(measured.values())):
        values = [figures[name] for figures in measured.values()]
        unit, scale = ("GB", 1.0) if name.endswith("memory") else ("ms", 1000.0)
        cells = [f"{value * scale:,.2f} {unit}" for value in values]
        # What does not grow with the catalogue differs by chance alone.
        estimate = max(line(list(measured), values, at), values[-1])
        rows[name] = [*cells, f"{estimate * scale:,.0f} {unit}"]
    return table(["step", *(f"{items:,} products" for items in measured), f"{at:,}"], rows)


def main() -> None:
    """Measure everything, and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work-dir", type=Path, default=Path(tempfile.gettempdir()) / "bazar-scale"
    )
    work_dir = parser.parse_args().work_dir.resolve()
    prepared = {share: prepare(work_dir, share) for share in SHARES}
    modelled = {items: time_models(items) for items in CATALOGUES}
    per_title = time_title()
    print(f"\n({machine()})\n\n{preparation_table(prepared)}\n\n{models_table(modelled)}\n")
    print(f"A training step is {BATCH} rows of {HISTORY} items, a ranking step {RANKED} rows.")
    print(
        f"A title takes {per_title * 1000:.1f} ms to embed: {SET_B.products:,} of them "
        f"{SET_B.products * per_title / 60:.0f} minutes, {FACTOR * SET_B.products:,} of them "
        f"{FACTOR * SET_B.products * per_title / 3600:.1f} hours, once."
    )


if __name__ == "__main__":
    main()
