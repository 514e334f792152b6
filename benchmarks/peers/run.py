"""Train what other libraries have on our split, and measure it as our own models, as Markdown.

    .venv/bin/python benchmarks/peers/run.py --minutes 30

The pipelines up to sequencing must have run on the data set. Every library gets an environment of
its own in build/peers/, and every training a time budget; one runs after the other, on all cores.
Curves, tables and a figure are written to benchmarks/peers/results/<dataset>/. Our own lines come
from what `kedro run` wrote about the models, if it did.
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
from bazar.data.windows import Windows
from bazar.datasets.arrays import ArrayDataset, WindowsDataset
from bazar.errors import InputError
from bazar.evaluation.metrics import (
    WITH_INTERVAL,
    bootstrap_interval,
    catalogue_coverage,
    row_metrics,
)

# Run as a script: what is imported next stands beside this folder.
sys.path.insert(0, str(Path(__file__).parents[1]))

from timing import machine

from peers.exchange import SplitArrays, top_ranks

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / "build" / "peers"

# By model: the library whose environment it needs, and what is started there.
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
# Told apart by colour-blind readers (Okabe and Ito).
COLOURS = {
    "rectools_sasrec": "#0072b2",
    "cornac_gru4rec": "#d55e00",
    "cornac_sasrec": "#009e73",
    "ours": "#1d2330",
}
AFTER_MINUTES = [1, 2, 5, 10, 20, 30]
RESAMPLES, RESAMPLING_SEED = 1000, 42


def export(folder: Path) -> tuple[SplitArrays, list[str]]:
    """Read the split of a data set.

    Args:
        folder: what the pipeline sequencing wrote, ``data/05_model_input/<dataset>``.

    Returns:
        The split as plain arrays, and whose row each test row is.

    Raises:
        InputError: if there is none, or if it is not a leave-one-out split.
    """
    paths = {part: folder / f"{part}.arrow" for part in ("train", "validation", "test")}
    if missing := [path for path in paths.values() if not path.is_file()]:
        raise InputError(
            f"{missing[0]} is not there\nRun `kedro run --pipelines ingestion,joining,sequencing` "
            "on the data set first"
        )
    train, validation, test = (WindowsDataset(filepath=str(path)).load() for path in paths.values())
    counts = ArrayDataset(filepath=str(folder / "training_counts.npy")).load()
    return as_arrays(train, validation, test, len(counts) - 1), test.user_ids.to_pylist()


def as_arrays(train: Windows, validation: Windows, test: Windows, n_items: int) -> SplitArrays:
    """Turn a leave-one-out split into plain arrays.

    Args:
        train: rows to learn from.
        validation: rows to choose by.
        test: rows to measure on.
        n_items: size of the catalogue.

    Raises:
        InputError: if the parts are slices of different sequences, or if a user's validation or
            test target stands before the end of their training part.
    """
    sequences = train.sequences
    training_ends = sequences.starts[:-1].copy()
    np.maximum.at(training_ends, train.users, train.target_positions + 1)
    for part in (validation, test):
        same = np.array_equal(part.sequences.items, sequences.items)
        if not same or (part.target_positions < training_ends[part.users]).any():
            raise InputError(
                "the peers can be trained on a leave-one-out split alone, and this is another one\n"
                "Run the pipeline sequencing again with split=leave_one_out"
            )
    return SplitArrays(
        sequences.items,
        sequences.starts,
        training_ends,
        validation.target_positions,
        test.target_positions,
        np.array(n_items),
    )


def environment(library: str) -> Path:
    """Make the environment of a library, unless it is there with the same requirements.

    Args:
        library: its name; ``requirements-<library>.txt`` pins what is installed.

    Returns:
        The environment's Python.
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


def train(run: str, split: SplitArrays, folder: Path, limits: list[str], minutes: float) -> None:
    """Train a peer in its environment; it writes what it reached as it goes.

    Args:
        run: model and setting.
        split: what it is trained and measured on.
        folder: where it writes; what an earlier run wrote there is removed.
        limits: further arguments of the peer.
        minutes: of training.
    """
    model, setting = run.split("/")
    library, module = MODELS[model]
    python = environment(library)
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
            # Evaluation is not part of the budget, and may take as long as training.
            subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": paths},
                check=True,
                timeout=60 * (3 * minutes + 10),
            )
        except subprocess.TimeoutExpired:
            print(f"{run} was stopped: it took three times its budget", flush=True)


