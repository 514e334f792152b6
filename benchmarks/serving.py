"""Measure the online service: start, memory, latency under load, kills, swaps and invalid requests.

    .venv/bin/python benchmarks/serving.py load --python serve/bin/python
    .venv/bin/python benchmarks/serving.py kills --python serve/bin/python --times 20
    .venv/bin/python benchmarks/serving.py swaps --python serve/bin/python --times 50
    .venv/bin/python benchmarks/serving.py fuzz --python serve/bin/python --examples 10000

The environment of the project writes the synthetic bundles and sends the requests. Another one
serves, without what only trainings need. To create it:

    python3 -m venv serve
    serve/bin/python -m pip install -r requirements-serve.lock
    serve/bin/python -m pip install --no-deps .

``load`` starts the service for synthetic catalogues of 12,000 and 112,000 products and sends
requests at a fixed rate from a second process, as :mod:`http_load` describes.
"""

import argparse
import asyncio
import http.client
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import http_load
import httpx
import numpy as np
from http_load import Measured, make_purchase
from synthetic_bundle import N_CUSTOMERS, SIZES, write_synthetic_bundle
from timing import describe_machine

SECONDS = 20
RATES = {12_000: 300, 112_000: 100}
"""Requests a second by the number of products."""
WARM_UP_SECONDS = 8
"""The service loads its sentence encoder within the first seconds. Latencies are those after it."""
N_STARTS = 5
FUZZ_SIZE = 800
"""Products of the catalogue that gets random requests. Many requests matter more than products."""
_START_TIMEOUT = 120
_POLL_SECONDS = 0.01
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Service:
    """A service that runs in a process of its own.

    Attributes:
        process: the process.
        port: the port on 127.0.0.1.
        seconds_to_answer: seconds from the start of the process to its first answer.
    """

    process: subprocess.Popen[bytes]
    port: int
    seconds_to_answer: float = math.nan

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> float:
        """Resident memory of the process and its workers, in MB (10^6 bytes)."""
        return sum(_read_memory(pid) for pid in _list_processes(self.process.pid))

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the process and its workers."""
        return sum(_read_cpu_seconds(pid) for pid in _list_processes(self.process.pid))


@contextmanager
def run_service(
    bundle: Path,
    database: Path,
    python: Path = Path(sys.executable),
    port: int | None = None,
    workers: int = 1,
) -> Iterator[Service]:
    """Start the service, wait for its first answer, and stop it at the end.

    Args:
        bundle: folder of the bundle.
        database: the SQLite file.
        python: the Python of the environment that serves.
        port: the port; None for any.
        workers: number of processes.
    """
    number = _find_free_port() if port is None else port
    command = [
        str(python), "-m", "bazar.service.command", "serve", str(bundle), "--port", str(number),
        "--database", f"sqlite:///{database}", "--workers", str(workers),
    ]  # fmt: skip
    # Modules are stored compiled, as on a server.
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    service = Service(process, number)
    try:
        _wait_for_answer(service)
        service.seconds_to_answer = time.perf_counter() - started
        yield service
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        # Workers whose parent was killed would keep the port.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for_answer(service: Service) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise SystemExit(
                f"The service ended with the exit code {service.process.returncode}. Run its "
                f"command to see why: {' '.join(map(str, service.process.args))}"  # type: ignore[arg-type]
            )
        # A client of a larger library would take time on the same cores.
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=_START_TIMEOUT)
        try:
            connection.request("GET", "/v1/recommendations?user_id=1")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(_POLL_SECONDS)
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


def _read_cpu_seconds(pid: int) -> float:
    # The name of the program, in parentheses, may contain spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


# Load at a fixed rate.


def measure_load(arguments: argparse.Namespace) -> None:
    """Print the table of start, memory and latency."""
    workers = arguments.workers
    print(
        f"{describe_machine()}. Model {arguments.model}, workers: {workers}. Requests and service "
        "share the cores.\n"
    )
    print("| products | | |")
    print("|---:|---|---:|")
    for size in SIZES if arguments.size is None else (arguments.size,):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_synthetic_bundle(folder / "bundle", size, (arguments.model,), has_encoder=True)
            _measure_size(folder, size, arguments)


def _measure_size(folder: Path, size: int, arguments: argparse.Namespace) -> None:
    def print_row(name: str, value: str) -> None:
        print(f"| {size:,} | {name} | {value} |", flush=True)

    bundle, python, workers = folder / "bundle", arguments.python, arguments.workers
    # The first start compiles all modules, and reads all files from the disk.
    with run_service(bundle, folder / "first.db", python):
        pass
    starts, memory = [], []
    for number in range(N_STARTS):
        with run_service(bundle, folder / f"{number}.db", python, workers=workers) as service:
            starts.append(service.seconds_to_answer)
            memory.append(service.memory)
    print_row(
        f"process start to first answer: median and slowest of {N_STARTS}",
        f"{np.median(starts):.2f} / {max(starts):.2f} s",
    )
    print_row("memory after the first answer, without encoder", f"{np.median(memory):.0f} MB")
    with run_service(bundle, folder / "live.db", python, workers=workers) as service:
        run_load(service, 50, min(WARM_UP_SECONDS, arguments.seconds), size)
        rate = arguments.rate or RATES.get(size, RATES[SIZES[-1]])
        cpu_before = service.cpu_seconds
        measured = run_load(service, rate, arguments.seconds, size)
        cpu_seconds = service.cpu_seconds - cpu_before
        for kind, milliseconds in measured.milliseconds.items():
            print_row(
                f"{kind}, {rate} requests a second: p50 / p95 / p99",
                f"{_format_percentiles(milliseconds)} ms",
            )
        print_row("requests by status", _format_statuses(measured))
        print_row("successful answers a second", f"{measured.n_answers / measured.seconds:.1f}")
        print_row("requests were sent late by: p50 / p95 / p99", f"{_format_lags(measured)} ms")
        print_row("share of a core: service", f"{cpu_seconds / measured.seconds:.0%}")
        print_row("share of a core: generator", f"{measured.cpu_seconds / measured.seconds:.0%}")
        print_row("memory after the load", f"{service.memory:.0f} MB")
        print_row("first search", f"{1_000 * _search(service):.0f} ms")
        print_row("memory after the first search", f"{service.memory:.0f} MB")


def _search(service: Service) -> float:
    """Search by words and by meaning, which needs the encoder, and return the seconds."""
    started = time.perf_counter()
    fields = {"query": "product"}
    httpx.get(f"{service.url}/v1/search", params=fields, timeout=60).raise_for_status()
    return time.perf_counter() - started


def run_load(service: Service, rate: float, seconds: float, size: int) -> Measured:
    """Send requests from a second process.

    Args:
        service: the service, with a synthetic bundle.
        rate: requests a second.
        seconds: duration.
        size: size of the catalogue.
    """
    with start_load(service, rate, seconds, size) as load:
        return read_load(load)


def start_load(service: Service, rate: float, seconds: float, size: int) -> "subprocess.Popen[str]":
    """Start to send requests from a second process. SIGTERM ends it early."""
    arguments = [service.url, str(rate), str(seconds), str(size), str(N_CUSTOMERS)]
    command = [sys.executable, http_load.__file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def read_load(load: "subprocess.Popen[str]") -> Measured:
    """Wait for the end of the requests, and return what was measured."""
    output, _ = load.communicate()
    if load.returncode:
        raise SystemExit(f"The load ended with the exit code {load.returncode}.")
    return Measured(**json.loads(output))


def _format_percentiles(milliseconds: list[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in np.percentile(milliseconds, [50, 95, 99]))


def _format_lags(measured: Measured) -> str:
    return _format_percentiles(measured.lags)


def _format_statuses(measured: Measured) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(measured.statuses.items()))


# Kills.


def measure_kills(arguments: argparse.Namespace) -> None:
    """Kill the service under load again and again, and count the acknowledged events that are lost.

    An event that was acknowledged is sent again after the restart. The service must answer that it
    is a duplicate.
    """
    rng = random.Random(7)
    size = arguments.size or SIZES[0]
    n_acknowledged = n_lost = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle, database = folder / "bundle", folder / "live.db"
        write_synthetic_bundle(bundle, size, ("recent_popularity",))
        port = _find_free_port()
        for kill in range(arguments.times):
            with run_service(bundle, database, arguments.python, port, workers=2) as service:
                acknowledged = _write_until_killed(service, rng, size)
            if not acknowledged:
                raise SystemExit("No event was acknowledged before the kill.")
            with run_service(bundle, database, arguments.python, port) as service:
                lost = _count_lost(service, acknowledged)
            n_acknowledged += len(acknowledged)
            n_lost += lost
            print(
                f"kill {kill + 1} of {arguments.times}: {len(acknowledged):,} events acknowledged, "
                f"{lost:,} lost",
                flush=True,
            )
    print(f"{n_acknowledged:,} acknowledged events, {n_lost:,} lost")
    if n_lost:
        raise SystemExit(1)


def _write_until_killed(service: Service, rng: random.Random, size: int) -> list[dict[str, Any]]:
    """Store purchases until the service is killed, and return the acknowledged ones."""
    acknowledged: list[dict[str, Any]] = []
    kill_after = rng.uniform(0.3, 1.5)

    async def write(client: httpx.AsyncClient) -> None:
        while True:
            purchase = make_purchase(rng, size, N_CUSTOMERS)
            try:
                answer = await client.post("/v1/events", json=purchase)
            except httpx.TransportError:
                return
            if answer.is_success:
                acknowledged.append(purchase)

    async def kill() -> None:
        while not acknowledged:
            await asyncio.sleep(0.01)
        await asyncio.sleep(kill_after)
        os.killpg(service.process.pid, signal.SIGKILL)

    async def run() -> None:
        async with httpx.AsyncClient(base_url=service.url, timeout=10) as client:
            await asyncio.gather(kill(), *(write(client) for _ in range(8)))

    asyncio.run(run())
    service.process.wait()
    return acknowledged


def _count_lost(service: Service, acknowledged: list[dict[str, Any]]) -> int:
    """Send events again, and return how many the service did not know."""
    n_known = 0
    for start in range(0, len(acknowledged), 100):
        events = acknowledged[start : start + 100]
        answer = httpx.post(f"{service.url}/v1/events", json={"events": events}, timeout=60)
        answer.raise_for_status()
        n_known += answer.json()["outcomes"].count("duplicate")
    return len(acknowledged) - n_known


# Swaps.


def measure_swaps(arguments: argparse.Namespace) -> None:
    """Replace the bundle again and again under load, and print the memory.

    Two bundles, of which one has one product more, take turns.
    """
    size = arguments.size or SIZES[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = ("first", "second")
        for more, bundle in enumerate(names):
            write_synthetic_bundle(folder / bundle, size + more, ("classifier",), has_encoder=True)
        _set_current(folder, names[0])
        with run_service(folder, folder / "live.db", arguments.python) as service:
            run_load(service, 50, 2, size)
            # Every later bundle is loaded with its encoder.
            _search(service)
            memory = [service.memory]
            seconds = []
            with start_load(service, arguments.rate, 30 * arguments.times, size) as load:
                for number in range(1, arguments.times + 1):
                    seconds.append(_swap(service, folder, names[number % 2]))
                    memory.append(service.memory)
                if load.poll() is not None:
                    raise SystemExit("The load ended before the last swap.")
                load.terminate()
                measured = read_load(load)
    shown = [f"{memory[number]:.0f}" for number in range(0, len(memory), 10)]
    print(f"{describe_machine()}. {arguments.times} swaps of {size:,} products.\n")
    print(f"- seconds of a swap, median and slowest: {np.median(seconds):.2f} / {max(seconds):.2f}")
    print(f"- memory in MB at the start and after each ten swaps: {', '.join(shown)}")
    print(f"- memory in MB after the last swap, and the most: {memory[-1]:.0f}, {max(memory):.0f}")
    print(f"- requests by status, at {arguments.rate} a second: {_format_statuses(measured)}")
    for kind, milliseconds in measured.milliseconds.items():
        print(f"- {kind}, p50 / p95 / p99: {_format_percentiles(milliseconds)} ms")
    if set(measured.statuses) != {"200"}:
        raise SystemExit(1)


def _set_current(folder: Path, bundle: str) -> None:
    """Name the bundle that is served next, as a run does."""
    written = folder / "current.new"
    written.write_text(f"{bundle}\n")
    written.replace(folder / "current")


def _swap(service: Service, folder: Path, bundle: str) -> float:
    """Let the service load another bundle, check that it answers, and return the seconds."""
    # The service may find the bundle before it is asked to load it.
    before = _read_bundle_id(service)
    _set_current(folder, bundle)
    started = time.perf_counter()
    httpx.post(f"{service.url}/v1/bundle/reload", timeout=60).raise_for_status()
    seconds = time.perf_counter() - started
    after = _read_bundle_id(service)
    if after == before:
        raise SystemExit(f"The bundle {before} still answers after the reload.")
    return seconds


def _read_bundle_id(service: Service) -> str:
    answer = httpx.get(f"{service.url}/readyz", timeout=60).raise_for_status().json()
    bundle_id: str = answer["bundle_id"]
    return bundle_id


# Requests from the description of the API.


def measure_invalid_requests(arguments: argparse.Namespace) -> None:
    """Send requests that Schemathesis derives from the description of the API.

    Runs with other random numbers follow until there were enough cases, because some operations
    have few different requests.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_synthetic_bundle(
            folder / "bundle", arguments.size or FUZZ_SIZE, ("classifier", "blend"), True
        )
        statuses: Counter[str] = Counter()
        faults: Counter[str] = Counter()
        seed = 0
        with run_service(folder / "bundle", folder / "live.db", arguments.python) as service:
            paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
            n_operations = sum(map(len, paths.values()))
            while (n_missing := arguments.examples - statuses.total()) > 0:
                seed += 1
                report = _run_schemathesis(
                    service, folder, math.ceil(n_missing / n_operations), seed
                )
                count_answers(report, statuses, faults)
                print(f"seed {seed}: {statuses.total():,} cases so far", flush=True)
                if service.process.poll() is not None:
                    raise SystemExit(
                        f"The service ended with the exit code {service.process.returncode}."
                    )
            httpx.get(f"{service.url}/readyz", timeout=60).raise_for_status()
            memory = service.memory
    print(f"{statuses.total():,} cases of {n_operations} operations; memory {memory:.0f} MB")
    print(f"by status: {dict(sorted(statuses.items()))}")
    print(f"5xx other than 503 with Retry-After, or no answer: {faults.total()}")
    for operation, count in faults.most_common():
        print(f"- {operation}: {count}")
    if faults:
        raise SystemExit(1)


