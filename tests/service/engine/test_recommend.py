import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    Diversity,
    Filters,
    RecommendRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.live import ItemState, LiveEvent
from tests.service.engine.example_store import (
    ITEM_IDS,
    VARIANT_GROUPS,
    at_day,
    make_engine,
    make_event,
    visit,
)

N = len(ITEM_IDS)
NOW = at_day(91)
SETTINGS = {"item_ids": st.sampled_from(ITEM_IDS)}
some_items = st.sets(st.sampled_from(ITEM_IDS), max_size=N)
visitors = st.one_of(
    st.sampled_from(["alice", "bob", "u00", "nobody"]).map(lambda user: Visitor(user_id=user)),
    st.lists(
        st.builds(
            make_event,
            st.sampled_from(["purchase", "cart", "view", "impression", "click"]),
            st.sampled_from([*ITEM_IDS, "unknown"]),
            st.integers(85, 95),
        ),
        max_size=8,
    ).map(lambda events: visit(*events)),
    st.lists(st.sampled_from(ITEM_IDS), max_size=6).map(lambda ids: Visitor(history=tuple(ids))),
)
POPULARITY = "recent_popularity"


def bought(visitor: Visitor, engine: Engine) -> set[str]:
    known = visitor.user_id if visitor.user_id != "nobody" else None
    return {
        *(engine.recommender.history(known) if known else ()),
        *visitor.history,
        *(event.item_id for event in visitor.events if event.event_type == "purchase"),
    }


@given(visitors, st.integers(1, N + 5), some_items, some_items, some_items, st.booleans())
def test_lists_are_full_and_contain_nothing_unavailable(
    visitor: Visitor,
    k: int,
    hidden: set[str],
    sold_out: set[str],
    excluded: set[str],
    filter_seen: bool,
) -> None:
    engine = make_engine()
    engine.change_items(ItemState(item_id, is_hidden=True) for item_id in sorted(hidden))
    engine.change_items(
        ItemState(item_id, in_stock=False, is_hidden=item_id in hidden)
        for item_id in sorted(sold_out)
    )
    request = RecommendRequest(
        visitor=visitor, k=k, exclude=tuple(sorted(excluded)), at=NOW, filter_seen=filter_seen
    )
    answer = engine.recommend(request)
    own = bought(visitor, engine)
    browsed = {e.item_id for e in visitor.events if e.event_type in ("cart", "view", "click")}
    forbidden = hidden | sold_out | excluded | (own if filter_seen else set())
    assert not set(answer.item_ids) & forbidden
    assert len(set(answer.item_ids)) == len(answer.item_ids)
    available = set(ITEM_IDS) - forbidden - browsed
    assert len(answer.item_ids) >= min(k, len(available))
    assert [p.recommendation.rank for p in answer.products] == [*range(1, len(answer.item_ids) + 1)]
    assert answer.bundle_id == "bundle-1"


@given(
    visitors,
    st.lists(st.integers(1, 7), min_size=1, max_size=8),
    st.one_of(st.none(), st.integers(1, 2)),
    st.one_of(st.none(), st.floats(0.2, 0.99)),
)
def test_pages_together_are_one_long_list(
    shared_engine: Engine,
    visitor: Visitor,
    sizes: list[int],
    per_group: int | None,
    cosine: float | None,
) -> None:
    diversity = Diversity(per_group, cosine)
    request = RecommendRequest(visitor=visitor, at=NOW, diversity=diversity)
    listed: list[str] = []
    cursor = None
    for size in sizes:
        page = shared_engine.recommend(
            RecommendRequest(
                visitor=visitor, at=None if cursor else NOW, diversity=diversity, k=size,
                cursor=cursor,
            )
        )  # fmt: skip
        ranks = [product.recommendation.rank for product in page.products]
        assert ranks == [*range(len(listed) + 1, len(listed) + len(ranks) + 1)]
        listed += page.item_ids
        cursor = page.cursor
        if cursor is None:
            break
    long = shared_engine.recommend(
        RecommendRequest(visitor=visitor, at=NOW, diversity=diversity, k=max(1, len(listed)))
    )
    assert listed == long.item_ids
    assert request.k == 10


@given(visitors, st.lists(some_items, min_size=1, max_size=4), st.integers(1, 6))
def test_pages_never_repeat_although_stock_and_events_change(
    visitor: Visitor, changes: list[set[str]], k: int
) -> None:
    engine = make_engine()
    listed: list[str] = []
    cursor = None
    for sold_out in changes:
        page = engine.recommend(RecommendRequest(visitor=visitor, k=k, at=NOW, cursor=cursor))
        listed += page.item_ids
        cursor = page.cursor
        if cursor is None:
            break
        engine.change_items(ItemState(item, item not in sold_out) for item in ITEM_IDS)
        visitor = Visitor(
            visitor.user_id,
            (*visitor.events, *(make_event("purchase", item, 97) for item in sorted(sold_out))),
            visitor.history,
        )
    assert len(set(listed)) == len(listed)


