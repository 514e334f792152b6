"""Train models of other libraries (peers) on Bazar's split, and compare the results as Markdown.

    .venv/bin/python benchmarks/peers/run.py --minutes 30

Run the pipelines up to `sequencing` on the data set first. Each library has its own environment in
build/peers/. Trainings run one after another on all cores, each with a time limit. The script
writes curves, tables and a figure to benchmarks/peers/results/<dataset>/. It reads the results of
Bazar's models from the output of `kedro run`, if it exists.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bazar.atomic import atomic_path
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

# The following imports are modules of the parent folder.
sys.path.insert(0, str(Path(__file__).parents[1]))

from timing import describe_machine

from peers.exchange import SplitArrays, find_top_ranks

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / "build" / "peers"

# By model: the library, and the module to start in the environment of the library.
MODELS = {
    "rectools_sasrec": ("rectools", ["peers.rectools_sasrec"]),
    "cornac_gru4rec": ("cornac", ["peers.cornac_models", "gru4rec"]),
    "cornac_sasrec": ("cornac", ["peers.cornac_models", "sasrec"]),
}
RUNS = [
    "rectools_sasrec/short",
    "rectools_sasrec/narrow",
    "cornac_gru4rec/example",
    "cornac_gru4rec/retailrocket",
    "cornac_gru4rec/rees46",
    "cornac_sasrec/example",
    "cornac_sasrec/short",
]
# Okabe and Ito's palette, which is suitable for colour-blind readers.
COLOURS = {
    "rectools_sasrec": "#0072b2",
    "cornac_gru4rec": "#d55e00",
    "cornac_sasrec": "#009e73",
    "ours": "#1d2330",
}
AFTER_MINUTES = [1, 2, 5, 10, 20, 30]
RESAMPLES, RESAMPLING_SEED = 1000, 42


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
            f"{folder} does not exist.\nRun `kedro run --pipelines ingestion,joining,sequencing` "
            "on the data set first."
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


def train_peer(
    run: str, split: SplitArrays, folder: Path, limits: list[str], minutes: float
) -> None:
    """Train a peer in its environment. The peer writes its progress to files.

    Args:
        run: model and setting, as ``MODEL/SETTING``.
        split: the data.
        folder: output folder. Files of an earlier run are deleted.
        limits: additional arguments of the peer.
        minutes: time limit of the training.
    """
    model, setting = run.split("/")
    library, module = MODELS[model]
    python = prepare_environment(library)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("curve.json", "top.npy"):
        (folder / name).unlink(missing_ok=True)
    print(f"\n{run}", flush=True)
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "benchmarks")])
    with tempfile.TemporaryDirectory() as temporary:
        exported = Path(temporary) / "split.npz"
        split.save(exported)
        command = [str(python), "-m", *module, "--split", str(exported), "--folder", str(folder)]
        command += ["--setting", setting, "--minutes", str(minutes), *limits]
        try:
            # The time limit does not include evaluations. They may take as long as training.
            subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": paths},
                check=True,
                timeout=60 * (3 * minutes + 10),
            )
        except subprocess.TimeoutExpired:
            print(f"{run} was stopped: it took more than three times its time limit.", flush=True)


def measure_peers(
    folder: Path, runs: list[str], split: SplitArrays, users: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the results of all finished runs on the test part.

    Args:
        folder: results of the data set.
        runs: models and settings.
        split: the data.
        users: user of each test row.

    Returns:
        By run: the content of ``curve.json`` and ``test``, which has the means of the row metrics,
        ``coverage@10``, and the 95% intervals ``hr@10_ci95`` and ``ndcg@10_ci95``.
    """
    measured = {}
    for run in runs:
        if not (folder / run / "curve.json").is_file():
            continue
        top = np.load(folder / run / "top.npy", allow_pickle=False)
        rows, columns = np.nonzero(top)
        recommendations = pd.DataFrame({"rank": columns + 1, "item_id": top[rows, columns]})
        ranks = find_top_ranks(top, split.get_targets("test"))
        per_row = compute_row_metrics(ranks, np.arange(len(ranks)))
        figures: dict[str, Any] = {name: float(values.mean()) for name, values in per_row.items()}
        figures["coverage@10"] = compute_catalogue_coverage(recommendations, int(split.n_items), 10)
        for name in INTERVAL_METRICS:
            interval = compute_bootstrap_interval(per_row[name], users, RESAMPLES, RESAMPLING_SEED)
            figures[f"{name}_ci95"] = interval
        written = json.loads((folder / run / "curve.json").read_text(encoding="utf-8"))
        measured[run] = written | {"test": figures}
    return measured