def results(
    folder: Path, runs: list[str], split: SplitArrays, users: list[str]
) -> dict[str, dict[str, Any]]:
    """Measure the test part of every run that there is.

    Args:
        folder: of the data set's results.
        runs: models and settings.
        split: what they were trained and measured on.
        users: whose row each test row is.

    Returns:
        By run, what the peer wrote and ``test``: the mean of each of
        :func:`bazar.metrics.row_metrics`, ``coverage@10``, and the 95% intervals ``hr@10_ci95``
        and ``ndcg@10_ci95``.
    """
    measured = {}
    for run in runs:
        if not (folder / run / "curve.json").is_file():
            continue
        top = np.load(folder / run / "top.npy", allow_pickle=False)
        rows, places = np.nonzero(top)
        recommendations = pd.DataFrame({"rank": places + 1, "item_id": top[rows, places]})
        per_row = row_metrics(top_ranks(top, split.targets("test")))
        figures: dict[str, Any] = {name: float(values.mean()) for name, values in per_row.items()}
        figures["coverage@10"] = catalogue_coverage(recommendations, int(split.n_items), 10)
        for name in WITH_INTERVAL:
            interval = bootstrap_interval(per_row[name], users, RESAMPLES, RESAMPLING_SEED)
            figures[f"{name}_ci95"] = interval
        written = json.loads((folder / run / "curve.json").read_text(encoding="utf-8"))
        measured[run] = written | {"test": figures}
    return measured


def ours(dataset: str, models: list[str]) -> dict[str, dict[str, Any]]:
    """Read what our own models reached.

    Args:
        dataset: the data set.
        models: names of models, such as ``classifier``.

    Returns:
        By model that was trained, the same facts as of the peers; ``test`` is missing where the
        model was not measured.
    """
    found = {}
    for model in models:
        path = ROOT / "data" / "06_models" / dataset / f"{model}_history.csv"
        if not path.is_file():
            continue
        history = pd.read_csv(path)
        if not {"epoch", "seconds", "val_ndcg@10"} <= set(history):
            raise InputError(
                f"{path} does not tell the seconds and the NDCG@10 of the epochs\n"
                f"Train {model} again"
            )
        history["seconds"] = history["seconds"].cumsum()
        curve = history[["epoch", "seconds", "val_ndcg@10"]].to_dict("records")
        found[f"ours/{model}"] = {
            "library": "Bazar",
            "epochs": len(curve),
            "seconds": float(history["seconds"].iloc[-1]),
            "best_epoch": int(history["epoch"].iloc[history["val_ndcg@10"].argmax()]),
            "curve": curve,
        }
        metrics = ROOT / "data" / "07_model_output" / dataset / f"{model}_metrics.json"
        if metrics.is_file():
            measured = json.loads(metrics.read_text(encoding="utf-8"))
            found[f"ours/{model}"]["test"] = measured["filtered"]
    return found


def reached(curve: list[dict[str, float]], seconds: float) -> float | None:
    """Best validation NDCG@10 of a curve within some seconds of training."""
    values = [point["val_ndcg@10"] for point in curve if point["seconds"] <= seconds]
    return max(values, default=None)


def chosen(measured: dict[str, dict[str, Any]]) -> set[str]:
    """Of each model's settings, the one with the best validation NDCG@10."""
    best: dict[str, tuple[float, str]] = {}
    for run, facts in measured.items():
        value = max(point["val_ndcg@10"] for point in facts["curve"])
        model = run if run.startswith("ours/") else run.split("/")[0]
        best[model] = max(best.get(model, (-1.0, "")), (value, run))
    return {run for _, run in best.values()}


