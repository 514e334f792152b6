"""Example customers of the report: purchases, target and recommendations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bazar.config.models import BASELINES
from bazar.evaluation.results import ModelResults
from bazar.reporting.findings import LIST_LENGTH, get_validation_ndcg

MAX_MODELS = 3
# Maximum number of stored purchases per searchable customer, the latest ones.
MAX_PURCHASES = 10
_DAY = 24 * 3600 * 1000

Json = dict[str, Any]


@dataclass(frozen=True)
class SelectedRows:
    """Test rows of the customers in the report.

    Attributes:
        rows: ``row, user_id, item_id, n_seen`` of the selected rows, in order of ``row``.
        examples: row numbers of the example customers, in order of the length of the history.
        searchable: row numbers of the searchable customers, at most one per customer.
        n_customers: number of customers in the test part.
    """

    rows: pd.DataFrame
    examples: list[int]
    searchable: list[int]
    n_customers: int

    @property
    def user_ids(self) -> list[str]:
        """Ids of the selected customers."""
        return [str(user_id) for user_id in self.rows["user_id"].unique()]


def select_test_rows(
    test_rows: pd.DataFrame, n_examples: int, n_searchable: int, seed: int
) -> SelectedRows:
    """Return a random selection of test rows for the report.

    Test rows are sorted by the length of the history and divided into groups of equal size. One
    example is drawn from each group. Searchable customers are a random sample that includes the
    examples. For a customer with several test rows, the example row or else the latest row is
    searchable.

    Args:
        test_rows: ``row, user_id, item_id`` (the target) and ``n_seen``, one row per test row.
        n_examples: maximum number of examples.
        n_searchable: maximum number of searchable customers.
        seed: seed of the random selection.
    """
    examples = choose_rows(test_rows, n_examples, seed)
    by_customer = test_rows.assign(is_example=test_rows["row"].isin(examples))
    by_customer = by_customer.sort_values(["is_example", "n_seen", "row"])
    by_customer = by_customer.drop_duplicates("user_id", keep="last")
    shown_first = by_customer.loc[by_customer["is_example"], "row"].to_numpy()
    others = np.sort(by_customer.loc[~by_customer["is_example"], "row"].to_numpy())
    n_others = min(max(0, n_searchable - len(shown_first)), len(others))
    drawn = np.random.default_rng(seed).choice(others, n_others, replace=False)
    searchable = sorted(int(row) for row in [*shown_first[:n_searchable], *drawn])
    selected = test_rows["row"].isin([*examples, *searchable])
    return SelectedRows(
        rows=test_rows.loc[selected, ["row", "user_id", "item_id", "n_seen"]].sort_values("row"),
        examples=examples,
        searchable=searchable,
        n_customers=len(by_customer),
    )


def choose_rows(test_rows: pd.DataFrame, n: int, seed: int) -> list[int]:
    """Return random test rows with short and long histories, independent of recommendations.

    Args:
        test_rows: ``row, n_seen``, one row per test row.
        n: maximum number of rows to choose.
        seed: seed of the random choice.
    """
    ordered = test_rows.sort_values(["n_seen", "row"])["row"].to_numpy()
    rng = np.random.default_rng(seed)
    groups = np.array_split(ordered, min(n, len(ordered)))
    return [int(rng.choice(group)) for group in groups]


def choose_models(
    results: Mapping[str, ModelResults], recommendation_models: Iterable[str]
) -> list[str]:
    """Return the models whose recommendations are shown, the best validation NDCG@10 first.

    Trained models and the models of the bundle have priority over other baselines.

    Args:
        results: results by model.
        recommendation_models: models of the bundle.

    Returns:
        At most :data:`MAX_MODELS` names.
    """

    def get_key(model: str) -> float:
        return -get_validation_ndcg(results[model].metrics)

    preferred = {model for model in results if model not in BASELINES}
    preferred |= {model for model in recommendation_models if model in results}
    ordered = sorted(results, key=lambda model: (model not in preferred, get_key(model)))
    return sorted(ordered[:MAX_MODELS], key=get_key)


def list_shown_items(
    selected: SelectedRows,
    purchases: pd.DataFrame,
    results: Mapping[str, ModelResults],
    recommendation_models: Iterable[str],
    filter_seen: bool,
) -> list[str]:
    """Return the ids of all items that :func:`build_examples` shows, to look up their titles.

    The arguments are the same as those of :func:`build_examples`.
    """
    shown = {str(item_id) for item_id in purchases["item_id"]}
    for model in choose_models(results, recommendation_models):
        table = _select_lists(results[model].recommendations, selected, filter_seen)
        shown.update(str(item_id) for item_id in table["item_id"])
    return sorted(shown)


def build_examples(
    selected: SelectedRows,
    purchases: pd.DataFrame,
    titles: pd.DataFrame,
    results: Mapping[str, ModelResults],
    recommendation_models: Sequence[str],
    filter_seen: bool,
) -> Json:
    """Return the content of the report about the selected customers.

    Args:
        selected: the rows to show.
        purchases: ``user_id, item_id, timestamp, position`` (from 1): all purchases of the
            selected customers. Purchases after the target are ignored.
        titles: ``item_id, title``.
        results: results by model.
        recommendation_models: models of the bundle.
        filter_seen: whether already bought products are removed from the lists.

    Returns:
        JSON content: ``seen_items`` (``filtered`` or ``unfiltered``); ``models``, in order of
        validation NDCG@10; ``n_customers``, the number of customers in the test part;
        ``examples``, one card per example; and ``searchable``, the result of
        :func:`_build_searchable`.
    """
    models = choose_models(results, recommendation_models)
    title_of = {
        str(item_id): None if pd.isna(title) else str(title)
        for item_id, title in titles[["item_id", "title"]].itertuples(index=False)
    }
    cards = _build_cards(selected, purchases, results, models, title_of, filter_seen)
    searchable = [cards[row] for row in selected.searchable if row in cards]
    return {
        "seen_items": "filtered" if filter_seen else "unfiltered",
        "models": models,
        "n_customers": selected.n_customers,
        "examples": [cards[row] for row in selected.examples if row in cards],
        "searchable": _build_searchable(searchable, models, title_of),
    }


def _build_cards(
    selected: SelectedRows,
    purchases: pd.DataFrame,
    results: Mapping[str, ModelResults],
    models: list[str],
    title_of: Mapping[str, str | None],
    filter_seen: bool,
) -> dict[int, Json]:
    """Return the full card of each selected row, by row number."""
    bought_by_user = defaultdict(list)
    for user_id, item_id, timestamp, position in purchases.sort_values("position")[
        ["user_id", "item_id", "timestamp", "position"]
    ].itertuples(index=False):
        bought_by_user[user_id].append((item_id, timestamp, position))
    rank_column = "rank_filtered" if filter_seen else "rank_unfiltered"
    ranks, lists = {}, {}
    for model in models:
        table = results[model].ranks
        table = table[table["row"].isin(selected.rows["row"])]
        ranks[model] = dict(zip(table["row"].tolist(), table[rank_column].tolist(), strict=True))
        lists[model] = _group_lists(results[model].recommendations, selected, filter_seen)
    cards = {}
    for row, user_id, target, n_seen in selected.rows.itertuples(index=False):
        # The target directly follows the history.
        products = [
            _describe_purchase(item_id, timestamp, title_of)
            for item_id, timestamp, position in bought_by_user[user_id]
            if position <= n_seen + 1
        ]
        cards[int(row)] = {
            "user_id": str(user_id),
            "purchases": products[:-1],
            "target": products[-1],
            "target_rank": {model: float(ranks[model][row]) for model in models},
            "recommendations": {
                model: [
                    _describe_recommendation(*item, str(target), title_of)
                    for item in lists[model][row]
                ]
                for model in models
            },
        }
    return cards


def _group_lists(
    recommendations: pd.DataFrame, selected: SelectedRows, filter_seen: bool
) -> dict[int, list[tuple[int, str, float]]]:
    """Return the list of each selected row as ``(rank, item_id, score)``, best first."""
    lists: dict[int, list[tuple[int, str, float]]] = defaultdict(list)
    table = _select_lists(recommendations, selected, filter_seen).sort_values("rank")
    for row, rank, item_id, score in table[["row", "rank", "item_id", "score"]].itertuples(
        index=False
    ):
        lists[row].append((int(rank), str(item_id), float(score)))
    return lists


def _select_lists(
    recommendations: pd.DataFrame, selected: SelectedRows, filter_seen: bool
) -> pd.DataFrame:
    mode = "filtered" if filter_seen else "unfiltered"
    return recommendations[
        (recommendations["seen_items"] == mode)
        & (recommendations["rank"] <= LIST_LENGTH)
        & recommendations["row"].isin(selected.rows["row"])
    ]


def _describe_purchase(item_id: str, timestamp: Any, title_of: Mapping[str, str | None]) -> Json:
    return {
        "item_id": str(item_id),
        "title": title_of.get(str(item_id)),
        "timestamp": None if pd.isna(timestamp) else int(timestamp),
    }


def _describe_recommendation(
    rank: int, item_id: str, score: float, target: str, title_of: Mapping[str, str | None]
) -> Json:
    return {
        "rank": rank,
        "item_id": item_id,
        "title": title_of.get(item_id),
        "score": score,
        "is_target": item_id == target,
    }


def _build_searchable(
    cards: list[Json], models: list[str], title_of: Mapping[str, str | None]
) -> Json:
    """Return cards in a compact form: each title occurs once, and products are integers.

    Returns:
        ``products``: a list of id and title. ``customers``: a list per customer with the id, the
        number of earlier purchases that are not shown, the latest purchases, the target, whether
        the target was bought before, and for each model the rank of the target and the indices of
        the recommended products. A purchase or target is the index of the product and the UTC day
        (or None).
    """
    indices: dict[str, int] = {}

    def get_index(item_id: str) -> int:
        return indices.setdefault(item_id, len(indices))

    def shorten(purchase: Json) -> list[int | None]:
        timestamp = purchase["timestamp"]
        return [
            get_index(purchase["item_id"]), None if timestamp is None else timestamp // _DAY
        ]  # fmt: skip

    customers = []
    for card in cards:
        bought, target = card["purchases"], card["target"]
        customers.append(
            [
                card["user_id"],
                max(0, len(bought) - MAX_PURCHASES),
                [shorten(purchase) for purchase in bought[-MAX_PURCHASES:]],
                shorten(target),
                target["item_id"] in {purchase["item_id"] for purchase in bought},
                [
                    [
                        card["target_rank"][model],
                        [get_index(item["item_id"]) for item in card["recommendations"][model]],
                    ]
                    for model in models
                ],
            ]
        )
    products = [[item_id, title_of.get(item_id)] for item_id in indices]
    return {"products": products, "customers": customers}