@given(visitors, st.integers(1, 2), st.floats(0.1, 0.99), st.integers(1, N))
def test_diversity_limits_hold(
    shared_engine: Engine, visitor: Visitor, per_group: int, cosine: float, k: int
) -> None:
    answer = shared_engine.recommend(
        RecommendRequest(visitor=visitor, k=k, at=NOW, diversity=Diversity(per_group, cosine))
    )
    groups = [VARIANT_GROUPS.get(item_id) for item_id in answer.item_ids]
    assert groups.count("shampoo") <= per_group
    products = shared_engine.products
    vectors = products.vectors[[products.index[item_id] for item_id in answer.item_ids]]
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert cosines.max(initial=-1) <= cosine + 1e-6


def test_list_stays_full_within_the_variant_limit(shared_engine: Engine) -> None:
    request = SimilarRequest(item_id="soap", k=3, diversity=Diversity(max_per_variant_group=1))
    answer = shared_engine.list_similar(request)
    assert len(answer.item_ids) == 3
    assert len(set(VARIANT_GROUPS) & set(answer.item_ids)) <= 1


def test_live_purchase_is_seen_and_changes_the_answer(shared_engine: Engine) -> None:
    def ask(visitor: Visitor) -> list[str]:
        request = RecommendRequest(visitor=visitor, k=N, at=NOW, filter_seen=True)
        return shared_engine.recommend(request).item_ids

    before = ask(Visitor(user_id="bob"))
    after = ask(visit(make_event("purchase", before[0], 90.5), user_id="bob"))
    assert before[0] not in after
    assert after != before[1:]


def test_live_purchases_of_an_order_explain_the_answer(shared_engine: Engine) -> None:
    events = [make_event("purchase", "milk", day) for day in (60, 70, 80)]
    answer = shared_engine.recommend(
        RecommendRequest(visitor=visit(*events), k=N, at=at_day(90), model="repurchase_timing")
    )
    milk = next(p for p in answer.products if p.recommendation.item_id == "milk")
    reason = "bought 3 times, about every 10 days, last 10 days ago"
    assert milk.recommendation.reason == reason


def test_lines_of_one_order_are_one_order(shared_engine: Engine) -> None:
    lines = [
        LiveEvent("purchase", item_id, at_day(90.5) + line, order_id="o1")
        for line, item_id in enumerate(["bread", "butter", "bread"])
    ]
    answer = shared_engine.recommend(
        RecommendRequest(visitor=visit(*lines, user_id="nobody"), k=N, at=NOW)
    )
    bread = next(p for p in answer.products if p.recommendation.item_id == "bread")
    assert bread.recommendation.n_orders == 1


def test_view_changes_the_answer_and_is_not_a_purchase(shared_engine: Engine) -> None:
    def ask(*events: LiveEvent) -> list[str]:
        visitor = visit(*events, user_id="alice")
        request = RecommendRequest(visitor=visitor, k=5, at=NOW, model="nearest_titles")
        return shared_engine.recommend(request).item_ids

    before, after = ask(), ask(make_event("view", "shampoo", 90.9))
    assert "shampoo-l" not in before[:2]
    # The viewed product itself is not listed: the visitor has just seen it.
    assert set(after[:2]) == {"shampoo-l", "shampoo-xl"}
    assert "shampoo" not in after


def test_views_before_the_last_purchase_or_of_another_day_have_no_effect(
    shared_engine: Engine,
) -> None:
    def ask(*events: LiveEvent) -> list[str]:
        visitor = visit(*events, user_id="alice")
        return shared_engine.recommend(RecommendRequest(visitor=visitor, k=N, at=NOW)).item_ids

    assert ask(make_event("view", "shampoo", 89)) == ask()
    purchase = make_event("purchase", "soap", 90.8)
    assert ask(make_event("view", "shampoo", 90.7), purchase) == ask(purchase)
    assert ask(make_event("impression", "shampoo", 90.9)) == ask()


def test_viewed_product_that_was_bought_keeps_its_score(shared_engine: Engine) -> None:
    def find_score(*events: LiveEvent) -> float:
        request = RecommendRequest(
            visitor=visit(*events, user_id="alice"), k=N, at=NOW, model="repurchase_timing"
        )
        answer = shared_engine.recommend(request)
        scores = {p.recommendation.item_id: p.recommendation.score for p in answer.products}
        return scores["milk"]

    assert find_score(make_event("view", "milk", 90.9)) == find_score()


def test_products_in_the_cart_are_not_recommended(shared_engine: Engine) -> None:
    visitor = visit(make_event("cart", "milk", 90.9), user_id="alice")
    assert (
        "milk"
        not in shared_engine.recommend(RecommendRequest(visitor=visitor, k=N, at=NOW)).item_ids
    )


