"""The command ``bazar``, and real processes of the service."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from bazar import __version__
from bazar.service.command import find_default_database, main
from tests.service.example_bundles import damage, set_current, write_example

HEAVY = ("tensorflow", "torch", "keras", "kedro", "pandas", "ibis", "duckdb", "sklearn", "pyspark")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("06_models") / "grocer"
    write_example(folder / "a", seed=1)
    write_example(folder / "b", seed=2)
    set_current(folder, folder / "a")
    return folder


@dataclass
class Service:
    """A running service.

    Attributes:
        process: the process, the supervisor if there are several workers.
        output: what it printed at its start.
        url: its address.
        client: a client that opens a connection for each request, so that any worker answers.
    """

    process: subprocess.Popen[str]
    output: str
    url: str
    client: httpx.Client

    def list_workers(self) -> set[int]:
        """Return the ids of the processes that answer."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and b"spawn_main" in command:
                found.add(int(folder.name))
        return found

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.terminate()
        return self.process.wait(60)


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[Service]:
    """Start ``bazar serve`` and wait until it answers."""
    command = [sys.executable, "-m", "bazar.service.command", "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    output = ""
    try:
        for line in process.stdout:
            output += line
            if "curl" in line:
                break
        else:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read())
        url = output.split()[1]
        limits = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=url, limits=limits, timeout=60) as client:
            # The socket listens already. The request waits until the service is ready.
            client.get("/healthz").raise_for_status()
            yield Service(process, output, url, client)
    finally:
        process.kill()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        process.wait()


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, arguments, env=env)


def make_event(number: int, **fields: object) -> dict[str, object]:
    event = {"event_id": str(number), "event_type": "purchase", "item_id": "soap", "user_id": "bob"}
    return event | fields


