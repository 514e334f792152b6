"""Which commands wait for a run of their data set."""

import json
import os
from pathlib import Path

from bazar.datasets.run_lock import lock_data_set
from tests.cli.conftest import Invoke, assert_error


def test_only_a_command_that_changes_the_bundle_needs_the_lock(
    invoke: Invoke, project: Path
) -> None:
    new = project / "new.jsonl"
    new.write_text(json.dumps({"parent_asin": "NEW1", "title": "Oat Milk Shampoo"}) + "\n")
    with lock_data_set(project, "sample"):
        message = f"The data set 'sample' is in use by process {os.getpid()} since "
        assert_error(invoke("add-products", str(new)), message)
        assert invoke("recommend").exit_code == 0
        assert invoke("export-recommendations", str(project / "file.csv")).exit_code == 0