def load_own_results(folder: Path, models: list[str]) -> dict[str, dict[str, Any]]:
    """Return the results of Bazar's models.

    Args:
        folder: ``data/07_model_output/<dataset>/<split>/seed_<n>``.
        models: names of networks, such as ``classifier``.

    Returns:
        By model with results: the same values as for the peers.
    """
    own = {}
    for model, results in ResultsDataset(filepath=str(folder), models=models).load().items():
        log = results.training_log
        if log is None:
            raise InputError(f"{folder} has no training log of {model}. Train {model} again.")
        log = log.assign(seconds=log["seconds"].cumsum())
        curve = log[["epoch", "seconds", "val_ndcg@10"]].to_dict("records")
        own[f"ours/{model}"] = {
            "library": "Bazar",
            "epochs": len(curve),
            "seconds": float(log["seconds"].iloc[-1]),
            "best_epoch": int(log["epoch"].iloc[log["val_ndcg@10"].argmax()]),
            "curve": curve,
            "test": results.metrics["filtered"],
        }
    return own


def find_best_ndcg(curve: list[dict[str, float]], seconds: float) -> float | None:
    """Return the best validation NDCG@10 of a curve up to a training time, or None."""
    values = [point["val_ndcg@10"] for point in curve if point["seconds"] <= seconds]
    return max(values, default=None)


def select_best_settings(measured: dict[str, dict[str, Any]]) -> set[str]:
    """Return the run of each model with the best validation NDCG@10."""
    best: dict[str, tuple[float, str]] = {}
    for run, facts in measured.items():
        value = max(point["val_ndcg@10"] for point in facts["curve"])
        model = run if run.startswith("ours/") else run.split("/")[0]
        best[model] = max(best.get(model, (-1.0, "")), (value, run))
    return {run for _, run in best.values()}


def format_tables(measured: dict[str, dict[str, Any]]) -> str:
    """Return tables of the test metrics of the best epochs, and of validation NDCG@10 over time."""
    longest = max(facts["seconds"] for facts in measured.values())
    minutes = [
        at for at, before in zip(AFTER_MINUTES, [0, *AFTER_MINUTES], strict=False)
        if before * 60 < longest
    ]  # fmt: skip
    heads = ["validation NDCG@10 within", *(f"{at} min" for at in minutes)]
    validation = [_format_row(heads), _format_separator(len(heads))]
    heads = ["test, seen items filtered", "HR@10", "NDCG@10", "coverage@10", "s per epoch"]
    heads += ["best epoch", "training time"]
    test = [_format_row(heads), _format_separator(len(heads))]
    best = select_best_settings(measured)
    for run, facts in measured.items():
        name = f"**{run}**" if run in best else run
        values = [find_best_ndcg(facts["curve"], at * 60) for at in minutes]
        validation.append(
            _format_row([name, *("–" if value is None else f"{value:.4f}" for value in values)])
        )
        kept = next(point for point in facts["curve"] if point["epoch"] == facts["best_epoch"])
        cells = [_format_interval(facts["test"], metric) for metric in ("hr@10", "ndcg@10")]
        cells.append(f"{facts['test']['coverage@10']:.4f}")
        cells += [
            f"{facts['seconds'] / facts['epochs']:.1f}",
            f"epoch {facts['best_epoch']} of {facts['epochs']}",
            f"{kept['seconds'] / 60:.1f} min",
        ]
        test.append(_format_row([name, *cells]))
    return "\n".join(test) + "\n\n" + "\n".join(validation)


