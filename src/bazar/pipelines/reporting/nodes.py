"""Nodes of the reporting pipeline."""

import logging
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from bazar.config.data import EmbeddingOptions
from bazar.config.recommendation import RecommendationOptions
from bazar.config.reporting import ReportingOptions
from bazar.data.item_index import check_catalogue_size, list_item_ids
from bazar.data.splits import Splits
from bazar.errors import InputError
from bazar.evaluation.evaluate import describe_test_part
from bazar.evaluation.metrics import FILTER_MODES
from bazar.evaluation.results import (
    ModelResults,
    check_measured_on,
    drop_outdated_oracle,
    list_targets,
    select_current,
)
from bazar.evaluation.selection import select_recommending_models
from bazar.labels import describe_split
from bazar.reporting.examples import (
    build_examples,
    list_purchases,
    list_shown_items,
    select_test_rows,
)
from bazar.reporting.page import ReproductionTable, render_report
from bazar.reporting.repeats import summarise_repeats
from bazar.reporting.title_map import map_products, sample_titled_items
from bazar.reproduction import table as reproduction

logger = logging.getLogger(__name__)

Results = dict[str, ModelResults]


def collect_results(
    classifier_results: Results,
    regressor_results: Results,
    blend_results: Results,
    baselines_results: Results,
    reproduction_results: Results,
    splits: Splits,
    item_index: ir.Table,
) -> Results:
    """Collect the results of all models that were evaluated on the test part.

    Results of the reproduced networks on other data are left out, with a warning.

    Raises:
        InputError: if no model was evaluated, or one was measured on other data.
    """
    expected = describe_test_part(splits, list_item_ids(item_index))
    required = classifier_results | regressor_results | blend_results
    baselines_results = drop_outdated_oracle(baselines_results, expected)
    check_measured_on(required | baselines_results, expected)
    reproduced, outdated = select_current(reproduction_results, expected)
    if outdated:
        logger.warning(
            "The results of %s were measured on other data and are left out. Run the pipeline "
            "modelling_reproduction to update them.",
            " and ".join(outdated),
        )
    results = required | reproduced | baselines_results
    if not results:
        raise InputError(
            "There are no results to report. Run a modelling pipeline first, such as "
            "modelling_baselines."
        )
    return results


def compile_metrics(
    results: Results,
    reproduction_results: Results,
    splits: Splits,
    item_index: ir.Table,
    products: ir.Table,
    dataset: str,
    recommendation: RecommendationOptions,
) -> dict[str, Any]:
    """Collect the metrics of all models, and the size, the split and the repeats of the data."""
    summary = splits.summary
    unit = "orders" if summary["protocol"] == "next_order" else "items"
    return {
        "dataset": dataset,
        "protocol": summary["protocol"],
        **{name: summary[name] for name in ("n_users", "n_interactions", "n_items")},
        "n_test_rows": summary["test_rows"],
        "n_test_targets": summary["test_targets"],
        "repeat_share": summary["repeat_test_targets"] / max(summary["test_targets"], 1),
        "repeats": summarise_repeats(
            splits.test, list_item_ids(item_index), _read_categories(products, splits, item_index)
        ),
        "n_new_day_rows": summary["new_day_test_rows"] if summary.get("same_day_test_rows") else 0,
        "split_description": describe_split(summary),
        "sequences_description": f"at most {summary['history_length']} {unit} of each history",
        "bootstrap_resamples": next(iter(results.values())).metrics["bootstrap_resamples"],
        "outdated_models": [model for model in reproduction_results if model not in results],
        "recommendation_models": select_recommending_models(results, recommendation),
        "filter_mode": summary["filter_mode"],
        "filter_seen": recommendation.resolve_filter_seen(splits.filter_seen),
        "models": {name: _compile_model(model) for name, model in results.items()},
    }


