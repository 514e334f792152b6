"""Figures of the notebooks."""

import textwrap
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette without yellow, which is hard to see on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1d2330")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_OTHER = "#b5b9c0"
_DPI = 90


def plot_label_map(spaces: Mapping[str, np.ndarray], labels: np.ndarray) -> Figure:
    """Plot items as points of one or more panels, in the colour and shape of their label.

    Args:
        spaces: coordinates of all items by title of the panel, each of shape (items, 2), float.
        labels: shape (items,), text. The seven most frequent labels have colours. All other labels
            are grey.
    """
    names, counts = np.unique(labels, return_counts=True)
    frequent = names[np.argsort(-counts, kind="stable")][: len(_COLOURS)]
    figure = Figure(figsize=(4.3 * len(spaces), 4.9), dpi=_DPI, layout="constrained")
    panels = figure.subplots(1, len(spaces), squeeze=False)[0]
    for axes, (title, points) in zip(panels, spaces.items(), strict=True):
        others = ~np.isin(labels, frequent)
        if others.any():
            axes.scatter(*points[others].T, s=9, color=_OTHER, label="others")
        for name, colour, marker in zip(frequent, _COLOURS, _MARKERS, strict=False):
            axes.scatter(
                *points[labels == name].T, s=15, color=colour, marker=marker, alpha=0.75,
                linewidth=0, label=name,
            )  # fmt: skip
        axes.set_xlabel("first axis")
        axes.set_ylabel("second axis")
        # The axes of a map have no unit.
        axes.set_xticks([])
        axes.set_yticks([])
        _style_axes(axes, title)
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, texts, loc="outside lower center", ncols=4, frameon=False, markerscale=1.8
    )
    return figure


def plot_interval_dots(panels: Mapping[str, Mapping[str, pd.DataFrame]], measured: str) -> Figure:
    """Plot values with their intervals, the first on top.

    If an interval reaches below 0, a line marks 0.

    Args:
        panels: tables by title of the panel and name of the series. A table has the columns
            ``value, low, high``. Its index labels the lines. All tables of a panel have the same
            index.
        measured: label of the value axis. All panels share it.
    """
    names = list(dict.fromkeys(name for tables in panels.values() for name in tables))
    lines = max(len(table) for tables in panels.values() for table in tables.values())
    height = 1.3 + lines * (0.24 + 0.13 * len(names))
    figure = Figure(figsize=(4.7 * len(panels), height), dpi=_DPI, layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    for axes, (title, tables) in zip(drawn, panels.items(), strict=True):
        for name, table in tables.items():
            series = names.index(name)
            positions = np.arange(len(table)) + 0.18 * (series - (len(names) - 1) / 2)
            colour, marker = _COLOURS[series % len(_COLOURS)], _MARKERS[series % len(_MARKERS)]
            axes.hlines(positions, table["low"], table["high"], color=colour, linewidth=1.6)
            axes.plot(
                table["value"], positions, linestyle="", marker=marker, markersize=5, color=colour,
                label=name,
            )  # fmt: skip
        axes.set_yticks(range(lines := len(table)), table.index)
        axes.set_ylim(lines - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(measured)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="x", color=_COLOURS[-1], alpha=0.14)
        for line in range(1, lines):
            axes.axhline(line - 0.5, color=_COLOURS[-1], alpha=0.14, linewidth=0.8)
        _style_axes(axes, title)
    if any(table["low"].min() < 0 for tables in panels.values() for table in tables.values()):
        for axes in drawn:
            axes.axvline(0, color=_COLOURS[-1], linewidth=1.2, linestyle=":")
    if len(names) > 1:
        handles, texts = drawn[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=4, frameon=False)
    return figure


def plot_interval_matrix(
    cells: Mapping[tuple[str, str], tuple[float, float, float]], title: str, row: str, column: str
) -> Figure:
    """Plot a matrix of values and intervals, one cell per pair of names. Higher values are darker.

    Args:
        cells: ``(value, low, high)`` by name of the row and name of the column. Rows and columns
            are in the order of their first occurrence. Missing pairs stay empty.
        title: title of the figure.
        row: label of the rows.
        column: label of the columns.
    """
    names = dict.fromkeys(name for pair in cells for name in pair)
    rows, columns = ([name for name in names if name in ends] for ends in zip(*cells, strict=True))
    values = np.full((len(rows), len(columns)), np.nan)
    for (row_name, column_name), (value, _, _) in cells.items():
        values[rows.index(row_name), columns.index(column_name)] = value
    size = (2.2 + 1.0 * len(columns), 1.7 + 0.62 * len(rows))
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    # Use only the lighter half of the colour scale, so that dark text is legible.
    ceiling = 2 * np.nanmax(values) or 1
    axes.imshow(values, cmap=colormaps["Blues"], vmin=0, vmax=ceiling, aspect="auto")
    for (row_name, column_name), (value, low, high) in cells.items():
        position = (columns.index(column_name), rows.index(row_name))
        axes.annotate(
            f"{value:.1f}", position, xytext=(0, 1), textcoords="offset points", ha="center",
            va="bottom", fontsize=11, color=_COLOURS[-1],
        )  # fmt: skip
        axes.annotate(
            f"{low:.1f}–{high:.1f}", position, xytext=(0, -2), textcoords="offset points",
            ha="center", va="top", fontsize=8.5, color=_COLOURS[-1],
        )  # fmt: skip
    wrap = partial(textwrap.fill, width=13, break_on_hyphens=False, break_long_words=False)
    axes.set_xticks(range(len(columns)), list(map(wrap, columns)))
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.set_xlabel(column)
    axes.set_ylabel(row)
    _style_axes(axes, title)
    axes.spines[:].set_visible(False)
    return figure


def _style_axes(axes: Axes, title: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11, weight="bold")
