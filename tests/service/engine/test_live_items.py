import gc
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest

from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    Diversity,
    Filters,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.live import ItemState, NewItem
from tests.service.engine.example_store import (
    DIMENSION,
    ITEM_IDS,
    at_day,
    encode,
    make_bundle,
    make_engine,
    make_event,
    visit,
)

N = len(ITEM_IDS)
SHAMPOO = NewItem(
    "shampoo-s", "Herbal Shampoo Rosemary 50 ml", "Care, Flora", "shampoo",
    encode(["Herbal Shampoo Rosemary 50 ml"])[0],
)  # fmt: skip


def test_invalid_change_changes_nothing(engine: Engine) -> None:
    with pytest.raises(InputError, match="There is no product 'tea'"):
        engine.change_items([ItemState("milk", is_hidden=True), ItemState("tea")])
    with pytest.raises(InputError, match="price must be a number of at least 0, got -1"):
        engine.change_items([ItemState("milk", is_hidden=True), ItemState("jam", price=-1)])
    assert len(engine.recommend(RecommendRequest(k=N)).item_ids) == N


def test_new_product_is_in_every_list_at_once(engine: Engine) -> None:
    engine.add_items([SHAMPOO])
    history = Visitor(history=("shampoo",))
    request = RecommendRequest(visitor=history, model="nearest_titles", k=4)
    assert "shampoo-s" in engine.recommend(request).item_ids[:3]
    assert "shampoo-s" in engine.list_similar(SimilarRequest(item_id="shampoo")).item_ids[:3]
    assert engine.search(SearchRequest(query="rosemary 50")).item_ids[0] == "shampoo-s"
    together = BoughtTogetherRequest(item_ids=("shampoo-s",), k=1)
    assert engine.list_bought_together(together).item_ids[0].startswith("shampoo")
    filtered = RecommendRequest(filters=Filters(("Care",), ("Flora",)), k=N)
    assert "shampoo-s" in engine.recommend(filtered).item_ids
    limited = SimilarRequest(item_id="soap", diversity=Diversity(1), k=N)
    listed = engine.list_similar(limited).item_ids
    assert sum(item_id.startswith("shampoo") for item_id in listed) == 1


def test_new_product_has_a_stock_and_a_price(engine: Engine) -> None:
    engine.change_items([ItemState("milk", in_stock=False, price=2)])
    engine.add_items([SHAMPOO])
    engine.change_items([ItemState("shampoo-s", price=4)])
    request = RecommendRequest(filters=Filters(min_price=1, only_in_stock=False), k=N)
    prices = {p.recommendation.item_id: p.price for p in engine.recommend(request).products}
    assert prices == {"milk": 2, "shampoo-s": 4}
    engine.change_items([ItemState("shampoo-s", in_stock=False)])
    assert "shampoo-s" not in engine.list_similar(SimilarRequest(item_id="shampoo")).item_ids


def test_new_product_can_be_bought(engine: Engine) -> None:
    engine.add_items([SHAMPOO])
    events = [make_event("purchase", "shampoo-s", day) for day in (60, 75)]
    for user_id in ("alice", "nobody"):
        visitor = visit(*events, user_id=user_id)
        for model in ("decayed_cooccurrence", "nearest_titles", "repurchase_timing"):
            request = RecommendRequest(visitor=visitor, k=N + 1, model=model, at=at_day(120))
            answer = engine.recommend(request)
            assert {*answer.item_ids} >= {*ITEM_IDS[:3]}
    again = engine.list_buy_again(BuyAgainRequest(visitor=visit(*events), at=at_day(120)))
    assert again.item_ids == ["shampoo-s"]


def test_lists_of_other_products_do_not_change(engine: Engine) -> None:
    request = RecommendRequest(visitor=Visitor(user_id="alice"), at=at_day(91), k=10)
    before = engine.recommend(request).item_ids
    engine.add_items([SHAMPOO])
    engine.add_items([NewItem("tea", "Green Tea", "Drinks")])
    assert engine.recommend(request).item_ids == before
    assert len(engine.products) == N + 2


