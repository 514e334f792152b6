"""Send requests to the online service at a fixed rate, and print what was measured as JSON.

    .venv/bin/python benchmarks/http_load.py http://127.0.0.1:8000 300 20 12000 20000

The arguments are the address, requests a second, seconds, products and customers of a synthetic
bundle. One request in ten stores a purchase; the others ask for recommendations to a customer.

The load is open: a request is due at a fixed time, whether or not the earlier ones were answered.
Its latency begins when it is due, so that a slow answer also delays those behind it. The generator
shares the cores with the service. Therefore it does as little as possible: the bytes of all
requests are ready before the clock starts, and a few connections stay open.
"""

import argparse
import gc
import json
import math
import random
import resource
import select
import signal
import socket
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

WRITE_SHARE = 0.1
N_CONNECTIONS = 128
"""More than the service lets wait, so that an overload is answered with 503 and seen."""
TIMEOUT = 30.0
"""Seconds that the last answers may take."""
ERROR = "error"
"""The status of a request whose connection failed, or that was not answered in time."""


@dataclass(frozen=True)
class LoadRequest:
    """A request that is ready to be sent.

    Attributes:
        kind: ``recommendations`` or ``event``.
        content: all bytes.
    """

    kind: str
    content: bytes


@dataclass
class Measured:
    """What was measured.

    Attributes:
        milliseconds: latencies of the successful answers, from the time when the request was due,
            by kind.
        statuses: number of requests by status, such as ``200``, or :data:`ERROR`.
        lags: milliseconds from the time when a request was due until it was sent.
        seconds: from the time when the first request was due to the last answer.
        cpu_seconds: processor time of the generator.
    """

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def n_answers(self) -> int:
        """Number of successful answers."""
        return sum(map(len, self.milliseconds.values()))


def make_purchase(rng: random.Random, n_products: int, n_customers: int) -> dict[str, Any]:
    """Return a purchase of a random customer and product of a synthetic bundle."""
    return {
        "event_id": uuid.UUID(int=rng.getrandbits(128)).hex,
        "event_type": "purchase",
        "user_id": str(rng.randrange(n_customers)),
        "item_id": f"P{1 + int(n_products * rng.random() ** 3):06d}",
    }


