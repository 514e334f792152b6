"""The command serve, as a process that becomes the service."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Invoke, open_catalog
from tests.project import ROOT, kedro_command


@pytest.fixture
def project(finished_project: Path, tmp_path: Path) -> Path:
    """A project with a published bundle, in which Kedro's command can be called."""
    shutil.copytree(finished_project, tmp_path, dirs_exist_ok=True)
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src").mkdir()
    catalog = open_catalog(tmp_path)
    bundle = Path(catalog.get("bundle")._filepath)
    models = Path(catalog.get("current_bundle")._filepath).parent
    catalog.save("current_bundle", f"{bundle.relative_to(models)}\n")
    return tmp_path


def test_the_process_becomes_the_service(project: Path) -> None:
    command = kedro_command("serve", "--port", "0")
    database = project / "secret.db"
    with subprocess.Popen(
        command,
        cwd=project,
        env=os.environ | {"BAZAR_DATABASE": f"sqlite:///{database}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert address is not None, process.stderr.read()
            answer = httpx.get(f"{address[0]}/v1/recommendations", params={"user_id": "u001"})
            assert answer.status_code == 200
            # All products that the customer did not buy.
            assert len(answer.json()["products"]) == 8
            assert httpx.get(f"{address[0]}/").status_code == 404
            # Kedro was replaced.
            arguments = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
            assert "kedro" not in arguments[2]
            assert "--port" in arguments
            # The URL of the database can contain a password.
            assert database.is_file()
            assert not any(database.name in argument for argument in arguments)
        finally:
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(30) in {0, -signal.SIGTERM}


def test_a_missing_bundle_is_a_message(finished_project: Path, invoke: Invoke) -> None:
    result = invoke("serve", "--seed", "7")
    assert result.exit_code == 1
    assert "There is no" in result.output
    assert "kedro run --params seed=7" in result.output
