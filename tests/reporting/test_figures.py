"""The figures of the report."""

import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from bazar.reporting.figures import (
    plot_coverage_and_novelty,
    plot_hit_rates,
    plot_losses,
    plot_parts,
    plot_slices,
    plot_title_map,
    render_svg,
)
from tests.reporting.report_data import (
    keep_models,
    make_metrics,
    make_repeat_metrics,
    make_results,
    make_title_map,
)


def list_texts(drawing: str) -> list[str]:
    return [
        "".join(text.itertext()).strip()
        for text in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")
    ]


def count_dots(drawing: str) -> Counter[str]:
    """Count the markers of a drawing by colour, those of the legend included."""
    uses = ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}use")
    matches = (re.search(r"fill: (#\w+)", use.get("style", "")) for use in uses)
    return Counter(match[1] for match in matches if match)


def test_loss_curves_show_the_training_log() -> None:
    log = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "val_loss": [3.1, 2.5, 2.9]})
    axes = plot_losses(log, "Model", best_epoch=2).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["training"].get_ydata()) == [3.0, 2.0, 1.0]
    assert list(lines["validation"].get_ydata()) == [3.1, 2.5, 2.9]
    assert list(lines["kept: epoch 2"].get_xdata()) == [2, 2]


def test_loss_curves_need_neither_validation_nor_a_best_epoch() -> None:
    log = pd.DataFrame({"epoch": [1, 2], "loss": [3.0, 2.0]})
    axes = plot_losses(log, "Model", best_epoch=None).axes[0]
    assert [line.get_label() for line in axes.lines] == ["training"]


def test_bars_are_sorted_by_hit_rate() -> None:
    axes = plot_hit_rates(make_metrics(), "filtered").axes[0]
    assert [round(patch.get_width(), 3) for patch in axes.patches] == [0.02, 0.1, 0.2, 0.25, 0.3]
    assert [round(value, 3) for value in axes.lines[-1].get_xdata()] == [0.29, 0.31]
    assert axes.get_yticklabels()[-1].get_text() == "Classifier"
    assert axes.get_title(loc="left") == "HR@10, seen items filtered"


def test_parts_have_a_point_and_an_interval_for_each_model() -> None:
    metrics = make_repeat_metrics()
    axes = plot_parts(metrics).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[-1] == "Classifier"
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert lines["bought before"][-1] == pytest.approx(0.1125)
    assert lines["not bought before"][-1] == pytest.approx(0.0375)
    segment = axes.collections[0].get_segments()[-1]
    assert segment[:, 0] == pytest.approx([0.1025, 0.1225])
    # Nobody buys only products that are new to the customer.
    for results in metrics["models"].values():
        results["unfiltered"]["explore"] = None
    assert len(plot_parts(metrics).axes[0].lines) == 1


def test_slices_have_a_point_and_an_interval_for_each_model() -> None:
    metrics = make_metrics()
    metrics["models"]["blend"] = make_results(0.4, trained=True)
    metrics["models"]["model_i"] = make_results(0.9, trained=True)
    figure = plot_slices(metrics, "by_history_length", "purchases before the target", "filtered")
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == [
        "Blend", "Classifier", "Regressor", "Last-item co-occurrence, the best baseline",
    ]  # fmt: skip
    for name, intervals, rate in zip(
        lines, axes.collections, (0.40, 0.30, 0.20, 0.25), strict=True
    ):
        assert lines[name].get_ydata().tolist() == [rate, rate / 4]
        for position, (segment, middle) in enumerate(
            zip(intervals.get_segments(), (rate, rate / 4), strict=True)
        ):
            assert segment[:, 1] == pytest.approx([middle - 0.02, middle + 0.02])
            assert segment[:, 0] == pytest.approx([lines[name].get_xdata()[position]] * 2)
            # Closer to the position of its slice than to the next one.
            assert abs(segment[0, 0] - position) < 0.5
    # The intervals of one slice do not hide each other.
    assert len({line.get_xdata()[0] for line in lines.values()}) == 4
    texts = list_texts(render_svg(figure, "a"))
    for text in (*lines, "1–2", "(700)", "21+", "(400)", "purchases before the target"):
        assert text in texts


@pytest.mark.parametrize("model", ["classifier", "popularity"])
def test_slices_of_any_single_model_are_drawn(model: str) -> None:
    metrics = keep_models(make_metrics(popularity=0.30), model)
    axes = plot_slices(metrics, "by_target_popularity", "times", "unfiltered").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.0, 0.15]]


def test_coverage_and_novelty_have_a_panel_each() -> None:
    metrics = make_metrics()
    for number, model in enumerate(metrics["models"].values()):
        model["filtered"] |= {"coverage@10": 0.1 * number, "novelty@10": 10.0 - number}
    figure = plot_coverage_and_novelty(metrics, "filtered")
    # From the lowest HR@10 to the highest: the third, fifth, second, fourth and first model.
    coverage, novelty = ([bar.get_width() for bar in axes.patches] for axes in figure.axes)
    assert coverage == pytest.approx([0.2, 0.4, 0.1, 0.3, 0.0])
    assert novelty == [8, 6, 9, 7, 10]
    texts = list_texts(render_svg(figure, "a"))
    names = ["Popularity", "Nearest titles", "Regressor", "Last-item co-occurrence", "Classifier"]
    assert [text for text in texts if text in names] == names
    for text in ("coverage@10", "novelty@10", "0.40", "10.0", "share of the catalogue", "bits"):
        assert text in texts


def test_titles_are_dots_in_the_colours_of_their_categories() -> None:
    categories = ["Under $10 & $5"] * 30 + ["_" + "long" * 20] * 20 + [None] * 10
    dots = make_title_map(
        item_id=[str(item) for item in range(60)], title=["Rose"] * 60, x=np.arange(60.0),
        y=np.arange(60.0) ** 2, category=pd.array(categories, dtype="str"),
    )  # fmt: skip
    drawing = render_svg(plot_title_map(dots), "a")
    # The legend has one more of each.
    assert sorted(count_dots(drawing).values()) == [11, 21, 31]
    assert count_dots(drawing)["#8a8f98"] == 11
    assert list_texts(drawing)[1:] == [
        "30 Under $10 & $5", "20 _" + "long" * 6 + "…", "10 other",
    ]  # fmt: skip


def test_titles_without_categories_have_one_colour() -> None:
    none = make_title_map(category=pd.array([None] * 3, dtype="str"))
    drawing = render_svg(plot_title_map(none), "a")
    assert count_dots(drawing) == {"#8a8f98": 4}
    assert list_texts(drawing)[1:] == ["3 products"]


def test_equal_figures_give_equal_drawings() -> None:
    assert render_svg(plot_hit_rates(make_metrics(), "filtered"), "a") == render_svg(
        plot_hit_rates(make_metrics(), "filtered"), "a"
    )