def test_existing_product_gets_another_title(engine: Engine) -> None:
    engine.add_items([NewItem("lamp", "Herbal Shampoo Rosemary", "Care")])
    assert "lamp" in engine.list_similar(SimilarRequest(item_id="shampoo", k=3)).item_ids
    assert len(engine.products) == N


def test_title_without_a_vector_is_encoded(engine: Engine) -> None:
    engine.add_items([NewItem("sofa", "Sofa")])
    assert engine.search(SearchRequest(query="couch", mode="meaning")).item_ids[0] == "sofa"
    without = make_engine(encode=None)
    without.add_items([NewItem("sofa", "Sofa")])
    assert without.search(SearchRequest(query="sofa")).item_ids == ["sofa"]


def test_text_of_a_new_product_is_encoded_as_in_the_bundle() -> None:
    bundle = make_bundle()
    options = bundle.options.model_copy(update={"embedded_text": "title_and_attributes"})
    texts: list[str] = []

    def record(given: list[str]) -> np.ndarray:
        texts.extend(given)
        return encode(given)

    engine = Engine(replace(bundle, options=options), "bundle-1", record)
    engine.add_items([NewItem("sofa", "Sofa", "Home"), NewItem("tea", "Tea"), NewItem("x")])
    assert texts == ["Sofa. Home", "Tea"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([NewItem("", "x")], "item_id must not be empty"),
        ([NewItem("a"), NewItem("a")], "item_id must be unique, found 'a' twice"),
        ([NewItem("a", vector=np.ones(3, np.float32))], rf"'a' must have {DIMENSION} finite"),
        ([NewItem("a", vector=np.full(DIMENSION, np.nan))], "finite numbers"),
    ],
)
def test_invalid_new_products(engine: Engine, items: list[NewItem], message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.add_items(items)
    assert len(engine.products) == N


def test_cursor_stays_valid_when_products_are_added(engine: Engine) -> None:
    engine.add_items([SHAMPOO])
    request = SimilarRequest(item_id="shampoo", k=2)
    first = engine.list_similar(request)
    # Another worker adds the same products in another order.
    other = make_engine()
    other.add_items([NewItem("tea", "Green Tea"), SHAMPOO])
    second = other.list_similar(SimilarRequest(item_id="shampoo", k=5, cursor=first.cursor))
    assert not set(first.item_ids) & set(second.item_ids)


def test_old_catalogue_is_freed(engine: Engine) -> None:
    gc.collect()
    gc.disable()
    try:
        for number in range(3):
            engine.recommend(RecommendRequest())
            old = weakref.ref(engine.products.vectors), weakref.ref(engine.recommender)
            engine.add_items([NewItem(f"new{number}", "Thing")])
            assert old[0]() is None
            assert old[1]() is None
    finally:
        gc.enable()


def test_threads_share_an_engine(engine: Engine) -> None:
    errors: list[BaseException] = []
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                answer = engine.recommend(RecommendRequest(visitor=Visitor(user_id="alice"), k=N))
                assert len(set(answer.item_ids)) == len(answer.item_ids) >= N - 1
        except BaseException as error:
            errors.append(error)

    def write() -> None:
        try:
            for number in range(5):
                engine.add_items([NewItem(f"new{number}", f"Thing {number}")])
                engine.change_items([ItemState("milk", in_stock=number % 2 == 0)])
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    writer = threading.Thread(target=write)
    for thread in (*readers, writer):
        thread.start()
    writer.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert errors == []
    assert len(engine.products) == N + 5


def test_engine_answers_at_the_present_time_by_default(shared_engine: Engine) -> None:
    before = time.time() * 1000
    answer = shared_engine.recommend(RecommendRequest())
    assert before - 1 <= answer.at <= time.time() * 1000 + 1
