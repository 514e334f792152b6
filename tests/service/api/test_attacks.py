"""Malformed and malicious requests. None of them is answered with 500."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from bazar.config.service import ServiceOptions
from bazar.ingestion.times import is_possible
from tests.service.api.conftest import Connect
from tests.service.api.requests import check_problem, recommend, send

JSON = {"Content-Type": "application/json"}
EVENT = {"event_id": "1", "event_type": "view", "item_id": "soap", "user_id": "bob"}


def post(client: TestClient, body: bytes | str, path: str = "/v1/events") -> Any:
    return client.post(path, content=body, headers=JSON)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe\x00",
        b"\x00",
        b'{"a": 1}}',
        b"[" * 200_000,
        b'{"events":' * 100_000,
        b'{"events":[' * 50_000 + b"]}" * 50_000,
        b"1" * 10_000,
        b'{"event_id": ' + b"9" * 5_000 + b"}",
        b"nan",
    ],
)
def test_bodies_that_are_no_json_are_rejected(client: TestClient, body: bytes) -> None:
    response = post(client, body)
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < 1_000


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"3", b'"text"', b"true", b"{}", b'{"events": []}']
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/items", "/v1/page", "/v1/recommendations"])
def test_bodies_of_another_shape_are_rejected(client: TestClient, body: bytes, path: str) -> None:
    if (path, body) == ("/v1/recommendations", b"{}"):
        assert post(client, body, path).status_code == 200
    else:
        check_problem(post(client, body, path), 422)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", float("nan")), ("price", float("inf")), ("price", -1), ("price", 10**400),
        ("price", "1e999"), ("quantity", -float("inf")), ("quantity", [1]), ("quantity", 1e300),
        ("event_type", "theft"), ("event_type", {"a": 1}), ("event_id", ""),
        ("event_id", "a" * 513), ("event_id", 7), ("event_id", None),
        ("item_id", "a\x00b"), ("item_id", "\ud800"),
        ("user_id", "\udfff\ud800"), ("user_id", ["bob"]), ("timestamp", "soon"),
        ("timestamp", 10**30), ("timestamp", "0001-01-01T00:00:00+14:00"),
        ("timestamp", "9999-12-31T23:59:59-14:00"), ("timestamp", "-1"), ("order_id", "\x00"),
        ("is_admin", True), ("__class__", "x"), ("\ud800", 1),
    ],
)  # fmt: skip
def test_invalid_values_are_rejected(client: TestClient, field: str, value: Any) -> None:
    response = post(client, json.dumps(EVENT | {field: value}))
    assert response.status_code in {400, 422}
    response = post(client, json.dumps({"events": [EVENT, EVENT | {field: value}]}))
    assert response.status_code in {400, 422}


def test_ids_of_any_letters_are_stored_and_found(connect: Connect) -> None:
    client = connect()
    for number, user in enumerate(
        ["🛒", "a/b", "..", "%2e", "д", "'; DROP TABLE x; --", " ", "a\nb"]
    ):
        send(client, str(number), "cart", "bread", user_id=user)
        assert recommend(client, user_id=user, k=1) == ["butter"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../healthz",
        "/v1/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/docs/%2e%2e%2fcore.py",
        "/docs/..%5c..%5cx",
        "/v1/items/%00/similar",
        "/v1/items/%ff%fe/similar",
        "/v1/items//similar",
        "/v1/items/" + "a" * 5_000 + "/similar",
        "/v1/items/..%2f..%2fsimilar",
        "/%",
    ],
)
def test_odd_paths_lead_nowhere(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code in {404, 422} or path == "/v1/../healthz"
    assert "root:" not in response.text


@pytest.mark.parametrize(
    "query",
    [
        "k=1000000000",
        "k=-1",
        "k=1e3",
        "k=" + "9" * 5_000,
        "user_id=%00",
        "session_id=%00",
        "categories=" + "a" * 11_000,
        "min_price=nan",
        "max_price=inf",
        "max_title_cosine=nan",
        "cursor=" + "A" * 5_000,
        "cursor=%F0%9F%9B%92",
        "exclude=%00",
        "at=999999999999999999999",
        "at=0001-01-01T00:00:00%2B14:00",
        "user_id=a&user_id=b&" + "x=1&" * 3_000,
        "filter_seen=perhaps",
        "=&&==",
    ],
)
def test_odd_queries_are_rejected(client: TestClient, query: str) -> None:
    check_problem(client.get(f"/v1/recommendations?{query}"), 422)


def test_odd_texts_are_searched_for(client: TestClient) -> None:
    for query in ("%", "_", "'", '"', "🛒", "a" * 200, "\u202e", "\u0301" * 200, "(((((", "\\"):
        assert client.get("/v1/search", params={"query": query}).status_code == 200


def test_events_in_the_future_are_rejected(connect: Connect) -> None:
    client = connect(max_clock_error_seconds=60)
    now = datetime.now(UTC)
    late = (now + timedelta(hours=1)).isoformat()
    check_problem(
        send(client, "1", "view", "soap", timestamp=late), 422, "Leave it out", field="timestamp"
    )
    soon = (now + timedelta(seconds=30)).isoformat()
    assert send(client, "2", "purchase", "soap", timestamp=soon).json()["n_stored"] == 1
    naive = now.replace(tzinfo=None).isoformat()
    assert send(client, "3", "purchase", "jam", timestamp=naive).json()["n_stored"] == 1
    assert not {"soap", "jam"} & set(recommend(client, user_id="bob", k=30, filter_seen=True))


def test_events_are_accepted_from_1995_to_a_day_after_the_clock_as_in_a_training(
    connect: Connect,
) -> None:
    day = 86_400
    with pytest.raises(ValidationError, match="less than or equal to 86400"):
        ServiceOptions(max_clock_error_seconds=day + 1)
    client = connect(max_clock_error_seconds=day)
    now = datetime.now(UTC)
    accepted = [
        "1995-01-01T00:00:00Z",
        "1994-12-31T23:00:00-01:00",
        (now + timedelta(seconds=day - 60)).isoformat(),
    ]
    rejected = [
        "1994-12-31T23:59:59.999Z",
        "1995-01-01T00:59:59+01:00",
        "1970-01-01T00:00:00Z",
        (now + timedelta(seconds=day + 60)).isoformat(),
        "2999-01-01T00:00:00Z",
    ]
    for number, time in enumerate(accepted):
        stored = send(client, str(number), "purchase", "milk", timestamp=time)
        assert stored.json()["outcomes"] == ["new"]
        assert is_accepted_by_ingestion(time)
    for time in rejected:
        response = send(client, "late", "purchase", "milk", timestamp=time)
        check_problem(response, 422, "timestamp: must ", time[:10], field="timestamp")
        assert not is_accepted_by_ingestion(time)
    event = EVENT | {"timestamp": rejected[0]}
    check_problem(
        post(client, json.dumps({"events": [EVENT, event]})),
        422,
        "must not be before 1995-01-01",
        field="events.1.timestamp",
    )


def is_accepted_by_ingestion(time: str) -> bool:
    milliseconds = round(datetime.fromisoformat(time).timestamp() * 1000)
    now = round(datetime.now(UTC).timestamp() * 1000)
    accepted: bool = is_possible(ibis.literal(milliseconds), now).to_pyarrow().as_py()
    return accepted


def test_a_request_of_the_far_past_or_future_is_answered(client: TestClient) -> None:
    for at in ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        for path in ("/v1/recommendations", "/v1/buy-again"):
            params = {"user_id": "alice", "at": at, "explain": True}
            assert client.get(path, params=params).status_code == 200


def test_a_line_break_belongs_to_the_id(connect: Connect) -> None:
    client = connect()
    for number, user in enumerate(["bob", "bob\n", "a\r\nb"]):
        send(client, str(number), "cart", "bread", user_id=user)
    for path in ("bob%0A", "a%0D%0Ab"):
        assert client.delete(f"/v1/users/{path}").json()["n_events"] == 1
    assert client.delete("/v1/users/bob").json()["n_events"] == 1
    change = {"in_stock": False}
    check_problem(client.patch("/v1/items/soap%0A", json=change), 404, "'soap\\n'")
    check_problem(client.get("/v1/items/soap%0Ax/similar"), 404, field="item_id")


def test_errors_do_not_repeat_long_values(client: TestClient) -> None:
    response = client.get("/v1/recommendations", params={"model": "x" * 500, "k": "y" * 50_000})
    assert len(response.content) < 1_000
    response = post(client, json.dumps({"x" * 100_000: 1}))
    assert len(response.content) < 2_000


def test_methods_that_a_path_does_not_have_are_rejected(client: TestClient) -> None:
    for method in ("PUT", "TRACE", "CONNECT", "PROPFIND", "OPTIONS"):
        assert client.request(method, "/v1/events").status_code == 405
