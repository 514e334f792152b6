"""The report page in a browser: layout, search, marks, and a phone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from tests.browser import browser, opened
from tests.reporting.report_data import (
    EVIL,
    make_metrics,
    make_order_examples,
    make_repeat_metrics,
    make_reproduction,
    make_results,
    make_title_map,
    render_page,
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with many models, 2,000 dots and the reproduction."""
    rng = np.random.default_rng(1)
    names = [EVIL, "Under $10 & $5", *(f"Category {number}" for number in range(6)), None]
    dots = make_title_map(
        item_id=[str(item) for item in range(2000)], title=["Rose"] * 2000,
        x=rng.normal(size=2000), y=rng.normal(size=2000),
        category=pd.array([names[item % 9] for item in range(2000)], dtype="str"),
    )  # fmt: skip
    metrics = make_metrics()
    others = ("model_i", "model_ii", "blend", "recent_popularity", "ease")
    metrics["models"] |= {name: make_results(0.29, trained=True) for name in others}
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_page(metrics=metrics, title_map=dots, reproduction=make_reproduction()))
    assert file.stat().st_size < 1_000_000
    return file


@pytest.fixture(scope="module")
def repeat_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on orders of several products, with repeats and the oracle."""
    file = tmp_path_factory.mktemp("repeats") / "report.html"
    metrics = make_repeat_metrics(with_oracle=True)
    file.write_text(render_page(metrics=metrics, examples=make_order_examples()))
    return file


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


OPEN_ALL = "all => all.forEach(part => { part.open = true })"


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_page_fits_the_window(chromium: Browser, report: Path, width: int, scheme: str) -> None:
    with opened(chromium, report.as_uri(), width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        height = page.evaluate("document.documentElement.scrollHeight")
        assert height < (4_500 if width > 1000 else 7_000)
        table = page.locator("#by_history_length-filtered")
        assert not table.is_visible()
        page.get_by_text("All models, by purchases before the target").click()
        assert table.is_visible()
        page.locator("details").evaluate_all(OPEN_ALL)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("figure.map use").count() == 2009
        assert page.locator("figure.map").get_by_text("223 </script>").is_visible()
        assert page.locator("#reproduction-networks").is_visible()
        letters = page.locator("figure text").evaluate_all(
            "all => all.map(text => text.getBoundingClientRect().toJSON())"
        )
        assert len(letters) > 100
        for box in letters:
            assert box["height"] > 8
            assert 0 <= box["left"] < box["right"] <= width


def test_wide_tables_have_a_hint_on_a_phone(chromium: Browser, report: Path) -> None:
    with opened(chromium, report.as_uri(), 390, "light") as page:
        box = page.locator(".wide").filter(has=page.locator("#metrics-filtered"))
        hint = page.locator(".scroll-hint").first
        expect(hint).to_be_visible()
        assert "scroll →" in hint.inner_text()
        assert "inset" in box.evaluate("box => getComputedStyle(box).boxShadow")
        box.evaluate("box => { box.scrollLeft = box.scrollWidth }")
        expect(box).to_have_class("wide")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with opened(chromium, report.as_uri(), 1800, "light") as page:
        assert page.locator("#metrics-filtered").is_visible()
        assert not page.locator(".scroll-hint").first.is_visible()


def test_search_shows_the_card_of_a_customer(chromium: Browser, report: Path) -> None:
    with opened(chromium, report.as_uri(), 1400, "dark") as page:
        query, card = page.locator("#query"), page.locator("#card")
        query.fill("u")
        assert page.locator("#matches button").all_inner_texts() == ["U1", "U2"]
        page.locator("#matches button").first.click()
        assert card.locator("h3").inner_text() == "U1"
        assert card.locator("time").all_inner_texts() == ["2020-09-13"]
        assert "Rose Oil" in card.locator("section").first.inner_text()
        assert EVIL.split("</script>")[1] in card.locator(".target").inner_text()
        # The classifier has the target in its list, the regressor does not.
        classifier, regressor = (card.locator(".list").nth(number) for number in range(2))
        assert classifier.locator(".chip").inner_text() == "rank 1 of 345"
        assert classifier.locator("li .hit").count() == 1
        assert regressor.locator(".chip").inner_text() == "not among the ten: rank 17.5 of 345"
        assert regressor.locator(".hit").count() == 0
        assert regressor.locator("li").all_inner_texts() == ["(no title) 0206", "Rose Oil"]

        query.fill("U2")
        assert card.locator("h3").inner_text() == "U2"
        assert "12 earlier purchases are not shown." in card.inner_text()
        assert card.locator(".hit").count() == 0
        assert card.locator(".target").inner_text() == "(no title) 0206"
        assert "Bought before" not in card.inner_text()

        query.fill("w1")
        query.press("Enter")
        assert card.locator("h3").inner_text() == "W1"
        assert "Bought before. Filtered lists cannot contain it." in card.inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_orders_of_several_products_are_shown(
    chromium: Browser, repeat_report: Path, width: int, scheme: str
) -> None:
    with opened(chromium, repeat_report.as_uri(), width, scheme) as page:
        assert page.get_by_role("heading", name="Customers who buy again").is_visible()
        assert page.locator("details.customer .targets li").count() == 3
        page.locator("details").evaluate_all(OPEN_ALL)
        assert page.locator("#repeats-by-category").is_visible()
        assert page.locator("#metrics-by-part").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        card = page.locator("#card")
        page.locator("#query").fill("X1")
        assert card.locator(".targets li").all_inner_texts() == [
            "2020-09-14 Rose Oil Bought before.", "2020-09-14 Oat Cleanser",
            "2020-09-14 (no title) 0206",
        ]  # fmt: skip
        assert card.locator(".chip").all_inner_texts() == [
            "2 of 3 among the ten", "0 of 3 among the ten",
        ]  # fmt: skip
        assert card.locator("li .hit").all_inner_texts() == ["Rose Oil", "Oat Cleanser"]


def test_search_copes_with_unknown_and_hostile_ids(chromium: Browser, report: Path) -> None:
    with opened(chromium, report.as_uri(), 390, "light") as page:
        query, card = page.locator("#query"), page.locator("#card")
        query.fill("nobody<b>")
        message = page.locator("#search-message")
        assert "kedro recommend --user nobody<b>" in message.inner_text()
        assert page.locator("#matches button").count() == 0
        query.press("Enter")
        assert card.inner_text() == ""
        query.fill(EVIL)
        assert card.locator("h3").text_content() == EVIL
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="Random customer").click()
        assert card.locator("h3").count() == 1


def test_page_is_readable_without_scripts(chromium: Browser, report: Path) -> None:
    with opened(chromium, report.as_uri(), 1400, "light", java_script=False) as page:
        assert page.get_by_text("The search needs JavaScript.").is_visible()
        assert not page.locator("#query").is_visible()
        assert page.locator("details.customer").first.get_by_text("Oat Cleanser").is_visible()


def test_links_open_folded_parts(chromium: Browser, report: Path) -> None:
    with opened(chromium, report.as_uri(), 1400, "light") as page:
        assert not page.locator("#reading dt").first.is_visible()
        page.locator("nav").get_by_text("How to read this").click()
        expect(page.locator("#reading dt").first).to_be_visible()
