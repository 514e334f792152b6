"""A copy of the project in a temporary folder, and runs in it as a user starts them."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from bazar.cli import cli
from bazar.config.networks import REPRODUCTION_NETWORKS
from bazar.synthetic.sample_store import StoreOptions, StoreSummary, generate_store

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SMALL_STORE = StoreOptions(products=80, customers=250, interactions=2_500, seed=3)
# Parameters of short trainings.
QUICK = {
    model: {
        "networks": {
            "bazar": {
                "training": {
                    "epochs": 8,
                    "min_steps": 0,
                    "batch_size": 128,
                    "learning_rate": 0.003,
                }
            },
            reproduced: {"training": {"epochs": 2, "batch_size": 128}},
        }
    }
    for model, reproduced in REPRODUCTION_NETWORKS.items()
} | {
    "evaluation": {"bootstrap_resamples": 100},
}
RUN = "auto/seed_42"
"""Folder of the results of a run with the default split and seed, within that of the data set."""


def copy_project(folder: Path) -> Path:
    """Copy all that a run needs: the code, the configuration, and the sample store."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copytree(ROOT / "data" / "01_raw" / "sample", folder / "data" / "01_raw" / "sample")
    # Compiled modules are copied, but not those that another process is writing.
    being_written = shutil.ignore_patterns("*.pyc.*")
    shutil.copytree(ROOT / "src", folder / "src", ignore=being_written)
    return folder


def quick_project(folder: Path) -> tuple[Path, StoreSummary]:
    """Copy the project, with a small store and an environment ``quick`` with short trainings."""
    project = copy_project(folder)
    quick = project / "conf" / "quick"
    quick.mkdir()
    (quick / "parameters.yml").write_text(yaml.safe_dump(QUICK))
    return project, generate_store(project / "data" / "01_raw" / "sample", SMALL_STORE)


def kedro_command(*arguments: str) -> list[str]:
    """Return the command line of ``kedro`` in this Python environment."""
    return [sys.executable, "-m", "kedro", *arguments]


def kedro(project: Path, *arguments: str, timeout: int = 600) -> subprocess.CompletedProcess[str]:
    """Run a Kedro command in a project, as a user would."""
    return _run(project, kedro_command(*arguments), timeout)


def kedro_here(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call a Kedro command of a project in this process, which has imported the libraries.

    It is several seconds faster than a process of its own.
    """
    metadata = bootstrap_project(ROOT)._replace(project_path=project)
    # Warnings of libraries are not what these tests check.
    with chdir(project), warnings.catch_warnings(action="ignore"):
        result = CliRunner().invoke(cli, arguments, obj=metadata, env={"COLUMNS": "120"})
    stderr = result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        stderr += "".join(traceback.format_exception(result.exception))
    return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, stderr)


def run_script(
    project: Path, script: str, *arguments: str, timeout: int = 600
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a project. The code finds the arguments in ``sys.argv``."""
    return _run(project, [sys.executable, "-c", script, *arguments], timeout)


def _run(project: Path, command: list[str], timeout: int) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        command,
        cwd=project,
        env=_make_environment(project),
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    # Text mode would replace carriage returns, which progress bars write, by line feeds.
    stdout, stderr = (stream.decode() for stream in (run.stdout, run.stderr))
    return subprocess.CompletedProcess(command, run.returncode, stdout, stderr)


def _make_environment(project: Path) -> dict[str, str]:
    # The commands have to be quiet without this variable, which the tests themselves set.
    inherited = {name: os.environ[name] for name in os.environ if name != "TF_CPP_MIN_LOG_LEVEL"}
    paths = [str(project / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**inherited, "COLUMNS": "120", "PYTHONPATH": os.pathsep.join(paths)}


# A Kedro command that waits as soon as a training has saved a number of checkpoints, of which those
# count whose file names contain a given text.
_WAIT_IN_TRAINING = """
import signal, sys, time
from bazar.training.checkpoints import Checkpoint
from kedro.framework.cli.cli import main

save, name, remaining = Checkpoint.save, sys.argv.pop(1), [int(sys.argv.pop(1))]

def save_and_wait(checkpoint, *state):
    save(checkpoint, *state)
    if name in checkpoint._path.name:
        remaining[0] -= 1
        if remaining[0] == 0:
            print("waiting", flush=True)
            time.sleep(600)

Checkpoint.save = save_and_wait
# A process that was started in the background ignores Ctrl+C.
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""

# A Kedro command that waits before it renames a file of a given name, which is written.
_WAIT_WHILE_SAVING = """
import sys, time
import bazar.atomic
from kedro.framework.cli.cli import main

replace, name = bazar.atomic._replace, sys.argv.pop(1)

def wait_and_replace(path, temporary):
    if path.name == name:
        print("waiting", flush=True)
        time.sleep(600)
    replace(path, temporary)

bazar.atomic._replace = wait_and_replace
main()
"""


def kill_in_training(project: Path, n_checkpoints: int, *arguments: str) -> None:
    """Run a Kedro command, and kill it when so many checkpoints were saved."""
    process, output = _start_and_wait(project, _WAIT_IN_TRAINING, "", n_checkpoints, *arguments)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output + rest


def interrupt_in_training(
    project: Path, model: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a Kedro command, and press Ctrl+C after the first epoch of a model's training."""
    name = f"{model}_checkpoint"
    process, output = _start_and_wait(project, _WAIT_IN_TRAINING, name, 1, *arguments)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output + rest, "")


@contextmanager
def wait_while_saving(project: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a Kedro command until it has written a file of this name, but not yet renamed it.

    Yields:
        The waiting process. It is killed after the block if it still runs.
    """
    process, _ = _start_and_wait(project, _WAIT_WHILE_SAVING, name, *arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _start_and_wait(
    project: Path, script: str, *arguments: object
) -> tuple[subprocess.Popen[str], str]:
    """Return the waiting process and its output so far, stdout and stderr in one."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=project,
        env=_make_environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "waiting\n":
            return process, "".join(lines)
    raise AssertionError(f"the command ended before it was stopped:\n{''.join(lines)[-3000:]}")


@contextmanager
def mount_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a disk of a given size in memory on a folder, or skip the test if this is forbidden."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a disk can only be mounted by root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(folder: Path, n_free: int) -> None:
    """Write a file that leaves so many bytes of a disk free."""
    (folder / "other_file").write_bytes(bytes(shutil.disk_usage(folder).free - n_free))


def make_read_only(disk: Path) -> None:
    """Make a mounted disk read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


@contextmanager
def limit_file_size(n_bytes: int) -> Iterator[None]:
    """Let the operating system reject larger files, as ``ulimit -f`` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def snapshot(project: Path) -> dict[str, bytes]:
    """Return the content of every file below ``data/``, by its path within the project.

    The lock of a killed run is left out.
    """
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted((project / "data").rglob("*"))
        if path.is_file() and path.parent.name != ".locks"
    }
