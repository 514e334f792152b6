import re
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from bazar.config.data import Split
from bazar.errors import InputError
from bazar.evaluation.results import check_measured_on
from bazar.labels import describe_split
from bazar.reporting.console import print_outputs, print_summary
from bazar.reporting.examples import (
    ExampleCustomer,
    Purchase,
    Recommendation,
    choose_rows,
    example_customers,
    examples_from_json,
    examples_to_json,
)
from bazar.reporting.figures import (
    plot_coverage_and_novelty,
    plot_hit_rates,
    plot_losses,
    plot_slices,
    plot_title_map,
    to_svg,
)
from bazar.reporting.findings import findings
from bazar.reporting.page import ReportData, render_report
from bazar.reproduction.table import tabulate
from tests.browser import browser, opened
from tests.reproduction.test_reproduction import entry, networks_of, result_of

MODELS = ["classifier", "regressor", "popularity", "last_item_cooccurrence", "nearest_titles"]
EVIL = "<script>alert(1)</script> & Rose [red]"


def sliced(label: str, rows: int, rate: float) -> dict[str, Any]:
    ends = [max(0.0, rate - 0.02), rate + 0.02]
    return {"label": label, "rows": rows, "hr@10": rate, "ndcg@10": rate / 2, "hr@10_ci95": ends}


def metrics(protocol: str = "leave_one_out", **hit_rates: float) -> dict[str, Any]:
    rates = dict(zip(MODELS, (0.30, 0.20, 0.02, 0.25, 0.10), strict=True)) | hit_rates

    def figures(rate: float) -> dict[str, Any]:
        names = (
            "hr@1",
            "hr@5",
            "hr@20",
            "ndcg@5",
            "ndcg@10",
            "ndcg@20",
            "mrr@20",
            "coverage@10",
            "novelty@10",
        )
        return {
            **dict.fromkeys(names, rate / 2),
            "hr@10": rate,
            "hr@10_ci95": [rate - 0.01, rate + 0.01],
            "ndcg@10_ci95": [rate / 2 - 0.01, rate / 2 + 0.01],
            "by_history_length": [sliced("1–2", 700, rate), sliced("21+", 400, rate / 4)],
            "by_target_popularity": [sliced("0 (cold)", 100, 0.0), sliced("50+", 1000, rate)],
        }

    return {
        "dataset": "shop", "protocol": protocol, "n_users": 1200, "n_items": 345,
        "n_interactions": 6789, "n_test_rows": 1100,
        "models": {
            model: {
                "filtered": figures(rate),
                "unfiltered": figures(rate / 2),
                "seconds_training": 61.4 if place < 2 else None,
                "best_epoch": 2,
                "n_parameters": 12345 if place < 2 else 0,
            }
            for place, (model, rate) in enumerate(rates.items())
        },
    }  # fmt: skip


def example() -> ExampleCustomer:
    item = Recommendation(1, "0205", EVIL, 0.75, is_target=True)
    other = Recommendation(2, "0206", None, 0.25, is_target=False)
    return ExampleCustomer(
        user_id="U1",
        purchases=[Purchase("01", "Oat Cleanser", 1_600_000_000_000), Purchase("02", None, None)],
        target=Purchase("0205", EVIL, None),
        target_rank={"classifier": 1.0, "regressor": 17.5},
        recommendations={"classifier": [item, other], "regressor": [other]},
    )


def title_map(**changes: Any) -> pd.DataFrame:
    columns = {
        "item_id": ["01", "02", "03"],
        "title": ["Oat Cleanser", "Rose Cleanser", EVIL],
        "category": pd.array(["Skin Care", "Skin Care", None], dtype="str"),
        "x": [0.0, 0.5, 2.0],
        "y": [0.0, 0.5, 2.0],
    }
    return pd.DataFrame(columns | changes)


