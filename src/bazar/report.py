"""One page that says how good the models are, and shows what they recommend."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import TypeAdapter

from bazar.figures import hit_rate_bars, loss_curves, to_svg
from bazar.names import MODEL_NAMES, NO_TITLE

_FIGURES = ["hr@1", "hr@5", "hr@10", "hr@20", "ndcg@5", "ndcg@10", "ndcg@20", "mrr@20"]
COLUMNS = [*_FIGURES, "coverage@10"]
_FLOORS = ["popularity", "last_item_cooccurrence", "title_neighbours"]


@dataclass(frozen=True)
class Purchase:
    """A product that a customer bought; ``timestamp`` is in UTC milliseconds, if known."""

    item_id: str
    title: str | None
    timestamp: int | None


@dataclass(frozen=True)
class Recommendation:
    """A product that a model recommends."""

    rank: int
    item_id: str
    title: str | None
    score: float
    is_target: bool


@dataclass(frozen=True)
class ExampleCustomer:
    """A customer's purchases, what came next, and what each model recommended."""

    user_id: str
    purchases: list[Purchase]
    target: Purchase
    target_rank: dict[str, float]
    recommendations: dict[str, list[Recommendation]]


@dataclass(frozen=True)
class ReportData:
    """What the page is made of.

    Attributes:
        metrics: the content of ``metrics.json``.
        histories: training history by model, a row per epoch.
        title_coverage: ``title_source, products, interactions``.
        rejects: ``source_file, reason, count, examples``.
        ingestion_counts: ``source_file, rows_read, rows_kept, rows_rejected``.
        joining_counts: ``step, interactions, users``.
        examples: the customers to show.
        settings: short facts about the run, by name.
    """

    metrics: dict[str, Any]
    histories: Mapping[str, pd.DataFrame]
    title_coverage: pd.DataFrame
    rejects: pd.DataFrame
    ingestion_counts: pd.DataFrame
    joining_counts: pd.DataFrame
    examples: list[ExampleCustomer]
    settings: dict[str, str]


def choose_rows(ranks: pd.DataFrame, n: int, seed: int) -> list[int]:
    """Choose test rows to show: short and long histories alike, whatever the models made of them.

    Rows are put in order of the length of their history and cut into ``n`` equal groups; one
    of each is drawn.

    Args:
        ranks: ``row, history_length``, a row per test row.
        n: rows to choose; fewer if there are fewer.
        seed: seed of the draw.
    """
    ordered = ranks.sort_values(["history_length", "row"])["row"].to_numpy()
    rng = np.random.default_rng(seed)
    groups = np.array_split(ordered, min(n, len(ordered)))
    return [int(rng.choice(group)) for group in groups]


def example_customers(
    rows: list[int],
    purchases: pd.DataFrame,
    ranks: Mapping[str, pd.DataFrame],
    recommendations: Mapping[str, pd.DataFrame],
    titles: Mapping[str, str | None],
    top: int = 5,
) -> list[ExampleCustomer]:
    """Gather what is shown of the chosen test rows, histories masked.

    Args:
        rows: the chosen test rows.
        purchases: ``row, item_id, timestamp``: what the customer of each chosen row bought
            before the target, in order, then the target itself.
        ranks: per model, ``row, user_id, rank_masked``.
        recommendations: per model, ``row, history, rank, item_id, score``.
        titles: title by item id.
        top: recommendations to show per model.
    """
    examples = []
    for row in rows:
        bought = [
            Purchase(item_id, titles.get(item_id), None if pd.isna(time) else int(time))
            for item_id, time in purchases.loc[
                purchases["row"] == row, ["item_id", "timestamp"]
            ].itertuples(index=False)
        ]
        target = bought[-1]
        shown, target_rank = {}, {}
        for model, table in recommendations.items():
            own = table[
                (table["row"] == row) & (table["history"] == "masked") & (table["rank"] <= top)
            ].sort_values("rank")
            shown[model] = [
                Recommendation(rank, item_id, titles.get(item_id), score, item_id == target.item_id)
                for rank, item_id, score in zip(
                    own["rank"].tolist(),
                    own["item_id"].tolist(),
                    own["score"].tolist(),
                    strict=True,
                )
            ]
            of_model = ranks[model]
            target_rank[model] = float(of_model.loc[of_model["row"] == row, "rank_masked"].iloc[0])
        first = ranks[next(iter(ranks))]
        user_id = str(first.loc[first["row"] == row, "user_id"].iloc[0])
        examples.append(ExampleCustomer(user_id, bought[:-1], target, target_rank, shown))
    return examples


