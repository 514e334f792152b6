"""One page that says how good the models are, and shows what they recommend."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import TypeAdapter

from bazar.errors import InputError
from bazar.figures import (
    coverage_and_novelty,
    hit_rate_bars,
    loss_curves,
    slice_points,
    title_dots,
    to_svg,
)
from bazar.names import FLOORS, HISTORIES, NO_TITLE, model_name, protocol_name
from bazar.report_networks_table import COLUMNS as NETWORK_COLUMNS
from bazar.report_networks_table import INTERVALS, TEXTS, cells, diverged

_FIGURES = ["hr@1", "hr@5", "hr@10", "hr@20", "ndcg@5", "ndcg@10", "ndcg@20", "mrr@20"]
COLUMNS = [*_FIGURES, "coverage@10", "novelty@10"]
SLICES = {
    "by_history_length": "purchases before the target",
    "by_target_popularity": "times that the target was bought in the training part",
}
_SLICE_CAPTIONS = {
    "by_history_length": "What to see: from left to right, customers of whom more is known. A "
    "model that makes use of long histories does not fall behind the others to the right.",
    "by_target_popularity": "What to see: from left to right, products that were bought more "
    "often. A model whose points are high on the right alone recommends what everybody buys.",
}


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
        title_coverage: ``title_source, products, interactions, examples``.
        rejects: ``read_as, source_file, reason, count, examples``.
        ingestion_counts: ``read_as, source_file, rows_read, rows_kept, rows_rejected``.
        joining_counts: ``step, interactions, users``.
        examples: the customers to show.
        title_map: what :func:`bazar.title_map.place_products` gave.
        report_networks: what :func:`bazar.report_networks_table.tabulate` gave; without rows where
            those networks were not trained.
        settings: short facts about the run, by name.
    """

    metrics: dict[str, Any]
    histories: Mapping[str, pd.DataFrame]
    title_coverage: pd.DataFrame
    rejects: pd.DataFrame
    ingestion_counts: pd.DataFrame
    joining_counts: pd.DataFrame
    examples: list[ExampleCustomer]
    title_map: pd.DataFrame
    report_networks: pd.DataFrame
    settings: dict[str, str]


