"""What the benchmarks share: how a command is timed, and on what machine."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path


def measure(command: list[str], folder: Path | None = None) -> tuple[float, float]:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        folder: to run in; this process's own if it is left out.

    Returns:
        Wall clock time in seconds; peak resident memory of the largest of the command's processes
        in GB (10^9 bytes).

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder)
    # Of this command alone: what getrusage tells of children is the largest of all so far.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit / 1e9


def machine() -> str:
    """The machine in words, such as ``2 cores, Linux x86_64``."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
