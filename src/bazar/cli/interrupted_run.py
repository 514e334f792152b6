"""The message of a run that was interrupted."""

import re
from collections.abc import Sequence
from typing import Any

from kedro.framework.project import pipelines as registered
from kedro.framework.project import settings
from kedro.pipeline import Pipeline


def describe_interrupted_run(command: str, pipelines: Sequence[str]) -> str:
    """Return which results of an interrupted run are kept, and the command that resumes it.

    Args:
        command: the command of the run.
        pipelines: the pipelines that it named.
    """
    progress = _find_progress()
    finished: list[str] = list(getattr(progress, "finished", ()))
    remaining: list[str] = list(getattr(progress, "remaining", ()))
    if not finished or not remaining:
        return f"Stopped. What was saved is kept. Start again with:\n  {command}"
    command = re.sub(r" --from-nodes[= ]\S+", "", command)
    nodes = ",".join(_find_first_nodes(remaining, pipelines))
    return (
        f"Stopped. The results of the finished steps are kept: {', '.join(finished)}.\n"
        f"Resume with:\n  {command} --from-nodes={nodes}"
    )


def _find_progress() -> Any:
    """Return the hook that records finished nodes, or None."""
    return next((hook for hook in settings.HOOKS if type(hook).__name__ == "RunProgress"), None)


def _find_first_nodes(remaining: list[str], pipelines: Sequence[str]) -> list[str]:
    """Return the remaining nodes that do not wait for other remaining nodes."""
    names = list(pipelines) or ["__default__"]
    everything: Pipeline = sum((registered[name] for name in names), Pipeline([]))
    rest = everything.only_nodes(*remaining)
    return [node.name for node in rest.grouped_nodes[0]]
