"""Nodes of the recommendation pipeline."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from bazar.config.data import EmbeddingOptions, SequencingOptions
from bazar.config.models import (
    BaselineOptions,
    BlendOptions,
    BundleOptions,
    DecayedCooccurrenceOptions,
    EaseOptions,
    SessionKnnOptions,
)
from bazar.config.parameters import RecommendationOptions
from bazar.data import counts as item_counts
from bazar.data import joining as join
from bazar.data import ordering
from bazar.data import title_embeddings as vectors
from bazar.data.catalogue import Products
from bazar.data.item_index import check_size, count_items
from bazar.data.sequences import read_sequences
from bazar.data.windows import Windows, build_full_histories
from bazar.models.networks.recurrent import RecurrentNetwork
from bazar.models.registry import Networks, check_weights, make_network_reader, name_components
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.recommender import Recommender


def build_bundle(
    sequences: ir.Table,
    item_index: ir.Table,
    products: ir.Table,
    item_vectors: np.ndarray,
    added_products: pa.Table,
    title_vectors: pa.Table,
    sequencing: SequencingOptions,
    embedding: EmbeddingOptions,
) -> tuple[Windows, pd.DataFrame, np.ndarray]:
    """Put together whom to recommend to, and what.

    Returns:
        A row for each customer, after all that they bought, the last purchase included; the
        products in order of their index, with those that were added since; and the vectors of
        their titles, zeros at 0 and where there is none.
    """
    check_size(len(item_vectors) - 1, item_index, "item_vectors", "embedding")
    users = ordering.list_users(sequences).to_pyarrow()
    items = ordering.list_items(sequences).to_pyarrow_batches()
    bought, timestamps = read_sequences(users, items)
    counts, recent = item_counts.count_interactions(
        bought, count_items(item_index), timestamps, sequencing.recent_share
    )
    titled = item_index.left_join(products, "item_id").order_by("item_index")
    told = titled.select("item_id", "title", "attributes").to_pandas()
    catalogue = Products.from_frame(
        told.assign(purchases=counts[1:], recent_purchases=recent[1:]), item_vectors
    )
    if added_products.num_rows:
        added_products = join.drop_titled_products(added_products, products)
    if added_products.num_rows:
        catalogue = catalogue.add(
            added_products, vectors.get_product_vectors(added_products, title_vectors, embedding)
        )
    customers = build_full_histories(bought, sequencing.history_length)
    return customers, catalogue.to_frame(), catalogue.vectors


def describe_bundle(
    dataset: str,
    seed: int,
    recommendation: RecommendationOptions,
    blend: BlendOptions,
    chosen: dict[str, Any],
    decayed_cooccurrence: DecayedCooccurrenceOptions,
    session_knn: SessionKnnOptions,
    ease: EaseOptions,
) -> dict[str, Any]:
    """Write down which models recommend, and what they are made of.

    Raises:
        InputError: if the weights of the blend were chosen for other components: an earlier
            description stays.
    """
    check_weights(name_components(blend, seed), chosen["weights"])
    options = BundleOptions(
        dataset=dataset,
        seed=seed,
        models=recommendation.models,
        filter_seen=recommendation.filter_seen,
        blend=blend,
        weights=chosen["weights"],
        baselines=BaselineOptions(
            decayed_cooccurrence=decayed_cooccurrence, session_knn=session_knn, ease=ease
        ),
    )
    return options.model_dump(mode="json")


def recommend_to_everyone(
    customers: Windows,
    products: pd.DataFrame,
    product_vectors: np.ndarray,
    shop: dict[str, Any],
    classifier: RecurrentNetwork,
    regressor: RecurrentNetwork,
    networks: Networks,
    options: RecommendationOptions,
) -> Callable[[], pa.RecordBatchReader]:
    """Recommend to every customer by every model, as the rows are written."""
    described = BundleOptions.model_validate(shop)
    own = {"classifier": classifier, "regressor": regressor}
    recommender = Recommender(
        Products.from_frame(products, product_vectors),
        customers,
        described,
        make_network_reader(own, described.seed, networks),
    )

    def rows() -> pa.RecordBatchReader:
        batches = chain.from_iterable(
            recommender.recommend_to_everyone(
                model, options.top_k, options.filter_seen, options.batch_size
            )
            for model in options.models
        )
        return pa.RecordBatchReader.from_batches(RECOMMENDATIONS, batches)

    return rows