def page(**changes: Any) -> str:
    history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [1.5, 1.7]})
    content: dict[str, Any] = {
        "metrics": metrics(),
        "histories": {"classifier": history, "regressor": history},
        "title_coverage": pd.DataFrame(
            {
                "title_source": ["meta", "unknown product"],
                "products": [340, 5],
                "interactions": [6700, 89],
                "examples": [["B01"], ["B0UNKNOWN1"]],
            }
        ),
        "rejects": pd.DataFrame(
            {
                "read_as": ["interactions"],
                "source_file": ["reviews"],
                "reason": ["broken JSON"],
                "count": [14],
                "examples": [[EVIL]],
            }
        ),
        "ingestion_counts": pd.DataFrame(
            {
                "read_as": ["interactions"],
                "source_file": ["reviews"],
                "rows_read": [7000],
                "rows_kept": [6986],
                "rows_rejected": [14],
            }
        ),
        "joining_counts": pd.DataFrame(
            {"step": ["accepted"], "interactions": [6986], "users": [1300]}
        ),
        "examples": [example()],
        "title_map": title_map(),
        "reproduction": pd.DataFrame(),
        "settings": {"encoder": "some-encoder"},
    }
    return render_report(ReportData(**content | changes))


@cache
def plain_page() -> str:
    """The page without changes: it takes a while to draw."""
    return page()


