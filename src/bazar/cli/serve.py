"""The command serve: start the online service with the bundle of an environment."""

import os
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from kedro.framework.startup import ProjectMetadata

from bazar.cli.errors import shorten_errors
from bazar.cli.run_options import RunOptions, check_exists, open_catalog, run_options
from bazar.service.command import serve as serve_bundle

_SERVICE_OPTIONS = [option for option in serve_bundle.params if isinstance(option, click.Option)]


@click.command()
@run_options
@click.pass_context
@shorten_errors
def serve(
    context: click.Context,
    env: str | None,
    split: str | None,
    seed: int | None,
    **options: Any,
) -> None:
    """Serve recommendations over HTTP from the bundle of the last finished run.

    The service loads the bundle of the next run by itself. With --split or --seed, it serves the
    bundle of that run. The command bazar serve does the same without Kedro. Kedro's own command
    server is something else: it starts runs of pipelines over HTTP.

    \b
        kedro serve --env my_shop
    """  # noqa: D301
    metadata = context.find_object(ProjectMetadata)
    assert metadata is not None
    run = RunOptions(metadata, env, split, seed)
    with open_catalog(run) as catalog:
        # Only the folder of a data set has a file that names the latest bundle.
        name = "bundle" if run.parameters else "current_bundle"
        check_exists(catalog, name, run)
        path = Path(catalog.get(name)._filepath)  # type: ignore[union-attr]
    folder = path if run.parameters else path.parent
    arguments = [str(folder), *_format_options(context, options)]
    sys.stdout.flush()
    # The service replaces this process, which has imported Kedro.
    os.execv(sys.executable, [sys.executable, "-m", "bazar.service.command", "serve", *arguments])


def _format_options(context: click.Context, options: dict[str, Any]) -> list[str]:
    """Return the options of the service as arguments of a command line.

    Those of the environment are left out: the service reads it itself, and they can contain a
    password, which other accounts of the host could read in the command line.
    """
    arguments: list[str] = []
    for option in _SERVICE_OPTIONS:
        name = str(option.name)
        if context.get_parameter_source(name) == ParameterSource.ENVIRONMENT:
            continue
        value = options[name]
        if option.is_flag:
            arguments += [option.opts[0]] if value else []
        elif value is not None:
            arguments += [option.opts[0], str(value)]
    return arguments


serve.params += _SERVICE_OPTIONS
