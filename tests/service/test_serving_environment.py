"""The serving environment: what requirements-serve.lock installs answers from a bundle."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bazar.serving.bundle import write_bundle
from tests.project import ROOT
from tests.serving.example_bundle import NEW_PRODUCT, make_bundle, train_networks

ABSENT = ["tensorflow", "torch", "keras", "kedro", "pandas", "ibis", "duckdb", "sklearn", "faiss"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, into which the lock file was installed."""
    folder = tmp_path_factory.mktemp("serve")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--quiet"]
    pip += ["--disable-pip-version-check", "install", "--no-compile"]
    subprocess.run([*pip, "-r", str(ROOT / "requirements-serve.lock")], check=True)
    subprocess.run([*pip, "--no-deps", str(ROOT)], check=True)
    return folder / "bin"


def test_libraries_of_the_training_are_not_installed(environment: Path) -> None:
    code = "import importlib.util, sys; print(*map(importlib.util.find_spec, sys.argv[1:]))"
    command = [str(environment / "python"), "-c", code, *ABSENT, "bazar"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.startswith("None " * len(ABSENT) + "ModuleSpec")


def test_the_command_serves_trained_networks(environment: Path, tmp_path: Path) -> None:
    write_bundle(make_bundle(train_networks()), tmp_path / "bundle")
    command = [str(environment / "bazar"), "serve", str(tmp_path / "bundle"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+:\d+", process.stdout.readline())
            assert address is not None
            with httpx.Client(base_url=address[0], timeout=60) as client:
                for model in ("blend", "classifier", "regressor"):
                    question = {"history": ["P03"], "k": 1, "model": model}
                    answer = client.post("/v1/recommendations", json=question).raise_for_status()
                    assert answer.json()["products"][0]["item_id"] == "P04"
                similar = client.get("/v1/items/P01/similar").raise_for_status().json()
                assert similar["products"][0]["item_id"] == NEW_PRODUCT
                assert "P" in client.get("/v1/search", params={"query": "title 3"}).text
        finally:
            process.terminate()
