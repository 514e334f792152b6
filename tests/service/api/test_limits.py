"""Limits of size, time, rate and number."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from bazar.service.api.limits import RateLimit
from bazar.service.api.pool import BoundedPool
from bazar.service.api.problems import ProblemError
from bazar.service.store import ItemChange
from tests.service.api.conftest import Connect
from tests.service.api.requests import check_problem

JSON = {"Content-Type": "application/json"}


def test_large_bodies_are_rejected(connect: Connect) -> None:
    client = connect(max_body_bytes=1_000)
    check_problem(client.post("/v1/events", content=b" " * 1_001, headers=JSON), 413, "1000 bytes")
    check_problem(client.post("/v1/events", content=b" " * 1_000, headers=JSON), 400)


def test_no_more_of_an_endless_body_is_read_than_the_limit(connect: Connect) -> None:
    client = connect(max_body_bytes=1_000)
    status, n_read = asyncio.run(call_with_chunks(client, lambda: b"x" * 100))
    assert status == 413
    assert n_read == 11


def test_a_client_that_stops_sending_is_given_up(connect: Connect) -> None:
    client = connect(body_timeout_seconds=0.05)

    async def wait() -> bytes:
        await asyncio.sleep(60)
        return b""

    assert asyncio.run(call_with_chunks(client, wait)) == (408, 1)


async def call_with_chunks(client: TestClient, make_chunk: object) -> tuple[int, int]:
    """Send a body in chunks; return the status, and the number of chunks that were read."""
    n_read, statuses = 0, []

    async def receive() -> dict[str, object]:
        nonlocal n_read
        n_read += 1
        chunk = make_chunk()  # type: ignore[operator]
        body = await chunk if asyncio.iscoroutine(chunk) else chunk
        return {"type": "http.request", "body": body, "more_body": True}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "state": {},
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }  # fmt: skip
    await client.app(scope, receive, send)  # type: ignore[arg-type]
    return statuses[0], n_read


@contextmanager
def blocked_answers(client: TestClient) -> Iterator[None]:
    """Let answers wait, as they do for a database that is slow."""
    gateway = client.app_state["loader"].gateway
    gateway.store.change_items([ItemChange("soap", in_stock=True)])
    with gateway._live._read_lock:
        yield


def test_a_full_queue_is_a_503(connect: Connect) -> None:
    client = connect(threads=1, max_waiting=1)
    statuses: list[int] = []
    with blocked_answers(client):
        threads = [
            threading.Thread(
                target=lambda: statuses.append(client.get("/v1/recommendations").status_code)
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        while len(statuses) < 4:
            threading.Event().wait(0.01)
        response = client.get("/v1/recommendations")
        check_problem(response, 503, "busy")
        assert response.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        # Events have their own threads.
        event = {"event_id": "1", "event_type": "view", "item_id": "soap", "user_id": "bob"}
        assert client.post("/v1/events", json=event).status_code == 200
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 503, 503, 503, 503]
    assert client.get("/v1/recommendations").status_code == 200


def test_an_answer_that_takes_too_long_is_a_503(connect: Connect) -> None:
    client = connect(timeout_seconds=0.05)
    with blocked_answers(client):
        check_problem(client.get("/v1/recommendations"), 503, "no answer in time")


def test_too_many_requests_at_once_are_a_503(connect: Connect) -> None:
    client = connect(threads=1, max_connections=1)

    def ask() -> None:
        # The other thread may have the only place when this request comes.
        while client.get("/v1/recommendations").status_code == 503:
            pass

    with blocked_answers(client):
        thread = threading.Thread(target=ask)
        thread.start()
        while client.get("/healthz").status_code != 503:
            pass
        check_problem(client.get("/healthz"), 503, "too many")
    thread.join()
    assert client.get("/healthz").status_code == 200


def test_a_pool_passes_results_and_errors_on_and_releases_its_places() -> None:
    pool = BoundedPool("test", threads=1, max_waiting=0, timeout_seconds=10)

    async def use() -> None:
        for _ in range(3):
            assert await pool.run(divmod, 7, 2) == (3, 1)
            with pytest.raises(ZeroDivisionError):
                await pool.run(divmod, 1, 0)

    asyncio.run(use())
    pool.close()


def test_a_call_that_is_too_slow_keeps_its_place_until_it_ends() -> None:
    pool = BoundedPool("test", threads=1, max_waiting=0, timeout_seconds=0.01)
    end = threading.Event()

    async def use() -> None:
        with pytest.raises(ProblemError, match="in time"):
            await pool.run(end.wait)
        with pytest.raises(ProblemError, match="busy"):
            await pool.run(int)
        end.set()
        while True:
            try:
                assert await pool.run(int) == 0
            except ProblemError:
                continue
            return

    asyncio.run(use())
    pool.close()


def test_a_pool_that_is_closed_does_not_wait_for_ever() -> None:
    pool = BoundedPool("test", threads=1, max_waiting=2, timeout_seconds=0.05)
    end = threading.Event()

    async def use() -> None:
        calls = [asyncio.create_task(pool.run(end.wait)) for _ in range(3)]
        await asyncio.wait(calls)

    asyncio.run(use())
    assert not pool.close()
    end.set()
    idle = BoundedPool("test", threads=1, max_waiting=0, timeout_seconds=60)
    asyncio.run(idle.run(int))
    assert idle.close()


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
    st.floats(0.1, 20),
    st.integers(1, 10),
)
def test_a_rate_is_kept_in_every_interval(
    pauses: list[float], per_second: float, burst: int
) -> None:
    times = [0.0]
    limit = RateLimit(per_second, burst, clock=lambda: times[-1])
    passed = []
    for pause in pauses:
        times.append(times[-1] + pause)
        delay = limit.find_delay("key")
        if delay == 0:
            passed.append(times[-1])
        else:
            assert delay <= 1 / per_second + 1e-9
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            allowed = burst + (passed[last] - passed[first]) * per_second
            assert last - first + 1 <= allowed + 1e-6


def test_forgotten_clients_start_again() -> None:
    limit = RateLimit(0.001, 1, clock=lambda: 0.0)
    assert limit.find_delay("first") == 0
    assert limit.find_delay("first") > 0
    for number in range(10_001):
        limit.find_delay(f"key {number}")
    assert len(limit._buckets) == 10_000
    assert limit.find_delay("first") == 0