def _run_schemathesis(service: Service, folder: Path, n_examples: int, seed: int) -> Path:
    """Run Schemathesis, and return the file of its report."""
    report = folder / f"{seed}.ndjson"
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.url}/openapi.json",
        "--checks", "not_a_server_error", "--continue-on-failure", "--no-shrink",
        "--max-examples", str(n_examples), "--seed", str(seed),
        "--report", "ndjson", "--report-ndjson-path", str(report),
    ]  # fmt: skip
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    # 1: a check failed. The answers are counted here.
    if completed.returncode not in (0, 1) or not report.exists():
        raise SystemExit(f"Schemathesis failed:\n{completed.stdout}\n{completed.stderr}")
    return report


def count_answers(report: Path, statuses: Counter[str], faults: Counter[str]) -> None:
    """Count the answers of a report by status, and those that must not be by operation."""
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for interaction in recorder.get("interactions", {}).values():
                answer = interaction["response"]
                status = "none" if answer is None else str(answer["status_code"])
                statuses[status] += 1
                if not _is_documented(answer):
                    faults[f"{status} {recorder['label']}"] += 1


def _is_documented(answer: dict[str, Any] | None) -> bool:
    """Return whether an answer is no failure of the service."""
    if answer is None:
        return False
    is_busy = answer["status_code"] == 503 and "retry-after" in answer["headers"]
    return is_busy or answer["status_code"] < 500


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--python", type=Path, default=Path(sys.executable),
        help="Python of the environment that serves; default: this one",
    )  # fmt: skip
    common.add_argument("--size", type=int, help="number of products")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    load = commands.add_parser("load", parents=[common], help="start, memory and latency")
    load.add_argument("--seconds", type=float, default=SECONDS)
    load.add_argument("--rate", type=int, help="requests a second; default: 300 and 100")
    load.add_argument("--model", default="classifier")
    load.add_argument("--workers", type=int, default=1, help="processes of the service")
    load.set_defaults(run=measure_load)
    kills = commands.add_parser("kills", parents=[common], help="SIGKILL under load")
    kills.add_argument("--times", type=int, default=20)
    kills.set_defaults(run=measure_kills)
    swaps = commands.add_parser("swaps", parents=[common], help="new bundles under load")
    swaps.add_argument("--times", type=int, default=50)
    swaps.add_argument("--rate", type=int, default=50, help="requests a second")
    swaps.set_defaults(run=measure_swaps)
    fuzz = commands.add_parser(
        "fuzz", parents=[common], help="requests from the description of the API"
    )
    fuzz.add_argument("--examples", type=int, default=10_000, help="cases in total, at least")
    fuzz.set_defaults(run=measure_invalid_requests)
    return parser


def main() -> None:
    """Run one of the benchmarks."""
    arguments = make_parser().parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
