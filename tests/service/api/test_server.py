"""Real processes of the service, and how they end."""

import os
import signal
import time
from pathlib import Path

import httpx

from tests.service.test_command import serve, wait_for_workers


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


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # The dead children of a dead process wait for the system.
    return state != "Z"
