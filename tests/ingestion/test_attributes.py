import json
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bazar.ingestion.attributes import join_attribute_texts, join_attributes
from bazar.ingestion.titles import MAX_TITLE_LENGTH

PAIRS = [
    ("Rosalind", "Rosalind"),
    ('["Rosalind", "Skin Care"]', "Rosalind, Skin Care"),
    ('[["Beauty", "Makeup"], ["Beauty", "Nails"]]', "Beauty, Makeup, Nails"),
    ("[['Beauty', \"Men's Care\"]]", "Beauty, Men's Care"),
    # Several columns: a list of texts, some of which are lists.
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
    ("[" * 100_000 + "]" * 100_000, "[" * MAX_TITLE_LENGTH),
    (json.dumps(["x" * 600, "y" * 600]), "x" * 600 + ", " + "y" * 398),
    (json.dumps(["x" * 998, "y"]), "x" * 998 + ","),
]


@pytest.mark.parametrize(("given", "expected"), PAIRS)
def test_attributes_are_cleaned_and_joined(given: str | None, expected: str | None) -> None:
    assert join_attribute_texts(given) == expected


def test_backend_joins_attributes_like_the_function() -> None:
    # Repeated, so that a batch contains some of them several times.
    table = ibis.memtable(
        [{"number": number, "raw": given} for number, (given, _) in enumerate(PAIRS * 100)],
        schema={"number": "int64", "raw": "string"},
    )
    joined = table.mutate(joined=join_attributes(table.raw).nullif("")).order_by("number")
    assert joined.joined.to_pyarrow().to_pylist() == [expected for _, expected in PAIRS] * 100


names = st.text(alphabet="abcDE é&'\"\\,", min_size=1, max_size=6).map(
    lambda text: " ".join(text.split()) or "a"
)
nested = st.recursive(st.none() | names, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def flatten(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in flatten(item)]
    return [] if value is None else [value]


@settings(max_examples=200, deadline=None)
@given(st.lists(nested, max_size=4))
def test_nested_lists_are_read_in_json_and_python_notation(value: list[Any]) -> None:
    expected = ", ".join(dict.fromkeys(flatten(value))) or None
    assert join_attribute_texts(json.dumps(value)) == expected
    assert join_attribute_texts(repr(value)) == expected
    # Combined from several columns.
    texts = [
        item if isinstance(item, str) else json.dumps(item) for item in value if item is not None
    ]
    assert join_attribute_texts(json.dumps(texts)) == expected
