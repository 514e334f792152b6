"""Nodes of the recommendation pipeline."""

import logging
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from bazar.config.data import EmbeddingOptions, SequencingOptions
from bazar.config.models import BaselineOptions, BlendOptions
from bazar.config.recommendation import BundleOptions, RecommendationOptions
from bazar.data.catalogue import Products
from bazar.data.encoder_cache import ExportedEncoder, get_exported_encoder
from bazar.data.live_sequence import find_live_sequence
from bazar.data.splits import Splits
from bazar.data.title_embeddings import find_encoder
from bazar.data.windows import Windows, build_full_histories
from bazar.errors import InputError
from bazar.evaluation.results import ModelResults
from bazar.evaluation.selection import select_recommending_models
from bazar.models.exported.network import ExportedNetwork
from bazar.models.registry import check_blend_weights, name_components
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.bundle import Bundle, find_network_paths
from bazar.serving.bundle_builder import build_catalogue as build_base_catalogue
from bazar.serving.bundle_builder import extend_catalogue
from bazar.serving.recommender import Recommender

logger = logging.getLogger(__name__)


def select_models(
    classifier_results: dict[str, ModelResults],
    regressor_results: dict[str, ModelResults],
    blend_results: dict[str, ModelResults],
    baselines_results: dict[str, ModelResults],
    options: RecommendationOptions,
) -> list[str]:
    """Select the models that recommend, the default first.

    Returns:
        The models in the parameters; with ``auto``, the trained models and the best baseline in
        descending order of validation NDCG@10.

    Raises:
        InputError: if ``auto`` finds no results.
    """
    results = classifier_results | regressor_results | blend_results | baselines_results
    return select_recommending_models(results, options)


def build_catalogue(
    splits: Splits,
    item_index: ir.Table,
    products: ir.Table,
    item_vectors: np.ndarray,
    added_products: pa.Table,
    title_vectors: pa.Table,
    sequencing: SequencingOptions,
    embedding: EmbeddingOptions,
) -> tuple[Windows, Products]:
    """Build one row per customer, and the catalogue of products.

    The purchases of guests count for the products and for the baselines. Guests have no row.

    Returns:
        One row per customer, with all interactions as the history; and the products by item index,
        including the products that ``kedro add-products`` added.
    """
    # The test rows are a view on all interactions.
    purchases = splits.test.sequences
    catalogue = build_base_catalogue(
        purchases, item_index, products, item_vectors, sequencing.recent_share
    )
    catalogue = extend_catalogue(catalogue, added_products, products, title_vectors, embedding)
    return build_full_histories(purchases, sequencing.history_length), catalogue


def describe_models(
    models: list[str],
    blend_results: dict[str, ModelResults],
    blend: BlendOptions,
    baselines: BaselineOptions,
    seed: int,
) -> dict[str, Any]:
    """Return the models of the bundle and their parameters, as values of ``BundleOptions``.

    Raises:
        InputError: if the blend recommends and was not trained, or its weights were chosen for
            other components.
    """
    weights: dict[str, float] = {}
    if "blend" in models:
        if "blend" not in blend_results:
            raise InputError(
                "recommendation.models lists blend, which was not trained. Run the pipeline "
                "modelling_blend, or remove blend from the list."
            )
        training: dict[str, Any] = blend_results["blend"].training or {}
        weights = training["weights"]
        check_blend_weights(name_components(blend, seed), weights)
    return {
        "models": models, "blend": blend, "weights": weights, "baselines": baselines, "seed": seed,
    }  # fmt: skip


def describe_bundle(
    model_options: dict[str, Any],
    recommendation: RecommendationOptions,
    embedding: EmbeddingOptions,
    dataset: str,
    splits: Splits,
    ingested_tables: dict[str, ir.Table],
    joining_summary: dict[str, ir.Table],
) -> BundleOptions:
    """Return the options of the bundle.

    Raises:
        InputError: if a file of live purchases is missing, or the tables are from different runs.
    """
    live_sequence = find_live_sequence(
        ingested_tables, joining_summary, splits.summary["n_interactions"]
    )
    return BundleOptions.model_validate(
        model_options
        | {
            "dataset": dataset,
            "split": splits.summary["protocol"],
            "filter_seen": recommendation.resolve_filter_seen(splits.filter_seen),
            "embedded_text": embedding.text,
            "live_sequence": live_sequence,
        }
    )


def export_networks(
    options: BundleOptions,
    customers: Windows,
    catalogue: Products,
    trained_networks: Mapping[str, Callable[[], Any]],
) -> dict[str, Callable[[], ExportedNetwork]]:
    """Export the networks of the bundle, and check that the exported networks score equally.

    Returns:
        Functions that return the exported networks, by
        :func:`~bazar.models.registry.get_network_path`.

    Raises:
        InputError: if a network is missing, or its export differs.
    """
    exported: dict[str, Callable[[], ExportedNetwork]] = {}
    for path in find_network_paths(options, trained_networks):
        # A bundle of baselines needs no TensorFlow.
        from bazar.models.networks.export import check_export, export_network

        network = trained_networks[path]()
        result = export_network(network)
        check_export(network, result, catalogue, customers, path)
        exported[path] = _make_loader(result)
    return exported


def _make_loader(network: ExportedNetwork) -> Callable[[], ExportedNetwork]:
    return lambda: network


def export_encoder(embedding: EmbeddingOptions) -> ExportedEncoder:
    """Export the sentence encoder to ONNX, for the search and for new titles in the service.

    If the encoder cannot be exported, a warning is logged.
    """
    encoder = find_encoder(embedding.encoder, embedding.sha256)
    try:
        return ExportedEncoder(get_exported_encoder(encoder))
    except InputError as error:
        logger.warning("The bundle has no sentence encoder. %s", error)
        return ExportedEncoder(None)


def build_bundle(
    options: BundleOptions,
    customers: Windows,
    catalogue: Products,
    exported_networks: dict[str, Callable[[], ExportedNetwork]],
    exported_encoder: ExportedEncoder,
) -> Bundle:
    """Build the bundle that a Recommender loads."""
    return Bundle(options, catalogue, customers, exported_networks, exported_encoder.folder)


def recommend_to_everyone(
    bundle: Bundle, options: RecommendationOptions, engine: str
) -> Callable[[], pa.RecordBatchReader] | Any:
    """Recommend to every customer with every model of the bundle.

    Returns:
        A function that computes the recommendations batch by batch, as they are written. With the
        engine ``spark``, a PySpark DataFrame that the workers compute.
    """
    filter_seen = bundle.options.filter_seen
    if engine == "spark":
        from pyspark.sql import SparkSession

        from bazar.serving.spark import recommend_on_workers

        session = SparkSession.active()
        return recommend_on_workers(session, bundle, options.top_k, filter_seen, options.batch_size)
    recommender = Recommender(bundle)

    def read_batches() -> pa.RecordBatchReader:
        batches = chain.from_iterable(
            recommender.recommend_to_everyone(model, options.top_k, filter_seen, options.batch_size)
            for model in bundle.options.models
        )
        return pa.RecordBatchReader.from_batches(RECOMMENDATIONS, batches)

    return read_batches


def publish_bundle(recommendations: ir.Table, split: str, seed: int) -> str:
    """Return the path of the new bundle, relative to the models of the data set.

    The input ``recommendations`` makes this node run last, so that an unfinished run keeps the
    previous bundle in use.
    """
    return f"{split}/seed_{seed}/bundle\n"
