"""The project's pipelines, found by the names of their folders."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

# Not part of a whole run: what reads the results of several, and what trains for hours.
ON_THEIR_OWN = {"comparison", "reproduction", "tuning"}


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline under ``bazar.pipelines`` by name, and the sum of those of a run."""
    pipelines = find_pipelines(raise_errors=True)
    of_a_run = [pipeline for name, pipeline in pipelines.items() if name not in ON_THEIR_OWN]
    pipelines["__default__"] = sum(of_a_run, Pipeline([]))
    return pipelines
