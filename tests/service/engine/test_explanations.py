from dataclasses import replace
from pathlib import Path

import pytest

from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    BuyAgainRequest,
    Diversity,
    Filters,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.live import ItemState
from tests.service.engine.example_store import ITEM_IDS, at_day, make_event, visit

ALICE = Visitor(user_id="alice")
REQUEST = RecommendRequest(visitor=ALICE, at=at_day(91), k=5)


@pytest.fixture
def engine(engine: Engine, tmp_path: Path) -> Engine:
    path = tmp_path / "rules.yml"
    path.write_text(
        "rules:\n"
        "  - {name: recall, action: exclude, items: [jam]}\n"
        "  - {name: less, action: boost, items: [misc16], factor: 0.5}\n"
    )
    engine.load_rules(path)
    engine.change_items([ItemState("lamp", is_hidden=True), ItemState("soap", in_stock=False)])
    return engine


@pytest.mark.parametrize(
    ("item_id", "request_", "reason", "text"),
    [
        ("tea", REQUEST, "unknown", "There is no product 'tea'"),
        ("lamp", REQUEST, "hidden", "hides"),
        ("soap", REQUEST, "out_of_stock", "out of stock"),
        ("jam", REQUEST, "rule", "The rule 'recall' excludes the product"),
        ("milk", replace(REQUEST, exclude=("milk",)), "excluded", "request excludes"),
        ("milk", replace(REQUEST, filter_seen=True), "already_bought", "bought"),
        ("bread", replace(REQUEST, filters=Filters(("Dairy",))), "category", "Dairy"),
        ("bread", replace(REQUEST, filters=Filters((), ("Alpina",))), "brand", "Alpina"),
        ("bread", replace(REQUEST, filters=Filters(max_price=5)), "price", "range up to 5"),
        (
            "shampoo",
            replace(REQUEST, visitor=visit(make_event("view", "shampoo", 90.9), user_id="alice")),
            "viewed",
            "just looked",
        ),
        (
            "milk",
            replace(REQUEST, visitor=visit(make_event("cart", "milk", 90.9), user_id="alice")),
            "in_cart",
            "cart",
        ),
        ("untitled", SimilarRequest(item_id="shampoo"), "not_scored", "similar does not propose"),
        ("bread", BuyAgainRequest(visitor=ALICE, at=at_day(91)), "not_scored", "buy_again"),
        (
            "shampoo-xl",
            SearchRequest(query="herbal", mode="words", diversity=Diversity(1), k=20),
            "variant_limit",
            "enough variants of the product: 'shampoo",
        ),
        (
            "shampoo-xl",
            SearchRequest(query="herbal", mode="words", diversity=Diversity(None, 0.6), k=20),
            "title_limit",
            "too similar to that of 'shampoo",
        ),
    ],
)
def test_reason(
    engine: Engine, item_id: str, request_: RecommendRequest, reason: str, text: str
) -> None:
    absence = engine.explain_absence(request_, item_id)
    assert (absence.item_id, absence.reason) == (item_id, reason)
    assert text in absence.text
    assert item_id not in engine._list(request_).item_ids


def test_rank_and_score(engine: Engine) -> None:
    long = engine.recommend(replace(REQUEST, k=len(ITEM_IDS)))
    for rank, product in enumerate(long.products, start=1):
        item_id, score = product.recommendation.item_id, product.recommendation.score
        absence = engine.explain_absence(REQUEST, item_id)
        assert absence.reason == ("listed" if rank <= REQUEST.k else "rank")
        assert absence.rank is not None
        assert absence.rank <= rank
        assert absence.score == pytest.approx(score)
    last = engine.explain_absence(REQUEST, "misc16")
    assert "the list has 5 products. The rule 'less' multiplies its score by 0.5." in last.text


def test_product_of_an_earlier_page_is_listed(engine: Engine) -> None:
    first = engine.recommend(REQUEST)
    following = replace(REQUEST, cursor=first.cursor)
    absence = engine.explain_absence(following, first.item_ids[0])
    assert (absence.reason, absence.text) == ("listed", "An earlier page lists it.")


def test_listed_products_name_the_purchase_behind_them(engine: Engine) -> None:
    answer = engine.recommend(replace(REQUEST, model="repurchase_timing", k=2))
    reasons = {p.recommendation.item_id: p.recommendation.reason for p in answer.products}
    assert reasons["milk"] == "bought 13 times, about every 7 days, last 7 days ago"
    similar = engine.recommend(
        RecommendRequest(visitor=Visitor(history=("shampoo",)), model="nearest_titles", k=2)
    )
    recommended = similar.products[1].recommendation
    assert recommended.reason == "similar to Herbal Shampoo Rosemary 250 ml"