def _format_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _format_separator(n_columns: int) -> str:
    return "|---|" + "---:|" * (n_columns - 1)


def _format_interval(figures: dict[str, Any], metric: str) -> str:
    low, high = figures[f"{metric}_ci95"]
    return f"{figures[metric]:.4f} ({low:.4f}–{high:.4f})"


def draw_curves(measured: dict[str, dict[str, Any]], title: str) -> Figure:
    """Plot validation NDCG@10 by minutes of training. The best settings have thick lines."""
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.subplots()
    best = select_best_settings(measured)
    for run, facts in measured.items():
        axes.plot(
            [point["seconds"] / 60 for point in facts["curve"]],
            [point["val_ndcg@10"] for point in facts["curve"]],
            marker="o" if len(facts["curve"]) < 30 else None,
            markersize=3,
            linewidth=2.2 if run in best else 1.0,
            alpha=1.0 if run in best else 0.45,
            color=COLOURS[run.split("/")[0]],
            linestyle="--" if run == "ours/regressor" else "-",
            label=run,
        )
    axes.set_xlabel("minutes of training, without evaluations")
    axes.set_ylabel("validation NDCG@10, seen items filtered")
    axes.set_title(title, loc="left")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.14)
    axes.spines[["top", "right"]].set_visible(False)
    # The legend is next to the axes, so that it hides no curve.
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def main() -> None:
    """Train the selected runs, and print all results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="amazon_beauty_2014")
    parser.add_argument("--minutes", type=float, default=30, help="time limit of each training")
    parser.add_argument(
        "--runs",
        nargs="*",
        default=RUNS,
        metavar="MODEL/SETTING",
        help="runs to train; without a value, only the results are shown. Runs: "
        f"{' '.join(RUNS)} rectools_sasrec/defaults",
    )
    parser.add_argument("--epochs", default="200", help="maximum number of epochs")
    parser.add_argument("--evaluate-every", default="2", help="epochs between evaluations")
    parser.add_argument("--patience", default="5", help="evaluations without improvement")
    parser.add_argument("--seed", default="42")
    arguments = parser.parse_args()
    if unknown := [
        run for run in arguments.runs if run.split("/")[0] not in MODELS or "/" not in run
    ]:
        parser.error(
            f"unknown run {unknown[0]!r}. Use MODEL/SETTING with one of the models "
            f"{', '.join(MODELS)}"
        )

    split_name = "leave_one_out"
    own_folder = f"{arguments.dataset}/{split_name}/seed_{arguments.seed}"
    try:
        split, users = load_split(ROOT / "data" / "05_model_input" / arguments.dataset / split_name)
        own = load_own_results(
            ROOT / "data" / "07_model_output" / own_folder, ["classifier", "regressor"]
        )
    except InputError as error:
        sys.exit(str(error))
    folder = HERE / "results" / arguments.dataset
    limits = ["--epochs", arguments.epochs, "--evaluate-every", arguments.evaluate_every]
    limits += ["--patience", arguments.patience, "--seed", arguments.seed]
    for run in arguments.runs:
        train_peer(run, split, folder / run, limits, arguments.minutes)

    runs = [str(path.parent.relative_to(folder)) for path in sorted(folder.glob("*/*/curve.json"))]
    measured = own | measure_peers(folder, runs, split, users)
    if not measured:
        sys.exit("There are no results. Train at least one run.")
    with atomic_path(folder / "results.json") as path:
        path.write_text(
            json.dumps({"machine": describe_machine(), "runs": measured}, indent=2),
            encoding="utf-8",
        )
    with atomic_path(folder / "curves.png") as path:
        draw_curves(measured, arguments.dataset).savefig(path, dpi=150)
    print(f"\n({describe_machine()})\n\n{format_tables(measured)}\n")
    print("Bold: the best setting of each model by validation NDCG@10. Use it for comparisons.")
    print(f"Written: {folder / 'results.json'}, {folder / 'curves.png'}")


if __name__ == "__main__":
    main()
