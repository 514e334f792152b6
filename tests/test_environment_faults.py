"""Faults of the environment: two runs at once, signals, disks, paths, and other runners.

Each is explained in a line or two, and earlier outputs are kept. Runs are started in this process
unless they are killed.
"""

import errno
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import click
import ibis
import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError

from bazar.atomic import atomic_path
from bazar.cli import run
from bazar.cli.errors import shorten_errors
from bazar.cli.main import report_interrupt
from bazar.errors import InputError
from bazar.synthetic.sample_store import StoreOptions, generate_store
from tests.project import (
    ROOT,
    copy_project,
    fill_disk,
    make_read_only,
    mount_disk,
    snapshot,
    wait_while_saving,
)

PIPELINES = ("--pipelines", "ingestion,joining,sequencing")
TINY_STORE = StoreOptions(products=60, customers=40, interactions=400, seed=3)

Run = Callable[..., Result]
"""Runs ``kedro run`` with the tables' pipelines in a project."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a tiny store."""
    project = copy_project(tmp_path_factory.mktemp("template"))
    generate_store(project / "data" / "01_raw" / "sample", TINY_STORE)
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A copy of the template that a test may change. Its path is unusual."""
    return Path(shutil.copytree(template, tmp_path / "Mi tienda ñ 'José' [1]"))


@pytest.fixture
def run_here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    metadata = bootstrap_project(ROOT)._replace(project_path=project)
    monkeypatch.chdir(project)

    def run_here(*arguments: str) -> Result:
        return CliRunner().invoke(run, [*PIPELINES, *arguments], obj=metadata)

    return run_here


def assert_done(result: Result) -> None:
    assert result.exit_code == 0, result.output + repr(result.exception)


def get_error(result: Result) -> str:
    """Return the message of a run that failed without a traceback."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    return result.stderr[result.stderr.rindex("Error: ") :].removeprefix("Error: ").rstrip()


def list_hidden(project: Path) -> list[str]:
    """Return the names of the temporary files and folders that are left in ``data/``."""
    found = (project / "data").rglob(".*")
    return sorted(path.name for path in found if path.name not in {".locks", ".gitkeep"})


def test_run_works_in_a_path_with_any_characters(run_here: Run, project: Path) -> None:
    assert_done(run_here())
    expected = snapshot(project)
    # The name of this folder matches the other one, if it is read as a pattern.
    neighbour = Path(shutil.copytree(project, project.with_name(project.name.replace("[1]", "1"))))
    for path in [*(neighbour / "data").rglob("*"), *(neighbour / "conf").rglob("*.yml")]:
        if path.is_file():
            path.write_text("not the file of this project")
    assert_done(run_here())
    assert snapshot(project) == expected
    assert {"data/05_model_input/sample/auto/test.arrow"} <= expected.keys()


