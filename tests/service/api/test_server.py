"""Real processes of the service, and how they end."""

import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.service.test_command import run, serve, wait_for_workers


def test_one_process_ends_without_a_failure(bundle: Path, tmp_path: Path) -> None:
    with serve(bundle, "--database", f"sqlite:///{tmp_path}/live.db") as service:
        assert service.stop() == 0


def test_workers_end_with_their_supervisor(bundle: Path, tmp_path: Path) -> None:
    options = ["--workers", "2", "--database", f"sqlite:///{tmp_path}/live.db"]
    with serve(bundle, *options) as service:
        workers = wait_for_workers(service, 2)
        os.kill(service.process.pid, signal.SIGKILL)
        service.process.wait()
        while any(is_running(worker) for worker in workers):
            time.sleep(0.05)
        # Nobody keeps the port.
        try:
            service.client.get("/healthz")
        except httpx.ConnectError:
            pass
        else:
            raise AssertionError("the port is in use")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not spread connections")
def test_connections_are_spread_over_the_workers(bundle: Path, tmp_path: Path) -> None:
    options = ["--workers", "2", "--database", f"sqlite:///{tmp_path}/live.db"]
    with ExitStack() as stack:
        service = stack.enter_context(serve(bundle, *options))
        workers = wait_for_workers(service, 2)
        host, port = service.url.removeprefix("http://").split(":")
        # The common socket, and four of each worker when it can answer.
        while count_listening(int(port)) < 9:
            time.sleep(0.05)
        before = {worker: count_sockets(worker) for worker in workers}
        for _ in range(200):
            # All at once: a common socket would give most of them to one worker.
            stack.enter_context(socket.create_connection((host, int(port))))
        while sum(map(count_sockets, workers)) < sum(before.values()) + 200:
            time.sleep(0.05)
        # By chance, fewer than 60 of 200 occur once in ten million times.
        assert all(count_sockets(worker) - before[worker] > 60 for worker in workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_is_not_shared_with_another_service(
    bundle: Path, tmp_path: Path, workers: str
) -> None:
    first = f"sqlite:///{tmp_path}/first.db"
    with serve(bundle, "--workers", "2", "--database", first) as service:
        port = service.url.rpartition(":")[2]
        second = f"sqlite:///{tmp_path}/second.db"
        result = run(
            "serve", str(bundle), "--port", port, "--workers", workers, "--database", second
        )
        assert result.exit_code == 1
        assert f"cannot listen on 127.0.0.1, port {port}" in result.output


def count_listening(port: int) -> int:
    """Return the number of sockets that listen on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(one[1].endswith(f":{port:04X}") and one[3] == "0A" for one in fields)


def count_sockets(process: int) -> int:
    """Return the number of sockets of a process."""
    found = 0
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            found += str(entry.readlink()).startswith("socket:")
    return found


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # The dead children of a dead process wait for the system.
    return state != "Z"
