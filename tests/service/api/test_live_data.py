"""Events and changes of the catalogue, on both databases and in two processes."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from bazar.service.store import LiveStore
from tests.service.api.conftest import Connect
from tests.service.api.requests import check_problem, list_ids, recommend, send
from tests.service.store.postgresql import Server
from tests.service.store.test_database import fill_disk

Clients = tuple[TestClient, TestClient]


@pytest.fixture
def clients(connect: Connect, store: LiveStore, url: str) -> Clients:
    """Two processes with one database. The first one writes, the second one is asked."""
    return connect(live_store=store), connect(live_store=LiveStore(url))


def test_the_next_answer_takes_an_event_into_account(clients: Clients) -> None:
    writer, reader = clients
    assert "soap" in recommend(reader, user_id="bob", k=30, filter_seen=True)
    answer = send(writer, "1", "purchase", "soap", order_id="9001", quantity=2, price=3.5).json()
    assert (answer["n_stored"], answer["outcomes"]) == (1, ["new"])
    for client in clients:
        assert "soap" not in recommend(client, user_id="bob", k=30, filter_seen=True)


def test_events_of_a_session_count_for_the_session_and_later_for_its_user(clients: Clients) -> None:
    writer, reader = clients
    send(writer, "1", "cart", "bread", session_id="s1")
    assert recommend(reader, session_id="s1", k=1) == ["butter"]
    send(writer, "2", "view", "jam", session_id="s1", user_id="new customer")
    assert "bread" not in recommend(reader, user_id="new customer", k=30)


def test_an_event_is_stored_once(clients: Clients) -> None:
    writer, reader = clients
    assert send(writer, "1", "view", "soap").json()["outcomes"] == ["new"]
    assert send(reader, "1", "view", "soap").json()["outcomes"] == ["duplicate"]
    assert send(writer, "1", "view", "milk").json() == {
        "bundle_id": writer.get("/v1/bundle").json()["bundle_id"],
        "n_stored": 0,
        "outcomes": ["conflict"],
    }


def test_a_batch_is_stored_completely_or_not_at_all(clients: Clients) -> None:
    writer, reader = clients
    good = {"event_id": "1", "event_type": "purchase", "item_id": "soap", "user_id": "bob"}
    bad = good | {"event_id": "2", "price": -1}
    check_problem(
        writer.post("/v1/events", json={"events": [good, bad]}), 422, field="events.1.price"
    )
    assert "soap" in recommend(reader, user_id="bob", k=30, filter_seen=True)
    answer = writer.post("/v1/events", json={"events": [good, good | {"event_id": "2"}]})
    assert answer.json()["outcomes"] == ["new", "new"]


def test_lists_stay_full_without_products_that_are_not_available(clients: Clients) -> None:
    writer, reader = clients
    first, second = recommend(reader, user_id="alice", k=2)
    revision = writer.patch(f"/v1/items/{first}", json={"in_stock": False}).json()["revision"]
    assert (
        writer.patch(f"/v1/items/{second}", json={"is_hidden": True}).json()["revision"] > revision
    )
    for client in clients:
        ids = recommend(client, user_id="alice", k=5)
        assert len(ids) == 5
        assert not {first, second} & set(ids)
    assert first in recommend(reader, user_id="alice", k=5, only_in_stock=False)


def test_prices_are_filtered_and_shown(clients: Clients) -> None:
    writer, reader = clients
    writer.patch("/v1/items/soap", json={"price": 2.5})
    writer.patch("/v1/items/milk", json={"price": 9})
    answer = reader.get("/v1/recommendations", params={"max_price": 5}).json()
    assert [(product["item_id"], product["price"]) for product in answer["products"]] == [
        ("soap", 2.5)
    ]
    assert "price is not known" in answer["notes"][0]


def test_a_new_product_is_recommended_at_once(clients: Clients) -> None:
    writer, reader = clients
    product = {"item_id": "tea/green", "title": "Lavender Tea", "attributes": "Drinks, Kanto"}
    assert writer.post("/v1/items", json=product).status_code == 201
    writer.patch("/v1/items/tea/green", json={"price": 4})
    for client in clients:
        assert "tea/green" in list_ids(client.get("/v1/search", params={"query": "lavender tea"}))
        assert client.get("/v1/search?query=lavender tea").json()["products"][0]["price"] == 4
    two = {"items": [{"item_id": "a", "title": "Iced tea"}, {"item_id": "b", "title": "Black tea"}]}
    assert writer.post("/v1/items", json=two).status_code == 201
    assert {"a", "b"} <= set(list_ids(reader.get("/v1/search", params={"query": "tea"})))


def test_a_deleted_user_is_forgotten(clients: Clients) -> None:
    writer, reader = clients
    send(writer, "1", "view", "soap", user_id="alice")
    assert list_ids(reader.get("/v1/buy-again", params={"user_id": "alice"}))
    receipt = writer.delete("/v1/users/alice").json()
    assert receipt["n_events"] == 1
    assert receipt["receipt_id"]
    for client in clients:
        assert list_ids(client.get("/v1/buy-again", params={"user_id": "alice"})) == []
    assert writer.delete("/v1/users/alice").json()["n_events"] == 0


def test_a_full_disk_is_a_503_and_answers_go_on(
    clients: Clients, url: str, request: pytest.FixtureRequest
) -> None:
    server: Server | None = None if url.startswith("sqlite") else request.getfixturevalue("server")
    event = {"event_type": "view", "item_id": "soap", "user_id": "bob", "order_id": "o" * 500}
    events = [event | {"event_id": str(number)} for number in range(200)]
    writer, reader = clients
    with fill_disk(url, server) as free_space:
        response = writer.post("/v1/events", json={"events": events})
        check_problem(response, 503, "database")
        assert response.headers["retry-after"] == "1"
        assert recommend(reader, user_id="bob")
        free_space()
        assert writer.post("/v1/events", json={"events": events}).json()["n_stored"] == 200


def test_a_broken_database_is_a_503(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    client = connect(live_store=LiveStore(f"sqlite:///{path}"))
    assert client.get("/readyz").status_code == 200
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE bazar_properties")
    for response in (client.get("/readyz"), client.get("/v1/recommendations")):
        check_problem(response, 503)
        assert response.headers["retry-after"] == "1"
    assert client.get("/healthz").status_code == 200
