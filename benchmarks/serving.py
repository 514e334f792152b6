"""Measure the online service: start, memory, latency under load, kills, swaps and invalid requests.

    .venv/bin/python benchmarks/serving.py load
    .venv/bin/python benchmarks/serving.py kills --times 20
    .venv/bin/python benchmarks/serving.py swaps --times 50
    .venv/bin/python benchmarks/serving.py fuzz --examples 10000

``load`` starts the service for synthetic catalogues of 12,000 and 112,000 products and sends
requests at a fixed rate from a second process. The latency of a request begins when it is due, not
when it is sent, so that a slow answer also delays those behind it. One request in ten stores a
purchase; the others ask for recommendations to customers of the shop.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from synthetic_bundle import N_CUSTOMERS, SIZES, write_synthetic_bundle
from timing import describe_machine

SECONDS = 20
RATES = {12_000: 300, 112_000: 100}
"""Requests a second by the number of products."""
WRITE_SHARE = 0.1
_START_TIMEOUT = 120


@dataclass
class Service:
    """A service that runs in a process of its own.

    Attributes:
        process: the process.
        url: base URL.
        seconds_to_answer: seconds from the start of the process to its first answer.
    """

    process: subprocess.Popen[bytes]
    url: str
    seconds_to_answer: float

    @property
    def memory(self) -> float:
        """Resident memory of the process and its workers, in MB (10^6 bytes)."""
        return sum(_read_memory(pid) for pid in _list_processes(self.process.pid))


@contextmanager
def run_service(
    bundle: Path, database: Path, port: int | None = None, workers: int = 1
) -> Iterator[Service]:
    """Start the service, wait for its first answer, and stop it at the end.

    Args:
        bundle: folder of the bundle.
        database: the SQLite file.
        port: the port; None for any.
        workers: number of processes.
    """
    number = _find_free_port() if port is None else port
    command = [
        sys.executable, "-m", "bazar.service.command", "serve", str(bundle), "--port", str(number),
        "--database", f"sqlite:///{database}", "--workers", str(workers),
    ]  # fmt: skip
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    url = f"http://127.0.0.1:{number}"
    try:
        _wait_for_answer(process, url)
        yield Service(process, url, time.perf_counter() - started)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for_answer(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"The service ended with the exit code {process.returncode}.")
        try:
            if httpx.get(f"{url}/v1/recommendations", params={"user_id": "1"}).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.01)
    raise SystemExit(f"The service did not answer within {_START_TIMEOUT} seconds.")


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _list_processes(pid: int) -> list[int]:
    """Return a process and all processes that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _list_processes(int(child)))]


def _read_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


# Load at a fixed rate.


@dataclass
class Measured:
    """Latencies of requests in milliseconds, by kind, and the number of answers by status."""

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)


def make_purchase(rng: random.Random, n_products: int) -> dict[str, Any]:
    """Return a purchase of a random customer and product."""
    return {
        "event_id": uuid.UUID(int=rng.getrandbits(128)).hex,
        "event_type": "purchase",
        "user_id": str(rng.randrange(N_CUSTOMERS)),
        "item_id": f"P{1 + int(n_products * rng.random() ** 3):06d}",
    }


async def send_requests(url: str, rate: int, seconds: float, n_products: int) -> Measured:
    """Send requests at a fixed rate, and measure each from the time when it is due.

    Args:
        url: base URL of the service.
        rate: requests a second.
        seconds: duration.
        n_products: size of the catalogue.
    """
    rng, measured = random.Random(5), Measured()
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    started = time.perf_counter()

    async def send(number: int, client: httpx.AsyncClient) -> None:
        due = started + number / rate
        is_write = rng.random() < WRITE_SHARE
        purchase = make_purchase(rng, n_products)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if is_write:
            answer = await client.post("/v1/events", json=purchase)
        else:
            user = {"user_id": purchase["user_id"]}
            answer = await client.get("/v1/recommendations", params=user)
        kind = "event" if is_write else "recommendations"
        measured.milliseconds.setdefault(kind, []).append(1_000 * (time.perf_counter() - due))
        status = str(answer.status_code)
        measured.statuses[status] = measured.statuses.get(status, 0) + 1

    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        await asyncio.gather(*(send(number, client) for number in range(int(rate * seconds))))
    return measured


def measure_load(arguments: argparse.Namespace) -> None:
    """Print the table of start, memory and latency."""
    print(f"{describe_machine()}. Requests and service share the cores.\n")
    print("| products | | |")
    print("|---:|---|---:|")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_bundle(folder / "bundle", size, arguments.model)
            starts = []
            for number in range(3):
                with run_service(folder / "bundle", folder / f"{number}.db") as service:
                    starts.append(service.seconds_to_answer)
                    memory = service.memory
            print(f"| {size:,} | process start to first answer | {np.median(starts):.2f} s |")
            print(f"| {size:,} | memory after the first answer | {memory:.0f} MB |", flush=True)
            with run_service(folder / "bundle", folder / "live.db") as service:
                _send_in_process(service.url, 50, 3, size)
                rate = arguments.rate or RATES[size]
                measured = _send_in_process(service.url, rate, arguments.seconds, size)
                for kind, milliseconds in measured.milliseconds.items():
                    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
                    print(
                        f"| {size:,} | {kind}, {rate} requests a second: p50 / p95 / p99 | "
                        f"{p50:.1f} / {p95:.1f} / {p99:.1f} ms |"
                    )
                print(f"| {size:,} | answers by status | {measured.statuses} |")
                print(f"| {size:,} | memory after the load | {service.memory:.0f} MB |")
                answer = httpx.get(
                    f"{service.url}/v1/search", params={"query": "product"}, timeout=60
                )
                print(f"| {size:,} | first search | status {answer.status_code} |")
                print(f"| {size:,} | memory after a search | {service.memory:.0f} MB |", flush=True)


