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
from bazar.evaluation.evaluate import describe_test_part, list_test_rows
from bazar.evaluation.metrics import FILTER_MODES
from bazar.evaluation.results import ModelResults, check_measured_on, select_current
from bazar.evaluation.selection import select_recommending_models
from bazar.labels import describe_split
from bazar.reporting.examples import build_examples, list_shown_items, select_test_rows
from bazar.reporting.page import ReproductionTable, render_report
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
    dataset: str,
    recommendation: RecommendationOptions,
) -> dict[str, Any]:
    """Collect the metrics of all models, and the size and the split of the data set."""
    summary = splits.summary
    return {
        "dataset": dataset,
        "protocol": summary["protocol"],
        **{name: summary[name] for name in ("n_users", "n_interactions", "n_items")},
        "n_test_rows": summary["test_rows"],
        "repeat_share": summary["repeat_test_rows"] / max(summary["test_rows"], 1),
        "split_description": describe_split(summary),
        "sequences_description": f"at most {summary['history_length']} items of each history",
        "bootstrap_resamples": next(iter(results.values())).metrics["bootstrap_resamples"],
        "outdated_models": [model for model in reproduction_results if model not in results],
        "recommendation_models": select_recommending_models(results, recommendation),
        "filter_seen": recommendation.filter_seen,
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
    sequences: ir.Table,
    item_index: ir.Table,
    products: ir.Table,
    results: Results,
    recommendation: RecommendationOptions,
    options: ReportingOptions,
) -> dict[str, Any]:
    """Choose customers to show, with their purchases and their recommendations."""
    rows = list_test_rows(splits, list_item_ids(item_index))
    selected = select_test_rows(
        rows, options.example_customers, options.searchable_customers, options.seed
    )
    # Ids may contain characters that a query must not contain, so that they are in a table.
    users = ibis.memtable({"user_id": selected.user_ids}, schema={"user_id": "string"})
    chosen = sequences.semi_join(users, "user_id")
    purchases = chosen.select("user_id", "item_id", "timestamp", "position").to_pandas()
    models = select_recommending_models(results, recommendation)
    shown = list_shown_items(selected, purchases, results, models, recommendation.filter_seen)
    items = ibis.memtable({"item_id": shown}, schema={"item_id": "string"})
    titled = products.semi_join(items, "item_id")
    titles = titled.select("item_id", "title").to_pandas()
    return build_examples(selected, purchases, titles, results, models, recommendation.filter_seen)


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
