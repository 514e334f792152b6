import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.titles import LONGEST, clean_title, clean_titles

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
    ("x" * 2**20, "x" * LONGEST),
    ("   ", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("given", "expected"), PAIRS)
def test_titles(given: str | None, expected: str | None) -> None:
    assert clean_title(given) == expected


def test_on_a_backend_they_are_the_same() -> None:
    table = ibis.memtable(
        [{"place": place, "title": given} for place, (given, _) in enumerate(PAIRS)],
        schema={"place": "int64", "title": "string"},
    )
    cleaned = table.mutate(title=clean_titles(table.title).nullif("")).order_by("place")
    assert cleaned.title.to_pyarrow().to_pylist() == [expected for _, expected in PAIRS]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_title_escapes_the_search_for_those_to_clean(title: str) -> None:
    table = ibis.memtable([{"title": title}], schema={"title": "string"})
    cleaned = clean_titles(table.title).nullif("").to_pyarrow().to_pylist()
    assert cleaned == [clean_title(title)]
