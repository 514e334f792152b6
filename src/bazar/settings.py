"""Project settings: where the configuration is and how it is merged.

https://docs.kedro.org/en/stable/configure/project_settings/
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

from bazar.config.base import DEFAULT_SEED
from bazar.hooks import ParameterCheck, RunSummary, SparkEngine


def results_folder(dataset: str, split: str) -> str:
    """Folder of what depends on the split: the default split owns the data set's own folder."""
    return dataset if split == "leave_one_out" else f"{dataset}/{split}"


def trained_folder(results: str, seed: int) -> str:
    """Folder of what depends on the seed of the training, within that of the split."""
    return results if seed == DEFAULT_SEED else f"{results}/seed_{seed}"


def connection(engine: str, memory_limit: str) -> dict[str, Any]:
    """Arguments of the Ibis connection that all tables of a run share."""
    if engine == "spark":
        # Ibis takes the session that SparkEngine made.
        return {"backend": "pyspark"}
    return {
        "backend": "duckdb",
        "database": ":memory:",
        "memory_limit": memory_limit,
        "temp_directory": str(Path(tempfile.gettempdir()) / "bazar"),
    }


# Reporting reads across the models' namespaces, classifier.metrics beside regressor.metrics: that
# is what the dots are for.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'")

HOOKS = (ParameterCheck(), SparkEngine(), RunSummary())

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment, or --params, changes one key and keeps its siblings.
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {"downloads": ["downloads*"], "spark": ["spark*"]},
    "custom_resolvers": {
        "results_folder": results_folder,
        "trained_folder": trained_folder,
        "connection": connection,
    },
}