def choose_rows(ranks: pd.DataFrame, n: int, seed: int) -> list[int]:
    """Choose test rows to show: short and long histories alike, whatever the models made of them.

    Rows are put in order of the length of their history and cut into ``n`` equal groups; one
    of each is drawn.

    Args:
        ranks: ``row, n_seen``, a row per test row.
        n: rows to choose; fewer if there are fewer.
        seed: seed of the draw.
    """
    ordered = ranks.sort_values(["n_seen", "row"])["row"].to_numpy()
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

    def title_of(item_id: str) -> str | None:
        # Pandas gives a missing title as NaN or NA, which would be shown as a word.
        title = titles.get(item_id)
        return None if pd.isna(title) else title

    examples = []
    for row in rows:
        bought = [
            Purchase(item_id, title_of(item_id), None if pd.isna(time) else int(time))
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
                Recommendation(rank, item_id, title_of(item_id), score, item_id == target.item_id)
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


def check_measured_on(measured_on: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to lay results on different data side by side.

    Args:
        measured_on: what is known of the data by model, such as ``test_rows`` and ``items``.
        now: what is known of the data that there are now: all of it must be the same.

    Raises:
        InputError: naming the models that were measured on others.
    """
    others = [
        model
        for model, known in measured_on.items()
        if known is None or any(known.get(name) != value for name, value in now.items())
    ]
    if others:
        sizes = {name: size for name, size in now.items() if isinstance(size, int)}
        told = " and ".join(f"{size:,} {name.replace('_', ' ')}" for name, size in sizes.items())
        raise InputError(
            f"{', '.join(others)}: measured on other data than the {told} that there are now\n"
            "Run everything again, or the pipelines "
            "embedding,modelling_classifier,modelling_regressor,modelling_report,"
            "modelling_floors,modelling_blend,recommendation,reporting"
        )


def findings(metrics: dict[str, Any]) -> list[str]:
    """Say what the numbers say, and no more: who leads, and whether models beat the floors.

    A model is said to beat another when their 95% intervals of HR@10 are apart. Where they
    overlap, it is said which value is higher, and that the difference is not settled.

    Args:
        metrics: the content of ``metrics.json``.

    Returns:
        A sentence on the model that leads, then one for each model that is no floor, if there are
        floors.
    """
    masked = {
        name: _Estimate(figures["masked"]["hr@10"], *figures["masked"]["hr@10_ci95"])
        for name, figures in metrics["models"].items()
    }
    best = max(masked, key=lambda name: masked[name].value)
    close = [
        _in_sentence(name)
        for name in masked
        if name != best and masked[name].high >= masked[best].low
    ]
    leads = (
        f"{model_name(best)}{', a floor,' if best in FLOORS else ''} has the highest HR@10 "
        f"with the history masked, {masked[best]}"
    )
    said = [f"{leads}."]
    if len(close) == 1:
        said = [f"{leads}; the interval of {close[0]} overlaps."]
    elif close:
        said = [f"{leads}; the intervals of {', '.join(close[:-1])} and {close[-1]} overlap."]
    floors = [name for name in FLOORS if name in masked]
    if not floors:
        return said
    best_floor = max(floors, key=lambda name: masked[name].value)
    first_floor = "popularity" if "popularity" in floors else best_floor
    for model in (name for name in masked if name not in floors):
        told = [
            _compare(
                masked[model],
                masked[floor],
                f"{'the best floor, ' if floor == best_floor else ''}{_in_sentence(floor)}",
            )
            for floor in dict.fromkeys([first_floor, best_floor])
        ]
        said.append(f"{model_name(model)} ({masked[model].value:.4f}) {'; it '.join(told)}.")
    return said


def _in_sentence(model: str) -> str:
    """A floor's name without a capital, unless it is an abbreviation."""
    name = model_name(model)
    return name[0].lower() + name[1:] if model in FLOORS and name[1:2].islower() else name


@dataclass(frozen=True)
class _Estimate:
    """A value and the ends of its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} (95% interval {self.low:.4f} to {self.high:.4f})"


def _compare(model: _Estimate, floor: _Estimate, name: str) -> str:
    against = f"{name} ({floor.value:.4f})"
    if model.low > floor.high:
        return f"beats {against}"
    if model.high < floor.low:
        return f"does not beat {against}: it is worse"
    if model.value > floor.value:
        return f"is above {against}, but their intervals overlap: it is not shown to beat it"
    where = "below it" if model.value < floor.value else "equal to it"
    return f"does not beat {against}: it is {where}, and their intervals overlap"


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
    environment.filters["figure"] = lambda value: f"{value:.4f}"
    environment.filters["name"] = model_name
    environment.filters["protocol"] = protocol_name
    environment.filters["number"] = lambda value: f"{int(value):,}"
    environment.filters["share"] = lambda part, whole: f"{part / whole:.1%}" if whole else "–"
    metrics = data.metrics
    return environment.get_template("report.html.j2").render(
        data=data,
        metrics=metrics,
        models=metrics["models"],
        floors=FLOORS,
        histories=HISTORIES,
        no_title=NO_TITLE,
        columns=COLUMNS,
        best={history: _best(metrics, history) for history in HISTORIES},
        slices=SLICES,
        best_of_slices={
            history: {name: _best_of_slices(metrics, history, name) for name in SLICES}
            for history in HISTORIES
        },
        findings=findings(metrics),
        bars={
            history: to_svg(hit_rate_bars(metrics, history), f"bars-{history}")
            for history in HISTORIES
        },
        slice_points={
            name: to_svg(slice_points(metrics, name, told, "masked"), f"points-{name}")
            for name, told in SLICES.items()
        },
        slice_captions=_SLICE_CAPTIONS,
        beyond_accuracy=to_svg(coverage_and_novelty(metrics, "masked"), "coverage-novelty"),
        titles=None if data.title_map.empty else to_svg(title_dots(data.title_map), "titles"),
        categorised=bool(data.title_map["category"].notna().any()),
        network_columns=NETWORK_COLUMNS,
        texts=TEXTS,
        networks=cells(data.report_networks),
        networks_notes=[INTERVALS, *diverged(data.report_networks)],
        losses={
            model: to_svg(
                loss_curves(history, model_name(model), metrics["models"][model]["best_epoch"]),
                f"loss-{model}",
            )
            for model, history in data.histories.items()
            if model in metrics["models"]
        },
        rejects=data.rejects.to_dict("records"),
        title_coverage=data.title_coverage.to_dict("records"),
        covered=data.title_coverage[["products", "interactions"]].sum().to_dict(),
        ingestion_counts=data.ingestion_counts.to_dict("records"),
        joining_counts=data.joining_counts.to_dict("records"),
    )


def _best(metrics: dict[str, Any], history: str) -> dict[str, str]:
    """The highest figure of each column as it is shown: what looks equal is marked alike."""
    return {
        column: f"{max(model[history][column] for model in metrics['models'].values()):.4f}"
        for column in COLUMNS
    }


def _best_of_slices(metrics: dict[str, Any], history: str, name: str) -> list[str]:
    """The highest HR@10 of each slice as it is shown."""
    of_models = [model[history][name] for model in metrics["models"].values()]
    return [f"{max(one['hr@10'] for one in alike):.4f}" for alike in zip(*of_models, strict=True)]


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d")


_EXAMPLES = TypeAdapter(list[ExampleCustomer])
