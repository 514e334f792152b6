# ruff: noqa: RUF001
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
    ("CrÃ¨me brÃ»lÃ©e", "Crème brûlée"),
    ("CrÃƒÂ¨me brÃƒÂ»lÃƒÂ©e", "Crème brûlée"),
    ("Cr&Atilde;&uml;me", "Crème"),
    ("Dadâ€™s GÃ¤rtner, 5 â‚¬", "Dad’s Gärtner, 5 €"),
    ("Dadâ\x80\x99s GÃ\x9cRTEL", "Dad’s GÜRTEL"),
    ("CrÃ¨me Ã\xa0 la rose", "Crème à la rose"),
    ("CrÃ¨me Ã la rose", "Crème à la rose"),
    ("Cr\ufffdme", "Cr\ufffdme"),
    ("MAÇÃ\xa0VERDE, LÃ", "MAÇÃ VERDE, LÃ"),
    ("NESCAFÉ™ “ROSÉ” – Décor’s à 30°C", "NESCAFÉ™ “ROSÉ” – Décor’s à 30°C"),
    ("nan", None),
    (" NaN ", None),
    ("NULL", None),
    ("none", None),
    ("<NA>", None),
    ("&lt;NA&gt;", None),
    ("<b>None</b>", None),
    ("\\N", None),
    ("Nana None", "Nana None"),
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


PARTS = [
    "&",
    "amp;",
    "lt;",
    "#233;",
    "<",
    "b>",
    "/b>",
    " ",
    "\xa0",
    "Ã",
    "©",
    "â€",
    "™",
    "É",
    "nan",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_cleaning_a_clean_title_does_not_change_it(title: str) -> None:
    cleaned = clean_title(title)
    assert clean_title(cleaned) == cleaned


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
)
def test_pattern_finds_every_title_that_needs_cleaning(title: str) -> None:
    table = ibis.memtable([{"title": title}], schema={"title": "string"})
    cleaned = clean_titles(table.title).nullif("").to_pyarrow().to_pylist()
    assert cleaned == [clean_title(title)]
