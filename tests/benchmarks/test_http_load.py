"""The generator of load, against a server that does what the path of a request says."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import http_load
import pytest
from http_load import ERROR, LoadRequest, make_requests, send_requests

SLOW_SECONDS = 0.3


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/broken":
            self.close_connection = True
            return
        if self.path == "/slow":
            time.sleep(SLOW_SECONDS)
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", "2")
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = http_load.N_CONNECTIONS
    n_connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.n_connections += 1
        super().process_request(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(server: _Server) -> str:
    return server.url


def get(*paths: str) -> list[LoadRequest]:
    return [
        LoadRequest(path, f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for path in paths
    ]


def test_every_request_is_counted_once(url: str) -> None:
    requests = get("good", "busy", "broken", "last", "good") * 4
    measured = send_requests(url, requests, rate=500)
    assert measured.statuses == {"200": 12, "503": 4, ERROR: 4}
    # A rejected request is answered quickly. It must not improve the latencies.
    assert {kind: len(found) for kind, found in measured.milliseconds.items()} == {
        "good": 8,
        "last": 4,
    }
    assert measured.n_answers == 12
    assert len(measured.lags) == len(requests)
    assert measured.seconds >= (len(requests) - 1) / 500
    assert measured.cpu_seconds > 0


def test_latency_begins_when_a_request_is_due(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_load, "N_CONNECTIONS", 1)
    measured = send_requests(url, get("slow", "good"), rate=1_000)
    # The second one waits for the first one, and is then answered at once.
    assert measured.milliseconds["good"][0] > 1_000 * SLOW_SECONDS - 100
    assert measured.lags[1] > 1_000 * SLOW_SECONDS - 100


def test_connections_stay_open_until_the_service_closes_them(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_load, "N_CONNECTIONS", 2)
    before = server.n_connections
    send_requests(server.url, get("good") * 20, rate=1_000)
    assert server.n_connections == before + 2
    send_requests(server.url, get("last") * 6, rate=50)
    assert server.n_connections == before + 2 + 6


def test_a_request_without_an_answer_is_an_error(url: str) -> None:
    measured = send_requests(url, get("good", "slow"), rate=100, timeout=0.05)
    assert measured.statuses == {"200": 1, ERROR: 1}


def test_requests_are_complete() -> None:
    requests = list(make_requests("localhost:1", 200, n_products=30, n_customers=40))
    events = [request.content for request in requests if request.kind == "event"]
    assert 5 < len(events) < 40
    found = set()
    for content in events:
        head, _, body = content.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}" in head.decode().splitlines()
        purchase = json.loads(body)
        assert 0 <= int(purchase["user_id"]) < 40
        assert 1 <= int(purchase["item_id"][1:]) <= 30
        found.add(purchase["event_id"])
    assert len(found) == len(events)
