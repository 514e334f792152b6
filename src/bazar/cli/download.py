"""The command ``kedro download``."""

from pathlib import Path

import click
from kedro.framework.project import settings
from kedro.framework.startup import ProjectMetadata

from bazar.cli.errors import shorten_errors
from bazar.errors import InputError, suggest_names


@click.command()
@click.option(
    "--env", "-e", envvar="KEDRO_ENV", help="The environment: a folder of conf/ with downloads.yml."
)
@click.option(
    "--raw-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the files. Default: raw_dir of the environment.",
)
@click.pass_obj
@shorten_errors
def download(metadata: ProjectMetadata, env: str | None, raw_dir: Path | None) -> None:
    """Download the original files of a data set.

    The file conf/ENV/downloads.yml lists the files and their addresses. Files that exist are kept.
    An interrupted transfer starts again and leaves no partial file. The sha256 of every file is
    checked, or printed if downloads.yml does not list it.

    \b
        kedro download --env amazon_beauty_2014
    """  # noqa: D301
    # Other commands do not wait for these.
    from kedro.framework.session import KedroSession

    from bazar.ingestion.downloads import check_downloads, download_all

    conf = metadata.project_path / settings.CONF_SOURCE
    environments = sorted(file.parent.name for file in conf.glob("*/downloads.yml"))
    if env is None:
        raise InputError(f"Name an environment with --env.{suggest_names('', environments)}")
    if env not in environments:
        raise InputError(
            f"There is no {conf}/{env}/downloads.yml.{suggest_names(env, environments)}"
        )
    loader = KedroSession.create(metadata.project_path, env=env).load_context().config_loader
    # The parameters of the context would import every pipeline to find their types.
    parameters = loader["parameters"]
    downloads = check_downloads(loader["downloads"], f"{conf}/{env}/downloads.yml")
    folder = (
        raw_dir.resolve()
        if raw_dir
        else metadata.project_path / Path(parameters["raw_dir"]).expanduser()
    )

    outcome = download_all(downloads, folder)
    click.echo(outcome.summary())
    if outcome.problems:
        raise InputError(
            f"{len(outcome.problems)} of {len(downloads.files)} files could not be downloaded.\n\n"
            + "\n\n".join(outcome.problems)
        )
    run_elsewhere = f" --params raw_dir={folder}" if raw_dir else ""
    click.echo(f"Next: kedro run --env {env}{run_elsewhere}")
