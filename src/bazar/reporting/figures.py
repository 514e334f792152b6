"""Figures of the report, of the comparison and of the tuning."""

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
from bazar.config.networks import REPRODUCTION_NETWORKS
from bazar.config.tuning import Choices, NumberRange
from bazar.labels import ORACLE, get_filter_label, get_model_label
from bazar.reporting.figure_style import (
    BASELINE,
    BLEND,
    CEILING,
    TEXT_COLOUR,
    TRAINING,
    VALIDATION,
    WIDTH,
    add_legend_below,
    apply_text_colour,
    create_axes,
)
from bazar.reporting.findings import get_validation_ndcg

# One colour per category of the title map. Products without a category are grey.
_CATEGORIES = (
    TRAINING, VALIDATION, BLEND, "#e69f00", "#cc79a7", "#56b4e9", "#8c6bd8", "#a6761d",
)  # fmt: skip
_MAX_NETWORK_SERIES = 3


def plot_losses(training_log: pd.DataFrame, title: str, best_epoch: int | None) -> Figure:
    """Plot the training and validation loss of each epoch, and mark the selected epoch.

    Args:
        training_log: one row per epoch: ``epoch`` (from 1), ``loss`` and optionally ``val_loss``.
        title: title of the figure.
        best_epoch: the epoch whose weights were kept; None if unknown.
    """
    figure, axes = create_axes(height=3.1)
    marker = "o" if len(training_log) < 30 else None
    for column, label, colour, dashes in (
        ("loss", "training", TRAINING, "-"),
        ("val_loss", "validation", VALIDATION, "--"),
    ):
        if column in training_log and training_log[column].notna().any():
            axes.plot(
                training_log["epoch"], training_log[column], dashes, marker=marker,
                markersize=4.5, linewidth=1.8, color=colour, label=label,
            )  # fmt: skip
    if best_epoch is not None:
        axes.axvline(
            best_epoch, color=TEXT_COLOUR, linewidth=1.2, linestyle=":",
            label=f"kept: epoch {best_epoch}",
        )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, loc="left")
    axes.grid(color=TEXT_COLOUR, alpha=0.14)
    axes.legend(frameon=False)
    return apply_text_colour(figure, axes)


def plot_hit_rates(metrics: dict[str, Any], filter_mode: str) -> Figure:
    """Plot HR@10 of each model with its 95% interval, the highest on top.

    Args:
        metrics: the content of ``metrics.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    results = {name: model[filter_mode] for name, model in metrics["models"].items()}
    figure, axes = _plot_bars(
        {name: measured["hr@10"] for name, measured in results.items()},
        {name: measured["hr@10_ci95"] for name, measured in results.items()},
    )
    axes.set_title(f"HR@10, {get_filter_label(filter_mode)}", loc="left")
    return apply_text_colour(figure, axes)


def plot_slices(metrics: dict[str, Any], name: str, xlabel: str, filter_mode: str) -> Figure:
    """Plot HR@10 of each slice of the test rows with its 95% interval.

    The figure shows the best baseline and at most three other models, the best by validation
    NDCG@10.

    Args:
        metrics: the content of ``metrics.json``.
        name: name of the slices, ``by_history_length`` or ``by_target_popularity``.
        xlabel: the quantity that defines the slices.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    results = {model: measured[filter_mode] for model, measured in metrics["models"].items()}
    shown = _choose_series(metrics, filter_mode)
    colours = iter(((TRAINING, "o"), (VALIDATION, "s"), (BLEND, "D")))
    figure, axes = create_axes(height=4.2)
    slices = next(iter(results.values()))[name]
    for series, model in enumerate(shown):
        colour, marker = (BASELINE, "^") if model in BASELINES else next(colours)
        # Shift each model, because intervals at the same position would hide each other.
        at = np.arange(len(slices)) + 0.15 * (series - (len(shown) - 1) / 2)
        rates = np.array([piece["hr@10"] for piece in results[model][name]])
        ends = np.array([piece["hr@10_ci95"] for piece in results[model][name]])
        label = get_model_label(model) + (", the best baseline" if model in BASELINES else "")
        axes.vlines(at, ends[:, 0], ends[:, 1], color=colour, linewidth=1.6)
        axes.plot(
            at, rates, "-", marker=marker, markersize=5, linewidth=0.9, color=colour, label=label,
            clip_on=False,  # show markers on the axis (a rate of 0) completely
        )  # fmt: skip
    axes.set_xticks(
        range(len(slices)),
        [f"{piece['label']}\n({piece['rows']:,})" for piece in slices],
        fontsize=9,
    )
    axes.set_xlabel(f"{xlabel}\n(in brackets: number of test rows)")
    axes.set_ylim(bottom=0)
    axes.set_title(f"HR@10, {get_filter_label(filter_mode)}", loc="left")
    axes.grid(axis="y", color=TEXT_COLOUR, alpha=0.14)
    axes.tick_params(axis="x", length=0)
    add_legend_below(figure, axes)
    return apply_text_colour(figure, axes)


