"""The command ``kedro add-products``."""

from pathlib import Path

import click
from kedro.framework.startup import ProjectMetadata

from bazar.cli.errors import shorten_errors
from bazar.cli.run_options import RunOptions, check_exists, open_catalog, run_options


@click.command(name="add-products")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--source",
    help="The source under products in conf/ENV/globals.yml that FILE has the format of. Default: "
    "the first.",
)
@run_options
@click.pass_obj
@shorten_errors
def add_products(
    metadata: ProjectMetadata,
    file: Path,
    source: str | None,
    env: str | None,
    split: str | None,
    seed: int | None,
) -> None:
    """Add the products of FILE to the catalogue, so that they are recommended at once.

    FILE has the format of a source of products in conf/ENV/globals.yml. A line for the sample
    store:

    \b
        {"parent_asin": "NEW1", "title": "Oat Milk Shampoo, 250 ml", "store": "Novum"}

    Nothing is trained. Models that read titles recommend the products; models that read only ids do
    not. The products stay in later runs until the raw files have titles for them. Products without
    a title are left out and reported.

    \b
        kedro add-products new.jsonl
    """  # noqa: D301
    run = RunOptions(metadata, env, split, seed)
    with open_catalog(run) as catalog:
        check_exists(catalog, "bundle", run)
        from bazar.cli.catalogue_update import update_catalogue
        from bazar.datasets.run_lock import lock_data_set

        with lock_data_set(metadata.project_path, catalog.load("params:dataset")):
            update = update_catalogue(catalog, file, source)
    click.echo(update.format(run))