class Page(HTMLParser):
    """Text, tags and ids of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.ids, self.loads = "", list[str](), list[str](), list[str]()
        self.rows = list[list[str]]()
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and value:
                self.loads.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
            self.rows[-1][-1] = " ".join(self.rows[-1][-1].split())

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


def test_the_page_shows_every_figure() -> None:
    shown = Page(plain_page())
    rows = [row for row in shown.rows if row[0] == "Classifier"]
    filtered, unfiltered = (row for row in rows if len(row) > 3)
    assert [row[1:] for row in rows if len(row) == 3] == [
        ["0.3000 0.2800 – 0.3200", "0.0750 0.0550 – 0.0950"],
        ["0.1500 0.1300 – 0.1700", "0.0375 0.0175 – 0.0575"],
        ["0.0000 0.0000 – 0.0200", "0.3000 0.2800 – 0.3200"],
        ["0.0000 0.0000 – 0.0200", "0.1500 0.1300 – 0.1700"],
    ]
    assert ["test rows", "700", "400"] in shown.rows
    assert filtered[1:] == [
        "0.1500", "0.1500", "0.3000 0.2900 – 0.3100", "0.1500", "0.1500", "0.1500 0.1400 – 0.1600",
        "0.1500", "0.1500", "0.1500", "0.1500", "61 s", "12,345",
    ]  # fmt: skip
    assert unfiltered[3] == "0.1500 0.1400 – 0.1600"
    for row in (
        ["reviews", "interactions", "7,000", "6,986", "14", "0.2%"],
        ["reviews", "interactions", "broken JSON", "14", f"show 1 {EVIL}"],
        ["meta", "340", "98.6%", "6,700", "98.7%", "show 1 B01"],
        ["unknown product", "5", "1.4%", "89", "1.3%", "show 1 B0UNKNOWN1"],
        ["accepted", "6,986", "1,300"],
    ):
        assert row in shown.rows
    for text in ("1,200", "345", "6,789", "some-encoder", "leave-one-out", "2020-09-13", "17.5"):
        assert text in shown.text
    assert "(no title)" in shown.text


def test_the_page_is_self_contained_and_inert() -> None:
    html = plain_page()
    shown = Page(html)
    assert "script" not in shown.tags
    assert EVIL in shown.text
    assert all(load.startswith("#") for load in shown.loads)
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html
    assert len(shown.ids) == len(set(shown.ids)) > 20
    # Both slices, bars of both histories, coverage and novelty, both models' losses, the titles.
    assert shown.tags.count("svg") == 8


def test_leaky_windows_are_marked() -> None:
    assert "Leaky protocol: shuffled_windows" in page(metrics=metrics("shuffled_windows"))
    assert "leaky" not in plain_page().lower()


def test_nothing_rejected_is_said() -> None:
    rejects = pd.DataFrame({"source_file": [], "reason": [], "count": [], "examples": []})
    assert "Nothing was rejected" in page(rejects=rejects)


def test_findings_say_no_more_than_the_numbers() -> None:
    first, one, two = findings(metrics())
    assert first == (
        "Classifier has the highest HR@10 with the history filtered, "
        "0.3000 (95% interval 0.2900 to 0.3100)."
    )
    assert one == (
        "Classifier (0.3000) beats popularity (0.0200); "
        "it beats the best baseline, last-item co-occurrence (0.2500)."
    )
    assert two == (
        "Regressor (0.2000) beats popularity (0.0200); it does not beat the best baseline, "
        "last-item co-occurrence (0.2500): it is worse."
    )


def test_findings_claim_nothing_where_intervals_overlap() -> None:
    first, one, two = findings(metrics(classifier=0.26, regressor=0.015))
    assert first.endswith("; the interval of last-item co-occurrence overlaps.")
    first, *_ = findings(metrics(classifier=0.26, regressor=0.255))
    assert first.endswith("; the intervals of Regressor and last-item co-occurrence overlap.")
    assert "is above the best baseline, last-item co-occurrence (0.2500), but" in one
    assert one.endswith("it is not shown to beat it.")
    assert "does not beat popularity (0.0200): it is below it, and their intervals overlap" in two


def test_findings_name_a_floor_that_leads() -> None:
    first, one, _ = findings(metrics(popularity=0.5))
    assert first.startswith("Popularity, a baseline, has the highest HR@10")
    assert one.count("opularity") == 1
    assert findings(metrics(regressor=0.02))[2].count("equal to it") == 1


def test_findings_and_page_cope_with_any_models() -> None:
    content = metrics(classifier=0.2)
    models = content["models"]
    models |= dict.fromkeys(("model_i", "blend", "my_model"), models["classifier"])
    models["ease"] = metrics(popularity=0.4)["models"]["popularity"]
    said = findings(content)
    assert said[0].startswith("EASE, a baseline, has the highest")
    told = [
        "Classifier",
        "Regressor",
        "Report · Model I",
        "Blend",
        "my_model",
    ]
    assert [sentence.split(" (")[0] for sentence in said[1:]] == told
    assert "the best baseline, EASE (0.4000): it is worse" in said[1]
    shown = Page(page(metrics=content))
    assert sum(row[0] == "my_model" for row in shown.rows) == 6
    content["models"] = {"classifier": models["classifier"]}
    assert len(findings(content)) == 1
    page(metrics=content)


def test_loss_curves_draw_the_history() -> None:
    history = pd.DataFrame(
        {"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "val_loss": [3.1, 2.5, 2.9]}
    )
    lines = {line.get_label(): line for line in plot_losses(history, "Model", kept=2).axes[0].lines}
    assert list(lines["training"].get_ydata()) == [3.0, 2.0, 1.0]
    assert list(lines["validation"].get_ydata()) == [3.1, 2.5, 2.9]
    assert list(lines["kept: epoch 2"].get_xdata()) == [2, 2]


def test_bars_are_in_order_of_hit_rate() -> None:
    axes = plot_hit_rates(metrics(), "filtered").axes[0]
    assert [round(patch.get_width(), 3) for patch in axes.patches] == [0.02, 0.1, 0.2, 0.25, 0.3]
    assert [round(value, 3) for value in axes.lines[-1].get_xdata()] == [0.29, 0.31]
    assert axes.get_yticklabels()[-1].get_text() == "Classifier"


def drawn_texts(drawing: str) -> list[str]:
    return [
        "".join(text.itertext()).strip()
        for text in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")
    ]


def drawn_dots(drawing: str) -> Counter[str]:
    """Markers of a drawing by their colour, those of the legend as well."""
    uses = ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}use")
    found = (re.search(r"fill: (#\w+)", use.get("style", "")) for use in uses)
    return Counter(match[1] for match in found if match)


def test_slices_have_a_point_and_an_interval_for_each_model() -> None:
    content = metrics()
    content["models"]["blend"] = metrics(classifier=0.4)["models"]["classifier"]
    figure = plot_slices(content, "by_history_length", "purchases before the target", "filtered")
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == [
        "Classifier", "Regressor", "Blend", "Last-item co-occurrence, the best baseline",
    ]  # fmt: skip
    for name, intervals, rate in zip(
        lines, axes.collections, (0.30, 0.20, 0.40, 0.25), strict=True
    ):
        assert lines[name].get_ydata().tolist() == [rate, rate / 4]
        for place, (segment, middle) in enumerate(
            zip(intervals.get_segments(), (rate, rate / 4), strict=True)
        ):
            assert segment[:, 1] == pytest.approx([middle - 0.02, middle + 0.02])
            assert segment[:, 0] == pytest.approx([lines[name].get_xdata()[place]] * 2)
            # Beside the slice's place, nearer to it than to the next one.
            assert abs(segment[0, 0] - place) < 0.5
    # Those of one slice do not hide each other.
    assert len({line.get_xdata()[0] for line in lines.values()}) == 4
    texts = drawn_texts(to_svg(figure, "a"))
    for text in (*lines, "1–2", "(700)", "21+", "(400)", "purchases before the target"):
        assert text in texts


def test_slices_of_other_models_are_drawn_as_well() -> None:
    content = metrics()
    content["models"] = {"classifier": content["models"]["classifier"]}
    axes = plot_slices(content, "by_target_popularity", "times", "unfiltered").axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.0, 0.15]]


def test_coverage_and_novelty_stand_side_by_side() -> None:
    content = metrics()
    for place, model in enumerate(content["models"].values()):
        model["filtered"] |= {"coverage@10": 0.1 * place, "novelty@10": 10.0 - place}
    figure = plot_coverage_and_novelty(content, "filtered")
    # From the lowest HR@10 to the highest: the third, fifth, second, fourth and first model.
    coverage, novelty = ([bar.get_width() for bar in axes.patches] for axes in figure.axes)
    assert coverage == pytest.approx([0.2, 0.4, 0.1, 0.3, 0.0])
    assert novelty == [8, 6, 9, 7, 10]
    texts = drawn_texts(to_svg(figure, "a"))
    names = ["Popularity", "Nearest titles", "Regressor", "Last-item co-occurrence", "Classifier"]
    assert [text for text in texts if text in names] == names
    for text in ("coverage@10", "novelty@10", "0.40", "10.0", "share of the catalogue", "bits"):
        assert text in texts


def test_titles_are_dots_in_the_colours_of_their_categories() -> None:
    categories = ["Under $10 & $5"] * 30 + ["_" + "long" * 20] * 20 + [None] * 10
    dots = title_map(
        item_id=[str(place) for place in range(60)], title=["Rose"] * 60, x=np.arange(60.0),
        y=np.arange(60.0) ** 2, category=pd.array(categories, dtype="str"),
    )  # fmt: skip
    drawing = to_svg(plot_title_map(dots), "a")
    # One more of each in the legend.
    assert sorted(drawn_dots(drawing).values()) == [11, 21, 31]
    assert drawn_dots(drawing)["#8a8f98"] == 11
    assert drawn_texts(drawing)[1:] == [
        "30 Under $10 & $5", "20 _" + "long" * 6 + "…", "10 other",
    ]  # fmt: skip


def test_titles_without_categories_have_one_colour() -> None:
    none = title_map(category=pd.array([None] * 3, dtype="str"))
    drawing = to_svg(plot_title_map(none), "a")
    assert drawn_dots(drawing) == {"#8a8f98": 4}
    assert drawn_texts(drawing)[1:] == ["3 products"]
    assert "largest categories" not in page(title_map=none)
    assert "largest categories" in plain_page()


def test_the_map_is_left_out_where_no_product_has_a_title() -> None:
    assert 'id="titles"' in plain_page()
    without = page(title_map=title_map().head(0))
    assert 'id="titles"' not in without
    assert "#titles" not in without


def networks_table(tmp_path: Path) -> pd.DataFrame:
    networks = networks_of(entry(2), entry(13, loss="huber"))
    results = {
        "02": result_of(entry(2), 0.0021),
        "13": result_of(entry(13, loss="huber"), 0.001) | {"outcome": f"diverged {EVIL}"},
    }
    file = tmp_path / "reproduction.csv"
    tabulate(networks, results, results["02"]["test"], 1100, 345).to_csv(file, index=False)
    return pd.read_csv(file)


def test_the_reports_networks_are_shown_where_they_were_trained(tmp_path: Path) -> None:
    shown = Page(page(reproduction=networks_table(tmp_path)))
    assert "report-networks" in shown.ids
    assert "#networks" in shown.loads
    assert [
        "2", "Network 2", "20", "15", "6.2698e-05", "0.5 (MAE)", "7", "32", "mse", "0.0021", "0.04",
        "0.002", "0.0100", "0.5000 [0.4705, 0.5295]", "0.0150", "0.0100", "0.0198 [0.0132, 0.0301]",
        "0.0150", "12", "trained",
    ] in shown.rows  # fmt: skip
    assert any(row[:2] == ["–", "always the mean title vector"] for row in shown.rows)
    assert f"Network 13: diverged {EVIL}." in shown.text
    assert "script" not in shown.tags
    assert "figures are of another protocol" in shown.text
    windows = page(metrics=metrics("shuffled_windows"), reproduction=networks_table(tmp_path))
    assert "figures are of another protocol" not in Page(windows).text

    without = Page(plain_page())
    assert not {"networks", "report-networks"} & set(without.ids)
    assert "#networks" not in without.loads
    assert "student report" not in without.text


def test_a_full_page_in_a_browser(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = [EVIL, "Under $10 & $5", *(f"Category {place}" for place in range(6)), None]
    dots = title_map(
        item_id=[str(place) for place in range(2000)], title=["Rose"] * 2000,
        x=rng.normal(size=2000), y=rng.normal(size=2000),
        category=pd.array([names[place % 9] for place in range(2000)], dtype="str"),
    )  # fmt: skip
    content = metrics()
    models = content["models"]
    others = ("model_i", "model_ii", "blend", "recent_popularity", "ease")
    models |= dict.fromkeys(others, models["classifier"])
    file = tmp_path / "report.html"
    file.write_text(page(metrics=content, title_map=dots, reproduction=networks_table(tmp_path)))
    assert file.stat().st_size < 1_000_000
    with browser() as chromium:
        for width, scheme in ((1400, "light"), (390, "dark")):
            with opened(chromium, file.as_uri(), width, scheme) as shown:
                assert shown.evaluate("document.documentElement.scrollWidth") <= width
                assert shown.locator("figure.map use").count() == 2009
                assert shown.locator("figure.map").get_by_text("223 <script>").is_visible()
                assert shown.locator("#report-networks").is_visible()
                letters = shown.locator("figure text").evaluate_all(
                    "all => all.map(one => one.getBoundingClientRect().toJSON())"
                )
                assert len(letters) > 100
                for box in letters:
                    assert box["height"] > 8
                    assert 0 <= box["left"] < box["right"] <= width
                table = shown.locator("#by_history_length-filtered")
                assert not table.is_visible()
                shown.get_by_text("Table, history filtered").first.click()
                assert table.is_visible()


def test_drawings_are_the_same_every_time() -> None:
    assert to_svg(plot_hit_rates(metrics(), "filtered"), "a") == to_svg(
        plot_hit_rates(metrics(), "filtered"), "a"
    )


def test_rows_are_chosen_by_length_alone() -> None:
    ranks = pd.DataFrame({"row": range(100), "n_seen": [row % 50 for row in range(100)]})
    rows = choose_rows(ranks, 10, seed=1)
    lengths = [row % 50 for row in rows]
    assert len(set(rows)) == 10
    assert lengths == sorted(lengths)
    assert lengths[0] < 5
    assert lengths[-1] >= 45
    assert choose_rows(ranks, 10, seed=1) == rows != choose_rows(ranks, 10, seed=2)
    assert choose_rows(ranks.head(3), 10, seed=1) == [0, 1, 2]


TITLES = {"01": "Rose", "02": float("nan")}


def test_examples_are_gathered() -> None:
    purchases = pd.DataFrame(
        {"row": [4, 4, 7], "item_id": ["01", "02", "01"], "timestamp": [5, None, 6]}
    )
    ranks = {"classifier": pd.DataFrame({"row": [4], "user_id": ["u"], "rank_filtered": [2.0]})}
    lists = pd.DataFrame(
        {
            "row": [4, 4, 4, 7],
            "history": ["filtered", "filtered", "unfiltered", "filtered"],
            "rank": [2, 1, 1, 1],
            "item_id": ["02", "03", "04", "05"],
            "score": [0.25, 0.5, 0.9, 0.9],
        }
    )
    (found,) = example_customers([4], purchases, ranks, {"classifier": lists}, TITLES)
    assert found == ExampleCustomer(
        "u",
        [Purchase("01", "Rose", 5)],
        Purchase("02", None, None),
        {"classifier": 2.0},
        {
            "classifier": [
                Recommendation(1, "03", None, 0.5, is_target=False),
                Recommendation(2, "02", None, 0.25, is_target=True),
            ]
        },
    )
    assert examples_from_json(examples_to_json([found])) == [found]


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_fits_a_terminal(width: int) -> None:
    console = Console(record=True, width=width, force_terminal=False)
    report = Path("/data/08_reporting/shop/report.html")
    print_summary(metrics(), example(), report, "my_shop", console)
    text = console.export_text()
    assert "kedro recommend --env my_shop --user ID" in " ".join(text.split())
    assert "Classifier" in text
    assert "0.2900-0.3100" in text
    assert "0.3000" in text
    assert "Oat Cleanser" in text
    assert "(no title)" in text
    assert "[red]" in text
    assert "<- bought next" in text
    assert "/data/08_reporting/shop/report.html" in text
    assert "leaky" not in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_the_summary_marks_leaky_windows() -> None:
    console = Console(record=True, width=100)
    print_summary(metrics("shuffled_windows"), example(), Path("report.html"), console=console)
    assert "shuffled_windows is leaky" in console.export_text()


def test_the_next_command_is_of_the_same_run() -> None:
    console = Console(record=True, width=500)
    given = {"seed": 7, "split": "temporal", "raw_dir": "elsewhere"}
    print_summary(metrics(), example(), Path("report.html"), "shop", console, given)
    told = console.export_text()
    assert "kedro recommend --env shop --seed 7 --split temporal --user ID" in told
    assert "kedro viz run --env shop`" in told


@pytest.mark.parametrize("protocol", get_args(Split))
def test_every_protocol_is_told(protocol: str) -> None:
    console = Console(record=True, width=500)
    print_summary(metrics(protocol), example(), Path("report.html"), console=console)
    warned = "Not to be compared with leave-one-out" in console.export_text()
    assert warned == (protocol != "leave_one_out")
    told = describe_split({"protocol": protocol, "test_rows": 1200, "cold_test_rows": 34})
    assert "; 34 of 1,200 test rows ask for an item that is not in training" in told


def test_what_was_cut_or_drawn_is_told() -> None:
    summary = {"protocol": "temporal", "test_rows": 20, "cold_test_rows": 3}
    cuts = {"validation_from": "2023-05-01T00:00:00+00:00", "test_from": "2023-06-01"}
    assert "validation from 2023-05-01T00:00:00+00:00, test from 2023-06-01; 3 of 20" in (
        describe_split(summary | cuts)
    )
    assert "customer's last purchase is test: 1,201 items; 3 of 20" in describe_split(
        summary | {"protocol": "cold_items", "cold_items": 1201}
    )


def test_written_files_are_told() -> None:
    console = Console(record=True, width=40)
    files = {"sequences": Path("/a/long/path/to/a/file/sequences.parquet")}
    print_outputs(files, "my_shop", console)
    told = console.export_text()
    assert "sequences: /a/long/path/to/a/file/sequences.parquet" in told
    assert "kedro run --env my_shop" in " ".join(told.split())


def test_results_on_other_data_are_refused() -> None:
    now = {"test_rows": 1000, "items": 5}
    check_measured_on({"classifier": now, "popularity": now}, now)
    for other in (None, now | {"items": 4}, {"test_rows": 1000}):
        with pytest.raises(InputError, match=r"popularity: measured on other .* 1,000 test rows"):
            check_measured_on({"classifier": now, "popularity": other}, now)
    marked = now | {"fingerprint_rows": "0a"}
    with pytest.raises(InputError, match="popularity: measured on other"):
        check_measured_on(
            {"classifier": marked, "popularity": now | {"fingerprint_rows": "0b"}}, marked
        )
