"""The settings of a process of the service."""

import subprocess
import sys

SCRIPT = """
import gc, os, sys
from bazar.service.process import prepare_process, settle_process
os.environ["OPENBLAS_NUM_THREADS"] = "3"
prepare_process()
assert not gc.isenabled()
assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
assert "numpy" not in sys.modules and "pyarrow" not in sys.modules
import bazar.service.opening
import pyarrow
assert pyarrow.default_memory_pool().backend_name == "system"
assert not {"scipy", "pandas", "fastapi", "sqlalchemy"} & set(sys.modules), sorted(sys.modules)
settle_process()
assert gc.isenabled() and gc.get_freeze_count() > 0
"""


def test_a_start_imports_little_and_leaves_a_working_process() -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