def test_second_run_of_a_data_set_stops_and_a_signal_ends_the_first(
    run_here: Run, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spilled = tmp_path / "temporary"
    spilled.mkdir()
    monkeypatch.setenv("TMPDIR", str(spilled))
    arguments = ("run", *PIPELINES)
    with wait_while_saving(project, "sequences.parquet", *arguments) as first:
        before = snapshot(project)
        message = get_error(run_here())
        assert re.fullmatch(
            rf"The data set 'sample' is in use by process {first.pid} since [-:\d ]+\.\n"
            r"Wait until this process has ended, then run again\.",
            message,
        )
        assert snapshot(project) == before
        assert_done(run_here("--params", "dataset=other"))
        assert (project / "data" / "04_feature" / "other" / "sequences.parquet").is_file()
        assert len(list_hidden(project)) == 1
        assert len(list(spilled.iterdir())) == 2

        first.send_signal(signal.SIGTERM)
        printed, _ = first.communicate(timeout=60)
        assert first.returncode == 128 + signal.SIGTERM, printed
        assert "Traceback" not in printed
        kept, command = printed[printed.index("Stopped. ") :].split("\nResume with:\n")
        assert "interactions, " in kept
        assert "sequences" not in kept
        assert command.split()[:2] == ["kedro", "run"]
        assert command.split()[-1] == "--from-nodes=sequencing.order_sequences"
    assert list_hidden(project) == []
    assert list((project / "data" / ".locks").iterdir()) == []
    assert list(spilled.iterdir()) == []
    assert_done(run_here(command.split()[-1]))


def test_full_disk_and_read_only_disk_keep_the_earlier_outputs(
    run_here: Run, project: Path
) -> None:
    raw = ("--params", f"raw_dir={project / 'raw'}")
    shutil.move(project / "data" / "01_raw" / "sample", project / "raw")
    data = project / "data"
    with mount_disk(data, "4m"):
        assert_done(run_here(*raw))
        before = snapshot(project)
        for n_free, place in ((0, ".locks/sample.lock"), (12_000, "02_intermediate/sample")):
            fill_disk(data, n_free)
            message = get_error(run_here(*raw))
            (data / "other_file").unlink()
            assert message.startswith(f"No space is left on the disk of {data}/{place}")
            assert message.endswith(". Free some space and run again.")
            assert snapshot(project) == before
            assert list_hidden(project) == []
        assert_done(run_here(*raw))
        make_read_only(data)
        message = get_error(run_here(*raw))
        assert message == (
            f"The folder {data}/.locks is on a read-only disk. Make it writable and run again."
        )
        assert snapshot(project) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_ends_a_run_alike(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def save(**_: object) -> None:
        with atomic_path(tmp_path / "file") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), number)
            # DuckDB replaces KeyboardInterrupt by an error of its own.
            raise RuntimeError("not interrupted")

    # A process that was started in the background may ignore these signals.
    earlier = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(click.exceptions.Exit) as caught:
            report_interrupt(save)(pipelines=None)
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, earlier)
    assert caught.value.exit_code == 128 + number
    assert "Stopped." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_query_is_interrupted_by_a_signal() -> None:
    connection = ibis.duckdb.connect()

    def query(**_: object) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        connection.raw_sql(
            "SELECT sum(hash(a.range * b.range)) FROM range(9999999) a, range(9999) b"
        )

    with pytest.raises(click.exceptions.Exit) as caught:
        report_interrupt(query)(pipelines=None)
    connection.con.interrupt()
    assert caught.value.exit_code == 128 + signal.SIGTERM


def test_ignored_signal_is_still_ignored() -> None:
    def hang_up(**_: object) -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        return "done"

    # As nohup does.
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert report_interrupt(hang_up)(pipelines=None) == "done"
    finally:
        signal.signal(signal.SIGHUP, earlier)


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/a"), "No space is left on the"),
        (OSError(errno.EROFS, "Read-only file system", "/data/a"), "is on a read-only disk"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/a"), "Failed while loading"),
        (InputError("orders.csv is empty."), "orders.csv is empty."),
    ],
)
def test_error_of_a_data_set_has_no_traceback(cause: Exception, message: str) -> None:
    def load() -> None:
        raise DatasetError("Failed while loading data") from cause

    with pytest.raises(click.ClickException, match=message):
        shorten_errors(load)()


def test_unexpected_error_keeps_its_traceback() -> None:
    def fail() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise ZeroDivisionError from None

    with pytest.raises(ZeroDivisionError):
        shorten_errors(fail)()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--async"], "is_async (--async)"),
        (["--runner-params", "is_async=True"], "is_async (--async)"),
        (["--runner", "ThreadRunner"], "--runner ThreadRunner"),
        (["--runner", "kedro.runner.ParallelRunner"], "--runner ParallelRunner"),
    ],
)
def test_other_runners_stop_before_any_work(
    arguments: list[str], found: str, run_here: Run, project: Path
) -> None:
    result = run_here(*arguments)
    assert result.output == (
        "Error: Tables share one DuckDB connection, so that nodes must run one after the other. "
        f"Found {found}. Run without --async and --runner.\n"
    )
    assert get_error(result)
    assert not (project / "data" / "02_intermediate" / "sample").exists()
