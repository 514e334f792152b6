import base64
import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.engine.cursors import (
    Cursor,
    _compute_checksum,
    _fingerprint,
    decode_cursor,
    encode_cursor,
)
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import MAX_LISTED, Filters, RecommendRequest, Visitor
from tests.service.engine.example_store import ITEM_IDS, at_day, make_event, visit

REQUEST = RecommendRequest(visitor=Visitor(user_id="alice"), at=at_day(91))


@given(
    st.integers(0, 10**12),
    st.sets(st.integers(1, 10**6), max_size=50),
    st.sets(st.text(max_size=10), max_size=5),
)
def test_cursor_is_read_as_it_was_written(at: int, shown: set[int], added: set[str]) -> None:
    cursor = Cursor(at, tuple(sorted(shown)), tuple(sorted(added)))
    text = encode_cursor(cursor, REQUEST, "bundle-1")
    assert decode_cursor(text, REQUEST, "bundle-1", 10**7) == cursor
    assert text.isascii()
    assert set("+/=&?# ").isdisjoint(text)


def test_size_is_bounded() -> None:
    shown = tuple(range(1, 112 * MAX_LISTED, 112))
    assert len(shown) == MAX_LISTED
    assert len(encode_cursor(Cursor(10**12, shown, ()), REQUEST, "b" * 64)) < 4_000


@given(st.text(max_size=200))
def test_any_other_text_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match=r"cursor .* is damaged\. Request the first page again"):
        decode_cursor(text, REQUEST, "bundle-1", 10)


@given(st.data())
def test_damaged_cursor_is_an_input_error(data: st.DataObject) -> None:
    text = encode_cursor(Cursor(1, (3, 5), ("new",)), REQUEST, "bundle-1")
    position = data.draw(st.integers(0, len(text) - 2))
    letter = data.draw(st.sampled_from("abAB09-_"))
    damaged = text[:position] + letter + text[position + 1 :]
    if damaged != text:
        with pytest.raises(InputError, match="is damaged"):
            decode_cursor(damaged, REQUEST, "bundle-1", 10)


FINGERPRINT = _fingerprint(REQUEST)
VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


@given(
    st.one_of(
        VALUES,
        st.lists(VALUES, max_size=6),
        st.tuples(st.just("bundle-1"), st.just(FINGERPRINT), VALUES, VALUES, VALUES),
        st.tuples(
            st.just("bundle-1"),
            st.just(FINGERPRINT),
            st.integers(),
            st.lists(st.integers()),
            st.lists(st.text(), max_size=3),
        ),
    )
)
def test_forged_content_is_an_input_error_or_valid(content: object) -> None:
    packed = zlib.compress(json.dumps(content).encode())
    text = base64.urlsafe_b64encode(_compute_checksum(packed) + packed).decode().rstrip("=")
    try:
        cursor = decode_cursor(text, REQUEST, "bundle-1", 10)
    except InputError:
        return
    assert set(cursor.shown) <= set(range(1, 10))
    assert len(set(cursor.shown)) == len(cursor.shown)


def test_cursor_of_another_bundle_or_request_is_an_input_error() -> None:
    text = encode_cursor(Cursor(1, (3,), ()), REQUEST, "bundle-1")
    with pytest.raises(InputError, match="belongs to the bundle 'bundle-1', but 'bundle-2'"):
        decode_cursor(text, REQUEST, "bundle-2", 10)
    for other in (
        replace(REQUEST, visitor=Visitor(user_id="bob")),
        replace(REQUEST, filters=Filters(categories=("Dairy",))),
        replace(REQUEST, model="nearest_titles"),
    ):
        with pytest.raises(InputError, match="belongs to another request"):
            decode_cursor(text, other, "bundle-1", 10)
    same = replace(
        REQUEST, k=3, at=5, visitor=visit(make_event("view", "milk", 1), user_id="alice")
    )
    assert decode_cursor(text, same, "bundle-1", 10).shown == (3,)


def test_last_page_has_no_cursor(shared_engine: Engine) -> None:
    request = RecommendRequest(k=len(ITEM_IDS))
    assert shared_engine.recommend(request).cursor is None
    first = shared_engine.recommend(replace(request, k=len(ITEM_IDS) - 1))
    last = shared_engine.recommend(replace(request, cursor=first.cursor))
    assert len(last.item_ids) == 1
    assert last.cursor is None