def examples_to_json(examples: list[ExampleCustomer]) -> list[dict[str, Any]]:
    """Turn examples into what a JSON file holds."""
    return _EXAMPLES.dump_python(examples, mode="json")


def examples_from_json(content: list[dict[str, Any]]) -> list[ExampleCustomer]:
    """Read what :func:`examples_to_json` made."""
    return _EXAMPLES.validate_python(content)


def findings(metrics: dict[str, Any]) -> list[str]:
    """Say what the numbers say, and no more: who leads, and whether models beat the floors.

    A model is said to beat another when their 95% intervals of HR@10 are apart; where they
    overlap, neither is said to be better.
    """
    models = metrics["models"]

    def figure(name: str) -> tuple[float, float, float]:
        masked = models[name]["masked"]
        return masked["hr@10"], *masked["hr@10_ci95"]

    best = max(models, key=lambda name: figure(name)[0])
    value, low, high = figure(best)
    said = [
        f"{MODEL_NAMES.get(best, best)} has the highest HR@10 with the history masked: "
        f"{value:.4f} (95% interval {low:.4f} to {high:.4f})."
    ]
    best_floor = max(_FLOORS, key=lambda name: figure(name)[0])
    for model in ("classifier", "regressor"):
        against = dict.fromkeys(["popularity", best_floor])
        told = [
            f"{_compare(figure(model), figure(floor))} {_floor_name(floor, floor == best_floor)}"
            for floor in against
        ]
        said.append(f"{MODEL_NAMES[model]} {' and '.join(told)}.")
    return said


def _compare(one: tuple[float, float, float], two: tuple[float, float, float]) -> str:
    if one[1] > two[2]:
        return "beats"
    if one[2] < two[1]:
        return "does not beat, and is worse than,"
    return "cannot be told from"


def _floor_name(floor: str, best: bool) -> str:
    name = MODEL_NAMES[floor].lower()
    return f"the best floor ({name})" if best else name


def render_report(data: ReportData) -> str:
    """Render the page: one file, no request to anywhere.

    Args:
        data: what the page is made of.

    Returns:
        HTML; all text that comes from data is escaped.
    """
    environment = Environment(
        loader=PackageLoader("bazar", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["date"] = _date
    environment.filters["number"] = lambda value: f"{int(value):,}"
    return environment.get_template("report.html.j2").render(
        data=data,
        metrics=data.metrics,
        models=data.metrics["models"],
        names=MODEL_NAMES,
        no_title=NO_TITLE,
        columns=COLUMNS,
        best={
            history: {
                column: max(model[history][column] for model in data.metrics["models"].values())
                for column in COLUMNS
            }
            for history in ("masked", "unmasked")
        },
        findings=findings(data.metrics),
        bars=to_svg(hit_rate_bars(data.metrics, "masked"), "bars"),
        losses={
            model: to_svg(loss_curves(history, MODEL_NAMES[model]), model)
            for model, history in data.histories.items()
        },
        rejects=data.rejects.to_dict("records"),
        title_coverage=data.title_coverage.to_dict("records"),
        ingestion_counts=data.ingestion_counts.to_dict("records"),
        joining_counts=data.joining_counts.to_dict("records"),
    )


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d")


_EXAMPLES = TypeAdapter(list[ExampleCustomer])
