"""The commands that read the results of a run: recommend, similar, export-recommendations."""

import json
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
@click.option(
    "--items",
    help="Purchases of anybody else, the latest last: ID,ID,… If the ids contain commas, the "
    "longest part that is a product is one id.",
)
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
        kedro recommend --user A2OBLKCNIU4EIDYN4HIFBXL6JJYP
        kedro recommend --items 0035786242,B0K6VFDAQ6 --category "Skin Care"
    """  # noqa: D301
    if user is not None and (items is not None or more_items):
        raise InputError("--user and --items exclude each other. Use one of them.")
    run = RunOptions(metadata, env, split, seed)
    with open_recommender(run) as (recommender, catalog):
        if user is not None:
            user = _find_customer(recommender, catalog, user.strip())
            history = recommender.history(user)
            answer = recommender.recommend_to_customer(
                user, top, model, filter_seen, categories or None
            )
        else:
            history = _read_history(recommender, items or "", more_items)
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

    Write -- before an id that starts with a minus sign.

    \b
        kedro similar B0K6VFDAQ6
        kedro similar --top 3 -- -1042
    """  # noqa: D301
    with open_recommender(RunOptions(metadata, env, split, seed)) as (recommender, _):
        item_id = item_id.strip()
        (item_id,) = _replace_forms(recommender, [item_id])
        if item_id not in recommender.products.index:
            hint = recommender.known_products.suggest([item_id])
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
@click.option("--raw", is_flag=True, help="Write titles unchanged, too, for programs (see above).")
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

    Ids are never changed. A title that a spreadsheet would run as a formula, because it starts with
    = + - @, a tab or a line break, gets an apostrophe in front. With --raw, titles are not changed
    either.

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
        n_rows = write_csv(table.to_pyarrow_batches(), file, [] if raw else ["title"])
    click.echo(f"{n_rows:,} recommendations: {file}")


def _find_customer(recommender: "Recommender", catalog: "CatalogProtocol", user: str) -> str:
    """Return the id of a customer, who may be written in another form.

    Raises:
        InputError: if there is no such customer, with the reason.
    """
    if recommender.has_customer(user):
        return user
    forms = recommender.known_customers.find_forms(user)
    if len(forms) == 1:
        _report_form(user, forms[0])
        return forms[0]
    hint = recommender.known_customers.suggest([user], compare_letters=False)
    raise InputError(
        f"{_explain_missing_customer(catalog, user)}{hint}\nFor anybody else, use --items, or no "
        "option for the products that are most popular recently."
    )


def _explain_missing_customer(catalog: "CatalogProtocol", user: str) -> str:
    """Return a sentence that explains why a customer is not in the bundle."""
    if not catalog.exists("ingested_tables"):
        return f"There is no customer {user!r}."
    import ibis

    from bazar.data.joining import drop_duplicates

    # An id that is not valid text cannot be searched for. In a query, a text must not contain NUL.
    wanted = ibis.memtable({"user_id": [user.encode(errors="replace").decode()]})
    purchases = catalog.load("ingested_tables")["interactions"]
    own = drop_duplicates(purchases.semi_join(wanted, "user_id"))
    counts = own.aggregate(n=own.count(), is_guest=own.is_guest.any()).to_pyarrow().to_pylist()[0]
    n_purchases, minimum = counts["n"], catalog.load("params:joining.min_interactions")
    if n_purchases == 0:
        return f"There is no customer {user!r} in the data."
    if counts["is_guest"]:
        return f"{user!r} is a guest, and guests get no recommendations of their own."
    found = f"{n_purchases} {'purchase' if n_purchases == 1 else 'purchases'}"
    if n_purchases < minimum:
        return (
            f"There is no customer {user!r} with at least {minimum} purchases "
            f"(joining.min_interactions): {user!r} has {found}."
        )
    return f"Customer {user!r} has {found}, but was left out. See joining.keep_users."


def _read_history(recommender: "Recommender", items: str, more_items: tuple[str, ...]) -> list[str]:
    """Return the ids of ``--items`` and ``--item``.

    Raises:
        InputError: if there are items, but none is known. Close ids are in the message.
    """
    from bazar.serving.requests import read_item_ids, shorten_ids

    catalogue, known = recommender.products.index, recommender.known_products
    single = [item_id.strip() for item_id in more_items if item_id.strip()]
    written = read_item_ids(items, catalogue, known) + single
    history = _replace_forms(recommender, written)
    if history and not any(item_id in catalogue for item_id in history):
        raise InputError(
            f"None of these items is in the catalogue: {shorten_ids(history)}."
            f"{known.suggest(history)}"
        )
    return history


def _replace_forms(recommender: "Recommender", written: list[str]) -> list[str]:
    """Return ids as the catalogue writes them, if exactly one product has another form of an id."""
    found = []
    for item_id in written:
        is_known = item_id in recommender.products.index
        forms = [] if is_known else recommender.known_products.find_forms(item_id)
        if len(forms) == 1:
            _report_form(item_id, forms[0])
        found.append(forms[0] if len(forms) == 1 else item_id)
    return found


def _report_form(written: str, found: str) -> None:
    """Print which id was found. Standard output is for the answer, which programs read."""
    click.echo(f"There is no {written!r}. {found!r} was found instead.", err=True)
