"""Keys, origins, headers and logs."""

import json
import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from bazar.errors import InputError
from bazar.service.api.logs import JsonFormatter
from bazar.service.api.security import decide_key_use, is_local_request, is_loopback
from bazar.service.store import LiveStore
from tests.service.api.conftest import Connect
from tests.service.api.requests import check_problem

EVENT = {"event_id": "1", "event_type": "view", "item_id": "soap", "user_id": "bob"}


@pytest.fixture
def protected(connect: Connect) -> TestClient:
    return connect(uses_keys=True)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_server_key_may_do_everything(protected: TestClient, sqlite_store: LiveStore) -> None:
    secret = sqlite_store.create_key("server").secret
    for headers in (bearer(secret), {"X-API-Key": secret}):
        for path in ("/v1/recommendations", "/v1/bundle", "/metrics"):
            assert protected.get(path, headers=headers).status_code == 200
    answer = protected.post("/v1/events", json=EVENT, headers=bearer(secret))
    assert answer.json()["outcomes"] == ["new"]


def test_a_publishable_key_writes_events_and_learns_nothing(
    protected: TestClient, sqlite_store: LiveStore
) -> None:
    headers = bearer(sqlite_store.create_key("publishable").secret)
    answers = [protected.post("/v1/events", json=EVENT, headers=headers) for _ in range(2)]
    answers.append(protected.post("/v1/events", json=EVENT | {"item_id": "x"}, headers=headers))
    assert [set(answer.json()) for answer in answers] == [{"n_received", "bundle_id"}] * 3
    assert len({answer.content for answer in answers}) == 1
    assert len(sqlite_store.read_events("bob")) == 1
    for method, path in (
        ("GET", "/v1/recommendations?user_id=bob"),
        ("GET", "/v1/events"),
        ("GET", "/metrics"),
        ("POST", "/v1/items"),
        ("POST", "/v1/events/"),
        ("POST", "//v1/events"),
        ("PATCH", "/v1/items/soap"),
        ("DELETE", "/v1/users/bob"),
        ("POST", "/v1/bundle/reload"),
    ):
        check_problem(protected.request(method, path, headers=headers), 403, "publishable")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        bearer("bazar_server_forged"),
        bearer("' OR 1=1 --"),
        bearer("a" * 20_000),
        {"X-API-Key": "\xff\xfe"},
        {"X-API-Key": "bazar_publishable_forged"},
    ],
)
def test_requests_without_a_valid_key_are_rejected(
    protected: TestClient, sqlite_store: LiveStore, headers: dict[str, str]
) -> None:
    sqlite_store.create_key("server")
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (
        ("GET", "/v1/recommendations"),
        ("POST", "/v1/events"),
        ("GET", "/metrics"),
        ("GET", "/v1/%2e%2e/metrics"),
        ("GET", "/healthz/../metrics"),
        ("GET", "/docs/../v1/bundle"),
        ("GET", "//metrics"),
        ("GET", "/nothing"),
    ):
        response = protected.request(method, path, headers=encoded)
        assert response.status_code in {401, 404}
        assert "bazar_requests" not in response.text
    check_problem(protected.get("/v1/bundle", headers=encoded), 401)
    assert protected.get("/v1/bundle", headers=encoded).headers["www-authenticate"] == "Bearer"


def test_a_body_is_not_read_without_a_key(protected: TestClient) -> None:
    check_problem(protected.post("/v1/events", content=b"{" * 2_000_000), 401)


def test_a_revoked_key_is_rejected_by_the_next_request(
    protected: TestClient, sqlite_store: LiveStore
) -> None:
    key = sqlite_store.create_key("server")
    assert protected.get("/v1/bundle", headers=bearer(key.secret)).status_code == 200
    sqlite_store.revoke_key(key.key_id)
    check_problem(protected.get("/v1/bundle", headers=bearer(key.secret)), 401, "revoked")


def test_health_and_reference_need_no_key(protected: TestClient) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/docs/swagger-ui.css", "/openapi.json"):
        assert protected.get(path).status_code == 200


def test_each_key_has_its_own_rate(connect: Connect, sqlite_store: LiveStore) -> None:
    client = connect(uses_keys=True, requests_per_second=0.001, burst=2)
    first, second = (bearer(sqlite_store.create_key("server").secret) for _ in range(2))
    assert [client.get("/v1/bundle", headers=first).status_code for _ in range(3)] == [
        200,
        200,
        429,
    ]
    response = client.get("/v1/bundle", headers=first)
    check_problem(response, 429, "0.001 requests per second")
    assert int(response.headers["retry-after"]) > 1
    assert client.get("/v1/bundle", headers=second).status_code == 200
    assert client.get("/healthz", headers=first).status_code == 200