def tables(measured: dict[str, dict[str, Any]]) -> str:
    """Draw what was reached after how long, and the test metrics of the epochs that were kept."""
    longest = max(facts["seconds"] for facts in measured.values())
    minutes = [
        at for at, before in zip(AFTER_MINUTES, [0, *AFTER_MINUTES], strict=False)
        if before * 60 < longest
    ]  # fmt: skip
    heads = ["validation NDCG@10 within", *(f"{at} min" for at in minutes)]
    reach = [_line(heads), _rule(len(heads))]
    heads = ["test, history filtered", "HR@10", "NDCG@10", "coverage@10", "s per epoch"]
    heads += ["kept", "training to there"]
    test = [_line(heads), _rule(len(heads))]
    best = chosen(measured)
    for run, facts in measured.items():
        name = f"**{run}**" if run in best else run
        values = [reached(facts["curve"], at * 60) for at in minutes]
        reach.append(_line([name, *("–" if value is None else f"{value:.4f}" for value in values)]))
        kept = next(at for at in facts["curve"] if at["epoch"] == facts["best_epoch"])
        cells = ["–"] * 3
        if "test" in facts:
            cells = [_with_interval(facts["test"], metric) for metric in ("hr@10", "ndcg@10")]
            cells.append(f"{facts['test']['coverage@10']:.4f}")
        cells += [
            f"{facts['seconds'] / facts['epochs']:.1f}",
            f"epoch {facts['best_epoch']} of {facts['epochs']}",
            f"{kept['seconds'] / 60:.1f} min",
        ]
        test.append(_line([name, *cells]))
    return "\n".join(test) + "\n\n" + "\n".join(reach)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(n_columns: int) -> str:
    return "|---|" + "---:|" * (n_columns - 1)


def _with_interval(figures: dict[str, Any], metric: str) -> str:
    low, high = figures[f"{metric}_ci95"]
    return f"{figures[metric]:.4f} ({low:.4f}–{high:.4f})"


def draw(measured: dict[str, dict[str, Any]], title: str) -> Figure:
    """Draw validation NDCG@10 against minutes of training, the chosen settings in full colour."""
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    axes = figure.subplots()
    best = chosen(measured)
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
    axes.set_xlabel("minutes of training, evaluation excluded")
    axes.set_ylabel("validation NDCG@10, history filtered")
    axes.set_title(title, loc="left")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.14)
    axes.spines[["top", "right"]].set_visible(False)
    # Beside the curves, which may be anywhere.
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def main() -> None:
    """Train, measure and show what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="amazon_beauty_2014")
    parser.add_argument("--minutes", type=float, default=30, help="of training, for each run")
    parser.add_argument(
        "--runs",
        nargs="*",
        default=RUNS,
        metavar="MODEL/SETTING",
        help=f"what to train; none: show what there is. {' '.join(RUNS)} rectools_sasrec/defaults",
    )
    parser.add_argument("--epochs", default="200", help="at most")
    parser.add_argument("--evaluate-every", default="2", help="epochs between evaluations")
    parser.add_argument("--patience", default="5", help="evaluations without a better one")
    parser.add_argument("--seed", default="42")
    given = parser.parse_args()
    if unknown := [run for run in given.runs if run.split("/")[0] not in MODELS or "/" not in run]:
        parser.error(f"unknown: {unknown[0]}; models are {', '.join(MODELS)}")

    try:
        split, users = export(ROOT / "data" / "05_model_input" / given.dataset)
        own = ours(given.dataset, ["classifier", "regressor"])
    except InputError as error:
        sys.exit(str(error))
    folder = HERE / "results" / given.dataset
    limits = ["--epochs", given.epochs, "--evaluate-every", given.evaluate_every]
    limits += ["--patience", given.patience, "--seed", given.seed]
    for run in given.runs:
        train(run, split, folder / run, limits, given.minutes)

    there = [str(path.parent.relative_to(folder)) for path in sorted(folder.glob("*/*/curve.json"))]
    measured = own | results(folder, there, split, users)
    if not measured:
        sys.exit("nothing has been trained yet")
    with atomic_path(folder / "results.json") as path:
        path.write_text(
            json.dumps({"machine": machine(), "runs": measured}, indent=2), encoding="utf-8"
        )
    with atomic_path(folder / "curves.png") as path:
        draw(measured, given.dataset).savefig(path, dpi=150)
    print(f"\n({machine()})\n\n{tables(measured)}\n\nIn bold: of each model, the setting with the")
    print("best validation NDCG@10, which is the one to compare with.")
    print(f"{folder / 'results.json'}, {folder / 'curves.png'}")


if __name__ == "__main__":
    main()
