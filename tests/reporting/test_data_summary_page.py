"""The page of the data summary: its content, and its layout in a browser."""

import json
from pathlib import Path

import pytest

from bazar.datasets.data_summary import DataSummaryDataset
from bazar.reporting.data_summary_page import group_counts, render_data_summary
from tests.browser import browser, opened
from tests.reporting.data_summary_data import EVIL, make_summary
from tests.reporting.test_data_summary import MANY


def test_page_escapes_the_data() -> None:
    page = render_data_summary(make_summary(**MANY))
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; [red]" in page


def test_page_has_every_number() -> None:
    page = " ".join(render_data_summary(make_summary()).split())
    for part in (
        "The data are ready for training.",
        "Of 41,000 rows in the files, 40,000 (97.6%) are purchases",
        "invalid: broken JSON",
        "4,000; 100% with 2, 75% with 3",
        "the 95% interval is ±0.9 points",
        ".venv/bin/kedro run --env &lt;env&gt;</code>",
    ):
        assert part in page
    assert "What to check" not in page


def test_groups_of_counts() -> None:
    starts = (1, 2, 3, 5, 10)
    assert group_counts({1: 5, 3: 1, 4: 2, 12: 7}, starts) == {
        "1": 5, "2": 0, "3–4": 3, "5–9": 0, "10+": 7,
    }  # fmt: skip
    # Empty groups at both ends are left out.
    assert group_counts({3: 1, 9: 1}, starts) == {"3–4": 1, "5–9": 1}
    assert sum(group_counts({1: 0}, starts).values()) == 0


def test_data_set_writes_a_page_and_numbers(tmp_path: Path) -> None:
    data_set = DataSummaryDataset(filepath=str(tmp_path / "shop" / "data_summary.html"))
    assert not data_set.exists()
    summary = make_summary(**MANY)
    data_set.save(summary)
    assert data_set.exists()
    assert data_set.load() == summary
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [
        "data_summary.html", "data_summary.json",
    ]  # fmt: skip
    numbers = json.loads((tmp_path / "shop" / "data_summary.json").read_text())
    assert numbers["facts"]["orders"]["orders_per_customer"] == {"2": 4000}
    data_set.save(make_summary())
    assert data_set.load() == make_summary()


OPEN_ALL = "all => all.forEach(part => { part.open = true })"


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (390, "dark")])
def test_page_fits_the_window(tmp_path: Path, width: int, scheme: str) -> None:
    file = tmp_path / "data_summary.html"
    file.write_text(render_data_summary(make_summary(**MANY)), encoding="utf-8")
    assert file.stat().st_size < 150_000
    with browser() as chromium, opened(chromium, file.as_uri(), width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("details").evaluate_all(OPEN_ALL)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#waterfall").is_visible()
        assert page.locator("figure svg").count() == 2
        texts = page.locator("figure text").evaluate_all(
            "all => all.map(text => text.getBoundingClientRect().toJSON())"
        )
        assert all(box["height"] > 8 and 0 <= box["left"] < box["right"] <= width for box in texts)
        page.locator("#verdict .findings a").first.click()
        assert page.locator("#check-repeats").is_visible()
