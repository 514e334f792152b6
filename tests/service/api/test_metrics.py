"""The files of metrics that several processes share."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from bazar.errors import InputError
from bazar.service.api.metrics import Metrics
try:
    metrics = Metrics()
except InputError as error:
    print(error)
else:
    metrics.count_request("/v1/events", "POST", 200, 0.1)
    print(metrics.write().decode())
"""


def run(folder: Path) -> str:
    # The library reads the variable when it is imported.
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_space_of_the_files_is_reserved(tmp_path: Path) -> None:
    for count in ("1.0", "2.0"):
        written = run(tmp_path)
        assert f'bazar_requests_total{{method="POST",route="/v1/events",status="200"}} {count}' in (
            written
        )
    files = [path.stat() for path in tmp_path.iterdir()]
    assert len(files) == 4
    for file in files:
        # The system kills a process that writes to a part without space.
        assert file.st_blocks * 512 >= file.st_size == 1 << 20


def test_a_folder_without_space_is_an_input_error(tmp_path: Path) -> None:
    assert "has no space for the metrics" in run(tmp_path / "missing")
