"""Decisions of the pipelines that follow from the orders of a shop, and the oracle."""

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest

from bazar.config.evaluation import EvaluationOptions
from bazar.config.models import BASELINES
from bazar.config.recommendation import RecommendationOptions
from bazar.data.splits import Splits
from bazar.evaluation.results import ModelResults
from bazar.labels import ORACLE
from bazar.pipelines.modelling_baselines.nodes import evaluate_baselines
from bazar.pipelines.recommendation.nodes import select_models
from bazar.pipelines.sequencing import nodes
from bazar.synthetic.files import ORACLE_SCHEMA
from tests.pipelines.test_recommendation import SEQUENCING
from tests.serving.example_bundle import OPTIONS

N_ITEMS = 12
ITEM_IDS = [f"P{item:02d}" for item in range(1, N_ITEMS + 1)]
LINES = {
    "user_id": "string", "item_id": "string", "timestamp": "int64", "position": "int64",
    "order_id": "string", "is_guest": "boolean", "source_file": "string", "source_order": "int64",
}  # fmt: skip
Shop = dict[str, list[list[int]]]
# Each customer buys two new products in each order.
NO_REPEATS: Shop = {f"u{user}": [[1, 2], [3, 4], [5, 6], [7, 8]] for user in range(6)}
# Each customer buys the same product in each order, with a new one.
REPEATS: Shop = {f"u{user}": [[1, 2], [1, 4], [1, 6], [1, 8]] for user in range(6)}
SINGLE_LINES: Shop = {f"u{user}": [[1], [2], [3], [4]] for user in range(6)}


@pytest.fixture(scope="module")
def item_index() -> ibis.Table:
    return ibis.memtable(
        {"item_id": ITEM_IDS, "item_index": range(1, N_ITEMS + 1)},
        schema={"item_id": "string", "item_index": "int32"},
    )


def split_shop(shop: Shop, item_index: ibis.Table, split: Any = "auto") -> Splits:
    rows = [
        (user, ITEM_IDS[item - 1], number * 86_400_000, None, None, False, "a.csv", order)
        for user, orders in shop.items()
        for number, items in enumerate(orders)
        for order, item in enumerate(items)
    ]
    lines = [dict(zip(LINES, row, strict=True)) for row in rows]
    sequences = nodes.order_sequences(ibis.memtable(lines, schema=LINES), item_index)
    return nodes.split_sequences(sequences, item_index, split, SEQUENCING)


@pytest.mark.parametrize(
    ("shop", "protocol", "reason"),
    [
        (NO_REPEATS, "next_order", "24 of 24 orders (100%) have several items"),
        (SINGLE_LINES, "leave_one_out", "0 of 24 orders (0%) have several items"),
        (
            {user: orders[:3] for user, orders in NO_REPEATS.items()},
            "leave_one_out",
            "18 of 18 orders (100%) have several items, but no customer has 4 orders",
        ),
    ],
)
def test_auto_records_its_choice_and_the_reason(
    item_index: ibis.Table, shop: Shop, protocol: str, reason: str
) -> None:
    summary = split_shop(shop, item_index).summary
    assert (summary["protocol"], summary["split"]) == (protocol, "auto")
    assert summary["split_reason"] == reason
    chosen = split_shop(shop, item_index, "leave_one_out").summary
    assert (chosen["protocol"], chosen["split"]) == ("leave_one_out", "leave_one_out")
    assert chosen["split_reason"] == ""


@pytest.mark.parametrize(
    ("shop", "mode", "n_repeats"), [(NO_REPEATS, "filtered", 0), (REPEATS, "unfiltered", 6)]
)
def test_filter_mode_follows_the_repeats(
    item_index: ibis.Table, shop: Shop, mode: str, n_repeats: int
) -> None:
    splits = split_shop(shop, item_index)
    assert splits.summary["test_targets"] == 12
    assert splits.summary["repeat_test_targets"] == n_repeats
    assert splits.summary["filter_mode"] == mode
    assert splits.filter_seen == (mode == "filtered")


def make_oracle(users: list[str]) -> pa.Table:
    """Return the probabilities of an oracle that knows the last order of ``NO_REPEATS``."""
    rows = [
        {"user_id": user, "item_id": ITEM_IDS[item - 1], "score": score}
        for user in users
        for item, score in ((7, 0.9), (8, 0.8), (1, 0.1))
    ]
    return pa.Table.from_pylist(rows, ORACLE_SCHEMA)


def evaluate(splits: Splits, item_index: ibis.Table, oracle: pa.Table) -> dict[str, ModelResults]:
    vectors = np.vstack([np.zeros(N_ITEMS), np.eye(N_ITEMS)]).astype(np.float32)
    options = EvaluationOptions(
        top_k=20, batch_size=16, validation_rows=100, bootstrap_resamples=100, seed=1
    )
    results: dict[str, ModelResults] = {}
    for found in evaluate_baselines(
        splits, item_index, vectors, oracle, OPTIONS.baselines, options
    ):
        results |= found
    return results


def test_oracle_is_measured_where_it_knows_every_customer(item_index: ibis.Table) -> None:
    splits = split_shop(NO_REPEATS, item_index)
    results = evaluate(splits, item_index, make_oracle(list(NO_REPEATS)))
    assert list(results) == [*BASELINES, ORACLE]
    metrics = results[ORACLE].metrics
    assert metrics["unfiltered"]["ndcg@10"] == metrics["filtered"]["recall@10"] == 1
    assert metrics["validation_ndcg@10"] is None
    # It is measured on the rows of the other models.
    assert metrics["measured_on"] == results["popularity"].metrics["measured_on"]


@pytest.mark.parametrize(
    ("split", "users"),
    [("auto", ["u0", "u1"]), ("auto", []), ("leave_one_out", list(NO_REPEATS))],
)
def test_oracle_of_other_data_is_not_used(
    item_index: ibis.Table, split: str, users: list[str]
) -> None:
    splits = split_shop(NO_REPEATS, item_index, split)
    assert list(evaluate(splits, item_index, make_oracle(users))) == list(BASELINES)


def test_oracle_is_never_selected(item_index: ibis.Table) -> None:
    splits = split_shop(NO_REPEATS, item_index)
    results = evaluate(splits, item_index, make_oracle(list(NO_REPEATS)))
    options = RecommendationOptions.model_validate(
        {"models": "auto", "top_k": 3, "filter_seen": "auto", "batch_size": 2}
    )
    (best,) = select_models({}, {}, {}, results, options)
    assert best in BASELINES
    # Even if it were measured on the validation part.
    results[ORACLE].metrics["validation_ndcg@10"] = 1.0
    assert select_models({}, {}, {}, results, options) == [best]
