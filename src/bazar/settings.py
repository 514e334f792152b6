"""Project settings: where the configuration is and how it is merged.

https://docs.kedro.org/en/stable/configure/project_settings/
"""

import warnings

from kedro.config import OmegaConfigLoader

from bazar.hooks import ParameterCheck, RunSummary


def results_folder(dataset: str, split: str) -> str:
    """Folder of what depends on the split: the default split owns the data set's own folder."""
    return dataset if split == "leave_one_out" else f"{dataset}/{split}"


# Reporting reads across the models' namespaces, classifier.metrics beside regressor.metrics: that
# is what the dots are for.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'")

HOOKS = (ParameterCheck(), RunSummary())

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"downloads": ["downloads.yml"]},
    # An environment, or --params, changes one key and keeps its siblings.
    "merge_strategy": {"parameters": "soft"},
    "custom_resolvers": {"results_folder": results_folder},
}
