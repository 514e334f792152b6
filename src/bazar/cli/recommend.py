"""The commands that read the results of a run: recommend, similar, export-recommendations."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from kedro.framework.startup import ProjectMetadata

from bazar.cli.errors import shorten_errors
from bazar.cli.run_options import (
    RunOptions,
    check_exists,
    open_catalog,
    open_recommender,
    run_options,
)
from bazar.errors import InputError, suggest_names

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol

    from bazar.serving.recommender import Recommender

_top = click.option(
    "--top",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum number of products.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")


@click.command()
@click.option("--user", help="A customer of the store: recommend after the complete history.")
@click.option("--items", help="Purchases of anybody else, the latest last: ID,ID,…")
@click.option(
    "--item",
    "more_items",
    multiple=True,
    metavar="ID",
    help="One purchase, after those of --items. Can be repeated; the id may contain commas.",
)
@_top
@click.option(
    "--model",
    help="The model that recommends: blend, classifier, regressor or a baseline. Default: the "
    "first of recommendation.models.",
)
@click.option(
    "--category",
    "categories",
    multiple=True,
    help="Only products with this category, brand or other attribute. Can be repeated.",
)
@click.option(
    "--filter-seen/--no-filter-seen",
    default=None,
    help="Whether products that were bought before are removed. Default: the parameter "
    "recommendation.filter_seen of the run.",
)
@run_options
@_json
@click.pass_obj
@shorten_errors
def recommend(
    metadata: ProjectMetadata,
    user: str | None,
    items: str | None,
    more_items: tuple[str, ...],
    top: int,
    model: str | None,
    categories: tuple[str, ...],
    filter_seen: bool | None,
    env: str | None,
    split: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Recommend products, each with the most similar past purchase.

    Name a customer (--user) or some purchases (--items). Without either, the products that are
    most popular recently are recommended, as for a new customer.

    \b
        kedro recommend --user AYM3ZO4LJ5KWOGVR64OK2OD2JROP
        kedro recommend --items 0035786242,B0K6VFDAQ6 --category "Skin Care"
    """  # noqa: D301
    if user is not None and (items is not None or more_items):
        raise InputError("--user and --items exclude each other. Use one of them.")
    run = RunOptions(metadata, env, split, seed)
    with open_recommender(run) as (recommender, catalog):
        if user is not None:
            user = user.strip()
            history = _get_history(recommender, catalog, user)
        else:
            history = _parse_items(items, more_items, recommender.products.index)
            _check_any_known(history, recommender.products.index)
        answer = recommender.recommend(history, top, model, filter_seen, categories or None)
        if as_json:
            click.echo(json.dumps({"user_id": user, "history": history} | answer.to_json()))
            return
        from bazar.cli.console import print_recommendations

        known = [item_id for item_id in history if item_id in recommender.products.index]
        print_recommendations(answer, [recommender.title(item_id) for item_id in known], user)


@click.command()
@click.argument("item_id")
@_top
@run_options
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
    """Find the products whose titles are most similar to the title of ITEM_ID.

    \b
        kedro similar B0K6VFDAQ6
    """  # noqa: D301
    with open_recommender(RunOptions(metadata, env, split, seed)) as (recommender, _):
        item_id = item_id.strip()
        if item_id not in recommender.products.index:
            from bazar.serving.requests import suggest_items

            hint = suggest_items([item_id], recommender.products.index)
            raise InputError(f"There is no product {item_id!r} in the catalogue.{hint}")
        answer = recommender.similar(item_id, top)
        if as_json:
            click.echo(json.dumps({"item_id": item_id} | answer.to_json()))
            return
        from bazar.cli.console import print_similar

        print_similar(answer, item_id, recommender.title(item_id))


@click.command(name="export-recommendations")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", help="Only the recommendations of this model.")
@click.option(
    "--raw", is_flag=True, help="Write ids and titles unchanged, for programs (see above)."
)
@run_options
@click.pass_obj
@shorten_errors
def export_recommendations(
    metadata: ProjectMetadata,
    file: Path,
    model: str | None,
    raw: bool,
    env: str | None,
    split: str | None,
    seed: int | None,
) -> None:
    """Write the recommendations for every customer to FILE, as CSV.

    A text that a spreadsheet would run as a formula, because it starts with = + - @, a tab or a
    line break, gets an apostrophe in front. Signed numbers, such as phone numbers used as ids, are
    not changed. With --raw, no text is changed.

    \b
        kedro export-recommendations recommendations.csv --model blend
    """  # noqa: D301
    run = RunOptions(metadata, env, split, seed)
    with open_catalog(run) as catalog:
        from bazar.serving.csv_export import write_csv

        check_exists(catalog, "recommendations", run)
        table = catalog.load("recommendations")
        if model is not None:
            models = table.select("model").distinct().to_pyarrow()["model"].to_pylist()
            if model not in models:
                raise InputError(
                    f"There are no recommendations by the model {model!r}."
                    f"{suggest_names(model, models)}\n"
                    "The parameter recommendation.models selects the models."
                )
            table = table.filter(table.model == model)
        n_rows = write_csv(table.to_pyarrow_batches(), file, escape_formulas=not raw)
    click.echo(f"{n_rows:,} recommendations: {file}")


def _get_history(recommender: "Recommender", catalog: "CatalogProtocol", user: str) -> list[str]:
    if not recommender.has_customer(user):
        minimum = catalog.load("params:joining.min_interactions")
        raise InputError(
            f"There is no customer {user!r} with at least {minimum} purchases "
            "(joining.min_interactions). For anybody else, use --items, or no option for the "
            "products that are most popular recently."
        )
    return recommender.history(user)


def _parse_items(
    items: str | None, more_items: tuple[str, ...], catalogue: Iterable[str]
) -> list[str]:
    """Return the ids of ``--items`` and ``--item``. A value that is a product is not split."""
    first = (items or "").strip()
    parts = [first] if first in catalogue else first.split(",")
    return [item_id.strip() for item_id in (*parts, *more_items) if item_id.strip()]


def _check_any_known(history: list[str], catalogue: Iterable[str]) -> None:
    """Raise InputError with close ids if there are items, but none is known."""
    if history and not any(item_id in catalogue for item_id in history):
        from bazar.serving.requests import describe_unknown_items

        raise InputError(describe_unknown_items(history, catalogue))
