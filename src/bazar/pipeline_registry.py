"""The project's pipelines, found by the names of their folders."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline under ``bazar.pipelines`` by name, and the default of all but one.

    ``comparison`` reads what several runs left, and is a run of its own.
    """
    pipelines = find_pipelines(raise_errors=True)
    of_a_run = [pipeline for name, pipeline in pipelines.items() if name != "comparison"]
    pipelines["__default__"] = sum(of_a_run, Pipeline([]))
    return pipelines
