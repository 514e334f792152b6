"""Nodes of the reporting pipeline."""

from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bazar import report
from bazar.figures import loss_curves
from bazar.names import MODEL_NAMES
from bazar.options import (
    EmbeddingOptions,
    EvaluationOptions,
    ModelOptions,
    ReportingOptions,
    SequencingOptions,
    Split,
)
from bazar.ranking import HISTORIES
from bazar.windows import Windows

Json = dict[str, Any]


def compile_metrics(
    dataset: str,
    split: Split,
    sequences: ir.Table,
    item_index: ir.Table,
    test: Windows,
    classifier_metrics: Json,
    regressor_metrics: Json,
    popularity_metrics: Json,
    recent_metrics: Json,
    cooccurrence_metrics: Json,
    decayed_metrics: Json,
    knn_metrics: Json,
    ease_metrics: Json,
    title_metrics: Json,
    classifier_training: Json,
    regressor_training: Json,
) -> Json:
    """Put the metrics of all models into one table, with the size of the data set."""
    untrained: Json = {"seconds_training": None, "n_parameters": 0}
    n_items = int(item_index.count().to_pyarrow().as_py())
    measured = {
        "classifier": classifier_metrics,
        "regressor": regressor_metrics,
        "popularity": popularity_metrics,
        "recent_popularity": recent_metrics,
        "last_item_cooccurrence": cooccurrence_metrics,
        "decayed_cooccurrence": decayed_metrics,
        "session_knn": knn_metrics,
        "ease": ease_metrics,
        "title_neighbours": title_metrics,
    }
    report.check_measured_on(
        {model: metrics.get("measured_on") for model, metrics in measured.items()},
        {"test_rows": len(test), "items": n_items},
    )
    figures = {
        model: {history: metrics[history] for history in HISTORIES}
        for model, metrics in measured.items()
    }
    facts = {"classifier": classifier_training, "regressor": regressor_training}
    sizes = sequences.aggregate(
        n_users=sequences.user_id.nunique(), n_interactions=sequences.count()
    )
    return {
        "dataset": dataset,
        "protocol": split,
        **sizes.to_pyarrow().to_pylist()[0],
        "n_items": n_items,
        "n_test_rows": len(test),
        "models": {model: figures[model] | facts.get(model, untrained) for model in measured},
    }


def draw_classifier_loss(history: pd.DataFrame) -> Figure:
    """Draw the loss per epoch of Model I."""
    return loss_curves(history, MODEL_NAMES["classifier"])


def draw_regressor_loss(history: pd.DataFrame) -> Figure:
    """Draw the loss per epoch of Model II."""
    return loss_curves(history, MODEL_NAMES["regressor"])


def choose_examples(
    test: Windows,
    sequences: ir.Table,
    products: ir.Table,
    classifier_ranks: pd.DataFrame,
    regressor_ranks: pd.DataFrame,
    classifier_recommendations: pd.DataFrame,
    regressor_recommendations: pd.DataFrame,
    options: ReportingOptions,
) -> list[Json]:
    """Choose customers to show, and gather what they bought and what they are recommended."""
    ranks = {"classifier": classifier_ranks, "regressor": regressor_ranks}
    report.check_measured_on(
        {model: {"test_rows": len(table)} for model, table in ranks.items()},
        {"test_rows": len(test)},
    )
    rows = report.choose_rows(classifier_ranks, options.example_customers, options.seed)
    shown_rows = test.take(np.array(rows, np.int64))
    users = shown_rows.user_ids.to_pylist()
    chosen = sequences.filter(sequences.user_id.isin(users)).order_by("user_id", "position")
    bought = chosen.select("user_id", "item_id", "timestamp", "position").to_pandas()
    up_to_target = []
    for row, user, n_seen in zip(rows, users, shown_rows.n_seen, strict=True):
        own = bought[bought["user_id"] == user]
        # The target stands right after all that was seen before it.
        own = own[own["position"] <= n_seen + 1]
        up_to_target.append(own.assign(row=row))
    purchases = pd.concat(up_to_target)
    recommendations = {
        "classifier": classifier_recommendations,
        "regressor": regressor_recommendations,
    }
    shown = {model: table[table["row"].isin(rows)] for model, table in recommendations.items()}
    items = set(purchases["item_id"]).union(*(table["item_id"] for table in shown.values()))
    titled = products.filter(products.item_id.isin(sorted(items)) & products.title.notnull())
    titles = titled.select("item_id", "title").to_pandas().set_index("item_id")["title"].to_dict()
    examples = report.example_customers(rows, purchases, ranks, shown, titles)
    return report.examples_to_json(examples)


def write_report(
    metrics: Json,
    classifier_history: pd.DataFrame,
    regressor_history: pd.DataFrame,
    title_coverage: ir.Table,
    rejects: ir.Table,
    ingestion_counts: ir.Table,
    joining_counts: ir.Table,
    example_customers: list[Json],
    split: Split,
    sequencing: SequencingOptions,
    embedding: EmbeddingOptions,
    classifier: ModelOptions,
    regressor: ModelOptions,
    evaluation: EvaluationOptions,
) -> str:
    """Write the report page."""
    length = (
        f"history_length {sequencing.history_length}"
        if split == "leave_one_out"
        else f"window_length {sequencing.window_length}"
    )
    return report.render_report(
        report.ReportData(
            metrics=metrics,
            histories={"classifier": classifier_history, "regressor": regressor_history},
            title_coverage=title_coverage.to_pandas(),
            rejects=rejects.to_pandas(),
            ingestion_counts=ingestion_counts.to_pandas(),
            joining_counts=joining_counts.to_pandas(),
            examples=report.examples_from_json(example_customers),
            settings={
                "sequences": length,
                "encoder": embedding.encoder,
                "Model I": _training(classifier),
                "Model II": _training(regressor),
                "bootstrap": f"{evaluation.bootstrap_resamples} resamples",
            },
        )
    )


def _training(options: ModelOptions) -> str:
    training = options.training
    return (
        f"{training.loss}, {training.optimizer} {training.learning_rate:g}, up to "
        f"{training.epochs} epochs, batch {training.batch_size}, seed {training.seed}"
    )
