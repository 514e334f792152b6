"""The project's pipelines, found by the names of their folders."""

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

_ON_REQUEST = {"report_networks"}


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline under ``bazar.pipelines`` by name, and the default of all but some.

    ``report_networks`` trains the report's fourteen networks, and is a run of its own.
    """
    pipelines = find_pipelines(raise_errors=True)
    of_a_run = [pipeline for name, pipeline in pipelines.items() if name not in _ON_REQUEST]
    pipelines["__default__"] = sum(of_a_run, Pipeline([]))
    return pipelines
