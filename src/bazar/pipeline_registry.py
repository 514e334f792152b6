"""Register the pipelines of the project, which are found by the names of their folders."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

# Not part of `kedro run`: they read the results of several runs, or train for a long time.
NOT_IN_DEFAULT = {"comparison", "modelling_reproduction", "reproduction", "tuning"}


def register_pipelines() -> dict[str, Pipeline]:
    """Return all pipelines of ``bazar.pipelines`` by name, and the default pipeline."""
    pipelines = find_pipelines(raise_errors=True)
    default = [pipeline for name, pipeline in pipelines.items() if name not in NOT_IN_DEFAULT]
    pipelines["__default__"] = sum(default, Pipeline([]))
    return pipelines