def test_session_of_views_is_a_history(shared_engine: Engine) -> None:
    request = RecommendRequest(
        visitor=visit(make_event("view", "shampoo", 90.9)), model="nearest_titles", at=NOW, k=2
    )
    answer = shared_engine.recommend(request)
    assert answer.source == "nearest_titles"
    assert set(answer.item_ids) == {"shampoo-l", "shampoo-xl"}


def test_new_visitor_gets_recent_popularity(shared_engine: Engine) -> None:
    for visitor in (Visitor(), Visitor(user_id="nobody"), Visitor(history=("unknown",))):
        answer = shared_engine.recommend(RecommendRequest(visitor=visitor))
        assert answer.source == POPULARITY
        assert len(answer.item_ids) == 10
    assert answer.unknown_items == ("unknown",)


def test_forgotten_user_is_a_new_visitor(engine: Engine) -> None:
    request = RecommendRequest(visitor=Visitor(user_id="alice"), at=NOW)
    assert engine.recommend(request).source != POPULARITY
    engine.forget_users(["alice"])
    answer = engine.recommend(request)
    assert answer.source == POPULARITY
    assert all(product.recommendation.n_orders == 0 for product in answer.products)


def test_given_history_equals_the_known_one(shared_engine: Engine) -> None:
    history = shared_engine.recommender.history("alice")
    times = [at_day(day) for day in range(0, 85, 7) for _ in range(2 if day in (0, 28, 56) else 1)]
    given_history = Visitor(history=tuple(history), times=tuple(times))
    answers = [
        shared_engine.recommend(RecommendRequest(visitor=visitor, at=NOW))
        for visitor in (given_history, Visitor(user_id="alice"))
    ]
    assert answers[0].products == answers[1].products


def test_filters(engine: Engine) -> None:
    engine.change_items([ItemState("milk", price=1.2), ItemState("butter", price=3)])
    for filters, expected in (
        (Filters(categories=("dairy",)), {"milk", "butter"}),
        (Filters(categories=("Dairy", "Bakery"), brands=("Miller",)), {"bread"}),
        (Filters(min_price=1, max_price=2), {"milk"}),
        (Filters(min_price=1.2), {"milk", "butter"}),
    ):
        answer = engine.recommend(RecommendRequest(filters=filters))
        assert set(answer.item_ids) == expected
    assert answer.notes == (
        f"The price filter left out {N - 2} products whose price is not known.",
    )
    milk = next(p for p in answer.products if p.recommendation.item_id == "milk")
    assert (milk.price, milk.in_stock, milk.attributes) == (1.2, True, "Dairy, Alpina")


def test_products_out_of_stock_are_listed_on_request(engine: Engine) -> None:
    engine.change_items([ItemState("milk", in_stock=False)])
    assert "milk" not in engine.recommend(RecommendRequest(k=N)).item_ids
    request = RecommendRequest(k=N, filters=Filters(only_in_stock=False))
    milk = next(p for p in engine.recommend(request).products if p.recommendation.item_id == "milk")
    assert not milk.in_stock
    engine.change_items([ItemState("milk")])
    assert "milk" in engine.recommend(RecommendRequest(k=N)).item_ids


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (RecommendRequest(k=0), "k must be an integer of at least 1, got 0"),
        (RecommendRequest(k=1001), "k must be at most 1000, got 1001"),
        (RecommendRequest(model="gpt"), "There is no model 'gpt'"),
        (RecommendRequest(at=-1), "at must be UTC milliseconds from 1970 to 9999, got -1"),
        (RecommendRequest(filters=Filters(categories=("Toys",))), "attribute or category 'Toys'"),
        (RecommendRequest(filters=Filters(min_price=2, max_price=1)), "got 2 and 1"),
        (RecommendRequest(filters=Filters(max_price=float("nan"))), "max_price must be .* nan"),
        (RecommendRequest(diversity=Diversity(0)), "max_per_variant_group must be .* got 0"),
        (RecommendRequest(diversity=Diversity(None, 2.0)), "from -1 to 1, got 2.0"),
        (RecommendRequest(visitor=Visitor("alice", history=("milk",))), "history must be empty"),
        (RecommendRequest(visitor=Visitor(history=("milk",), times=())), "found 0 for 1 items"),
        (RecommendRequest(visitor=Visitor(history=("a", "b"), times=(2, 1))), "ascending"),
        (RecommendRequest(visitor=Visitor("")), "user_id must be a text that is not empty"),
        (RecommendRequest(exclude=["milk"]), r"exclude must be a tuple of texts, got \['milk'\]"),  # type: ignore[arg-type]
        (
            RecommendRequest(visitor=Visitor(events=(LiveEvent("look", "milk", 1),))),  # type: ignore[arg-type]
            "There is no event_type 'look'",
        ),
    ],
)
def test_invalid_requests_name_the_field(
    shared_engine: Engine, request_: RecommendRequest, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        shared_engine.recommend(request_)