def _write_bundle(folder: Path, size: int, model: str) -> None:
    """Write a bundle in another process, whose memory and threads then do not count."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from synthetic_bundle import write_synthetic_bundle as write;"
        "write(Path(sys.argv[2]), int(sys.argv[3]), (sys.argv[4],), has_encoder=True)"
    )
    arguments = [str(Path(__file__).parent), str(folder), str(size), model]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def _send_in_process(url: str, rate: int, seconds: float, size: int) -> Measured:
    """Send requests from a second process."""
    command = [sys.executable, __file__, "send", url, str(rate), str(seconds), str(size)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Measured(**json.loads(output))


def print_measured(arguments: argparse.Namespace) -> None:
    """Send requests, and print what was measured as JSON."""
    requests = send_requests(arguments.url, arguments.rate, arguments.seconds, arguments.products)
    print(json.dumps(vars(asyncio.run(requests))))


# Kills.


def measure_kills(arguments: argparse.Namespace) -> None:
    """Kill the service under load again and again, and count the acknowledged events that are lost.

    An event that was acknowledged is sent again after the restart. The service must answer that it
    is a duplicate.
    """
    rng = random.Random(7)
    size = SIZES[0]
    n_acknowledged = n_lost = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_synthetic_bundle(folder / "bundle", size, ("recent_popularity",))
        port = _find_free_port()
        for kill in range(arguments.times):
            with run_service(folder / "bundle", folder / "live.db", port, workers=2) as service:
                acknowledged = _write_until_killed(service, rng, size)
            with run_service(folder / "bundle", folder / "live.db", port) as service:
                for start in range(0, len(acknowledged), 100):
                    events = acknowledged[start : start + 100]
                    answer = httpx.post(f"{service.url}/v1/events", json={"events": events})
                    answer.raise_for_status()
                    outcomes = [outcome["outcome"] for outcome in answer.json()["events"]]
                    n_lost += len(outcomes) - outcomes.count("duplicate")
            n_acknowledged += len(acknowledged)
            print(
                f"kill {kill + 1} of {arguments.times}: {len(acknowledged):,} events acknowledged",
                flush=True,
            )
    print(f"{n_acknowledged:,} acknowledged events, {n_lost:,} lost")


def _write_until_killed(service: Service, rng: random.Random, size: int) -> list[dict[str, Any]]:
    """Store purchases until the service is killed, and return the acknowledged ones."""
    acknowledged: list[dict[str, Any]] = []
    kill_at = time.monotonic() + rng.uniform(0.3, 1.5)

    async def write(client: httpx.AsyncClient) -> None:
        while True:
            purchase = make_purchase(rng, size)
            try:
                answer = await client.post("/v1/events", json=purchase)
            except httpx.TransportError:
                return
            if answer.is_success:
                acknowledged.append(purchase)

    async def kill() -> None:
        await asyncio.sleep(kill_at - time.monotonic())
        os.killpg(service.process.pid, signal.SIGKILL)

    async def run() -> None:
        async with httpx.AsyncClient(base_url=service.url, timeout=10) as client:
            await asyncio.gather(kill(), *(write(client) for _ in range(8)))

    asyncio.run(run())
    service.process.wait()
    return acknowledged


# Swaps.


def measure_swaps(arguments: argparse.Namespace) -> None:
    """Replace the bundle again and again under load, and print the memory."""
    size = SIZES[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_bundle(folder / "bundle", size, "classifier")
        with run_service(folder / "bundle", folder / "live.db") as service:
            command = [sys.executable, __file__, "send", service.url, "50", "600", str(size)]
            load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            memory = [service.memory]
            for _ in range(arguments.times):
                httpx.post(f"{service.url}/v1/bundle/reload", timeout=60).raise_for_status()
                memory.append(service.memory)
            load.terminate()
            load.wait()
    shown = ", ".join(f"{memory[number]:.0f}" for number in range(0, len(memory), 10))
    print(f"memory in MB at the start and after each ten swaps: {shown}")


# Requests from the description of the API.


def measure_invalid_requests(arguments: argparse.Namespace) -> None:
    """Send requests that Schemathesis derives from the description of the API."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_synthetic_bundle(folder / "bundle", SIZES[0], ("recent_popularity",))
        with run_service(folder / "bundle", folder / "live.db") as service:
            command = [
                str(Path(sys.executable).with_name("schemathesis")), "run",
                f"{service.url}/openapi.json", "--checks", "not_a_server_error",
                "--max-examples", str(arguments.examples),
            ]  # fmt: skip
            raise SystemExit(subprocess.run(command, check=False).returncode)


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    load = commands.add_parser("load", help="start, memory and latency")
    load.add_argument("--seconds", type=float, default=SECONDS)
    load.add_argument("--rate", type=int, help="requests a second; default: 300 and 100")
    load.add_argument("--model", default="classifier")
    load.set_defaults(run=measure_load)
    kills = commands.add_parser("kills", help="SIGKILL under load")
    kills.add_argument("--times", type=int, default=20)
    kills.set_defaults(run=measure_kills)
    swaps = commands.add_parser("swaps", help="new bundles under load")
    swaps.add_argument("--times", type=int, default=50)
    swaps.set_defaults(run=measure_swaps)
    fuzz = commands.add_parser("fuzz", help="requests from the description of the API")
    fuzz.add_argument("--examples", type=int, default=10_000, help="for each route")
    fuzz.set_defaults(run=measure_invalid_requests)
    send = commands.add_parser("send", help="used by load")
    send.add_argument("url")
    send.add_argument("rate", type=int)
    send.add_argument("seconds", type=float)
    send.add_argument("products", type=int)
    send.set_defaults(run=print_measured)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
