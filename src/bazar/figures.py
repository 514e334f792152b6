"""Figures of the report."""

import io
import re
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bazar.names import MODEL_NAMES

# Okabe and Ito's palette: told apart by colour-blind readers, and on dark and light grounds.
_TRAINING, _VALIDATION, _KEPT, _FLOOR = "#0072B2", "#D55E00", "#7f7f7f", "#8a8f98"


def loss_curves(history: pd.DataFrame, title: str) -> Figure:
    """Training and validation loss per epoch, with the epoch marked whose weights were kept.

    Args:
        history: a row per epoch: ``epoch`` (from 1), ``loss``, ``val_loss``.
        title: title of the figure.
    """
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    marker = "o" if len(history) < 30 else None
    axes.plot(history["epoch"], history["loss"], marker=marker, color=_TRAINING, label="training")
    axes.plot(
        history["epoch"], history["val_loss"], marker=marker, color=_VALIDATION, label="validation"
    )
    best = int(history["epoch"].iloc[int(history["val_loss"].argmin())])
    axes.axvline(best, color=_KEPT, linestyle=":", label=f"kept: epoch {best}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, fontsize=11, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def hit_rate_bars(metrics: dict[str, Any], history: str) -> Figure:
    """HR@10 of every model with its 95% interval, the best on top.

    Args:
        metrics: the content of ``metrics.json``.
        history: ``masked`` or ``unmasked``.
    """
    models = sorted(metrics["models"], key=lambda name: metrics["models"][name][history]["hr@10"])
    values = [metrics["models"][name][history]["hr@10"] for name in models]
    intervals = [metrics["models"][name][history]["hr@10_ci95"] for name in models]
    figure = Figure(figsize=(7, 0.9 + 0.5 * len(models)), layout="constrained")
    axes = figure.add_subplot()
    trained = [metrics["models"][name]["n_parameters"] > 0 for name in models]
    axes.barh(
        [MODEL_NAMES.get(name, name) for name in models],
        values,
        color=[_TRAINING if is_trained else _FLOOR for is_trained in trained],
        height=0.62,
    )
    for place, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
        axes.plot([low, high], [place, place], color="#222222", linewidth=1.4)
        axes.annotate(
            f" {value:.4f}", (high, place), va="center", fontsize=9, xytext=(3, 0),
            textcoords="offset points",
        )  # fmt: skip
    axes.set_xlim(0, max(high for _, high in intervals) * 1.15 or 1)
    axes.set_xlabel(f"HR@10, history {history}; lines are 95% intervals")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    return figure


def to_svg(figure: Figure, prefix: str) -> str:
    """Draw a figure as an ``<svg>`` element that can stand in a page beside others.

    Args:
        figure: the figure.
        prefix: put before every id in the drawing, so that two drawings do not clash.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": prefix, "svg.fonttype": "path"}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\bid="', f'id="{prefix}-', drawing)
    return re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", drawing)
