"""The figures of the notebooks."""

import numpy as np
import pandas as pd
import pytest

from bazar.reporting.notebook_figures import (
    plot_interval_dots,
    plot_interval_matrix,
    plot_label_map,
)


def test_map_has_a_colour_for_each_frequent_label_and_grey_for_others() -> None:
    # Ten labels: the first has one item, the last has ten.
    labels = np.repeat([f"label {n}" for n in range(10)], range(1, 11)).astype(object)
    points = np.arange(2.0 * len(labels)).reshape(-1, 2)
    figure = plot_label_map({"one": points, "other": -points}, labels)
    for axes in figure.axes:
        drawn = {found.get_label(): len(found.get_offsets()) for found in axes.collections}
        assert drawn == {"others": 6} | {f"label {n}": n + 1 for n in range(9, 2, -1)}
        assert axes.get_xlabel()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "other"]


def table(*rows: tuple[float, float, float], index: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["value", "low", "high"], index=list(index))


@pytest.mark.parametrize("low", [-0.1, 0.1])
def test_dots_have_their_intervals(low: float) -> None:
    first = table((0.5, low, 0.8), (0.4, 0.3, 0.6), index="ab")
    second = table((0.2, 0.1, 0.3), index="c")
    figure = plot_interval_dots({"left": {"x": first, "y": first}, "right": {"x": second}}, "HR@10")
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in right.get_yticklabels()] == ["c"]
    lines = left.collections[0].get_segments()
    assert [segment[:, 0].tolist() for segment in lines] == [[low, 0.8], [0.3, 0.6]]
    at_zero = [line for line in left.lines if list(line.get_xdata()) == [0, 0]]
    assert len(at_zero) == (low < 0)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y"]


def test_matrix_shows_values_and_intervals() -> None:
    cells = {("a", "b"): (1.0, 0.5, 1.5), ("b", "a"): (4.0, 3.0, 5.0), ("b", "c"): (0.0, 0.0, 0.0)}
    (axes,) = plot_interval_matrix(cells, "shared", "one", "other").axes
    assert [text.get_text() for text in axes.texts] == [
        "1.0", "0.5–1.5", "4.0", "3.0–5.0", "0.0", "0.0–0.0",
    ]  # fmt: skip
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    values = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(values, [[np.nan, 1, np.nan], [4, np.nan, 0]])


def test_matrix_of_zeros_is_drawn() -> None:
    (axes,) = plot_interval_matrix({("b", "a"): (0.0, 0.0, 0.0)}, "shared", "one", "other").axes
    assert axes.images[0].get_clim() == (0, 1)
