"""The project's commands: ``kedro run``, ``kedro download``, and those of a trained shop."""

import copy
import pkgutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata

from bazar import pipelines
from bazar.cli.errors import check_environment, check_name, shorten_errors
from bazar.cli.recommend import COMMANDS
from bazar.errors import InputError


@click.group(name="bazar")
def cli() -> None:
    """Bazar's own commands."""


def check_names(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``kedro run`` refuse an environment or a pipeline that there is not.

    Kedro finds out later, and with a traceback.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        metadata = click.get_current_context().find_object(ProjectMetadata)
        if metadata is not None:
            check_environment(metadata, kwargs.get("env"))
            modules = pkgutil.iter_modules(pipelines.__path__)
            names = {module.name for module in modules if module.ispkg} | {"__default__"}
            for name in kwargs.get("pipelines") or ():
                check_name("pipeline", name, names)
        return command(*args, **kwargs)

    return run


run = copy.copy(kedro_run)
run.callback = shorten_errors(check_names(run.callback))  # type: ignore[arg-type]
cli.add_command(run)
for shop_command in COMMANDS:
    cli.add_command(shop_command)


@cli.command()
@click.option(
    "--env", "-e", envvar="KEDRO_ENV", help="The environment: a folder of conf/ with downloads.yml."
)
@click.option(
    "--raw-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to put the files into, in place of the environment's raw_dir.",
)
@click.pass_obj
@shorten_errors
def download(metadata: ProjectMetadata, env: str | None, raw_dir: Path | None) -> None:
    """Fetch the original files of an environment's data set.

    Which files, and from where, is in conf/ENV/downloads.yml. A file that is there already is
    kept; a transfer that breaks off is started again, and leaves nothing half-written. The
    sha256 of every file is checked, or told where downloads.yml does not know it.
    """
    # What it needs is not loaded by the other commands.
    from kedro.framework.session import KedroSession

    from bazar.ingestion.downloads import (
        check_downloads,
        download_all,
    )

    conf = metadata.project_path / settings.CONF_SOURCE
    have = sorted(file.parent.name for file in conf.glob("*/downloads.yml"))
    if env not in have:
        what = f"there is no {conf}/{env}/downloads.yml" if env else "no environment is named"
        raise InputError(
            f"{what}\nEnvironments that have one: {', '.join(have)}. Name one by --env"
        )
    loader = KedroSession.create(metadata.project_path, env=env).load_context().config_loader
    # Not the context's parameters, which import every pipeline to find their types.
    parameters = loader["parameters"]
    downloads = check_downloads(loader["downloads"], f"{conf}/{env}/downloads.yml")
    folder = raw_dir.resolve() if raw_dir else metadata.project_path / parameters["raw_dir"]

    outcome = download_all(downloads, folder)
    click.echo(outcome.summary())
    if outcome.problems:
        raise InputError(
            f"{len(outcome.problems)} of {len(downloads.files)} files could not be had\n\n"
            + "\n\n".join(outcome.problems)
        )
    elsewhere = f" --params raw_dir={folder}" if raw_dir else ""
    click.echo(f"Next: kedro run --env {env}{elsewhere}")
