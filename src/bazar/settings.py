"""Project settings: the hooks, and how the configuration is loaded.

https://docs.kedro.org/en/stable/configure/project_settings/
"""

import warnings
from typing import Any

from kedro.config import OmegaConfigLoader

from bazar.hooks import ParameterCheck, RunLock, RunProgress, RunSummary, SparkEngine


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

HOOKS = (ParameterCheck(), SparkEngine(), RunLock(), RunProgress(), RunSummary())

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment or --params can change one key of a block and keep the others.
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {"downloads": ["downloads*"], "spark": ["spark*"]},
    "custom_resolvers": {"connection": connection},
}
