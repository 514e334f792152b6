"""Figures of the report."""

import io
import re
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from bazar.config.models import BASELINES
from bazar.config.tuning import Choices, NumberRange
from bazar.labels import get_model_label

# Okabe and Ito's palette: told apart by colour-blind readers, and on dark and light grounds.
_TRAINING, _VALIDATION, _FLOOR = "#0072b2", "#d55e00", "#8a8f98"
_BLEND = "#009e73"
# Of categories: as many as there are at most. Grey stays for the rest.
_CATEGORIES = (
    _TRAINING, _VALIDATION, _BLEND, "#e69f00", "#cc79a7", "#56b4e9", "#8c6bd8", "#a6761d",
)  # fmt: skip
# Texts, axes and grid lines have this one colour, so that a page can put its own in its place.
_INK = "#1d2330"
# Small enough in inches that the letters can still be read where a phone shows the figure.
_WIDTH = 5.0


def plot_losses(history: pd.DataFrame, title: str, kept: int) -> Figure:
    """Training and validation loss per epoch, with the epoch marked whose weights were kept.

    Args:
        history: a row per epoch: ``epoch`` (from 1), ``loss``, ``val_loss``.
        title: title of the figure.
        kept: the epoch whose weights were kept.
    """
    figure, axes = _empty(height=3.1)
    marker = "o" if len(history) < 30 else None
    for column, label, colour, dashes in (
        ("loss", "training", _TRAINING, "-"),
        ("val_loss", "validation", _VALIDATION, "--"),
    ):
        axes.plot(
            history["epoch"], history[column], dashes, marker=marker, markersize=4.5,
            linewidth=1.8, color=colour, label=label,
        )  # fmt: skip
    axes.axvline(kept, color=_INK, linewidth=1.2, linestyle=":", label=f"kept: epoch {kept}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, loc="left")
    axes.grid(color=_INK, alpha=0.14)
    axes.legend(frameon=False)
    return _inked(figure, axes)


def plot_hit_rates(metrics: dict[str, Any], history: str = "filtered") -> Figure:
    """HR@10 of every model with its 95% interval, the best on top.

    Args:
        metrics: the content of ``metrics.json``.
        history: ``filtered`` or ``unfiltered``.
    """
    figures = {name: model[history] for name, model in metrics["models"].items()}
    figure, axes = _bars(
        {name: measured["hr@10"] for name, measured in figures.items()},
        {name: measured["hr@10_ci95"] for name, measured in figures.items()},
    )
    axes.set_title(f"HR@10, history {history}", loc="left")
    return _inked(figure, axes)


def plot_slices(metrics: dict[str, Any], name: str, xlabel: str, history: str) -> Figure:
    """HR@10 of each slice with its 95% interval: the models that are ours, and the best baseline.

    Args:
        metrics: the content of ``metrics.json``.
        name: of the slices, ``by_history_length`` or ``by_target_popularity``.
        xlabel: what the slices are by.
        history: ``filtered`` or ``unfiltered``.
    """
    models = {model: figures[history] for model, figures in metrics["models"].items()}
    ours = [model for model in ("classifier", "regressor", "blend") if model in models]
    baselines = [model for model in models if model in BASELINES]
    best_floor = sorted(baselines, key=lambda baseline: -models[baseline]["hr@10"])[:1]
    styles = {
        "classifier": (_TRAINING, "o"), "regressor": (_VALIDATION, "s"), "blend": (_BLEND, "D"),
    }  # fmt: skip
    shown = [*ours, *best_floor]
    figure, axes = _empty(height=4.2)
    slices = next(iter(models.values()))[name]
    for place, model in enumerate(shown):
        colour, marker = styles.get(model, (_FLOOR, "^"))
        # Side by side: intervals of the same height would hide each other.
        at = np.arange(len(slices)) + 0.15 * (place - (len(shown) - 1) / 2)
        rates = np.array([one["hr@10"] for one in models[model][name]])
        ends = np.array([one["hr@10_ci95"] for one in models[model][name]])
        label = (
            f"{get_model_label(model)}, the best baseline"
            if model in BASELINES
            else get_model_label(model)
        )
        axes.vlines(at, ends[:, 0], ends[:, 1], color=colour, linewidth=1.6)
        axes.plot(
            at, rates, "-", marker=marker, markersize=5, linewidth=0.9, color=colour, label=label,
            clip_on=False,  # a rate of 0 lies on the axis
        )  # fmt: skip
    axes.set_xticks(
        range(len(slices)), [f"{one['label']}\n({one['rows']:,})" for one in slices], fontsize=9
    )
    axes.set_xlabel(f"{xlabel}\n(in brackets: test rows)")
    axes.set_ylim(bottom=0)
    axes.set_title(f"HR@10, history {history}", loc="left")
    axes.grid(axis="y", color=_INK, alpha=0.14)
    axes.tick_params(axis="x", length=0)
    _legend_below(figure, axes)
    return _inked(figure, axes)


def plot_coverage_and_novelty(metrics: dict[str, Any], history: str) -> Figure:
    """Coverage@10 and novelty@10 of every model side by side, the best by HR@10 on top.

    Args:
        metrics: the content of ``metrics.json``.
        history: ``filtered`` or ``unfiltered``.
    """
    figures = {model: measured[history] for model, measured in metrics["models"].items()}
    models = _ascending({model: measured["hr@10"] for model, measured in figures.items()})
    figure = Figure(figsize=(_WIDTH, 1.2 + 0.34 * len(models)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, xlabel, decimals in zip(
        panels,
        ("coverage@10", "novelty@10"),
        ("share of the catalogue", "bits"),
        (2, 1),
        strict=True,
    ):
        values = [figures[model][column] for model in models]
        bars = axes.barh(
            [get_model_label(model) for model in models],
            values,
            color=[_FLOOR if model in BASELINES else _TRAINING for model in models],
            height=0.62,
        )
        axes.bar_label(bars, fmt=f"{{:.{decimals}f}}", padding=3, color=_INK)
        # Room for the value to the right of the longest bar; an axis of some length if all are 0.
        axes.set_xlim(0, max(values) * 1.3 or 1)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel(xlabel)
        axes.set_title(column, loc="left")
        axes.grid(axis="x", color=_INK, alpha=0.14)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        _inked(figure, axes)
    return figure


def plot_title_map(title_map: pd.DataFrame) -> Figure:
    """A dot for each product of the map of titles, in the colour of its category.

    Args:
        title_map: what :func:`bazar.title_map.map_products` gave.
    """
    figure, axes = _empty(height=4.6)
    counts = title_map["category"].value_counts()
    groups = [
        (title_map["category"] == category, _shortened(str(category)), colour)
        for category, colour in zip(counts.index, _CATEGORIES, strict=False)
    ]
    groups.append((title_map["category"].isna(), "other" if groups else "products", _FLOOR))
    for among, label, colour in groups:
        if among.any():
            # The number first: a label that begins with an underscore would be left out.
            axes.plot(
                title_map.loc[among, "x"], title_map.loc[among, "y"], "o", markersize=3.2,
                markeredgewidth=0, color=colour, label=f"{among.sum():,} {label}",
                zorder=1 if colour == _FLOOR else 2,
            )  # fmt: skip
    axes.set_title("Titles that are alike lie close together", loc="left")
    # Neither direction nor distance between groups means anything.
    axes.set_axis_off()
    _legend_below(figure, axes, markerscale=2)
    return _inked(figure, axes)


def _shortened(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"


def _legend_below(figure: Figure, axes: Axes, markerscale: float = 1) -> None:
    """Below the drawing, where it hides none of it."""
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="outside lower left", ncols=2, frameon=False, labelcolor=_INK,
        markerscale=markerscale,
    )  # fmt: skip
    for text in legend.get_texts():
        # A name may have dollars, which are no formula.
        text.set_parse_math(False)


def plot_comparison(comparison: dict[str, Any]) -> Figure:
    """NDCG@10 of every model, the mean over its seeds with the 95% interval over users.

    A dot is a seed. The best model is on top; histories are filtered.

    Args:
        comparison: the content of ``comparison.json``.
    """
    figures = {name: one["filtered"]["ndcg@10"] for name, one in comparison["models"].items()}
    figure, axes = _bars(
        {name: one["mean"] for name, one in figures.items()},
        {name: one["ci95"] for name, one in figures.items()},
    )
    for place, name in enumerate(_ascending({name: one["mean"] for name, one in figures.items()})):
        seeds = list(figures[name]["by_seed"].values())
        if len(seeds) > 1:
            axes.plot(
                seeds, [place + 0.17] * len(seeds), "o", color=_VALIDATION, markersize=3.5
            )  # fmt: skip
    axes.set_title("NDCG@10, history filtered", loc="left")
    return _inked(figure, axes)


def plot_tuning(
    trials: pd.DataFrame,
    importances: dict[str, float],
    ranges: dict[str, NumberRange | Choices],
) -> Figure:
    """Which keys of a network's block mattered in a search, and how good their values were.

    A bar for each key on top; below, for each key, a dot for each trial.

    Args:
        trials: a row per trial: ``state``, ``val_ndcg@10``, and a column per key.
        importances: by key, adding up to 1; empty where there were too few trials to tell.
        ranges: by key.
    """
    keys = _ascending(importances)[::-1] if importances else list(ranges)
    n_rows = (len(keys) + 1) // 2
    heights = [0.5 + 0.3 * len(keys) if importances else 0.3, *[1.6] * n_rows]
    figure = Figure(figsize=(_WIDTH, 0.6 + sum(heights)), layout="constrained")
    grid = figure.add_gridspec(1 + n_rows, 2, height_ratios=heights)
    top = figure.add_subplot(grid[0, :])
    if importances:
        top.barh(keys[::-1], [importances[key] for key in keys[::-1]], color=_TRAINING, height=0.58)
        top.set_xlabel("share of the differences that it explains")
        top.tick_params(axis="y", length=0)
        top.set_title("What mattered", loc="left")
    else:
        top.set_axis_off()
        top.set_title("Too few trials to tell what mattered", loc="left")
    _inked(figure, top)
    complete = trials["state"] == "complete"
    for place, key in enumerate(keys):
        axes = figure.add_subplot(grid[1 + place // 2, place % 2])
        among, values = ranges[key], trials[key]
        if isinstance(among, Choices):
            values = values.map(partial(_place, among.choices))
            axes.set_xticks(range(len(among.choices)), [str(choice) for choice in among.choices])
        elif among.log:
            axes.set_xscale("log")
            # Within a few decades, ticks at powers of ten alone would be too few.
            subs = (1, 2, 5) if among.high < 20 * among.low else (1,)
            axes.xaxis.set_major_locator(LogLocator(subs=subs))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        for chosen, label, colour in (
            (~complete, "given up", _FLOOR),
            (complete, "trained", _TRAINING),
        ):
            axes.plot(
                values[chosen], trials.loc[chosen, "val_ndcg@10"], "o", markersize=3.5,
                color=colour, label=label,
            )  # fmt: skip
        axes.set_xlabel(key)
        axes.tick_params(labelsize=8)
        axes.set_ylabel("NDCG@10" if place % 2 == 0 else "")
        axes.grid(color=_INK, alpha=0.14)
        if place == 0:
            handles, names = axes.get_legend_handles_labels()
            figure.legend(
                handles, names, loc="outside lower center", ncols=2, frameon=False, labelcolor=_INK
            )
        _inked(figure, axes)
    return figure


def _place(choices: tuple[Any, ...], value: Any) -> int:
    """Where a value stands among choices; read from a file, a missing value stands for None."""
    return choices.index(None if pd.isna(value) else value)


def _ascending(values: dict[str, float]) -> list[str]:
    return sorted(values, key=lambda name: values[name])


def _bars(values: dict[str, float], intervals: dict[str, list[float]]) -> tuple[Figure, Axes]:
    models = _ascending(values)
    figure, axes = _empty(height=0.9 + 0.44 * len(models))
    axes.barh(
        [get_model_label(name) for name in models],
        [values[name] for name in models],
        color=[_FLOOR if name in BASELINES else _TRAINING for name in models],
        height=0.58,
    )
    for place, name in enumerate(models):
        low, high = intervals[name]
        axes.plot([low, high], [place, place], "|-", color=_INK, linewidth=1.4, markersize=7)
        axes.annotate(
            f"{values[name]:.4f}", (high, place), va="center", xytext=(7, 0),
            textcoords="offset points", color=_INK,
        )  # fmt: skip
    # Room for the value to the right of the longest bar; an axis of some length if all are 0.
    axes.set_xlim(0, max(high for _, high in intervals.values()) * 1.22 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color=_INK, alpha=0.14)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def to_svg(figure: Figure, prefix: str) -> str:
    """Draw a figure as an ``<svg>`` element that can stand in a page beside others.

    The ground is transparent and what is ink takes the colour of the text around it. The same
    figure gives the same drawing. Texts stay texts, to be searched, copied and read aloud.

    Args:
        figure: the figure, made by this module.
        prefix: put before every id in the drawing, so that two drawings do not clash.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": prefix, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\bid="', f'id="{prefix}-', drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", drawing)
    return drawing.replace(_INK, "currentColor")


def _empty(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _inked(figure: Figure, axes: Axes) -> Figure:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(_INK)
    axes.tick_params(color=_INK, labelcolor=_INK)
    legend = axes.get_legend()
    texts = [axes.xaxis.label, axes.yaxis.label, axes.xaxis.get_offset_text()]
    texts += [axes.yaxis.get_offset_text(), *(legend.get_texts() if legend else [])]
    for text in texts:
        text.set_color(_INK)
    # The left title is a text of its own, which `axes.title` is not.
    axes.set_title(axes.get_title(loc="left"), loc="left", color=_INK, fontsize=11, weight="bold")
    return figure
