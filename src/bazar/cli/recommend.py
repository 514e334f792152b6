"""The commands of a shop whose models are trained: ``kedro recommend`` and its like."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata
from kedro.io import CatalogProtocol

from bazar.cli.errors import check_environment, shorten_errors
from bazar.errors import InputError

# What recommends takes seconds to import: `--help` does not wait for it.
if TYPE_CHECKING:
    from bazar.serving.recommender import Recommender


_OF_A_RUN = (
    click.option(
        "--env", "-e", envvar="KEDRO_ENV", help="The environment: a folder of conf/, a data set."
    ),
    click.option(
        "--split",
        help="The protocol of the run whose models answer, such as temporal; that of globals.yml "
        "if it is not named.",
    ),
    click.option(
        "--seed",
        type=int,
        help="The seed of the run whose models answer; that of globals.yml if it is not named.",
    ),
)
_top = click.option(
    "--top", default=10, show_default=True, type=click.IntRange(min=1), help="How many products."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")


def _of_a_run(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say whose models answer."""
    for option in reversed(_OF_A_RUN):
        command = option(command)
    return command


@click.command()
@click.option("--user", help="A customer of the shop: after all that they bought.")
@click.option("--items", help="Products bought by somebody else, the latest last: ID,ID,…")
@_top
@click.option(
    "--model",
    help="What recommends: blend, classifier, regressor, or a baseline; the first of "
    "recommendation.models if it is not named.",
)
@click.option(
    "--category",
    "categories",
    multiple=True,
    help="Only products that have this category, brand or other attribute. Can be repeated.",
)
@click.option(
    "--keep-seen/--leave-out-seen",
    default=None,
    help="Whether what was bought before is recommended again; as recommendation.filter_seen of "
    "the run says if neither is given.",
)
@_of_a_run
@_json
@click.pass_obj
@shorten_errors
def recommend(
    metadata: ProjectMetadata,
    user: str | None,
    items: str | None,
    top: int,
    model: str | None,
    categories: tuple[str, ...],
    keep_seen: bool | None,
    env: str | None,
    split: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Recommend products, and say which past purchase is nearest to each.

    To a customer (--user), or to whoever bought some products (--items). Without either: what is
    bought most of late, as somebody new is recommended.

    \b
        kedro recommend --user AYM3ZO4LJ5KWOGVR64OK2OD2JROP
        kedro recommend --items 0035786242,B0K6VFDAQ6 --category "Skin Care"
    """  # noqa: D301
    if user is not None and items is not None:
        raise InputError("--user and --items are two ways to say who is meant: give one of them")
    with _recommender(metadata, env, split, seed) as shop:
        history = shop.history(user) if user is not None else _ids(items)
        filter_seen = None if keep_seen is None else not keep_seen
        found = shop.recommend(history, top, model, filter_seen, categories or None)
        if as_json:
            click.echo(json.dumps({"user_id": user, "history": history} | found.to_json()))
            return
        from bazar.cli.console import print_recommendations

        known = [item_id for item_id in history if item_id in shop.products.index]
        print_recommendations(found, [shop.title(item_id) for item_id in known], user)


@click.command()
@click.argument("item_id")
@_top
@_of_a_run
@_json
@click.pass_obj
@shorten_errors
def similar(
    metadata: ProjectMetadata,
    item_id: str,
    top: int,
    env: str | None,
    split: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Find the products whose titles are nearest to that of ITEM_ID.

    \b
        kedro similar B0K6VFDAQ6
    """  # noqa: D301
    with _recommender(metadata, env, split, seed) as shop:
        found = shop.similar(item_id, top)
        if as_json:
            click.echo(json.dumps({"item_id": item_id} | found.to_json()))
            return
        from bazar.cli.console import print_similar

        print_similar(found, item_id, shop.title(item_id))


@click.command(name="add-products")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--source",
    help="The source of conf/<env>/globals.yml, under products, that the file is shaped as; the "
    "first if it is not named.",
)
@_of_a_run
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
    """Put the products of FILE into the catalogue, to be recommended at once.

    Nothing is trained: models that read titles recommend them, models of ids alone do not. They
    stay in the catalogue in later runs, and give way to what the raw files say once these know
    them. A product without a title is left out, and said.

    \b
        kedro add-products new.jsonl
    """  # noqa: D301
    with _catalog(metadata, env, split, seed) as catalog:
        _check_that_run(catalog, "shop")
        from bazar.cli.add_products import add_products_to_bundle

        outcome = add_products_to_bundle(catalog, file, source)
    click.echo(outcome.tell(_as_options(env, split, seed)))


@click.command(name="export-recommendations")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", help="Those of this model alone.")
@_of_a_run
@click.pass_obj
@shorten_errors
def export_recommendations(
    metadata: ProjectMetadata,
    file: Path,
    model: str | None,
    env: str | None,
    split: str | None,
    seed: int | None,
) -> None:
    """Write what is recommended to every customer to FILE, as CSV.

    Cells that a spreadsheet would take for a formula, since they begin with = + - @, a tab or a
    line's end, get an apostrophe before them.

    \b
        kedro export-recommendations recommendations.csv --model blend
    """  # noqa: D301
    with _catalog(metadata, env, split, seed) as catalog:
        from bazar.serving.csv_export import write_csv

        _check_that_run(catalog, "recommendations")
        table = catalog.load("recommendations")
        if model is not None:
            there = table.select("model").distinct().to_pyarrow()["model"].to_pylist()
            if model not in there:
                raise InputError(
                    f"nothing is recommended by a model {model}\nThere are "
                    f"{', '.join(sorted(there))} (recommendation.models)"
                )
            table = table.filter(table.model == model)
        n_rows = write_csv(table.to_pyarrow_batches(), file)
    click.echo(f"{n_rows:,} recommendations: {file}")


COMMANDS = (recommend, similar, add_products, export_recommendations)


def _ids(items: str | None) -> list[str]:
    return [item_id.strip() for item_id in (items or "").split(",") if item_id.strip()]


def _as_options(env: str | None, split: str | None, seed: int | None) -> str:
    """What names the same run in another command."""
    given = {"--env": env, "--split": split, "--seed": seed}
    return "".join(f" {name} {value}" for name, value in given.items() if value is not None)


def _check_that_run(catalog: CatalogProtocol, name: str) -> None:
    """Refuse to answer before there is anything to answer from."""
    if not catalog.exists(name):
        raise InputError(
            f"there is no {getattr(catalog.get(name), '_filepath', name)} yet\n"
            "Run `kedro run` first, with the same --env; split and seed are given to it by --params"
        )


@contextmanager
def _catalog(
    metadata: ProjectMetadata, env: str | None, split: str | None, seed: int | None
) -> Iterator[CatalogProtocol]:
    """The catalog of an environment; what libraries log stays below warnings."""
    check_environment(metadata, env)
    given: dict[str, Any] = {"split": split, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    # Answers are for eyes, or for a program that reads them: no line of a log between them.
    logging.disable(logging.WARNING)
    # TensorFlow's own log says that there is no graphics card, as if it were an error.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        session = KedroSession.create(metadata.project_path, env=env, runtime_params=given)
        yield session.load_context().catalog
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _recommender(
    metadata: ProjectMetadata, env: str | None, split: str | None, seed: int | None
) -> Iterator["Recommender"]:
    with _catalog(metadata, env, split, seed) as catalog:
        _check_that_run(catalog, "shop")
        from bazar.serving.recommender import Recommender

        yield Recommender.from_catalog(catalog)
