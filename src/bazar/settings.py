"""Project settings: the hooks, and how the configuration is loaded.

https://docs.kedro.org/en/stable/configure/project_settings/
"""

import glob
import warnings
from pathlib import PurePosixPath
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from kedro.config import OmegaConfigLoader

from bazar.hooks import ParameterCheck, RunLock, RunProgress, RunSummary, SparkEngine


class _ConfigFolder(LocalFileSystem):
    """The folder ``conf/``. Only the part of a pattern below an environment is a pattern."""

    def glob(self, path: str, **_: Any) -> list[str]:
        folder = PurePosixPath(self.storage_options["fo"])
        env, *pattern = PurePosixPath(path).relative_to(folder).parts
        literal = glob.escape(str(folder / env))
        found = glob.iglob(str(PurePosixPath(literal, *pattern)), recursive=True)  # noqa: PTH207
        return list(found)


class ConfigLoader(OmegaConfigLoader):
    """Loads the configuration of a project whose path contains any characters, such as brackets.

    Kedro takes the path for a pattern: in ``shop [1]``, it reads the configuration of ``shop 1``.
    """

    @staticmethod
    def _initialise_filesystem_and_protocol(conf_source: str) -> tuple[AbstractFileSystem, str]:
        files, protocol = OmegaConfigLoader._initialise_filesystem_and_protocol(conf_source)
        return (_ConfigFolder(fo=str(conf_source)) if protocol == "file" else files), protocol


def connection(engine: str, memory_limit: str) -> dict[str, Any]:
    """Return the arguments of the Ibis connection that all tables of a run share."""
    if engine == "spark":
        # Ibis uses the session that SparkEngine started.
        return {"backend": "pyspark"}
    return {
        "backend": "duckdb",
        "database": ":memory:",
        "memory_limit": memory_limit,
    }


# Data sets are named for their model, such as classifier.results, without a Kedro namespace.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'")
# Without the package ipywidgets, progress bars in a notebook are text, which is enough.
warnings.filterwarnings("ignore", message="IProgress not found")

HOOKS = (ParameterCheck(), SparkEngine(), RunLock(), RunProgress(), RunSummary())

CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment or --params can change one key of a block and keep the others.
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {"downloads": ["downloads*"], "spark": ["spark*"]},
    "custom_resolvers": {"connection": connection},
}
