"""Functions of several benchmarks: time and memory of a command, the machine, and logging."""

import logging
import os
import platform
import subprocess
import sys
import time
from pathlib import Path


def measure_command(command: list[str], folder: Path | None = None) -> tuple[float, float]:
    """Run a command, and return its time and peak memory.

    Args:
        command: the program and its arguments.
        folder: working directory of the command. None is the current directory.

    Returns:
        Wall clock time in seconds, and peak resident memory in GB (10^9 bytes) of the largest
        process of the command.

    Raises:
        subprocess.CalledProcessError: if the command fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder)
    # wait4 reports on this process. getrusage would report the maximum over all child processes.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    # The unit is KiB on Linux and bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit / 1e9


def describe_machine() -> str:
    """Return a description of the machine, such as ``2 cores, Linux x86_64``."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def log_to_stderr() -> None:
    """Send log messages to stderr. Kedro writes them to stdout, between the Markdown."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s", force=True)
