"""The table and the figure of the comparison with other libraries."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "explanation" / "benchmarks.md"
FIGURE = DOCS / "images" / "peers.png"
NOT_FINISHED = "not finished"
# By label: the colour of Okabe and Ito's palette, which is suitable for colour-blind readers, and
# the marker.
STYLES = {
    "Bazar classifier": ("#000000", "o"),
    "Bazar, ids alone": ("#cc79a7", "P"),
    "RecTools SASRec": ("#0072b2", "s"),
    "RecTools eSASRec": ("#56b4e9", "D"),
    "Cornac GRU4Rec": ("#d55e00", "^"),
    "Cornac SASRec": ("#009e73", "v"),
}
COLUMNS = [
    "model",
    "HR@10",
    "NDCG@10",
    "HR@10, unfiltered",
    "NDCG@10, unfiltered",
    "validation NDCG@10",
    "best epoch",
    "minutes to the best epoch",
    "minutes of training",
]


@dataclass(frozen=True)
class Run:
    """The training of a model and its results.

    Attributes:
        label: name of the model.
        curve: a point per epoch: ``epoch`` (from 1), ``seconds`` of training and ``val_ndcg@10``.
        test: the metrics on the test rows by filter mode. None: the training is not finished.
    """

    label: str
    curve: list[dict[str, float]]
    test: dict[str, dict[str, Any]] | None

    @property
    def best(self) -> dict[str, float]:
        """The point of the epoch with the best validation NDCG@10."""
        return max(self.curve, key=lambda point: point["val_ndcg@10"])


def format_table(runs: list[Run]) -> str:
    """Return the results as a Markdown table, one row per run."""
    lines = [_format_row(COLUMNS), "|---|" + "---:|" * (len(COLUMNS) - 1)]
    for run in runs:
        if run.test is None:
            cells = [NOT_FINISHED, "–", "–", "–"]
        else:
            cells = [_format_interval(run.test["filtered"], name) for name in ("hr@10", "ndcg@10")]
            cells += [f"{run.test['unfiltered'][name]:.4f}" for name in ("hr@10", "ndcg@10")]
        cells += [
            f"{run.best['val_ndcg@10']:.4f}",
            f"{run.best['epoch']:.0f} of {run.curve[-1]['epoch']:.0f}",
            f"{run.best['seconds'] / 60:.1f}",
            f"{run.curve[-1]['seconds'] / 60:.1f}",
        ]
        lines.append(_format_row([run.label, *cells]))
    return "\n".join(lines)


def _format_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _format_interval(metrics: dict[str, Any], name: str) -> str:
    low, high = metrics[f"{name}_ci95"]
    return f"{metrics[name]:.4f} ({low:.4f}–{high:.4f})"


def draw_curves(runs: list[Run]) -> Figure:
    """Plot validation NDCG@10 by minutes of training, one line per run.

    The text is large enough for a page of 390 pixels. The star marks the best epoch.
    """
    figure = Figure(figsize=(5.4, 5.2), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        colour, marker = STYLES[run.label]
        axes.plot(
            [point["seconds"] / 60 for point in run.curve],
            [point["val_ndcg@10"] for point in run.curve],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.8,
            linestyle="-" if run.test else ":",
            label=run.label if run.test else f"{run.label} ({NOT_FINISHED})",
        )
        axes.plot(
            run.best["seconds"] / 60,
            run.best["val_ndcg@10"],
            color=colour,
            marker="*",
            markersize=13,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes of training (log scale)", fontsize=11)
    axes.set_ylabel("NDCG@10 on validation rows", fontsize=11)
    axes.tick_params(labelsize=11)
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", ncols=1, fontsize=11, frameon=False)
    return figure