def test_without_keys_only_requests_to_this_computer_are_answered(client: TestClient) -> None:
    for host in ("localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.1.2.3"):
        assert client.get("/v1/bundle", headers={"Host": host}).status_code == 200
    for host in ("shop.example", "shop.example:8000", "127.0.0.1.evil.example", "", "[::2]:80"):
        check_problem(client.get("/v1/bundle", headers={"Host": host}), 421, "localhost")


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True),
        ("localhost", True), ("LOCALHOST", True), ("0.0.0.0", False), ("::", False),
        ("192.168.1.2", False), ("shop.example", False), ("", False), ("127.0.0.1.example", False),
    ],
)  # fmt: skip
def test_addresses_of_this_computer(host: str, is_local: bool) -> None:
    assert is_loopback(host) == is_local


@pytest.mark.parametrize("header", ["[::1", "::1", ":", "a:b:c", "[", "]", "\x00"])
def test_odd_host_headers_raise_nothing(header: str) -> None:
    is_local_request(header)


def test_other_addresses_need_a_server_key(tmp_path: Path) -> None:
    store = LiveStore(f"sqlite:///{tmp_path}/live.db")
    assert not decide_key_use(store, "127.0.0.1", is_required=False)
    with pytest.raises(InputError, match=r"does not start on 0\.0\.0\.0"):
        decide_key_use(store, "0.0.0.0", is_required=False)
    with pytest.raises(InputError, match="require_keys"):
        decide_key_use(store, "localhost", is_required=True)
    store.create_key("publishable")
    with pytest.raises(InputError, match="without a server key"):
        decide_key_use(store, "localhost", is_required=False)
    key = store.create_key("server")
    assert decide_key_use(store, "0.0.0.0", is_required=False)
    assert decide_key_use(store, "localhost", is_required=False)
    store.revoke_key(key.key_id)
    with pytest.raises(InputError):
        decide_key_use(store, "::", is_required=False)
    store.close()


def test_browsers_may_send_events_from_configured_origins_alone(
    connect: Connect, sqlite_store: LiveStore
) -> None:
    client = connect(uses_keys=True, cors_origins=["https://shop.example"])
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    shop, evil = {"Origin": "https://shop.example"}, {"Origin": "https://evil.example"}
    allowed = client.options("/v1/events", headers=shop | asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    rejected = client.options("/v1/events", headers=evil | asked)
    assert "access-control-allow-origin" not in rejected.headers
    key = bearer(sqlite_store.create_key("publishable").secret)
    answer = client.post("/v1/events", json=EVENT, headers=shop | key)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    # A script can read why the request was rejected.
    answer = client.post("/v1/events", json=EVENT, headers=shop)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in answer.headers


def test_without_configured_origins_no_page_may_read_an_answer(client: TestClient) -> None:
    answer = client.get("/v1/bundle", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_another_site_cannot_send_a_form(client: TestClient) -> None:
    for media_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ):
        response = client.post(
            "/v1/events", content=json.dumps(EVENT), headers={"Content-Type": media_type}
        )
        check_problem(response, 415, "application/json")


def test_answers_have_headers_that_protect_browsers(client: TestClient) -> None:
    for path in ("/v1/recommendations", "/nothing", "/healthz"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
    assert "server" not in client.get("/healthz").headers


def test_the_reference_loads_nothing_from_other_hosts(client: TestClient) -> None:
    page = client.get("/docs")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "'unsafe-eval'" not in page.headers["content-security-policy"]
    assert "'sha256-" in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert client.get(f"/docs/{name}").status_code == 200
    for name in ("core.py", "..%2fcore.py", "%2e%2e/core.py", "redoc.standalone.js"):
        assert client.get(f"/docs/{name}").status_code == 404


def test_logs_contain_no_personal_data(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    client = connect()
    secret = "alice.private@mail.example"
    client.get("/v1/recommendations", params={"user_id": secret, "session_id": secret})
    client.get("/v1/search", params={"query": secret, "user_id": ""})
    client.post("/v1/events", json=EVENT | {"user_id": secret, "event_type": secret})
    client.post("/v1/events", json=EVENT | {"user_id": secret})
    client.delete(f"/v1/users/{secret}")
    client.get(f"/{secret}")
    client.app_state["loader"].gateway.store.close()
    formatter = JsonFormatter()
    lines = [formatter.format(record) for record in caplog.records]
    assert len(lines) >= 6
    assert not [line for line in lines if "private" in line]
    assert "testclient" not in "".join(lines)
    logged = [json.loads(line) for line in lines if '"route"' in line]
    assert {"/v1/recommendations", "/v1/users/{user_id}", "other"} <= {
        line["route"] for line in logged
    }
    assert all(line["milliseconds"] >= 0 for line in logged)


def test_logs_of_failures_contain_places_and_no_messages() -> None:
    try:
        raise ValueError("alice.private@mail.example")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("a", logging.ERROR, "", 0, "failed", (), info)
    line = json.loads(JsonFormatter().format(record))
    assert line["error"] == "ValueError"
    assert "test_security.py" in line["places"][0]
    assert "alice" not in str(line)
