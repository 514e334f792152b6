"""Real connections of clients that send or read too much, too little or too slowly."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import uvicorn

from bazar.config.service import ServiceOptions
from bazar.service.api.app import create_app
from bazar.service.api.protocol import MAX_OVERHEAD_BYTES
from bazar.service.api.server import _configure, listen
from bazar.service.loading import BundleLoader
from bazar.service.store import LiveStore

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
EVENT = b'{"event_id":"1","event_type":"view","item_id":"soap","user_id":"bob"}'
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

Connect = Callable[[], socket.socket]


@contextmanager
def run_service(bundle: Path, store: LiveStore, **options: float) -> Iterator[Connect]:
    """Run the web server in a thread, and return a function that opens a connection."""
    parsed = ServiceOptions.model_validate(options)
    app = create_app(BundleLoader(bundle, store), parsed, uses_keys=False)
    server = uvicorn.Server(_configure(app, parsed))
    with listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield partial(socket.create_connection, address, 30)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def connect(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    store = LiveStore(f"sqlite:///{tmp_path_factory.mktemp('protocol')}/live.db")
    with run_service(bundle, store) as connect:
        yield connect
    store.close()


@pytest.fixture
def connect_impatient(bundle: Path, sqlite_store: LiveStore) -> Iterator[Connect]:
    with run_service(bundle, sqlite_store, body_timeout_seconds=0.2) as connect:
        yield connect


def receive_all(connection: socket.socket) -> bytes:
    """Return what is sent until the connection is closed."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


def send_until_closed(connection: socket.socket, part: bytes) -> int:
    """Send a part again and again until the connection is closed; return the number of bytes."""
    n_sent = 0
    try:
        while True:
            connection.sendall(part)
            n_sent += len(part)
    except OSError:
        return n_sent


def test_large_headers_are_rejected(connect: Connect) -> None:
    with connect() as connection:
        connection.sendall(HEAD + b"X: " + b"a" * MAX_OVERHEAD_BYTES)
        answer = receive_all(connection)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"application/problem+json" in answer
    with connect() as connection:
        connection.sendall(HEAD + b"Connection: close\r\nX: " + b"a" * 50_000 + b"\r\n\r\n")
        assert receive_all(connection).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"GET /", b"a" * 10_000),
        (HEAD + b"X: ", b"a" * 10_000),
        (HEAD, b"X: a\r\n" * 2_000),
        (b"", b"\r\n" * 5_000),
        (CHUNKED + b"1;", b"a" * 10_000),
        (CHUNKED + b"1\r\n \r\n0\r\n", b"X: a\r\n" * 2_000),
        (CHUNKED + b"1\r\n \r\n0\r\nX: ", b"a" * 10_000),
    ],
)
def test_endless_requests_are_cut(connect: Connect, start: bytes, part: bytes) -> None:
    with connect() as connection:
        connection.sendall(start)
        # Some megabytes are in the buffers of the system.
        assert send_until_closed(connection, part) < 30_000_000


def test_bodies_in_small_chunks_are_read(connect: Connect) -> None:
    # Most of it is no part of the body, and it is longer than the limit of that.
    body = EVENT + b" " * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    with connect() as connection:
        connection.sendall(CHUNKED + chunks + b"0\r\nAuthorization: Bearer x\r\n\r\n")
        connection.sendall(HEAD + b"Connection: close\r\n\r\n")
        answer = receive_all(connection)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b'"n_stored":1' in answer


def test_fields_after_the_body_are_no_headers(connect: Connect) -> None:
    # Without its header, the body has no type.
    head = CHUNKED.replace(b"Content-Type: application/json\r\n", b"Connection: close\r\n")
    body = b"%x\r\n%s\r\n0\r\nContent-Type: application/json\r\n\r\n" % (len(EVENT), EVENT)
    with connect() as connection:
        connection.sendall(head + body)
        assert receive_all(connection).startswith(b"HTTP/1.1 415 ")


def test_many_requests_in_one_packet_are_answered(connect: Connect) -> None:
    with connect() as connection:
        connection.sendall((HEAD + b"\r\n") * 300 + HEAD + b"Connection: close\r\n\r\n")
        assert receive_all(connection).count(b"HTTP/1.1 200 OK") == 301


@pytest.mark.parametrize(
    ("start", "part", "n_answers"),
    [
        (b"", b"", 0),
        (HEAD, b"X", 0),
        (HEAD + b"\r\n", b"\r\n", 1),
        (HEAD + b"\r\n" + HEAD, b"X", 1),
        (HEAD.replace(b"localhost", b"evil") + b"Content-Length: 900000\r\n\r\n", b"a", 1),
        (POST + b"Content-Length: 900000\r\n\r\n", b" ", 1),
    ],
)
def test_clients_that_send_too_slowly_are_given_up(
    connect_impatient: Connect, start: bytes, part: bytes, n_answers: int
) -> None:
    with connect_impatient() as connection:
        connection.sendall(start)
        is_closed = threading.Event()

        def send_slowly() -> None:
            while not is_closed.is_set():
                try:
                    connection.sendall(part)
                except OSError:
                    return
                time.sleep(0.02)

        thread = threading.Thread(target=send_slowly)
        thread.start()
        answer = receive_all(connection)
        is_closed.set()
        thread.join()
    assert answer.count(b"HTTP/1.1 ") == n_answers


def test_a_client_that_does_not_read_is_given_up(connect_impatient: Connect) -> None:
    request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect_impatient() as connection:
        # The answers are larger than all buffers.
        connection.sendall(request * 20)
        send_until_closed(connection, b"\r\n" * 10_000)
        assert receive_all(connection).count(b"HTTP/1.1 200 OK") < 20


def test_further_connections_are_rejected(bundle: Path, sqlite_store: LiveStore) -> None:
    with run_service(bundle, sqlite_store, max_connections=2) as connect:
        opened = [connect() for _ in range(4)]
        for connection in opened:
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")
        with connect() as connection:
            answer = receive_all(connection).lower()
        assert answer.startswith(b"http/1.1 503 service unavailable\r\n")
        assert b"retry-after: 1\r\n" in answer
        for connection in opened:
            connection.close()
        while True:
            with connect() as connection:
                connection.sendall(HEAD + b"Connection: close\r\n\r\n")
                if receive_all(connection).startswith(b"HTTP/1.1 200 "):
                    break
