from collections.abc import Iterator
from pathlib import Path

import pytest

from bazar.errors import InputError
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    Placement,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from bazar.service.gateway import Gateway, UnknownItemError
from bazar.service.live import NewItem
from bazar.service.store import EventRecord, ItemChange, LiveStore
from tests.service.engine.example_store import LAST_DAY, START, at_day, make_engine

NOW = at_day(LAST_DAY + 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LiveStore]:
    opened = LiveStore(f"sqlite:///{tmp_path}/live.db")
    yield opened
    opened.close()


@pytest.fixture
def gateway(store: LiveStore) -> Gateway:
    return Gateway(store, make_engine())


@pytest.fixture
def other(store: LiveStore) -> Gateway:
    """The gateway of another process."""
    return Gateway(store, make_engine())


def make_record(event_id: str, event_type: str, item_id: str, **fields: object) -> EventRecord:
    values = {"user_id": "bob", "received_at": NOW, "timestamp": NOW} | fields
    return EventRecord(event_id, event_type, item_id, **values)  # type: ignore[arg-type]


def ask(user_id: str | None = "bob", **fields: object) -> RecommendRequest:
    return RecommendRequest(visitor=Visitor(user_id=user_id), at=NOW, **fields)  # type: ignore[arg-type]


def test_the_next_answer_of_every_process_takes_an_event_into_account(
    gateway: Gateway, other: Gateway
) -> None:
    request = ask(k=30, filter_seen=True)
    before = other.recommend(request).item_ids
    assert "soap" in before
    assert gateway.record_events([make_record("1", "purchase", "soap")]) == ["new"]
    for one in (gateway, other):
        assert "soap" not in one.recommend(request).item_ids


def test_a_session_has_a_history(gateway: Gateway) -> None:
    record = make_record("1", "cart", "bread", user_id=None, session_id="s1")
    gateway.record_events([record])
    answer = gateway.recommend(ask(None, k=3), session_id="s1")
    assert answer.source == "decayed_cooccurrence"
    assert answer.item_ids[0] == "butter"
    assert gateway.recommend(ask(None, k=3)).source == "recent_popularity"


def test_purchases_up_to_the_watermark_are_in_the_bundle(store: LiveStore) -> None:
    first = Gateway(store, make_engine())
    first.record_events([make_record("1", "purchase", "soap", user_id="alice")])
    first.record_events([make_record("2", "purchase", "soap", user_id="new")])
    requests = [ask(user, k=30, filter_seen=True) for user in ("alice", "new")]
    assert ["soap" in first.recommend(request).item_ids for request in requests] == [False, False]
    later = Gateway(store, make_engine(), live_sequence=store.newest_sequence())
    # The bundle has no history of a new customer, who has too few purchases.
    assert ["soap" in later.recommend(request).item_ids for request in requests] == [True, False]


def test_events_after_a_restored_backup_are_above_the_watermark(store: LiveStore) -> None:
    gateway = Gateway(store, make_engine(), live_sequence=100)
    gateway.record_events([make_record("1", "purchase", "soap", user_id="alice")])
    assert store.newest_sequence() == 101
    assert "soap" not in gateway.recommend(ask("alice", k=30, filter_seen=True)).item_ids


def test_changes_of_stock_reach_every_process_and_lists_stay_full(
    gateway: Gateway, other: Gateway
) -> None:
    best = other.recommend(ask(k=5)).item_ids
    gateway.change_items([ItemChange(best[0], in_stock=False), ItemChange(best[1], price=2.5)])
    for one in (gateway, other):
        answer = one.recommend(ask(k=5))
        assert len(answer.products) == 5
        assert answer.item_ids[0] == best[1]
        assert answer.products[0].price == 2.5
    absence = other.explain_absence(ask(k=5), best[0])
    assert absence.reason == "out_of_stock"


def test_new_products_reach_every_process_with_states_that_came_first(
    gateway: Gateway, other: Gateway, store: LiveStore
) -> None:
    store.change_items([ItemChange("sofa-cover", price=9.0)])
    gateway.add_items([NewItem("sofa-cover", "Couch Cover Blue", "Household, Lumen")])
    for one in (gateway, other):
        answer = one.list_similar(SimilarRequest(item_id="couch", k=1))
        assert answer.item_ids == ["sofa-cover"]
        assert answer.products[0].price == 9.0
    assert Gateway(store, make_engine()).engine.products.index["sofa-cover"] == 31