def _choose_series(metrics: dict[str, Any], filter_mode: str) -> list[str]:
    """Return the models of the figure of slices: the best networks or blends, and a baseline."""
    models = metrics["models"]
    others = [name for name in models if name not in BASELINES and name != ORACLE]
    # Networks of the reproduction have the lowest priority.
    others.sort(
        key=lambda name: (
            name in REPRODUCTION_NETWORKS.values(),
            -get_validation_ndcg(models[name]),
        )
    )
    baselines = [name for name in models if name in BASELINES]
    baselines.sort(key=lambda name: -models[name][filter_mode]["hr@10"])
    return [*others[:_MAX_NETWORK_SERIES], *baselines[:1]]


def plot_coverage_and_novelty(metrics: dict[str, Any], filter_mode: str) -> Figure:
    """Plot coverage@10 and novelty@10 of each model side by side, the highest HR@10 on top.

    Args:
        metrics: the content of ``metrics.json``.
        filter_mode: ``filtered`` or ``unfiltered``.
    """
    results = {model: measured[filter_mode] for model, measured in metrics["models"].items()}
    models = _sort_ascending({model: measured["hr@10"] for model, measured in results.items()})
    figure = Figure(figsize=(WIDTH, max(2.2, 0.95 + 0.3 * len(models))), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, xlabel, decimals in zip(
        panels,
        ("coverage@10", "novelty@10"),
        ("share of the catalogue", "bits"),
        (2, 1),
        strict=True,
    ):
        values = [results[model][column] for model in models]
        bars = axes.barh(
            [get_model_label(model) for model in models],
            values,
            color=[_get_colour(model) for model in models],
            height=0.62,
        )
        axes.bar_label(bars, fmt=f"{{:.{decimals}f}}", padding=3, color=TEXT_COLOUR)
        # Room for the value to the right of the longest bar; any axis length if all are 0.
        axes.set_xlim(0, max(values) * 1.3 or 1)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel(xlabel)
        axes.set_title(column, loc="left")
        axes.grid(axis="x", color=TEXT_COLOUR, alpha=0.14)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        apply_text_colour(figure, axes)
    return figure


def plot_parts(metrics: dict[str, Any]) -> Figure:
    """Plot NDCG@10 for repeats and for all other targets, with 95% intervals, by model.

    Seen items are not filtered. The highest NDCG@10 for repeats is on top.

    Args:
        metrics: the content of ``metrics.json``. It must have repeats.
    """
    results = {model: measured["unfiltered"] for model, measured in metrics["models"].items()}
    models = _sort_ascending({name: found["repeat"]["ndcg@10"] for name, found in results.items()})
    figure, axes = create_axes(height=max(2.0, 1.2 + 0.36 * len(models)))
    for part, label, colour, marker, shift in (
        ("repeat", "bought before", TRAINING, "o", 0.12),
        ("explore", "not bought before", VALIDATION, "s", -0.12),
    ):
        if any(results[model][part] is None for model in models):
            continue
        positions = np.arange(len(models)) + shift
        ends = np.array([results[model][part]["ndcg@10_ci95"] for model in models])
        axes.hlines(positions, ends[:, 0], ends[:, 1], color=colour, linewidth=1.6)
        axes.plot(
            [results[model][part]["ndcg@10"] for model in models], positions, linestyle="",
            marker=marker, markersize=5, color=colour, label=label,
        )  # fmt: skip
    axes.set_yticks(range(len(models)), [get_model_label(model) for model in models])
    axes.set_xlim(left=0)
    axes.set_title("NDCG@10", loc="left")
    axes.grid(axis="x", color=TEXT_COLOUR, alpha=0.14)
    axes.tick_params(axis="y", length=0)
    add_legend_below(figure, axes)
    return apply_text_colour(figure, axes)


def plot_title_map(title_map: pd.DataFrame) -> Figure:
    """Plot the title map: a dot for each product, in the colour of its category.

    Args:
        title_map: the result of :func:`bazar.reporting.title_map.map_products`.
    """
    figure, axes = create_axes(height=4.6)
    counts = title_map["category"].value_counts()
    groups = [
        (title_map["category"] == category, _shorten(str(category)), colour)
        for category, colour in zip(counts.index, _CATEGORIES, strict=False)
    ]
    groups.append((title_map["category"].isna(), "other" if groups else "products", BASELINE))
    for members, label, colour in groups:
        if members.any():
            # The number comes first, because Matplotlib ignores labels that start with "_".
            axes.plot(
                title_map.loc[members, "x"], title_map.loc[members, "y"], "o", markersize=3.2,
                markeredgewidth=0, color=colour, label=f"{members.sum():,} {label}",
                zorder=1 if colour == BASELINE else 2,
            )  # fmt: skip
    axes.set_title("Similar titles are close together", loc="left")
    # The axes have no meaning.
    axes.set_axis_off()
    add_legend_below(figure, axes, markerscale=2)
    return apply_text_colour(figure, axes)


def plot_groups(counts: dict[str, int], title: str, ylabel: str) -> Figure:
    """Plot the size of each group as a share of all, the first group on top.

    Args:
        counts: number of cases by name of the group.
        title: title of the figure.
        ylabel: the quantity that defines the groups.
    """
    figure, axes = create_axes(height=max(1.6, 0.9 + 0.28 * len(counts)))
    shares = [100 * count / max(sum(counts.values()), 1) for count in counts.values()]
    bars = axes.barh(list(counts), shares, color=TRAINING, height=0.66)
    axes.bar_label(bars, fmt="{:.0f}%", padding=3, color=TEXT_COLOUR)
    axes.invert_yaxis()
    # Room for the value to the right of the longest bar.
    axes.set_xlim(0, max(shares, default=0) * 1.15 or 1)
    axes.set_title(title, loc="left")
    axes.set_ylabel(ylabel)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return apply_text_colour(figure, axes)


def plot_comparison(comparison: dict[str, Any]) -> Figure:
    """Plot NDCG@10 of each model: the mean over its seeds with the 95% interval over users.

    Each dot is a seed. The best model is on top. The results are for the filter mode that comes
    first.

    Args:
        comparison: the content of ``comparison.json``.
    """
    mode = comparison["filter_mode"]
    results = {name: found[mode]["ndcg@10"] for name, found in comparison["models"].items()}
    means = {name: found["mean"] for name, found in results.items()}
    figure, axes = _plot_bars(means, {name: found["ci95"] for name, found in results.items()})
    for position, name in enumerate(_sort_ascending(means)):
        seeds = list(results[name]["by_seed"].values())
        if len(seeds) > 1:
            axes.plot(
                seeds, [position + 0.17] * len(seeds), "o", color=VALIDATION, markersize=3.5
            )  # fmt: skip
    axes.set_title(f"NDCG@10, {get_filter_label(mode)}", loc="left")
    return apply_text_colour(figure, axes)


def plot_tuning(
    trials: pd.DataFrame,
    importances: dict[str, float],
    ranges: dict[str, NumberRange | Choices],
) -> Figure:
    """Plot the importance of each tuned hyperparameter, and the results by its value.

    The top panel has one bar per hyperparameter. Below it, each hyperparameter has a panel with one
    dot per trial.

    Args:
        trials: one row per trial: ``state``, ``val_ndcg@10``, and one column per hyperparameter.
        importances: importance by hyperparameter, with the sum 1. It is empty if there are too few
            trials for an estimate.
        ranges: search space by hyperparameter.
    """
    keys = _sort_ascending(importances)[::-1] if importances else list(ranges)
    n_rows = (len(keys) + 1) // 2
    heights = [0.5 + 0.3 * len(keys) if importances else 0.3, *[1.6] * n_rows]
    figure = Figure(figsize=(WIDTH, 0.6 + sum(heights)), layout="constrained")
    grid = figure.add_gridspec(1 + n_rows, 2, height_ratios=heights)
    top = figure.add_subplot(grid[0, :])
    if importances:
        top.barh(keys[::-1], [importances[key] for key in keys[::-1]], color=TRAINING, height=0.58)
        top.set_xlabel("share of the explained variance")
        top.tick_params(axis="y", length=0)
        top.set_title("Importance", loc="left")
    else:
        top.set_axis_off()
        top.set_title("Too few trials to estimate importance", loc="left")
    apply_text_colour(figure, top)
    for panel, key in enumerate(keys):
        axes = figure.add_subplot(grid[1 + panel // 2, panel % 2])
        _plot_trials(axes, trials, key, ranges[key])
        axes.set_ylabel("NDCG@10" if panel % 2 == 0 else "")
        if panel == 0:
            handles, names = axes.get_legend_handles_labels()
            figure.legend(
                handles, names, loc="outside lower center", ncols=2, frameon=False,
                labelcolor=TEXT_COLOUR,
            )  # fmt: skip
        apply_text_colour(figure, axes)
    return figure


def _plot_trials(axes: Axes, trials: pd.DataFrame, key: str, tried: NumberRange | Choices) -> None:
    """Plot NDCG@10 of each trial by the value of one hyperparameter."""
    values = trials[key]
    if isinstance(tried, Choices):
        values = values.map(partial(_find_choice, tried.choices))
        axes.set_xticks(range(len(tried.choices)), [str(choice) for choice in tried.choices])
    elif tried.log:
        axes.set_xscale("log")
        # In a narrow range, powers of ten alone would give too few ticks.
        subs = (1, 2, 5) if tried.high < 20 * tried.low else (1,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    complete = trials["state"] == "complete"
    for among, label, colour in (
        (~complete, "pruned", BASELINE),
        (complete, "complete", TRAINING),
    ):
        axes.plot(
            values[among], trials.loc[among, "val_ndcg@10"], "o", markersize=3.5, color=colour,
            label=label,
        )  # fmt: skip
    axes.set_xlabel(key)
    axes.tick_params(labelsize=8)
    axes.grid(color=TEXT_COLOUR, alpha=0.14)


def _find_choice(choices: tuple[Any, ...], value: Any) -> int:
    """Return the index of a value in the choices. A missing value means None."""
    return choices.index(None if pd.isna(value) else value)


def render_svg(figure: Figure, prefix: str) -> str:
    """Return a figure as an ``<svg>`` element for a page.

    The background is transparent. Axes and texts have the text colour of the page. Equal figures
    give identical output. Text remains text: it can be searched, copied and read by a screen
    reader.

    Args:
        figure: a figure of this module.
        prefix: prefix of all ids. It makes the ids of several figures on a page unique.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": prefix, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\bid="', f'id="{prefix}-', drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", drawing)
    return drawing.replace(TEXT_COLOUR, "currentColor")


def _get_colour(model: str) -> str:
    """Return the colour of a model's bar."""
    if model == ORACLE:
        return CEILING
    return BASELINE if model in BASELINES else TRAINING


def _plot_bars(values: dict[str, float], intervals: dict[str, list[float]]) -> tuple[Figure, Axes]:
    """Plot a bar for each model with its value and interval, the highest on top."""
    models = _sort_ascending(values)
    figure, axes = create_axes(height=max(1.6, 0.8 + 0.36 * len(models)))
    axes.barh(
        [get_model_label(name) for name in models],
        [values[name] for name in models],
        color=[_get_colour(name) for name in models],
        height=0.58,
    )
    for position, name in enumerate(models):
        low, high = intervals[name]
        axes.plot(
            [low, high], [position, position], "|-", color=TEXT_COLOUR, linewidth=1.4, markersize=7
        )
        axes.annotate(
            f"{values[name]:.4f}", (high, position), va="center", xytext=(7, 0),
            textcoords="offset points", color=TEXT_COLOUR,
        )  # fmt: skip
    # Room for the value to the right of the longest bar; any axis length if all are 0.
    axes.set_xlim(0, max((high for _, high in intervals.values()), default=0) * 1.22 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", color=TEXT_COLOUR, alpha=0.14)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _sort_ascending(values: dict[str, float]) -> list[str]:
    return sorted(values, key=lambda name: values[name])


def _shorten(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"
