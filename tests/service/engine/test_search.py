import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import Filters, SearchMode, SearchRequest, Visitor
from bazar.service.engine.word_search import WordIndex, _split, split_query
from bazar.service.live import ItemState
from tests.service.engine.example_store import at_day, make_bundle, make_engine, make_event, visit


def search(
    engine: Engine, query: str, mode: SearchMode = "words", visitor: Visitor | None = None
) -> list[str]:
    request = SearchRequest(query=query, mode=mode, visitor=visitor or Visitor(), at=at_day(91))
    return engine.search(request).item_ids


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("coffee", "coffee"),
        ("COFFEE beans", "coffee"),
        ("cofee", "coffee"),
        ("coffeee", "coffee"),
        ("ocffee", "coffee"),
        ("moisturzer", "moisturiser"),
        ("strawbery jam", "jam"),
        ("stra", "jam"),
        ("butter, salted", "butter"),
        ("shampoo 500", "shampoo-l"),
        ("Kántô", "coffee"),
        ("lumen torch", "lamp"),
    ],
)
def test_words_find_a_product_in_spite_of_typing_errors(
    shared_engine: Engine, query: str, first: str
) -> None:
    assert search(shared_engine, query)[0] == first


@pytest.mark.parametrize("query", ["xyzzy", "?!", "jm", "qqqqqqqq"])
def test_other_words_find_nothing(shared_engine: Engine, query: str) -> None:
    assert search(shared_engine, query) == []


def test_product_with_more_words_is_first(shared_engine: Engine) -> None:
    found = search(shared_engine, "herbal lavender soap")
    assert found[0] == "soap"
    assert set(found[1:]) == {"shampoo", "shampoo-l", "shampoo-xl"}


def test_meaning_finds_other_words(shared_engine: Engine) -> None:
    assert search(shared_engine, "sofa") == []
    assert search(shared_engine, "sofa", "meaning")[0] == "couch"
    assert search(shared_engine, "sofa", "both")[0] == "couch"
    assert search(shared_engine, "flashlight", "both")[0] == "lamp"


def test_both_rankings_are_combined(shared_engine: Engine) -> None:
    # The word finds the torch, the meaning the couch; a product of both rankings is first.
    assert set(search(shared_engine, "led sofa", "both")[:2]) == {"lamp", "couch"}
    assert search(shared_engine, "sofa couch", "both")[0] == "couch"


def test_without_an_encoder_words_are_compared() -> None:
    engine = make_engine(encode=None)
    answer = engine.search(SearchRequest(query="coffee", mode="meaning"))
    assert answer.item_ids == ["coffee"]
    assert answer.notes == ("The service has no encoder: words alone are compared.",)


def test_taste_orders_equally_good_products(shared_engine: Engine) -> None:
    assert search(shared_engine, "thing")[0] != "misc05"
    viewer = visit(make_event("purchase", "misc04", 90.5), make_event("purchase", "misc04", 90.6))
    found = search(shared_engine, "thing", visitor=viewer)
    assert found.index("misc05") < search(shared_engine, "thing").index("misc05")
    # Taste does not replace the words.
    assert search(shared_engine, "coffee beans", visitor=viewer)[0] == "coffee"


def test_filters_and_stock_apply(engine: Engine) -> None:
    engine.change_items([ItemState("shampoo", in_stock=False)])
    request = SearchRequest(query="herbal", filters=Filters(brands=("Flora",)), mode="words")
    assert set(engine.search(request).item_ids) == {"shampoo-l", "shampoo-xl"}


def test_pages_of_a_search_do_not_repeat(shared_engine: Engine) -> None:
    long = shared_engine.search(SearchRequest(query="thing", k=17, mode="words")).item_ids
    listed: list[str] = []
    cursor = None
    while True:
        request = SearchRequest(query="thing", k=5, cursor=cursor, mode="words")
        answer = shared_engine.search(request)
        listed += answer.item_ids
        cursor = answer.cursor
        if cursor is None:
            break
    assert listed == long
    assert len(set(listed)) == 17


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SearchRequest(query=""), "query must be a text that is not empty"),
        (SearchRequest(query="x" * 201), "at most 200 characters, got 201"),
        (SearchRequest(query="x", mode="magic"), "There is no mode 'magic'"),  # type: ignore[arg-type]
    ],
)
def test_invalid_searches(shared_engine: Engine, request_: SearchRequest, message: str) -> None:
    with pytest.raises(InputError, match=message):
        shared_engine.search(request_)


INDEX = WordIndex(make_bundle().products)


# Letters that are newer than Python's version of Unicode may be split in another way.
@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs", "Cn"]), max_size=60))
def test_queries_are_split_like_titles(text: str) -> None:
    words, _ = _split(pa.array([text], pa.large_string()))
    assert split_query(text) == words.to_pylist()


@given(st.text(max_size=60))
def test_any_text_can_be_searched(query: str) -> None:
    scores = INDEX.score(query)
    assert np.isfinite(scores).all()
    assert scores[0] == 0
    assert (scores >= 0).all()