def make_requests(
    host: str, count: int, n_products: int, n_customers: int, seed: int = 5
) -> Iterator[LoadRequest]:
    """Make random requests.

    Args:
        host: host and port of the service.
        count: number of requests.
        n_products: size of the catalogue.
        n_customers: number of customers.
        seed: seed of the random numbers.
    """
    rng = random.Random(seed)
    for _ in range(count):
        purchase = make_purchase(rng, n_products, n_customers)
        if rng.random() < WRITE_SHARE:
            body = json.dumps(purchase).encode()
            head = (
                f"POST /v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            yield LoadRequest("event", head.encode() + body)
        else:
            path = f"/v1/recommendations?user_id={purchase['user_id']}"
            head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
            yield LoadRequest("recommendations", head.encode())


class _Connection:
    """A connection that has at most one request without an answer. A lost one is opened again."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.request: LoadRequest | None = None
        self.due = 0.0
        self._address = address
        self._socket: socket.socket | None = None
        self._is_complete = False
        self._is_kept = True

    def open(self) -> socket.socket:
        """Open the connection if it is not open."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, TIMEOUT)
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._parser = httptools.HttpResponseParser(self)
        return self._socket

    def send(self, request: LoadRequest, due: float) -> socket.socket:
        """Send a request, and return the socket that will have the answer."""
        self.request, self.due, self._is_complete = request, due, False
        opened = self.open()
        opened.sendall(request.content)
        return opened

    def receive(self) -> str | None:
        """Read what has arrived, and return the status of the answer if it is complete."""
        assert self._socket is not None
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionResetError("The service closed the connection.")
        self._parser.feed_data(received)
        if not self._is_complete:
            return None
        if not self._is_kept:
            self.close()
        return str(self._parser.get_status_code())

    def on_headers_complete(self) -> None:
        """Note whether the service keeps the connection open. The parser calls it.

        When the answer is complete, the parser knows it no more.
        """
        self._is_kept = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """Note that the answer is complete. The parser calls it."""
        self._is_complete = True

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Load:
    """Connections, and the requests that are due.

    Attributes:
        measured: what was measured so far.
        is_stopped: whether no more requests are sent.
    """

    def __init__(self, address: tuple[str, int], n_connections: int) -> None:
        self.measured = Measured()
        self.is_stopped = False
        # The connection that rested longest is the next, so that all workers of the service, each
        # of which has some of the connections, get requests.
        self._idle = deque(_Connection(address) for _ in range(n_connections))
        self._busy: dict[socket.socket, _Connection] = {}
        self._waiting: deque[tuple[LoadRequest, float]] = deque()
        for connection in self._idle:
            connection.open()

    def run(self, requests: Sequence[LoadRequest], rate: float, timeout: float) -> None:
        """Send each request when it is due, and read the answers."""
        started = time.perf_counter()
        last_due = started + (len(requests) - 1) / rate
        number = 0
        while True:
            now = time.perf_counter()
            if self.is_stopped and number < len(requests):
                number, last_due = len(requests), now
            while number < len(requests) and (due := started + number / rate) <= now:
                self._waiting.append((requests[number], due))
                number += 1
            while self._waiting and self._idle:
                self._send(*self._waiting.popleft())
            is_sent = number == len(requests)
            if is_sent and not self._busy and not self._waiting:
                break
            wake_at = last_due + timeout if is_sent else started + number / rate
            delay = wake_at - time.perf_counter()
            if is_sent and delay < 0:
                break
            # Its timeout has microseconds. That of epoll, and the timers of uvloop, have whole
            # milliseconds: each request would be sent half a millisecond late on average.
            for found in select.select(self._busy, (), (), max(0.0, delay))[0]:
                self._receive(found)
        self.measured.seconds = time.perf_counter() - started
        if n_left := len(self._busy) + len(self._waiting):
            self._count(ERROR, n_left)

    def _send(self, request: LoadRequest, due: float) -> None:
        connection = self._idle.popleft()
        self.measured.lags.append(1_000 * (time.perf_counter() - due))
        try:
            self._busy[connection.send(request, due)] = connection
        except OSError:
            self._fail(connection)

    def _receive(self, found: socket.socket) -> None:
        connection = self._busy[found]
        try:
            status = connection.receive()
        except (OSError, httptools.HttpParserError):
            del self._busy[found]
            self._fail(connection)
            return
        if status is None:
            return
        milliseconds = 1_000 * (time.perf_counter() - connection.due)
        del self._busy[found]
        self._idle.append(connection)
        self._count(status)
        if status.startswith("2") and connection.request is not None:
            kind = connection.request.kind
            self.measured.milliseconds.setdefault(kind, []).append(milliseconds)

    def _fail(self, connection: _Connection) -> None:
        connection.close()
        self._idle.append(connection)
        self._count(ERROR)

    def _count(self, status: str, count: int = 1) -> None:
        statuses = self.measured.statuses
        statuses[status] = statuses.get(status, 0) + count


def send_requests(
    url: str, requests: Sequence[LoadRequest], rate: float, timeout: float = TIMEOUT
) -> Measured:
    """Send requests at a fixed rate. SIGTERM ends it early.

    Args:
        url: address of the service.
        requests: the requests.
        rate: requests a second.
        timeout: seconds that the last answers may take.

    Raises:
        OSError: if the service does not listen.
    """
    parts = urlsplit(url)
    address = parts.hostname or "", parts.port or 80
    # Each connection is used once a second or more often, before the service closes it.
    load = _Load(address, min(N_CONNECTIONS, math.ceil(rate)))

    def stop(*_: object) -> None:
        load.is_stopped = True

    before = signal.signal(signal.SIGTERM, stop)
    gc.collect()
    gc.freeze()
    cpu_before = _read_cpu()
    load.run(requests, rate, timeout)
    load.measured.cpu_seconds = _read_cpu() - cpu_before
    signal.signal(signal.SIGTERM, before)
    return load.measured


def _read_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Send the requests and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("products", type=int)
    parser.add_argument("customers", type=int)
    arguments = parser.parse_args()
    count = int(arguments.rate * arguments.seconds)
    host = urlsplit(arguments.url).netloc
    requests = list(make_requests(host, count, arguments.products, arguments.customers))
    print(json.dumps(asdict(send_requests(arguments.url, requests, arguments.rate))))


if __name__ == "__main__":
    main()