def test_two_workers_see_the_same_events_and_survive(dataset: Path, tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/live.db"
    with serve(dataset, "--workers", "2", "--database", database) as service:
        assert "(2 processes)" in service.output
        workers = wait_for_workers(service, 2)
        # Each request is a new connection, which either worker accepts.
        for number in range(10):
            user = f"user {number}"
            post_event(service, make_event(number, item_id="bread", user_id=user))
            for _ in range(4):
                answer = ask(service, user_id=user, k="1")
                assert answer["products"][0]["item_id"] == "butter"
        killed = workers.pop()
        acknowledged = []
        for number in range(100, 140):
            if number == 110:
                os.kill(killed, signal.SIGKILL)
            try:
                post_event(service, make_event(number))
                acknowledged.append(str(number))
            except httpx.TransportError:
                # The connection was the killed worker's: nothing was acknowledged.
                continue
        assert len(acknowledged) > 20
        with closing(sqlite3.connect(tmp_path / "live.db")) as connection:
            stored = {row[0] for row in connection.execute("SELECT event_id FROM bazar_events")}
        assert set(acknowledged) <= stored
        assert killed not in wait_for_workers(service, 2)
        metrics = service.client.get("/metrics").text
        counted = float(metrics.split('bazar_events_total{status="new"} ')[1].split()[0])
        assert counted >= len(acknowledged)
        assert service.stop() == 0


def wait_for_workers(service: Service, number: int) -> set[int]:
    while len(workers := service.list_workers()) != number:
        assert service.process.poll() is None
        time.sleep(0.05)
    return workers


def post_event(service: Service, event: dict[str, object]) -> None:
    service.client.post("/v1/events", json=event).raise_for_status()


def ask(service: Service, **fields: str) -> dict[str, list[dict[str, str]]]:
    response = service.client.get("/v1/recommendations", params=fields)
    response.raise_for_status()
    answer: dict[str, list[dict[str, str]]] = response.json()
    return answer


def test_one_process_loads_a_new_bundle_at_sighup_and_stops_at_sigterm(
    tmp_path: Path,
) -> None:
    write_example(tmp_path / "a", seed=1)
    write_example(tmp_path / "b", seed=2)
    set_current(tmp_path, tmp_path / "a")
    config = tmp_path / "service.yml"
    config.write_text("watch_seconds: 3600\ndefault_k: 2\n")
    with serve(tmp_path, "--config", str(config)) as service:
        first = ask(service)
        assert len(first["products"]) == 2
        assert str(first["bundle_id"]) in service.output
        assert f"sqlite:///{tmp_path}/live.db" in service.output
        assert "30 products, 33 customers" in service.output
        assert "decayed_cooccurrence" in service.output
        set_current(tmp_path, tmp_path / "b")
        service.process.send_signal(signal.SIGHUP)
        while ask(service)["bundle_id"] == first["bundle_id"]:
            pass
        assert service.stop() in {0, -signal.SIGTERM}
        assert service.process.stderr is not None
        lines = [json.loads(line) for line in service.process.stderr.read().splitlines()]
        assert {line["level"] for line in lines} == {"info"}
        assert any(line.get("route") == "/v1/recommendations" for line in lines)


def test_the_service_does_not_start_on_other_addresses_without_keys(
    dataset: Path, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path}/live.db"
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        result = run("serve", str(dataset), "--host", host, "--database", database)
        assert result.exit_code == 1
        assert "without a server key" in result.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
        (["--host", "no such host"], "cannot listen on no such host"),
        (["--database", "mysql://a:secret@b/c"], "not supported"),
        (["--rules", "missing.yml"], "missing.yml cannot be read"),
        (["--config", "missing.yml"], "missing.yml cannot be read"),
        (["--port", "70000"], "65535"),
    ],
)
def test_faults_at_the_start_are_messages(
    dataset: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    database = f"sqlite:///{tmp_path}/live.db"
    assert run("keys", "create", "--database", database).exit_code == 0
    result = run("serve", str(dataset), "--database", database, *options)
    assert result.exit_code in {1, 2}
    assert message in result.output
    assert "secret" not in result.output
    assert "Traceback" not in result.output


def test_a_missing_or_damaged_bundle_is_a_message(tmp_path: Path) -> None:
    assert "There is no folder" in run("serve", str(tmp_path / "nothing")).output
    damage(write_example(tmp_path / "bundle"))
    for workers in ("1", "2"):
        result = run("serve", str(tmp_path / "bundle"), "--port", "0", "--workers", workers)
        assert "bundle.json is damaged" in result.output
        assert result.exit_code == 1


def remove_bundle(folder: Path) -> None:
    (folder / "bundle" / "bundle.json").unlink()


def remove_products(folder: Path) -> None:
    (folder / "bundle" / "products.arrow").unlink()


def empty_checksums(folder: Path) -> None:
    (folder / "bundle" / "checksums.sha256").write_text("")


def remove_checksums(folder: Path) -> None:
    (folder / "bundle" / "checksums.sha256").unlink()


def write_invalid_rules(folder: Path) -> None:
    (folder / "rules.yml").write_text("rules: [{name: sale, action: steal}]")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_bundle, "There is no bundle in"),
        (remove_products, "products.arrow: the bundle is incomplete"),
        (empty_checksums, "checksums.sha256 does not list bundle.json"),
        (remove_checksums, "checksums.sha256: the bundle is incomplete"),
        (lambda folder: damage(folder / "bundle"), "bundle.json is damaged"),
        (write_invalid_rules, "rules.yml, rule 1"),
    ],
)
def test_a_failed_start_creates_no_database(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    write_example(tmp_path / "bundle")
    (tmp_path / "rules.yml").write_text("rules: []")
    spoil(tmp_path)
    database = tmp_path / "new.db"
    options = ["--database", f"sqlite:///{database}", "--rules", str(tmp_path / "rules.yml")]
    result = run("serve", str(tmp_path / "bundle"), "--port", "0", *options)
    assert result.exit_code == 1
    assert message in result.output
    assert not database.exists()


def test_the_default_database_is_beside_the_bundles_of_the_data_set(
    dataset: Path, tmp_path: Path
) -> None:
    assert find_default_database(dataset) == f"sqlite:///{dataset}/live.db"
    assert find_default_database(dataset / "b") == f"sqlite:///{dataset}/live.db"
    alone = write_example(tmp_path / "copied" / "bundle")
    assert find_default_database(alone) == f"sqlite:///{tmp_path}/copied/live.db"


def test_keys_are_created_listed_and_revoked(tmp_path: Path) -> None:
    database = ["--database", f"sqlite:///{tmp_path}/live.db"]
    assert "There are no keys" in run("keys", "list", *database).output
    created = run("keys", "create", *database, "--kind", "publishable", "--note", "the web shop")
    assert created.stdout.startswith("bazar_publishable_")
    assert len(created.stdout.splitlines()) == 1
    assert "cannot be shown again" in created.stderr
    listed = run("keys", "list", *database).output
    assert "publishable" in listed
    assert "the web shop" in listed
    assert created.stdout.strip() not in listed
    key_id = listed.split()[0]
    assert run("keys", "revoke", key_id, *database).exit_code == 0
    assert "revoked" in run("keys", "list", *database).output
    unknown = run("keys", "revoke", "nothing", *database)
    assert unknown.exit_code == 1
    assert "no key with the id 'nothing'" in unknown.output


def test_the_database_is_read_from_the_environment(dataset: Path, tmp_path: Path) -> None:
    env = {"BAZAR_DATABASE": f"sqlite:///{tmp_path}/environment.db"}
    assert run("keys", "create", "--note", "first", env=env).exit_code == 0
    key_id = run("keys", "list", env=env).output.split()[0]
    assert run("keys", "revoke", key_id, env=env).exit_code == 0
    assert "revoked" in run("keys", "list", env=env).output
    assert "0 purchases" in run("export-training", str(tmp_path / "live"), env=env).output
    # The option has precedence.
    other = ["--database", f"sqlite:///{tmp_path}/option.db"]
    assert "There are no keys" in run("keys", "list", *other, env=env).output
    assert "BAZAR_DATABASE" in run("keys", "list").output
    wrong = {"BAZAR_DATABASE": "mysql://a:secret@b/c"}
    result = run("serve", str(dataset), "--port", "0", env=wrong)
    assert "not supported" in result.output
    assert "secret" not in result.output


def test_the_version_is_printed() -> None:
    assert __version__ in run("--version").output


def test_the_service_needs_no_heavy_library(dataset: Path) -> None:
    # PyArrow imports pandas where it is installed. Here, none of the libraries can be imported.
    script = f"""
import sys
from pathlib import Path
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import bazar.service.command
assert not set(sys.modules) & {{"numpy", "sqlalchemy", "fastapi", "pydantic"}}
from fastapi.testclient import TestClient
from bazar.config.service import ServiceOptions
from bazar.service.api.server import ServerSettings, open_loader
from bazar.service.store import LiveStore
from bazar.service.api.app import create_app
settings = ServerSettings(
    Path({str(dataset)!r}), "sqlite:///{dataset}/imports.db", ServiceOptions(), False
)
loader = open_loader(settings, LiveStore(settings.database_url))
with TestClient(create_app(loader, settings.options, False), "http://localhost") as client:
    for path in ("/v1/recommendations?user_id=alice", "/v1/search?query=soap", "/docs", "/metrics"):
        assert client.get(path).status_code == 200
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
