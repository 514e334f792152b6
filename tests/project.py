"""A copy of the project in a folder of a test's own, so that runs write nothing here."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def copy_project(folder: Path) -> Path:
    """Copy what a run needs: configuration, metadata, and the made-up store."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copytree(ROOT / "data" / "01_raw" / "sample", folder / "data" / "01_raw" / "sample")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def kedro_command(*arguments: str) -> list[str]:
    """The command line of ``kedro`` in this environment."""
    return [sys.executable, "-m", "kedro", *arguments]


def kedro(project: Path, *arguments: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    """Run a Kedro command in a project, as a user would."""
    return subprocess.run(
        kedro_command(*arguments),
        cwd=project,
        env={**os.environ, "COLUMNS": "120", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


# A run that waits to be killed, once so many states of trainings were kept.
_WAITING = """
import sys, time
from bazar.checkpoints import Checkpoint
from kedro.framework.cli.cli import main

save, left = Checkpoint.save, [int(sys.argv.pop(1))]

def save_and_wait(*state):
    save(*state)
    left[0] -= 1
    if left[0] == 0:
        print("kept", flush=True)
        time.sleep(600)

Checkpoint.save = save_and_wait
main()
"""


def kill_in_training(project: Path, states: int, *arguments: str) -> None:
    """Run a Kedro command, and kill it when so many states of trainings were kept."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITING, str(states), *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "src", "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if line == "kept\n":
            break
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "".join(told)


def snapshot(project: Path) -> dict[str, bytes]:
    """Every file of data, by its path within the project."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted((project / "data").rglob("*"))
        if path.is_file()
    }
