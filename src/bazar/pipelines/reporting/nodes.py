"""Nodes of the reporting pipeline."""

from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bazar.config.data import EmbeddingOptions, SequencingOptions, Split
from bazar.config.networks import REPRODUCED, ModelOptions
from bazar.config.parameters import EvaluationOptions, ReportingOptions
from bazar.data.item_index import check_size, count_data, external_ids
from bazar.data.windows import Windows
from bazar.evaluation.metrics import FILTER_MODES
from bazar.evaluation.results import check_measured_on, fingerprint_rows
from bazar.labels import describe_split
from bazar.reporting import examples
from bazar.reporting import page as report
from bazar.reporting.figures import plot_losses, plot_title_map
from bazar.reporting.title_map import map_products, sample_titled_items
from bazar.reproduction.table import select_same_data

Json = dict[str, Any]


def compile_metrics(
    dataset: str,
    split: Split,
    sequences: ir.Table,
    item_index: ir.Table,
    test: Windows,
    **results: Json,
) -> Json:
    """Put the metrics of all models into one table, with the size of the data set.

    Args:
        dataset: name of the data set.
        split: the protocol.
        sequences: what the data set is after joining.
        item_index: the catalogue.
        test: the test part.
        **results: of each model ``<model>_metrics``, and ``<model>_training`` where there is one.
    """
    untrained: Json = {"seconds_training": None, "n_parameters": 0}
    measured = {
        name.removesuffix("_metrics"): content
        for name, content in results.items()
        if name.endswith("_metrics")
    }
    sizes = count_data(sequences, item_index)
    rows = pd.DataFrame(
        {
            "user_id": test.user_ids.to_pandas(),
            "item_id": external_ids(item_index)[test.targets],
            "n_seen": test.n_seen,
        }
    )
    check_measured_on(
        {model: metrics.get("measured_on") for model, metrics in measured.items()},
        {
            "test_rows": len(test),
            "items": sizes["n_items"],
            "fingerprint_rows": fingerprint_rows(rows),
        },
    )
    return {
        "dataset": dataset,
        "protocol": split,
        **sizes,
        "n_test_rows": len(test),
        "models": {
            model: {filter_mode: metrics[filter_mode] for filter_mode in FILTER_MODES}
            | results.get(f"{model}_training", untrained)
            for model, metrics in measured.items()
        },
    }


def draw_loss(history: pd.DataFrame, training: Json) -> Figure:
    """Draw the loss per epoch of a network."""
    return plot_losses(history, f"network {training['network']}", training["best_epoch"])


def map_titles(
    products: ir.Table, item_index: ir.Table, item_vectors: np.ndarray, options: ReportingOptions
) -> pd.DataFrame:
    """Lay products out in a plane, those whose titles are alike close together."""
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    chosen = sample_titled_items(item_vectors, options.seed)
    indices = item_index.filter(item_index.item_index.isin(chosen.tolist()))
    titled = indices.join(products, "item_id").order_by("item_index")
    return map_products(
        titled.select("item_id", "title", "attributes").to_pandas(),
        item_vectors[chosen],
        options.seed,
    )


def draw_title_map(title_map: pd.DataFrame) -> Figure:
    """Draw the map of the titles."""
    return plot_title_map(title_map)


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
    check_measured_on(
        {model: {"test_rows": len(table)} for model, table in ranks.items()},
        {"test_rows": len(test)},
    )
    rows = examples.choose_rows(classifier_ranks, options.example_customers, options.seed)
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
    shown_customers = examples.example_customers(rows, purchases, ranks, shown, titles)
    return examples.examples_to_json(shown_customers)


def write_report(
    metrics: Json,
    classifier_training_log: pd.DataFrame,
    regressor_training_log: pd.DataFrame,
    report_classifier_training_log: pd.DataFrame,
    report_regressor_training_log: pd.DataFrame,
    title_coverage: ir.Table,
    rejects: ir.Table,
    ingestion_counts: ir.Table,
    joining_counts: ir.Table,
    example_customers: list[Json],
    title_map: pd.DataFrame,
    reproduction_table: pd.DataFrame,
    split_summary: Json,
    split: Split,
    sequencing: SequencingOptions,
    embedding: EmbeddingOptions,
    classifier: ModelOptions,
    regressor: ModelOptions,
    evaluation: EvaluationOptions,
) -> str:
    """Write the report page."""
    length = (
        f"window_length {sequencing.window_length}"
        if split == "shuffled_windows"
        else f"history_length {sequencing.history_length}"
    )
    return report.render_report(
        report.ReportData(
            metrics=metrics,
            training_logs={
                "classifier": classifier_training_log,
                "regressor": regressor_training_log,
                "model_i": report_classifier_training_log,
                "model_ii": report_regressor_training_log,
            },
            title_coverage=title_coverage.to_pandas(),
            rejects=rejects.to_pandas(),
            ingestion_counts=ingestion_counts.to_pandas(),
            joining_counts=joining_counts.to_pandas(),
            examples=examples.examples_from_json(example_customers),
            title_map=title_map,
            reproduction=select_same_data(
                reproduction_table, metrics["n_test_rows"], metrics["n_items"]
            ),
            settings={
                "split": describe_split(split_summary),
                "sequences": length,
                "encoder": f"{embedding.encoder}, reads {embedding.text.replace('_', ' ')}",
                "classifier": _training(classifier, classifier.network),
                "regressor": _training(regressor, regressor.network),
                "Model I": _training(classifier, REPRODUCED["classifier"]),
                "Model II": _training(regressor, REPRODUCED["regressor"]),
                "blend": _blended(metrics["models"]["blend"]),
                "bootstrap": f"{evaluation.bootstrap_resamples} resamples",
            },
        )
    )


def _blended(blend: Json) -> str:
    shares = ", ".join(
        f"{weight:.0%} {name}" for name, weight in blend["weights"].items() if weight > 0
    )
    return (
        f"{shares}; chosen by the NDCG@10 of {blend['validation_rows']:,} validation rows, "
        f"{blend['blend_validation_ndcg@10']:.4f}"
    )


def _training(options: ModelOptions, network: str) -> str:
    training = options.networks[network].training
    return (
        f"network {network}: {training.loss}, {training.optimizer} {training.learning_rate:g}, "
        f"up to {training.epochs} epochs, batch {training.batch_size}"
    )
