"""The message of a run that was interrupted."""

import re
from collections.abc import Sequence

from kedro.framework.project import pipelines as registered
from kedro.pipeline import Pipeline


def describe_interrupted_run(command: str, pipelines: Sequence[str]) -> str:
    """Return which results of an interrupted run are kept, and the command that resumes it.

    Args:
        command: the command of the run.
        pipelines: the pipelines that it named.
    """
    # Every command imports this module, and only a run has imported the hooks' libraries.
    from bazar.hooks import RunProgress

    if not RunProgress.finished or not RunProgress.remaining:
        return f"Stopped. What was saved is kept. Start again with:\n  {command}"
    command = re.sub(r" --from-nodes[= ]\S+", "", command)
    nodes = ",".join(_find_first_nodes(RunProgress.remaining, pipelines))
    return (
        f"Stopped. Finished data sets are kept: {', '.join(RunProgress.saved)}.\n"
        f"Resume with:\n  {command} --from-nodes={nodes}"
    )


def _find_first_nodes(remaining: Sequence[str], pipelines: Sequence[str]) -> list[str]:
    """Return the remaining nodes that do not wait for other remaining nodes."""
    names = list(pipelines) or ["__default__"]
    everything: Pipeline = sum((registered[name] for name in names), Pipeline([]))
    rest = everything.only_nodes(*remaining)
    return [node.name for node in rest.grouped_nodes[0]]
