"""A standalone Spark cluster on this machine: one master, and workers with their own folders."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.project import ROOT

N_WORKERS = 2
# What the program recommend_on_cluster uses: tasks per model, and products per customer.
N_PARTS, TOP_K = 5, 4
# Short-lived processes spend most of their time in the compiler.
JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
_SECONDS = 120


@contextmanager
def start_cluster(folder: Path) -> Iterator[str]:
    """Start a master and workers of one core, each a process of its own.

    Args:
        folder: an empty folder for their logs and the folders of the workers.

    Yields:
        The URL of the master.
    """
    with ExitStack() as stack:
        log = _start(stack, folder, "master.Master")
        url = _wait_for(log, r"Starting Spark master at (spark://\S+)")
        for number in range(N_WORKERS):
            work = folder / f"worker_{number}"
            arguments = ("--cores", "1", "--memory", "1g", "--work-dir", str(work), url)
            log = _start(stack, work, "worker.Worker", *arguments)
            _wait_for(log, "(Successfully registered) with master")
        yield url


def make_environment() -> dict[str, str]:
    """Return environment variables with which processes of Spark import this code."""
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": JAVA_OPTIONS,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def _start(stack: ExitStack, folder: Path, name: str, *arguments: str) -> Path:
    """Start a part of the cluster until the stack is closed, and return the path of its log."""
    import pyspark

    home = Path(pyspark.__file__).parent
    folder.mkdir(exist_ok=True)
    log = folder / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                home / "bin" / "spark-class", f"org.apache.spark.deploy.{name}",
                "--host", "127.0.0.1", "--port", "0", "--webui-port", "0", *arguments,
            ],
            env={**make_environment(), "SPARK_HOME": str(home)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return log


def _wait_for(log: Path, pattern: str) -> str:
    """Wait for a line of a log, and return the group of the pattern."""
    end = time.monotonic() + _SECONDS
    while (found := re.search(pattern, log.read_text())) is None:
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.1)
    return found.group(1)
