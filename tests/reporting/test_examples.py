"""The customers that the report shows."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bazar.data.sequences import Sequences
from bazar.data.splits import split_leave_one_out
from bazar.data.windows import Windows
from bazar.evaluation.results import ModelResults, list_targets
from bazar.reporting.examples import (
    SelectedRows,
    build_examples,
    choose_models,
    choose_rows,
    list_purchases,
    list_shown_items,
    select_test_rows,
)
from tests.models.order_rows import make_order_sequences


def make_test_rows(n: int, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": range(n),
            "user_id": [f"u{row}" for row in range(n)],
            "item_id": "03",
            "n_seen": [row % 50 for row in range(n)],
        }
        | columns
    )


def make_results(
    validation: float | None, lists: pd.DataFrame | None = None, ranks: pd.DataFrame | None = None
) -> ModelResults:
    empty = pd.DataFrame()
    return ModelResults(
        metrics={"validation_ndcg@10": validation},
        ranks=empty if ranks is None else ranks,
        recommendations=empty if lists is None else lists,
    )


def test_examples_are_chosen_by_length_alone() -> None:
    rows = choose_rows(make_test_rows(100), 10, seed=1)
    lengths = [row % 50 for row in rows]
    assert len(set(rows)) == 10
    assert lengths == sorted(lengths)
    assert lengths[0] < 5
    assert lengths[-1] >= 45
    assert choose_rows(make_test_rows(100), 10, seed=1) == rows
    assert choose_rows(make_test_rows(100), 10, seed=2) != rows
    assert choose_rows(make_test_rows(3), 10, seed=1) == [0, 1, 2]


def test_guests_are_never_shown() -> None:
    users = pa.array([f"{'guest' if user % 2 else 'u'} {user}" for user in range(40)])
    items = np.tile([1, 2, 3, 4], 40).astype(np.int32)
    starts = np.arange(0, 161, 4)
    sequences = Sequences(users.cast(pa.large_string()), items, starts, np.arange(1, 40, 2))
    splits = split_leave_one_out(sequences, 4, history_length=5)
    targets = list_targets(splits.test, np.arange(5).astype(str))
    selected = select_test_rows(targets, 10, 100, seed=1)
    assert selected.n_customers == 20
    assert sorted(selected.user_ids) == sorted(f"u {user}" for user in range(0, 40, 2))


def test_searchable_rows_are_a_sample_with_the_examples() -> None:
    selected = select_test_rows(make_test_rows(500), 10, 60, seed=1)
    assert len(selected.examples) == 10
    assert set(selected.examples) <= set(selected.searchable)
    assert len(selected.searchable) == len(set(selected.searchable)) == 60
    assert selected.n_customers == 500
    assert set(selected.rows) == set(selected.searchable)
    again = select_test_rows(make_test_rows(500), 10, 60, seed=1)
    assert again.searchable == selected.searchable
    assert select_test_rows(make_test_rows(500), 10, 60, seed=2).searchable != selected.searchable


def test_all_customers_are_searchable_if_they_are_few() -> None:
    selected = select_test_rows(make_test_rows(30), 10, 2000, seed=1)
    assert selected.searchable == list(range(30))
    assert select_test_rows(make_test_rows(30), 10, 0, seed=1).searchable == []


def test_a_customer_with_several_rows_is_searchable_by_the_latest() -> None:
    rows = make_test_rows(40, user_id=[f"u{row % 4}" for row in range(40)])
    selected = select_test_rows(rows, 1, 2000, seed=1)
    assert selected.n_customers == len(selected.searchable) == 4
    others = [row for row in selected.searchable if row not in selected.examples]
    assert all(row >= 36 for row in others)


def test_rows_are_chosen_independent_of_the_number_of_targets() -> None:
    rows = make_test_rows(60)
    several = rows.loc[rows.index.repeat(np.arange(60) % 4 + 1)].reset_index(drop=True)
    selected, expected = (select_test_rows(table, 5, 20, seed=1) for table in (several, rows))
    assert selected.examples == expected.examples
    assert selected.searchable == expected.searchable
    assert selected.n_customers == 60
    counts = selected.targets.groupby("row").size()
    assert counts.to_dict() == {row: row % 4 + 1 for row in selected.searchable}


def test_purchases_are_the_history_and_the_targets_of_a_row() -> None:
    users = [[[1], [2]], [[3, 1], [1], [4, 2]]]
    sequences = make_order_sequences(users, days=[[0, 1], [2, 3, 5]])
    windows = Windows(sequences, np.array([1, 5]), history_length=1)
    ids = np.array(["", "0a", "0b", "0c", "0d"], object)
    found = list_purchases(windows, np.array([1]), ids)
    day = 86_400_000
    assert found.to_numpy().tolist() == [
        [1, "0c", 2 * day, False], [1, "0a", 2 * day, False], [1, "0a", 3 * day, False],
        [1, "0d", 5 * day, True], [1, "0b", 5 * day, True],
    ]  # fmt: skip
    without_times = Windows(make_order_sequences(users), np.array([1, 5]), history_length=1)
    assert list_purchases(without_times, np.array([0]), ids)["timestamp"].isna().all()


def test_models_are_shown_in_order_of_validation() -> None:
    results = {
        "ease": make_results(0.9), "classifier": make_results(0.3), "blend": make_results(0.5),
        "model_i": make_results(None), "popularity": make_results(0.8),
        "oracle": make_results(0.99),
    }  # fmt: skip
    assert choose_models(results, ["blend"]) == ["blend", "classifier", "model_i"]
    assert choose_models(results, ["blend", "ease"]) == ["ease", "blend", "classifier"]
    baselines = {name: results[name] for name in ("popularity", "ease")}
    assert choose_models(baselines, ["blend"]) == ["ease", "popularity"]


LISTS = pd.DataFrame(
    {
        "row": [4, 4, 4, 7, 4],
        "seen_items": ["filtered", "filtered", "unfiltered", "filtered", "filtered"],
        "rank": [2, 1, 1, 1, 11],
        "item_id": ["02", "03", "04", "05", "06"],
        "score": [0.25, 0.5, 0.9, 0.9, 0.1],
    }
)
RANKS = pd.DataFrame(
    {
        "row": [4, 7], "item_id": ["02", "02"], "rank_filtered": [2.0, 9.0],
        "rank_unfiltered": [1.5, 9.0],
    }
)  # fmt: skip
PURCHASES = pd.DataFrame(
    {
        "row": [4, 4], "item_id": ["01", "02"], "timestamp": [5.0, None],
        "is_target": [False, True],
    }
)  # fmt: skip
TITLES = pd.DataFrame({"item_id": ["01", "02", "77"], "title": ["Rose", float("nan"), "Extra"]})
SELECTED = SelectedRows(
    pd.DataFrame({"row": [4], "user_id": ["u"], "item_id": ["02"], "n_seen": [1]}), [4], [4], 1
)


def build(filter_mode: str = "filtered") -> dict[str, Any]:
    results = {"classifier": make_results(0.3, LISTS, RANKS)}
    return build_examples(SELECTED, PURCHASES, TITLES, results, ["classifier"], filter_mode)


def test_examples_hold_purchases_target_and_lists() -> None:
    found = build()
    assert found["models"] == ["classifier"]
    assert found["seen_items"] == "filtered"
    assert found["examples"] == [
        {
            "user_id": "u",
            "purchases": [{"item_id": "01", "title": "Rose", "timestamp": 5}],
            "targets": [{"item_id": "02", "title": None, "timestamp": None, "is_repeat": False}],
            "target_ranks": {"classifier": [2.0]},
            "recommendations": {
                "classifier": [
                    {"rank": 1, "item_id": "03", "title": None, "score": 0.5, "is_target": False},
                    {"rank": 2, "item_id": "02", "title": None, "score": 0.25, "is_target": True},
                ]
            },
        }
    ]
    assert json.loads(json.dumps(found)) == found


def test_searchable_customers_are_compact() -> None:
    searchable = build()["searchable"]
    assert searchable == {
        "products": [["01", "Rose"], ["02", None], ["03", None]],
        "customers": [["u", 0, [[0, 0]], [[1, None, False]], [[[2.0], [2, 1]]]]],
    }


def test_examples_hold_all_targets_of_an_order() -> None:
    targets = pd.DataFrame({"row": 4, "user_id": "u", "item_id": ["02", "01", "03"], "n_seen": 1})
    ranks = targets.assign(rank_unfiltered=[2.0, 9.0, 1.0])
    # The order has a product in two lines.
    purchases = pd.DataFrame(
        {
            "row": 4, "item_id": ["01", "02", "01", "03", "02"],
            "timestamp": [5.0, *[90_000_000.0] * 4], "is_target": [False, *[True] * 4],
        }
    )  # fmt: skip
    lists = LISTS.assign(seen_items="unfiltered")
    results = {"classifier": make_results(0.3, lists, ranks)}
    selected = SelectedRows(targets, [4], [4], 1)
    found = build_examples(selected, purchases, TITLES, results, [], "unfiltered")
    (card,) = found["examples"]
    assert [(item["item_id"], item["is_repeat"]) for item in card["targets"]] == [
        ("02", False), ("01", True), ("03", False),
    ]  # fmt: skip
    assert card["target_ranks"] == {"classifier": [2.0, 9.0, 1.0]}
    marks = {item["item_id"]: item["is_target"] for item in card["recommendations"]["classifier"]}
    assert marks == {"03": True, "04": False, "02": True}
    (customer,) = found["searchable"]["customers"]
    assert customer[3] == [[1, 1, False], [0, 1, True], [2, 1, False]]
    assert json.loads(json.dumps(found)) == found


def test_lists_with_seen_items_are_shown_if_these_results_come_first() -> None:
    found = build("unfiltered")
    assert found["seen_items"] == "unfiltered"
    assert found["examples"][0]["target_ranks"] == {"classifier": [1.5]}
    items = found["examples"][0]["recommendations"]["classifier"]
    assert [item["item_id"] for item in items] == ["04"]


def test_only_the_latest_purchases_of_searchable_customers_are_stored() -> None:
    n = 30
    purchases = pd.DataFrame(
        {
            "row": 4, "item_id": [f"{item:02}" for item in range(n)],
            "timestamp": [86_400_000 * day for day in range(n)],
            "is_target": [item == n - 1 for item in range(n)],
        }
    )  # fmt: skip
    rows = pd.DataFrame({"row": [4], "user_id": ["u"], "item_id": ["29"], "n_seen": [n - 1]})
    results = {"ease": make_results(0.3, LISTS, RANKS.assign(item_id="29"))}
    found = build_examples(
        SelectedRows(rows, [4], [4], 1), purchases, TITLES, results, ["ease"], "filtered"
    )
    assert len(found["examples"][0]["purchases"]) == 29
    _, earlier, bought, (target,), _ = found["searchable"]["customers"][0]
    products = found["searchable"]["products"]
    assert earlier == 19
    assert [products[item][0] for item, _ in bought] == [f"{item}" for item in range(19, 29)]
    assert [day for _, day in bought] == list(range(19, 29))
    assert (products[target[0]][0], *target[1:]) == ("29", 29, False)


def test_titles_of_all_shown_items_are_asked_for() -> None:
    results = {"classifier": make_results(0.3, LISTS, RANKS)}
    arguments = (SELECTED, PURCHASES, results, ["classifier"])
    assert list_shown_items(*arguments, "filtered") == ["01", "02", "03"]
    assert list_shown_items(*arguments, "unfiltered") == ["01", "02", "04"]


def test_no_result_gives_no_list() -> None:
    found = build_examples(SELECTED, PURCHASES, TITLES, {}, [], "filtered")
    assert found["models"] == []
    assert found["examples"][0]["recommendations"] == {}
