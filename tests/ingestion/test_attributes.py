import json
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.attributes import join_attribute_texts, join_attributes
from bazar.ingestion.titles import LONGEST

PAIRS = [
    ("Rosalind", "Rosalind"),
    ('["Rosalind", "Skin Care"]', "Rosalind, Skin Care"),
    ('[["Beauty", "Makeup"], ["Beauty", "Nails"]]', "Beauty, Makeup, Nails"),
    ("[['Beauty', \"Men's Care\"]]", "Beauty, Men's Care"),
    # As of several columns: a list of texts, of which some are lists.
    ('["Rosalind", "[[\\"Beauty\\", \\"Rosalind\\"]]"]', "Rosalind, Beauty"),
    ('["Rosalind", "[[\'Beauty\']]", null]', "Rosalind, Beauty"),
    (' ["Rosalind"]\n', "Rosalind"),
    ('["Unknown", "Skin Care"]', "Skin Care"),
    ('["unknown", "Unknown brand"]', "Unknown brand"),
    ("Unknown", None),
    ('["", " ", null, "\u200b"]', None),
    ("[null, null]", None),
    ("[]", None),
    ("[[], [[]]]", None),
    ("   ", None),
    (None, None),
    ("Creams &amp; <b>Oils</b>", "Creams & Oils"),
    ('["Creams &amp; Oils", "Creams & Oils", " Creams  & Oils"]', "Creams & Oils"),
    ('["rosalind", "Rosalind"]', "rosalind, Rosalind"),
    ("[ rose & oat ]", "[ rose & oat ]"),
    ("[Rosalind]", "[Rosalind]"),
    ("{Rosalind}", "{Rosalind}"),
    ('["a", 5, 1.5, true, {"b": "c"}]', "a, 5, 1.5"),
    ('{"Brand": "Rosalind"}', None),
    ("{'Brand': 'Rosalind'}", None),
    ('["\\ud800a"]', "?a"),
    ("[" * 100_000 + "]" * 100_000, "[" * LONGEST),
    (json.dumps(["x" * 600, "y" * 600]), "x" * 600 + ", " + "y" * 398),
    (json.dumps(["x" * 998, "y"]), "x" * 998 + ","),
]


@pytest.mark.parametrize(("given", "expected"), PAIRS)
def test_attributes(given: str | None, expected: str | None) -> None:
    assert join_attribute_texts(given) == expected


def test_on_a_backend_they_are_the_same() -> None:
    # Often enough that a batch holds some of them several times.
    table = ibis.memtable(
        [{"place": place, "raw": given} for place, (given, _) in enumerate(PAIRS * 100)],
        schema={"place": "int64", "raw": "string"},
    )
    joined = table.mutate(joined=join_attributes(table.raw).nullif("")).order_by("place")
    assert joined.joined.to_pyarrow().to_pylist() == [expected for _, expected in PAIRS] * 100


names = st.text(alphabet="abcDE é&'\"\\,", min_size=1, max_size=6).map(
    lambda text: " ".join(text.split()) or "a"
)
nested = st.recursive(st.none() | names, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def flat(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for one in value for text in flat(one)]
    return [] if value is None else [value]


@settings(max_examples=200, deadline=None)
@given(st.lists(nested, max_size=4))
def test_lists_of_any_depth_in_both_notations(value: list[Any]) -> None:
    expected = ", ".join(dict.fromkeys(flat(value))) or None
    assert join_attribute_texts(json.dumps(value)) == expected
    assert join_attribute_texts(repr(value)) == expected
    # As the texts of several columns.
    texts = [one if isinstance(one, str) else json.dumps(one) for one in value if one is not None]
    assert join_attribute_texts(json.dumps(texts)) == expected
