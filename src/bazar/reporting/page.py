"""Report of a run: one self-contained HTML page without external requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jinja2.utils import htmlsafe_json_dumps

from bazar.config.models import BASELINES
from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import ORACLE, get_model_label
from bazar.reporting.figures import (
    plot_coverage_and_novelty,
    plot_groups,
    plot_hit_rates,
    plot_losses,
    plot_parts,
    plot_slices,
    plot_title_map,
    render_svg,
)
from bazar.reporting.findings import (
    LIST_LENGTH,
    build_verdict,
    can_rank_models,
    get_display_order,
    has_several_targets,
    list_findings,
)
from bazar.reporting.page_templates import create_environment, hash_script

Json = dict[str, Any]

COLUMNS = [
    "hr@10", "recall@10", "ndcg@10", "new_day", "repeat", "explore", "hr@1", "hr@5", "hr@20",
    "recall@5", "recall@20", "ndcg@5", "ndcg@20", "mrr@20", "coverage@10", "novelty@10",
]  # fmt: skip
PARTS = {"repeat": "bought before", "explore": "not bought before"}
COLUMN_PARTS = PARTS | {"new_day": "on a new day"}
PART_METRICS = ["hr@10", "recall@10", "ndcg@10"]
SLICES = {
    "by_history_length": "purchases before the target",
    "by_target_popularity": "purchases of the target in the training part",
}
_SLICE_CAPTIONS = {
    "by_history_length": "Customers on the right have more purchases. A model that uses long "
    "histories well has the highest values on the right.",
    "by_target_popularity": "Products on the right were bought more often. A model that is good "
    "only on the right recommends mainly popular products.",
}


@dataclass(frozen=True)
class ReproductionTable:
    """Formatted table of the networks of the original study.

    Attributes:
        headings: heading by column.
        text_columns: the columns with text. All other columns contain numbers.
        rows: text of each cell by column, one dictionary per row.
        notes: sentences below the table.
    """

    headings: Mapping[str, str]
    text_columns: frozenset[str]
    rows: list[dict[str, str]]
    notes: list[str]


def render_report(
    metrics: Json,
    examples: Json,
    ingestion_summary: Mapping[str, pd.DataFrame],
    joining_summary: Mapping[str, pd.DataFrame],
    title_map: pd.DataFrame,
    reproduction: ReproductionTable | None = None,
) -> str:
    """Return the report as HTML. All text from the data is escaped.

    Args:
        metrics: the content of ``metrics.json``.
        examples: the result of :func:`bazar.reporting.examples.build_examples`.
        ingestion_summary: ``rejects`` (``read_as, source_file, reason, count, examples``) and
            ``counts`` (``read_as, source_file, rows_read, rows_kept, rows_rejected``).
        joining_summary: ``counts`` (``step, interactions, users``) and ``title_coverage``
            (``title_source, products, interactions, examples``).
        title_map: the result of :func:`bazar.reporting.title_map.map_products`. It may be empty.
        reproduction: the table of the networks of the original study; None if they were not
            trained.

    Returns:
        The HTML of the page.
    """
    environment = create_environment()
    script = environment.get_template("report.js.j2").render()
    coverage = joining_summary["title_coverage"]
    return environment.get_template("report.html.j2").render(
        metrics=metrics,
        models=_sort_models(metrics),
        baselines=BASELINES,
        oracle=ORACLE,
        filter_modes=sorted(FILTER_MODES, key=lambda mode: mode != metrics["filter_mode"]),
        bars_mode=_choose_bars_filter_mode(metrics),
        verdict=build_verdict(metrics),
        findings=list_findings(metrics),
        several_targets=has_several_targets(metrics),
        **_describe_columns(metrics),
        slices=SLICES,
        slice_captions=_SLICE_CAPTIONS,
        best_of=_find_best_values(metrics),
        settings=_describe_settings(metrics),
        drawings=_draw_figures(metrics, title_map),
        n_mapped=len(title_map),
        has_categories=bool(title_map["category"].notna().any()),
        reproduction=reproduction,
        customers=examples,
        list_length=LIST_LENGTH,
        search_data=htmlsafe_json_dumps(
            _build_search_data(metrics, examples), dumps=_dump_compact_json
        ),
        rejects=ingestion_summary["rejects"].to_dict("records"),
        ingestion_counts=ingestion_summary["counts"].to_dict("records"),
        joining_counts=joining_summary["counts"].to_dict("records"),
        title_coverage=coverage.to_dict("records"),
        covered=coverage[["products", "interactions"]].sum().to_dict(),
        script=script,
        script_hash=hash_script(script),
    )


def _sort_models(metrics: Json) -> dict[str, Json]:
    """Return the results by model, in the order of tables."""
    models = metrics["models"]
    unknown = {"seconds_training": None, "n_parameters": None}
    return {
        name: models[name] | {"training": unknown | (models[name].get("training") or {})}
        for name in get_display_order(metrics)
    }


def _is_shown(metrics: Json, column: str) -> bool:
    """Return whether a column has information: Recall@k equals HR@k with one target per row."""
    return has_several_targets(metrics) or not column.startswith("recall")


def _describe_columns(metrics: Json) -> Json:
    """Return the columns of the tables, and functions that read their values."""
    return {
        "columns": {mode: _list_columns(metrics, mode) for mode in FILTER_MODES},
        "parts": PARTS,
        "column_parts": COLUMN_PARTS,
        "part_metrics": [name for name in PART_METRICS if _is_shown(metrics, name)],
        "get_value": _get_value,
        "get_interval": _get_interval,
    }


def _list_columns(metrics: Json, filter_mode: str) -> list[str]:
    """Return the columns of the table of all models.

    ``repeat``, ``explore`` and ``new_day`` are NDCG@10 for these targets. The first two are shown
    if the data has repeats; a filtered ranking never finds a repeat. ``new_day`` is shown if some
    targets have the day of the item before them.
    """
    hidden = set() if metrics["repeats"] else {"repeat", "explore"}
    hidden |= set() if metrics["n_new_day_rows"] else {"new_day"}
    hidden |= {"repeat"} if filter_mode == "filtered" else set()
    return [name for name in COLUMNS if name not in hidden and _is_shown(metrics, name)]


def _get_value(results: Json, column: str) -> float | None:
    """Return the value of a column of the table of all models."""
    if column in COLUMN_PARTS:
        return None if results[column] is None else float(results[column]["ndcg@10"])
    return float(results[column])


def _get_interval(results: Json, column: str) -> list[float] | None:
    """Return the 95% interval of :func:`_get_value`, or None if it has none."""
    source, name = (results[column], "ndcg@10") if column in COLUMN_PARTS else (results, column)
    return None if source is None else source.get(f"{name}_ci95")


def _choose_bars_filter_mode(metrics: Json) -> str:
    """Return the filter mode of the first figure: the first one, unless it has no hits."""
    mode: str = metrics["filter_mode"]
    if any(results[mode]["hr@10"] > 0 for results in metrics["models"].values()):
        return mode
    return "unfiltered"


def _find_best_values(metrics: Json) -> dict[str, Json]:
    """Return the highest values of the tables, to mark their cells.

    Cells with the same text are all marked. A column is not marked if all its values are equal, or
    if the results cannot rank the models. The oracle is left out.

    Returns:
        For each filter mode: the highest value of each metric; and by name of the slices, the
        highest HR@10 of each slice. Values are text, or None if the column is not marked.
    """
    ranked = can_rank_models(metrics)

    def find_best(values: list[float | None]) -> str | None:
        known = [value for value in values if value is not None]
        shown = {f"{value:.4f}" for value in known}
        return f"{max(known):.4f}" if ranked and len(shown) > 1 else None

    found: dict[str, Json] = {}
    for mode in FILTER_MODES:
        results = [model[mode] for name, model in metrics["models"].items() if name != ORACLE]
        found[mode] = {
            column: find_best([_get_value(one, column) for one in results])
            for column in _list_columns(metrics, mode)
        }
        for name in SLICES:
            slices = zip(*(one[name] for one in results), strict=True)
            found[mode][name] = [find_best([one["hr@10"] for one in group]) for group in slices]
    return found


def _draw_figures(metrics: Json, title_map: pd.DataFrame) -> Json:
    """Return the figures of the page as SVG, by name. Training curves are by model."""
    mode = metrics["filter_mode"]
    drawings: Json = {"losses": {}, "slices": {}, "titles": None, "gaps": None, "parts": None}
    if not title_map.empty:
        drawings["titles"] = render_svg(plot_title_map(title_map), "titles")
    if metrics["repeats"] and metrics["repeats"]["gaps"]["n_gaps"]:
        gaps = metrics["repeats"]["gaps"]
        figure = plot_groups(gaps["counts"], "Time until a product is bought again", gaps["unit"])
        drawings["gaps"] = render_svg(figure, "gaps")
    if not metrics["models"]:
        return drawings
    if metrics["repeats"]:
        drawings["parts"] = render_svg(plot_parts(metrics), "parts")
    drawings["bars"] = {
        name: render_svg(plot_hit_rates(metrics, name), f"bars-{name}") for name in FILTER_MODES
    }
    drawings["slices"] = {
        name: render_svg(plot_slices(metrics, name, xlabel, mode), f"points-{name}")
        for name, xlabel in SLICES.items()
    }
    drawings["variety"] = render_svg(plot_coverage_and_novelty(metrics, mode), "coverage-novelty")
    for model, results in _sort_models(metrics).items():
        if results.get("training_log"):
            figure = plot_losses(
                pd.DataFrame(results["training_log"]),
                get_model_label(model),
                results["training"].get("best_epoch"),
            )
            drawings["losses"][model] = render_svg(figure, f"loss-{model}")
    return drawings


def _describe_settings(metrics: Json) -> dict[str, str]:
    """Return short descriptions of the settings of the run, by name."""
    settings = {
        "split": metrics["split_description"],
        "sequences": metrics["sequences_description"],
        "title vectors": metrics["embedding_description"],
        "intervals": f"bootstrap over customers, {metrics['bootstrap_resamples']:,} resamples",
    }
    for model, results in _sort_models(metrics).items():
        training = results["training"]
        if "description" in training:
            settings[get_model_label(model)] = training["description"]
        elif "weights" in training:
            settings[get_model_label(model)] = _describe_weights(training)
    return settings


def _describe_weights(training: Json) -> str:
    shares = ", ".join(
        f"{weight:.0%} {name}" for name, weight in training["weights"].items() if weight > 0
    )
    rows = training.get("validation_rows")
    return shares + (f"; weights chosen on {rows:,} validation rows" if rows is not None else "")


def _build_search_data(metrics: Json, examples: Json) -> Json:
    """Return the data for the customer search of the page."""
    return {
        "models": [get_model_label(model) for model in examples["models"]],
        "filtered": examples["seen_items"] == "filtered",
        "n_items": metrics["n_items"],
        **examples["searchable"],
    }


def _dump_compact_json(value: Any, **_: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