def test_products_that_the_bundle_has_already_are_not_added_again(store: LiveStore) -> None:
    store.add_items([NewItem("soap", "Lavender Soap", "Care, Flora")])
    engine = make_engine()
    catalogue = engine.products
    Gateway(store, engine)
    assert engine.products is catalogue


def test_a_state_that_the_engine_cannot_apply_keeps_no_request_from_an_answer(
    gateway: Gateway, store: LiveStore
) -> None:
    store.change_items([ItemChange("soap", price=-1.0)])
    store.change_items([ItemChange("milk", in_stock=False)])
    assert "milk" not in gateway.recommend(ask(k=30)).item_ids


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (ItemChange("nothing", in_stock=True), UnknownItemError),
        (ItemChange("soap", price=-1.0), InputError),
        (ItemChange("soap", price=float("nan")), InputError),
    ],
)
def test_invalid_changes_are_not_stored(
    gateway: Gateway, store: LiveStore, change: ItemChange, error: type[Exception]
) -> None:
    with pytest.raises(error):
        gateway.change_items([ItemChange("milk", in_stock=False), change])
    assert store.read_changes().revision == 0


def test_an_id_that_is_added_twice_is_an_error(gateway: Gateway, store: LiveStore) -> None:
    with pytest.raises(InputError, match="'new' twice"):
        gateway.add_items([NewItem("new", "a"), NewItem("new", "b")])
    assert store.read_changes().revision == 0


def test_a_deleted_user_is_a_new_one_in_every_process(gateway: Gateway, other: Gateway) -> None:
    request = BuyAgainRequest(visitor=Visitor(user_id="alice"), at=NOW)
    assert other.list_buy_again(request).item_ids
    gateway.record_events([make_record("1", "view", "soap", user_id="alice")])
    assert gateway.delete_user("alice").n_events == 1
    for one in (gateway, other):
        assert one.list_buy_again(request).item_ids == []
        assert one.recommend(ask("alice")).source == "recent_popularity"


def test_a_user_who_came_back_after_an_earlier_deletion_is_known(
    gateway: Gateway, store: LiveStore
) -> None:
    # The bundle contains no purchase up to the deletion, so the training knew of it.
    store.delete_user("alice", deleted_at=START - 1)
    assert gateway.list_buy_again(
        BuyAgainRequest(visitor=Visitor(user_id="alice"), at=NOW)
    ).products


def test_another_engine_gets_all_changes_and_answers_from_the_next_request_on(
    gateway: Gateway,
) -> None:
    gateway.change_items([ItemChange("milk", is_hidden=True)])
    gateway.add_items([NewItem("tea", "Roasted Tea 500 g", "Drinks")])
    engine = make_engine()
    engine.bundle_id = "bundle-2"
    gateway.replace_engine(engine)
    answer = gateway.recommend(ask(k=40))
    assert answer.bundle_id == gateway.bundle_id == "bundle-2"
    assert "milk" not in answer.item_ids
    assert gateway.engine is engine
    assert "tea" in gateway.search(SearchRequest(query="roasted tea")).item_ids


def test_placements_of_a_page_share_the_events_of_the_visitor(gateway: Gateway) -> None:
    gateway.record_events([make_record("1", "cart", "bread", user_id=None, session_id="s1")])
    page = gateway.build_page(
        [
            Placement("for you", ask(None, k=2)),
            Placement("cart", BoughtTogetherRequest(item_ids=("bread",), k=3)),
        ],
        session_id="s1",
    )
    assert page["for you"].item_ids[0] == "butter"
    assert not set(page["for you"].item_ids) & set(page["cart"].item_ids)


@pytest.mark.parametrize("user_id", ["", "\x00", "\ud800", "a" * 600])
def test_ids_that_cannot_be_stored_are_input_errors(gateway: Gateway, user_id: str) -> None:
    with pytest.raises(InputError, match="user_id"):
        gateway.recommend(ask(user_id))


def test_readiness_follows_the_database(gateway: Gateway) -> None:
    assert gateway.is_ready()
