"""Similar products, products bought together, and products to buy again."""

import pytest

from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.live import ItemState
from tests.service.engine.example_store import at_day, make_bundle, make_event, visit


def test_similar_products_have_similar_titles(shared_engine: Engine) -> None:
    answer = shared_engine.list_similar(SimilarRequest(item_id="shampoo", k=2))
    assert set(answer.item_ids) == {"shampoo-l", "shampoo-xl"}
    scores = [product.recommendation.score for product in answer.products]
    assert 0 < scores[1] <= scores[0] < 1


@pytest.mark.parametrize(
    ("item_id", "message"),
    [("tea", "item_id: there is no product 'tea'"), ("untitled", "'untitled' has no title")],
)
def test_similar_needs_a_product_with_a_title(
    shared_engine: Engine, item_id: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        shared_engine.list_similar(SimilarRequest(item_id=item_id))


def test_bread_is_bought_together_with_butter(shared_engine: Engine) -> None:
    answer = shared_engine.list_bought_together(BoughtTogetherRequest(item_ids=("bread",), k=3))
    assert answer.item_ids[:2] == ["butter", "jam"]
    assert [product.source for product in answer.products] == [
        "bought_together", "bought_together", "similar",
    ]  # fmt: skip
    scores = [product.recommendation.score for product in answer.products[:2]]
    assert 1 >= scores[0] > scores[1] > 0


def test_cart_is_not_listed_and_its_products_count_together(shared_engine: Engine) -> None:
    request = BoughtTogetherRequest(item_ids=("bread", "butter"), k=20)
    answer = shared_engine.list_bought_together(request)
    assert answer.item_ids[0] == "jam"
    assert not {"bread", "butter"} & set(answer.item_ids)


def test_unavailable_partner_is_replaced(engine: Engine) -> None:
    engine.change_items([ItemState("butter", in_stock=False)])
    answer = engine.list_bought_together(BoughtTogetherRequest(item_ids=("bread",), k=3))
    assert answer.item_ids[0] == "jam"
    assert len(answer.item_ids) == 3


def test_product_without_partners_falls_back_to_similar_titles(shared_engine: Engine) -> None:
    answer = shared_engine.list_bought_together(BoughtTogetherRequest(item_ids=("shampoo",), k=2))
    assert set(answer.item_ids) == {"shampoo-l", "shampoo-xl"}
    assert {product.source for product in answer.products} == {"similar"}


def test_bought_together_needs_known_products(shared_engine: Engine) -> None:
    with pytest.raises(InputError, match="item_ids: there is no product 'tea'"):
        shared_engine.list_bought_together(BoughtTogetherRequest(item_ids=("bread", "tea")))
    with pytest.raises(InputError, match="item_ids must contain at least one product"):
        shared_engine.list_bought_together(BoughtTogetherRequest(item_ids=()))


@pytest.mark.parametrize(
    ("day", "due"),
    [
        # Milk every 7 days, last on day 84; coffee every 28 days, last on day 56.
        (84.5, {"coffee"}),
        (91, {"milk", "coffee"}),
    ],
)
def test_products_that_are_due(shared_engine: Engine, day: float, due: set[str]) -> None:
    request = BuyAgainRequest(visitor=Visitor(user_id="alice"), at=at_day(day))
    answer = shared_engine.list_buy_again(request)
    assert set(answer.item_ids) == due
    assert all(product.recommendation.n_orders > 1 for product in answer.products)


def test_most_probable_repeat_is_first(shared_engine: Engine) -> None:
    request = BuyAgainRequest(visitor=Visitor(user_id="alice"), at=at_day(91))
    answer = shared_engine.list_buy_again(request)
    assert answer.item_ids == ["milk", "coffee"]
    assert answer.products[0].recommendation.reason == (
        "bought 13 times, about every 7 days, last 7 days ago"
    )


def test_live_purchase_is_not_due(shared_engine: Engine) -> None:
    visitor = visit(make_event("purchase", "milk", 90.9), user_id="alice")
    answer = shared_engine.list_buy_again(BuyAgainRequest(visitor=visitor, at=at_day(91)))
    assert answer.item_ids == ["coffee"]


def test_new_visitor_has_nothing_to_buy_again(shared_engine: Engine) -> None:
    answer = shared_engine.list_buy_again(BuyAgainRequest())
    assert answer.products == ()
    assert answer.notes == ("The visitor has not bought anything yet.",)


def test_history_without_times_is_due_except_the_last_order(shared_engine: Engine) -> None:
    request = BuyAgainRequest(visitor=Visitor(history=("milk", "coffee", "bread")))
    assert set(shared_engine.list_buy_again(request).item_ids) == {"milk", "coffee"}


def test_shop_without_timestamps_counts_orders() -> None:
    engine = Engine(make_bundle(has_clock=False), "bundle-1")
    answer = engine.list_buy_again(BuyAgainRequest(visitor=Visitor(user_id="alice")))
    assert set(answer.item_ids) == {"milk", "coffee"}
    milk = answer.products[answer.item_ids.index("milk")].recommendation
    assert milk.reason == "bought 13 times, also in the last order"
