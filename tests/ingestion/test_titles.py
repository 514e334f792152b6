import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.titles import MAX_TITLE_LENGTH, clean_title, clean_titles

PAIRS = [
    ("Rose Toner, 200 ml", "Rose Toner, 200 ml"),
    ("  Rose\t\nToner\u3000200 ml ", "Rose Toner 200 ml"),
    ("Rose &amp; Oat", "Rose & Oat"),
    ("Rose &amp;amp; Oat &#39;24", "Rose & Oat '24"),
    ('<span class="a-size-medium">Rose</span> <b>Oil</b>', "Rose Oil"),
    ("&lt;b&gt;Rose&lt;/b&gt;", "Rose"),
    ("Rose<br>Oil", "Rose Oil"),
    ("<script>var a = 1;</script>Rose", "Rose"),
    ("5 < 6 & 7 > 2, <50 ml", "5 < 6 & 7 > 2, <50 ml"),
    ("var aPageStart = (new Date()).getTime();", None),
    ("Ro\u200bse\ufeff", "Rose"),
    ("\u202eRose\u202c", "Rose"),
    ("\u200b \u2060", None),
    ("Crème 💄 👩‍🔬", "Crème 💄 👩‍🔬"),
    ("שמן ורדים", "שמן ורדים"),
    ("می‌خواهم", "می‌خواهم"),
    ("x" * 2**20, "x" * MAX_TITLE_LENGTH),
    ("   ", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("given", "expected"), PAIRS)
def test_title_is_cleaned(given: str | None, expected: str | None) -> None:
    assert clean_title(given) == expected


def test_backend_cleans_titles_like_the_function() -> None:
    table = ibis.memtable(
        [{"number": number, "title": given} for number, (given, _) in enumerate(PAIRS)],
        schema={"number": "int64", "title": "string"},
    )
    cleaned = table.mutate(title=clean_titles(table.title).nullif("")).order_by("number")
    assert cleaned.title.to_pyarrow().to_pylist() == [expected for _, expected in PAIRS]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_pattern_finds_every_title_that_needs_cleaning(title: str) -> None:
    table = ibis.memtable([{"title": title}], schema={"title": "string"})
    cleaned = clean_titles(table.title).nullif("").to_pyarrow().to_pylist()
    assert cleaned == [clean_title(title)]
