"""Draw the figure of docs/explanation/new-days.md from the results of finished runs.

    .venv/bin/python benchmarks/new_days.py

It needs the comparison of the environment amazon_beauty_2014_days and those of its shuffles, which
`benchmarks/shuffle_days.py` writes. `benchmarks/results.py` writes the tables of the same results.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from pages import format_spread

from bazar.labels import FILTER_LABELS, get_metric_label, get_model_label
from bazar.reporting.comparison_page import list_filter_modes
from bazar.reporting.figure_style import (
    BASELINE,
    TEXT_COLOUR,
    TRAINING,
    VALIDATION,
    apply_text_colour,
    create_axes,
)
from bazar.reporting.tables import MISSING, ResultTable, format_number

ROOT = Path(__file__).parents[1]
REPORTING = ROOT / "data" / "08_reporting"
FOLDER = "amazon_beauty_2014_days/leave_one_out"
FIGURE = ROOT / "docs" / "images" / "new_days.png"
SHUFFLE_SEEDS = (1, 2, 3, 4, 5)
METRICS = ("ndcg@10", "hr@10")
N_DRAWN = 8
"""Number of models in the figure."""

Comparison = dict[str, Any]


@dataclass(frozen=True)
class ShuffledResults:
    """The results in the order of the source, and those of each shuffle of equal days.

    Attributes:
        source: the content of ``comparison.json`` in the order of the source.
        shuffles: the content of ``comparison.json`` of each finished shuffle, by its seed.
    """

    source: Comparison
    shuffles: dict[int, Comparison]

    def get_source_mean(self, model: str, mode: str, metric: str, part: str | None) -> float:
        """Return the mean over training seeds in the order of the source."""
        return _get_mean(self.source, model, mode, metric, part)

    def list_means(self, model: str, mode: str, metric: str, part: str | None) -> list[float]:
        """Return the mean over training seeds of each shuffle that has the model."""
        return [
            _get_mean(comparison, model, mode, metric, part)
            for comparison in self.shuffles.values()
            if model in comparison["models"]
        ]


def name_shuffle(dataset: str, seed: int) -> str:
    """Return the name of the data set with shuffled days."""
    return f"{dataset}_shuffle_{seed}"


def list_comparison_files(reporting: Path, folder: str) -> list[Path]:
    """Return the paths of the comparisons: in the order of the source, then of each shuffle.

    Args:
        reporting: parent folder of the result folders.
        folder: folder of the results in the order of the source, such as ``shop/leave_one_out``.
    """
    dataset, split = folder.split("/")
    names = [dataset, *(name_shuffle(dataset, seed) for seed in SHUFFLE_SEEDS)]
    return [reporting / name / split / "comparison.json" for name in names]


def read_shuffled_results(paths: list[Path]) -> ShuffledResults | None:
    """Read the comparisons that exist.

    Args:
        paths: output of :func:`list_comparison_files`.

    Returns:
        The results; None without the order of the source, or without any shuffle.
    """
    source, *shuffles = (
        json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None for path in paths
    )
    finished = {
        seed: shuffle
        for seed, shuffle in zip(SHUFFLE_SEEDS, shuffles, strict=True)
        if shuffle is not None
    }
    return ShuffledResults(source, finished) if source is not None and finished else None


def build_shuffle_table(results: ShuffledResults, filter_mode: str) -> ResultTable:
    """Return a table with one row per model: the order of the source beside the shuffles.

    Args:
        results: the results.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    headings, rows = [FILTER_LABELS[filter_mode], "shuffles"], []
    columns = [(metric, part) for metric in METRICS for part in (None, "new_day")]
    for metric, part in columns:
        name = get_metric_label(metric) + (", on a new day" if part else "")
        headings += [f"{name}: source", "shuffled", "change"]
    for model in results.source["models"]:
        n_shuffles = len(results.list_means(model, filter_mode, "ndcg@10", None))
        cells = [get_model_label(model), str(n_shuffles or MISSING)]
        for metric, part in columns:
            source = results.get_source_mean(model, filter_mode, metric, part)
            means = results.list_means(model, filter_mode, metric, part)
            change = float(np.mean(means)) / source - 1 if means and source else None
            cells += [
                f"{source:.4f}",
                format_spread(means) if means else MISSING,
                format_number(change, "+.1%"),
            ]
        rows.append(cells)
    return ResultTable(headings, rows)


def draw_new_days(results: ShuffledResults) -> Figure:
    """Plot NDCG@10 of the best models: all rows in both orders, and the rows on a new day.

    Args:
        results: the results.
    """
    mode = list_filter_modes(results.source)[0]
    models = list(results.source["models"])[:N_DRAWN]
    places = np.arange(len(models))[::-1]
    figure, axes = create_axes(height=1.6 + 0.42 * len(models))

    def draw(ranges: list[tuple[float, float, float]], above: float, **style: Any) -> None:
        values, low, high = np.array(ranges).T
        errors = [values - low, high - values]
        axes.errorbar(
            values, places + above, xerr=errors, linestyle="none", markersize=5, elinewidth=1.2,
            **style,
        )  # fmt: skip

    def list_intervals(part: str | None) -> list[tuple[float, float, float]]:
        found = [_get_estimate(results.source, model, mode, "ndcg@10", part) for model in models]
        return [(estimate["mean"], *estimate["ci95"]) for estimate in found]

    shuffled = [results.list_means(model, mode, "ndcg@10", None) or [np.nan] for model in models]
    draw(
        list_intervals(None), 0.2, color=TRAINING, marker="o",
        label="all rows, order of the source (95% interval)",
    )  # fmt: skip
    draw(
        [(float(np.mean(means)), min(means), max(means)) for means in shuffled], 0,
        color=VALIDATION, marker="s",
        label=f"all rows, days shuffled ({len(results.shuffles)} shuffles, lowest to highest)",
    )  # fmt: skip
    draw(
        list_intervals("new_day"), -0.2, color=BASELINE, marker="D",
        label="rows on a new day, order of the source (95% interval)",
    )  # fmt: skip
    axes.set_yticks(places, [get_model_label(model) for model in models])
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.2)
    axes.set_title(f"NDCG@10, {FILTER_LABELS[mode]}", loc="left")
    figure.legend(loc="outside lower left", frameon=False, labelcolor=TEXT_COLOUR)
    return apply_text_colour(figure, axes)


def _get_estimate(
    comparison: Comparison, model: str, mode: str, metric: str, part: str | None
) -> dict[str, Any]:
    """Return the estimate of a metric on all rows (None), or on a part of the targets."""
    found = comparison["models"][model]
    estimate: dict[str, Any] = (found if part is None else found[part])[mode][metric]
    return estimate


def _get_mean(
    comparison: Comparison, model: str, mode: str, metric: str, part: str | None
) -> float:
    return float(_get_estimate(comparison, model, mode, metric, part)["mean"])


def main() -> None:
    """Draw the figure."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    paths = list_comparison_files(REPORTING, FOLDER)
    results = read_shuffled_results(paths)
    if results is None:
        sys.exit(f"There are no results of {FOLDER} and its shuffles. Run shuffle_days.py.")
    draw_new_days(results).savefig(FIGURE, dpi=150)


if __name__ == "__main__":
    main()