def map_titles(
    products: ir.Table, item_index: ir.Table, item_vectors: np.ndarray, options: ReportingOptions
) -> pd.DataFrame:
    """Project products onto a plane, with similar titles close together."""
    check_catalogue_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    chosen = sample_titled_items(item_vectors, options.seed)
    indices = item_index.filter(item_index.item_index.isin(chosen.tolist()))
    titled = indices.join(products, "item_id").order_by("item_index")
    return map_products(
        titled.select("item_id", "title", "attributes").to_pandas(),
        item_vectors[chosen],
        options.seed,
    )


def choose_examples(
    splits: Splits,
    item_index: ir.Table,
    products: ir.Table,
    results: Results,
    recommendation: RecommendationOptions,
    options: ReportingOptions,
) -> dict[str, Any]:
    """Choose customers to show, with their purchases and their recommendations."""
    item_ids = list_item_ids(item_index)
    selected = select_test_rows(
        list_targets(splits.test, item_ids),
        options.example_customers,
        options.searchable_customers,
        options.seed,
    )
    purchases = list_purchases(splits.test, selected.rows, item_ids)
    models = select_recommending_models(results, recommendation)
    mode = splits.summary["filter_mode"]
    shown = list_shown_items(selected, purchases, results, models, mode)
    titles = _read_products(products, shown, "title")
    return build_examples(selected, purchases, titles, results, models, mode)


def write_report(
    metrics: dict[str, Any],
    examples: dict[str, Any],
    ingested_tables: dict[str, ir.Table],
    joining_summary: dict[str, ir.Table],
    title_map: pd.DataFrame,
    reproduction_table: pd.DataFrame,
    embedding: EmbeddingOptions,
) -> str:
    """Write the report page."""
    text = embedding.text.replace("_", " ")
    return render_report(
        metrics | {"embedding_description": f"{embedding.encoder}, reads {text}"},
        examples,
        {name: ingested_tables[name].to_pandas() for name in ("rejects", "counts")},
        {name: table.to_pandas() for name, table in joining_summary.items()},
        title_map,
        _format_reproduction(reproduction_table, metrics),
    )


def _read_products(products: ir.Table, item_ids: list[str], column: str) -> pd.DataFrame:
    """Return one column of some products, and their ``item_id``."""
    # Ids may contain characters that a query must not contain, so that they are in a table.
    items = ibis.memtable({"item_id": item_ids}, schema={"item_id": "string"})
    return products.semi_join(items, "item_id").select("item_id", column).to_pandas()


def _read_categories(products: ir.Table, splits: Splits, item_index: ir.Table) -> dict[str, str]:
    """Return the category, which is the first attribute, of each target that has one."""
    _, items = splits.test.list_targets()
    item_ids = [str(item_id) for item_id in list_item_ids(item_index)[np.unique(items)]]
    texts = _read_products(products, item_ids, "attributes").dropna()
    return {
        str(item_id): text.split(", ")[0] for item_id, text in texts.itertuples(index=False) if text
    }


def _compile_model(results: ModelResults) -> dict[str, Any]:
    log = results.training_log
    return {
        **{mode: results.metrics[mode] for mode in FILTER_MODES},
        "validation_ndcg@10": results.metrics["validation_ndcg@10"],
        "training": results.training,
        "training_log": None if log is None else log.to_dict("records"),
    }


def _format_reproduction(table: pd.DataFrame, metrics: dict[str, Any]) -> ReproductionTable | None:
    """Format the table of the fourteen networks. Return None if it is for other data."""
    current = reproduction.select_same_data(table, metrics["n_test_rows"], metrics["n_items"])
    if current.empty:
        return None
    return ReproductionTable(
        headings=reproduction.COLUMN_LABELS,
        text_columns=frozenset(reproduction.TEXT_COLUMNS),
        rows=reproduction.format_cells(current),
        notes=[reproduction.INTERVAL_NOTE, *reproduction.describe_divergence(current)],
    )
