"""The benchmark of warm starts, on a small data set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.project import ROOT
from tests.reproduction.test_reproduction import cycle_project


def test_stdout_holds_only_markdown(tmp_path: Path) -> None:
    training = {
        "epochs": 2,
        "min_steps": 1,
        "batch_size": 64,
        "warm": {"epochs": 1, "learning_rate": 0.001},
    }
    bazar = {"item_dimension": 8, "training": training}
    parameters = {"classifier": {"networks": {"bazar": bazar}}}
    project = cycle_project(tmp_path, parameters, "leave_one_out")
    (project / "conf" / "quick" / "globals.yml").write_text("split: leave_one_out\n")
    shutil.copytree(ROOT / "benchmarks", project / "benchmarks")
    completed = subprocess.run(
        [sys.executable, "benchmarks/warm_start.py", "--env", "quick", "--seeds", "1"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr[-3000:]
    assert "Epoch 1 of 2" in completed.stderr
    description, _, *table, _, ratio = completed.stdout.splitlines()
    assert description.startswith("classifier, ")
    assert "12 of 12 products and 54 of 60 users were in the earlier training." in description
    assert ratio.startswith("A warm start takes ")
    rows = [line.strip("| ").split(" | ") for line in table]
    assert [row[:2] for row in rows[2:5]] == [
        ["1", "earlier network, unchanged"],
        ["1", "from scratch"],
        ["1", "warm start"],
    ]
    assert [row[2] for row in rows[2:5]] == ["–", "2", "1"]
    assert len(rows) == 7
