"""Train models of other libraries (peers) on Bazar's split until they converge, and measure them.

    .venv/bin/kedro run --env amazon_beauty_2014
    .venv/bin/python benchmarks/ablation.py --env amazon_beauty_2014 --variants ids --seeds 42
    .venv/bin/python benchmarks/peers/run.py --env amazon_beauty_2014 --write

Each library has its own environment in build/peers/, which the script installs. The trainings run
one after another on all cores, each until its validation NDCG@10 stops improving. A stopped or
killed script continues when the same command is started again. `--max-minutes` limits the time of
each training; the results of a training that reached it are marked as not finished. The output is
Markdown. `--write` writes the table to docs/explanation/benchmarks.md and the figure to
docs/images/peers.png. Without `--env`, the data set is the sample store: run
`kedro run --params split=leave_one_out` first.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bazar.data.splits import Splits
from bazar.datasets.results import ResultsDataset
from bazar.datasets.splits import SplitsDataset
from bazar.errors import InputError
from bazar.evaluation.metrics import (
    INTERVAL_METRICS,
    compute_bootstrap_interval,
    compute_catalogue_coverage,
    compute_row_metrics,
)
from bazar.settings import CONFIG_LOADER_ARGS, ConfigLoader

# The following imports are modules of the parent folder.
sys.path.insert(0, str(Path(__file__).parents[1]))

from pages import write_section
from timing import describe_machine

from peers.exchange import SplitArrays, find_top_ranks
from peers.progress import PROGRESS_FILE, TEST_FILE, Limits, Progress
from peers.tables import FIGURE, PAGE, Run, draw_curves, format_table

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / "build" / "peers"
SPLIT = "leave_one_out"
RESAMPLES, RESAMPLING_SEED = 1000, 42


@dataclass(frozen=True)
class Peer:
    """A model of another library.

    Attributes:
        label: name in tables and figures.
        library: name of the library. ``requirements-<library>.txt`` pins its packages.
        module: module that trains the model, and its argument.
        can_resume: whether a training continues after its last epoch. Otherwise it starts again.
    """

    label: str
    library: str
    module: tuple[str, str]
    can_resume: bool


PEERS = {
    "rectools_sasrec": Peer(
        "RecTools SASRec", "rectools", ("peers.rectools_models", "sasrec"), True
    ),
    "rectools_esasrec": Peer(
        "RecTools eSASRec", "rectools", ("peers.rectools_models", "esasrec"), True
    ),
    "cornac_gru4rec": Peer("Cornac GRU4Rec", "cornac", ("peers.cornac_models", "gru4rec"), False),
    "cornac_sasrec": Peer("Cornac SASRec", "cornac", ("peers.cornac_models", "sasrec"), False),
}


def load_split(folder: Path) -> tuple[SplitArrays, list[str]]:
    """Return the split of a data set.

    Args:
        folder: output of the pipeline sequencing, ``data/05_model_input/<dataset>/<split>``.

    Returns:
        The split as plain arrays, and the user of each test row.

    Raises:
        InputError: if the folder does not exist or contains another split.
    """
    dataset = SplitsDataset(filepath=str(folder))
    if not dataset.exists():
        raise InputError(
            f"{folder} does not exist. Run `kedro run --pipelines ingestion,joining,sequencing` on "
            f"the data set with split={SPLIT} first."
        )
    splits = dataset.load()
    return make_split_arrays(splits), splits.test.user_ids.to_pylist()


def make_split_arrays(splits: Splits) -> SplitArrays:
    """Return a leave-one-out split as plain arrays.

    Raises:
        InputError: if the parts have different sequences, or if a validation or test target is in
            the training part of its user.
    """
    sequences, train = splits.train.sequences, splits.train
    training_ends = sequences.starts[:-1].copy()
    np.maximum.at(training_ends, train.users, train.target_positions + 1)
    for part in (splits.validation, splits.test):
        is_same = np.array_equal(part.sequences.items, sequences.items)
        if not is_same or (part.target_positions < training_ends[part.users]).any():
            raise InputError(
                "The split is not a leave-one-out split. The peers need one.\n"
                "Run the pipeline sequencing with split=leave_one_out."
            )
    return SplitArrays(
        sequences.items,
        sequences.starts,
        training_ends,
        splits.validation.target_positions,
        splits.test.target_positions,
        np.array(len(splits.training_counts) - 1),
    )


def prepare_environment(library: str) -> Path:
    """Install the environment of a library if needed, and return the path of its Python.

    Args:
        library: name of the library. ``requirements-<library>.txt`` pins its packages.
    """
    folder = ENVIRONMENTS / library
    python = folder / "bin" / "python"
    requirements = (HERE / f"requirements-{library}.txt").read_text(encoding="utf-8")
    installed = folder / "installed.txt"
    if not installed.is_file() or installed.read_text(encoding="utf-8") != requirements:
        print(f"installing {library} into {folder.relative_to(ROOT)}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        subprocess.run(
            [str(python), *install, str(HERE / f"requirements-{library}.txt")], check=True
        )
        installed.write_text(requirements, encoding="utf-8")
    return python


def train_peer(peer: Peer, split: SplitArrays, folder: Path, limits: Limits, seed: int) -> None:
    """Train a peer in its environment. The peer writes its progress to files.

    Args:
        peer: the model.
        split: the data.
        folder: folder of the files. It has the files of the earlier part of a training.
        limits: when the training stops.
        seed: seed of the training.

    Raises:
        InputError: if the training fails.
    """
    python = prepare_environment(peer.library)
    folder.mkdir(parents=True, exist_ok=True)
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "benchmarks")])
    with tempfile.TemporaryDirectory() as temporary:
        exported = Path(temporary) / "split.npz"
        split.save(exported)
        command = [str(python), "-m", *peer.module, "--split", str(exported)]
        command += ["--folder", str(folder), "--max-minutes", str(limits.minutes)]
        command += ["--patience", str(limits.patience), "--seed", str(seed)]
        try:
            subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=True)
        except subprocess.CalledProcessError as error:
            raise InputError(
                f"The training of {peer.label} failed with exit code {error.returncode}. Its "
                "messages are above."
            ) from error


def load_progress(folder: Path, split: SplitArrays, limits: Limits, seed: int) -> Progress:
    """Return the progress of a training. Without files, it has no epochs.

    Raises:
        InputError: if the training has another split or seed.
    """
    facts = {"seed": seed, "split": split.compute_fingerprint()}
    progress = Progress(split, folder, limits, facts)
    progress.load()
    return progress


def measure_peer(peer: Peer, progress: Progress, users: list[str]) -> Run:
    """Return the curve of a peer and, if its training is finished, its results on the test rows.

    Args:
        peer: the model.
        progress: its training, with at least one epoch.
        users: user of each test row.
    """
    test = None
    if progress.is_finished:
        with np.load(progress.folder / TEST_FILE, allow_pickle=False) as tables:
            test = {
                mode: measure_table(tables[mode], progress.split, users)
                for mode in ("filtered", "unfiltered")
            }
    return Run(peer.label, progress.curve, test)


def measure_table(top: np.ndarray, split: SplitArrays, users: list[str]) -> dict[str, Any]:
    """Return the metrics of the recommendations for the test rows.

    Args:
        top: shape (rows, 20), int, item indices in order, padded with 0.
        split: the data.
        users: user of each test row.

    Returns:
        The means of the row metrics, ``coverage@10``, and the 95% intervals ``hr@10_ci95`` and
        ``ndcg@10_ci95``.
    """
    rows, columns = np.nonzero(top)
    recommendations = pd.DataFrame({"rank": columns + 1, "item_id": top[rows, columns]})
    ranks = find_top_ranks(top, split.get_targets("test"))
    per_row = compute_row_metrics(ranks, np.arange(len(ranks)))
    metrics: dict[str, Any] = {name: float(values.mean()) for name, values in per_row.items()}
    metrics["coverage@10"] = compute_catalogue_coverage(recommendations, int(split.n_items), 10)
    for name in INTERVAL_METRICS:
        interval = compute_bootstrap_interval(per_row[name], users, RESAMPLES, RESAMPLING_SEED)
        metrics[f"{name}_ci95"] = interval
    return metrics


def load_classifier(folder: Path, users: list[str]) -> Run | None:
    """Return the run of Bazar's classifier, or None if it has no results.

    Args:
        folder: ``data/07_model_output/<dataset>/<split>/seed_<n>``.
        users: user of each test row.

    Raises:
        InputError: if it was measured on other rows.
    """
    found = ResultsDataset(filepath=str(folder), models=["classifier"]).load()
    results = found.get("classifier")
    log = results.training_log if results else None
    if results is None or log is None:
        return None
    _check_users(results.ranks, users, "classifier", "kedro run --pipelines modelling_classifier")
    return _make_run("Bazar classifier", results.metrics, log)


def load_variant(folder: Path, seed: int, users: list[str]) -> Run | None:
    """Return the run of Bazar's network with ids alone, or None if it has no results.

    Args:
        folder: ``data/08_reporting/<dataset>/<split>/ablation``.
        seed: the training seed.
        users: user of each test row.

    Raises:
        InputError: if it was measured on other rows.
    """
    file = folder / f"ids_{seed}.json"
    if not file.is_file():
        return None
    metrics = json.loads(file.read_text(encoding="utf-8"))
    ranks = pd.read_parquet(file.with_suffix(".parquet"))
    _check_users(ranks, users, "variant ids", "benchmarks/ablation.py --variants ids")
    return _make_run("Bazar, ids alone", metrics, pd.DataFrame(metrics["curve"]))


def _check_users(ranks: pd.DataFrame, users: list[str], name: str, command: str) -> None:
    """Raise InputError if ranks are not those of the test rows."""
    if ranks["user_id"].tolist() != users:
        raise InputError(
            f"The {name} was measured on other test rows. Run `{command}` again for "
            "this data set and seed."
        )


def _make_run(label: str, metrics: dict[str, Any], log: pd.DataFrame) -> Run:
    """Return a run of Bazar. The log has the seconds of each epoch."""
    curve = log[["epoch", "seconds", "val_ndcg@10"]].assign(seconds=log["seconds"].cumsum())
    test = {mode: metrics[mode] for mode in ("filtered", "unfiltered")}
    return Run(label, curve.astype(float).to_dict("records"), test)  # type: ignore[arg-type]


def train_peers(
    models: Iterable[str], split: SplitArrays, folder: Path, limits: Limits, seed: int
) -> None:
    """Train the models that are neither finished nor out of time.

    Args:
        models: names of :data:`PEERS`.
        split: the data.
        folder: folder of the data set. Each model has its own folder in it.
        limits: when a training stops.
        seed: seed of the trainings.

    Raises:
        InputError: if a training fails.
    """
    for model in models:
        peer, progress = PEERS[model], load_progress(folder / model, split, limits, seed)
        if progress.is_finished:
            print(f"{peer.label} is finished.")
            continue
        if progress.is_out_of_time:
            continues = "continues it" if peer.can_resume else "starts it again"
            print(f"{peer.label} is not finished. A higher --max-minutes {continues}.")
            continue
        print(f"\n{peer.label}", flush=True)
        if progress.epoch and not peer.can_resume:
            print(f"{peer.library} cannot resume a training. It starts again.", flush=True)
        train_peer(peer, split, folder / model, limits, seed)


def find_dataset(env: str | None) -> str:
    """Return the name of the data set of an environment. None: the sample store."""
    loader = ConfigLoader(str(ROOT / "conf"), env=env or "base", **CONFIG_LOADER_ARGS)
    return loader["globals"]["dataset"]


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", help="environment of the data set, as of `kedro run`")
    parser.add_argument(
        "--models",
        nargs="*",
        default=list(PEERS),
        choices=list(PEERS),
        metavar="MODEL",
        help=f"models to train, of {', '.join(PEERS)}; all by default. Without a name, only the "
        "results are shown",
    )
    parser.add_argument(
        "--max-minutes", type=float, default=math.inf, help="time limit of each training"
    )
    parser.add_argument(
        "--patience", type=int, default=5, help="epochs without improvement; 5 by default"
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--machine",
        default=describe_machine(),
        help="machine that trained the models; by default this machine",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=HERE / "results",
        help="folder of the checkpoints and results; benchmarks/peers/results by default",
    )
    parser.add_argument(
        "--write", action="store_true", help="write the table and the figure of the documentation"
    )
    return parser.parse_args()


def main() -> None:
    """Train the selected models, and print the results of all models."""
    arguments = parse_arguments()
    try:
        run(arguments)
    except InputError as error:
        sys.exit(str(error))


def run(arguments: argparse.Namespace) -> None:
    """Run the benchmark with the arguments of the command line.

    Raises:
        InputError: if the split does not exist, or a training fails.
    """
    dataset = find_dataset(arguments.env)
    split, users = load_split(ROOT / "data" / "05_model_input" / dataset / SPLIT)
    folder = arguments.folder / dataset / f"seed_{arguments.seed}"
    limits = Limits(arguments.patience, arguments.max_minutes)
    train_peers(arguments.models, split, folder, limits, arguments.seed)

    output, reporting = (
        ROOT / "data" / layer / dataset / SPLIT for layer in ("07_model_output", "08_reporting")
    )
    own = (
        load_classifier(output / f"seed_{arguments.seed}", users),
        load_variant(reporting / "ablation", arguments.seed, users),
    )
    runs = [run for run in own if run is not None]
    for model, peer in PEERS.items():
        if (folder / model / PROGRESS_FILE).is_file():
            progress = load_progress(folder / model, split, limits, arguments.seed)
            runs.append(measure_peer(peer, progress, users))
    if not runs:
        raise InputError(f"{folder} has no results. Train at least one model.")
    table = format_table(runs)
    text = f"{arguments.machine}, seed {arguments.seed}, patience {limits.patience} epochs."
    print(f"\n{text}\n\n{table}")
    if arguments.write:
        write_section(PAGE, "peers", f"{text}\n\n{table}", dataset)
        draw_curves(runs).savefig(FIGURE, dpi=150)


if __name__ == "__main__":
    main()
