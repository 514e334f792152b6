"""One page that says how good the models are, and shows what they recommend."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from bazar.config.models import BASELINES
from bazar.evaluation.metrics import FILTER_MODES
from bazar.labels import NO_TITLE, get_model_label, get_protocol_label
from bazar.reporting.examples import (
    ExampleCustomer,
)
from bazar.reporting.figures import (
    plot_coverage_and_novelty,
    plot_hit_rates,
    plot_losses,
    plot_slices,
    plot_title_map,
    to_svg,
)
from bazar.reporting.findings import findings
from bazar.reproduction.table import COLUMNS as NETWORK_COLUMNS
from bazar.reproduction.table import INTERVALS, TEXTS, cells, diverged

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
class ReportData:
    """What the page is made of.

    Attributes:
        metrics: the content of ``metrics.json``.
        training_logs: training log by model, a row per epoch.
        title_coverage: ``title_source, products, interactions, examples``.
        rejects: ``read_as, source_file, reason, count, examples``.
        ingestion_counts: ``read_as, source_file, rows_read, rows_kept, rows_rejected``.
        joining_counts: ``step, interactions, users``.
        examples: the customers to show.
        title_map: what :func:`bazar.title_map.map_products` gave.
        reproduction: what :func:`bazar.reproduction_table.tabulate` gave; without rows where
            those networks were not trained.
        settings: short facts about the run, by name.
    """

    metrics: dict[str, Any]
    training_logs: Mapping[str, pd.DataFrame]
    title_coverage: pd.DataFrame
    rejects: pd.DataFrame
    ingestion_counts: pd.DataFrame
    joining_counts: pd.DataFrame
    examples: list[ExampleCustomer]
    title_map: pd.DataFrame
    reproduction: pd.DataFrame
    settings: dict[str, str]


def render_report(data: ReportData) -> str:
    """Render the page: one file, no request to anywhere.

    Args:
        data: what the page is made of.

    Returns:
        HTML; all text that comes from data is escaped.
    """
    environment = Environment(
        loader=PackageLoader("bazar.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["date"] = _date
    environment.filters["figure"] = lambda value: f"{value:.4f}"
    environment.filters["name"] = get_model_label
    environment.filters["protocol"] = get_protocol_label
    environment.filters["number"] = lambda value: f"{int(value):,}"
    environment.filters["share"] = lambda part, whole: f"{part / whole:.1%}" if whole else "–"
    metrics = data.metrics
    return environment.get_template("report.html.j2").render(
        data=data,
        metrics=metrics,
        models=metrics["models"],
        baselines=BASELINES,
        filter_modes=FILTER_MODES,
        no_title=NO_TITLE,
        columns=COLUMNS,
        best={filter_mode: _best(metrics, filter_mode) for filter_mode in FILTER_MODES},
        slices=SLICES,
        best_of_slices={
            filter_mode: {name: _best_of_slices(metrics, filter_mode, name) for name in SLICES}
            for filter_mode in FILTER_MODES
        },
        findings=findings(metrics),
        bars={
            filter_mode: to_svg(plot_hit_rates(metrics, filter_mode), f"bars-{filter_mode}")
            for filter_mode in FILTER_MODES
        },
        plot_slices={
            name: to_svg(plot_slices(metrics, name, told, "filtered"), f"points-{name}")
            for name, told in SLICES.items()
        },
        slice_captions=_SLICE_CAPTIONS,
        beyond_accuracy=to_svg(plot_coverage_and_novelty(metrics, "filtered"), "coverage-novelty"),
        titles=None if data.title_map.empty else to_svg(plot_title_map(data.title_map), "titles"),
        categorised=bool(data.title_map["category"].notna().any()),
        network_columns=NETWORK_COLUMNS,
        texts=TEXTS,
        networks=cells(data.reproduction),
        networks_notes=[INTERVALS, *diverged(data.reproduction)],
        losses={
            model: to_svg(
                plot_losses(
                    training_log, get_model_label(model), metrics["models"][model]["best_epoch"]
                ),
                f"loss-{model}",
            )
            for model, training_log in data.training_logs.items()
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
