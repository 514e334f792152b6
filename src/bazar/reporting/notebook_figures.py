"""Figures of the notebooks."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette without its yellow, which is hard to see on white. Shapes tell apart, too.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1d2330")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_OTHER = "#b5b9c0"
_DPI = 90


def plot_label_map(spaces: Mapping[str, np.ndarray], labels: np.ndarray) -> Figure:
    """Items as points of one or more planes, each in the colour and shape of its label.

    Args:
        spaces: by the title of the panel, the coordinates of all items: shape (items, 2), float.
        labels: shape (items,), texts. The seven most frequent get colours; the others are grey.
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
        # The axes of such a map have no unit.
        axes.set_xticks([])
        axes.set_yticks([])
        _plain(axes, title)
    handles, told = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, told, loc="outside lower center", ncols=4, frameon=False, markerscale=1.8
    )
    return figure


def plot_interval_dots(panels: Mapping[str, Mapping[str, pd.DataFrame]], measured: str) -> Figure:
    """Values with their intervals, the first on top; a line marks 0 where an interval reaches it.

    Args:
        panels: by the title of the panel, by the name of what was measured: its values, a table
            ``value, low, high`` whose index tells the lines. All of a panel have the same index.
        measured: label of the axis of the values, which all panels share.
    """
    names = list(dict.fromkeys(name for one in panels.values() for name in one))
    lines = max(len(table) for one in panels.values() for table in one.values())
    height = 1.3 + lines * (0.24 + 0.13 * len(names))
    figure = Figure(figsize=(4.7 * len(panels), height), dpi=_DPI, layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    for axes, (title, tables) in zip(drawn, panels.items(), strict=True):
        for name, table in tables.items():
            series = names.index(name)
            places = np.arange(len(table)) + 0.18 * (series - (len(names) - 1) / 2)
            colour, marker = _COLOURS[series % len(_COLOURS)], _MARKERS[series % len(_MARKERS)]
            axes.hlines(places, table["low"], table["high"], color=colour, linewidth=1.6)
            axes.plot(
                table["value"], places, linestyle="", marker=marker, markersize=5, color=colour,
                label=name,
            )  # fmt: skip
        axes.set_yticks(range(lines := len(table)), table.index)
        axes.set_ylim(lines - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(measured)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="x", color=_COLOURS[-1], alpha=0.14)
        for place in range(1, lines):
            axes.axhline(place - 0.5, color=_COLOURS[-1], alpha=0.14, linewidth=0.8)
        _plain(axes, title)
    if any(table["low"].min() < 0 for one in panels.values() for table in one.values()):
        for axes in drawn:
            axes.axvline(0, color=_COLOURS[-1], linewidth=1.2, linestyle=":")
    if len(names) > 1:
        handles, told = drawn[0].get_legend_handles_labels()
        figure.legend(handles, told, loc="outside lower center", ncols=4, frameon=False)
    return figure


def plot_interval_matrix(
    cells: Mapping[tuple[str, str], tuple[float, float, float]], title: str, row: str, column: str
) -> Figure:
    """Draw a number and its interval for each pair of names; the darker, the higher.

    Args:
        cells: value, low and high by the names of the row and the column, of which both are in
            the order in which they are first named. Where there is none, the field stays empty.
        title: title of the figure.
        row: what the names of the rows are.
        column: what the names of the columns are.
    """
    names = dict.fromkeys(name for pair in cells for name in pair)
    rows, columns = ([name for name in names if name in ends] for ends in zip(*cells, strict=True))
    values = np.full((len(rows), len(columns)), np.nan)
    for (one, other), (value, _, _) in cells.items():
        values[rows.index(one), columns.index(other)] = value
    size = (2.2 + 1.0 * len(columns), 1.7 + 0.62 * len(rows))
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    # Up to the middle of the scale, dark letters can be read on every shade.
    ceiling = 2 * np.nanmax(values) or 1
    axes.imshow(values, cmap=colormaps["Blues"], vmin=0, vmax=ceiling, aspect="auto")
    for (one, other), (value, low, high) in cells.items():
        place = (columns.index(other), rows.index(one))
        axes.annotate(
            f"{value:.1f}", place, xytext=(0, 1), textcoords="offset points", ha="center",
            va="bottom", fontsize=11, color=_COLOURS[-1],
        )  # fmt: skip
        axes.annotate(
            f"{low:.1f}–{high:.1f}", place, xytext=(0, -2), textcoords="offset points", ha="center",
            va="top", fontsize=8.5, color=_COLOURS[-1],
        )  # fmt: skip
    axes.set_xticks(
        range(len(columns)), [textwrap.fill(name, 13, break_on_hyphens=False) for name in columns]
    )
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.set_xlabel(column)
    axes.set_ylabel(row)
    _plain(axes, title)
    axes.spines[:].set_visible(False)
    return figure


def _plain(axes: Axes, title: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11, weight="bold")
