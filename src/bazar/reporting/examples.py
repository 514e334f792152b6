"""Example customers of the report: purchases, targets and recommendations."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bazar.config.models import BASELINES
from bazar.data.windows import Windows, expand_ranges
from bazar.evaluation.results import ModelResults
from bazar.labels import ORACLE
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
        targets: ``row, user_id, item_id, n_seen`` of the targets of the selected rows, sorted by
            row.
        examples: row numbers of the example customers, in order of the length of the history.
        searchable: row numbers of the searchable customers, at most one per customer.
        n_customers: number of customers in the test part.
    """

    targets: pd.DataFrame
    examples: list[int]
    searchable: list[int]
    n_customers: int

    @property
    def rows(self) -> np.ndarray:
        """Numbers of the selected rows, int64, ascending."""
        return self.targets["row"].unique()

    @property
    def user_ids(self) -> list[str]:
        """Ids of the selected customers."""
        return [str(user_id) for user_id in self.targets["user_id"].unique()]


def select_test_rows(
    targets: pd.DataFrame, n_examples: int, n_searchable: int, seed: int
) -> SelectedRows:
    """Return a random selection of test rows for the report.

    Test rows are sorted by the length of the history and divided into groups of equal size. One
    example is drawn from each group. Searchable customers are a random sample that includes the
    examples. For a customer with several test rows, the example row or else the latest row is
    searchable.

    Args:
        targets: ``row, user_id, item_id`` (the target) and ``n_seen``, one line per target.
        n_examples: maximum number of examples.
        n_searchable: maximum number of searchable customers.
        seed: seed of the random selection.
    """
    test_rows = targets.drop_duplicates("row")
    examples = choose_rows(test_rows, n_examples, seed)
    by_customer = test_rows.assign(is_example=test_rows["row"].isin(examples))
    by_customer = by_customer.sort_values(["is_example", "n_seen", "row"])
    by_customer = by_customer.drop_duplicates("user_id", keep="last")
    shown_first = by_customer.loc[by_customer["is_example"], "row"].to_numpy()
    others = np.sort(by_customer.loc[~by_customer["is_example"], "row"].to_numpy())
    n_others = min(max(0, n_searchable - len(shown_first)), len(others))
    drawn = np.random.default_rng(seed).choice(others, n_others, replace=False)
    searchable = sorted(int(row) for row in [*shown_first[:n_searchable], *drawn])
    selected = targets["row"].isin([*examples, *searchable])
    return SelectedRows(
        targets=targets.loc[selected, ["row", "user_id", "item_id", "n_seen"]],
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

    models = [model for model in results if model != ORACLE]
    preferred = {model for model in models if model not in BASELINES}
    preferred |= {model for model in recommendation_models if model in results}
    ordered = sorted(models, key=lambda model: (model not in preferred, get_key(model)))
    return sorted(ordered[:MAX_MODELS], key=get_key)


def list_purchases(test: Windows, rows: np.ndarray, item_ids: np.ndarray) -> pd.DataFrame:
    """Return the purchases of test rows: the complete history, and the targets.

    Args:
        test: the test rows.
        rows: numbers of the rows, int.
        item_ids: shape (items + 1,), external ids by item index.

    Returns:
        ``row, item_id, timestamp`` (UTC milliseconds, None if the data has no timestamps) and
        ``is_target``, in order of the purchases of each row.
    """
    chosen = test.take(rows)
    first = chosen.target_positions - chosen.n_seen
    numbers, positions = expand_ranges(first, chosen.target_ends)
    times = chosen.sequences.timestamps
    return pd.DataFrame(
        {
            "row": rows[numbers],
            "item_id": item_ids[chosen.sequences.items[positions]],
            "timestamp": None if times is None else times[positions],
            "is_target": positions >= chosen.target_positions[numbers],
        }
    )


def list_shown_items(
    selected: SelectedRows,
    purchases: pd.DataFrame,
    results: Mapping[str, ModelResults],
    recommendation_models: Iterable[str],
    filter_mode: str,
) -> list[str]:
    """Return the ids of all items that :func:`build_examples` shows, to look up their titles.

    The arguments are the same as those of :func:`build_examples`.
    """
    shown = {str(item_id) for item_id in purchases["item_id"]}
    for model in choose_models(results, recommendation_models):
        table = _select_lists(results[model].recommendations, selected, filter_mode)
        shown.update(str(item_id) for item_id in table["item_id"])
    return sorted(shown)


def build_examples(
    selected: SelectedRows,
    purchases: pd.DataFrame,
    titles: pd.DataFrame,
    results: Mapping[str, ModelResults],
    recommendation_models: Sequence[str],
    filter_mode: str,
) -> Json:
    """Return the content of the report about the selected customers.

    Args:
        selected: the rows to show.
        purchases: the result of :func:`list_purchases` for the selected rows.
        titles: ``item_id, title``.
        results: results by model.
        recommendation_models: models of the bundle.
        filter_mode: the results that come first, ``filtered`` or ``unfiltered``.

    Returns:
        JSON content: ``seen_items`` (the filter mode); ``models``, in order of validation NDCG@10;
        ``n_customers``, the number of customers in the test part; ``examples``, one card per
        example; and ``searchable``, the result of :func:`_build_searchable`. A card has
        ``user_id``; ``purchases`` and ``targets`` (a list of ``item_id, title, timestamp``; a
        target also has ``is_repeat``); ``target_ranks`` (one rank per target, by model); and
        ``recommendations`` by model.
    """
    models = choose_models(results, recommendation_models)
    title_of = {
        str(item_id): None if pd.isna(title) else str(title)
        for item_id, title in titles[["item_id", "title"]].itertuples(index=False)
    }
    cards = _build_cards(selected, purchases, results, models, title_of, filter_mode)
    searchable = [cards[row] for row in selected.searchable if row in cards]
    return {
        "seen_items": filter_mode,
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
    filter_mode: str,
) -> dict[int, Json]:
    """Return the full card of each selected row, by row number."""
    ranks = {model: _group_ranks(results[model].ranks, selected, filter_mode) for model in models}
    lists = {
        model: _group_lists(results[model].recommendations, selected, filter_mode)
        for model in models
    }
    bought, next_order = (
        _group_purchases(purchases[purchases["is_target"] == is_target], title_of)
        for is_target in (False, True)
    )
    cards: dict[int, Json] = {}
    row: Any
    for row, table in selected.targets.groupby("row"):
        items = [str(item_id) for item_id in table["item_id"]]
        seen = {purchase["item_id"] for purchase in bought[row]}
        # The timestamp of a target that occurs several times in the order is that of the first.
        described = {item["item_id"]: item for item in reversed(next_order[row])}
        cards[int(row)] = {
            "user_id": str(table["user_id"].iloc[0]),
            "purchases": bought[row],
            "targets": [described[item] | {"is_repeat": item in seen} for item in items],
            "target_ranks": {
                model: [ranks[model][row, item] for item in items] for model in models
            },
            "recommendations": {
                model: [
                    _describe_recommendation(*item, items, title_of) for item in lists[model][row]
                ]
                for model in models
            },
        }
    return cards


def _group_purchases(
    purchases: pd.DataFrame, title_of: Mapping[str, str | None]
) -> dict[int, list[Json]]:
    """Return the purchases of each row."""
    groups: dict[int, list[Json]] = defaultdict(list)
    columns = purchases[["row", "item_id", "timestamp"]]
    for row, item_id, timestamp in columns.itertuples(index=False):
        groups[row].append(_describe_purchase(item_id, timestamp, title_of))
    return groups


def _group_ranks(
    ranks: pd.DataFrame, selected: SelectedRows, filter_mode: str
) -> dict[tuple[int, str], float]:
    """Return the rank of each target, by row number and item id."""
    table = ranks[ranks["row"].isin(selected.rows)]
    return {
        (row, str(item_id)): float(rank)
        for row, item_id, rank in table[["row", "item_id", f"rank_{filter_mode}"]].itertuples(
            index=False
        )
    }


def _group_lists(
    recommendations: pd.DataFrame, selected: SelectedRows, filter_mode: str
) -> dict[int, list[tuple[int, str, float]]]:
    """Return the list of each selected row as ``(rank, item_id, score)``, best first."""
    lists: dict[int, list[tuple[int, str, float]]] = defaultdict(list)
    table = _select_lists(recommendations, selected, filter_mode).sort_values("rank")
    for row, rank, item_id, score in table[["row", "rank", "item_id", "score"]].itertuples(
        index=False
    ):
        lists[row].append((int(rank), str(item_id), float(score)))
    return lists


def _select_lists(
    recommendations: pd.DataFrame, selected: SelectedRows, filter_mode: str
) -> pd.DataFrame:
    return recommendations[
        (recommendations["seen_items"] == filter_mode)
        & (recommendations["rank"] <= LIST_LENGTH)
        & recommendations["row"].isin(selected.rows)
    ]


def _describe_purchase(item_id: str, timestamp: Any, title_of: Mapping[str, str | None]) -> Json:
    return {
        "item_id": str(item_id),
        "title": title_of.get(str(item_id)),
        "timestamp": None if pd.isna(timestamp) else int(timestamp),
    }


def _describe_recommendation(
    rank: int, item_id: str, score: float, targets: list[str], title_of: Mapping[str, str | None]
) -> Json:
    return {
        "rank": rank,
        "item_id": item_id,
        "title": title_of.get(item_id),
        "score": score,
        "is_target": item_id in targets,
    }


def _build_searchable(
    cards: list[Json], models: list[str], title_of: Mapping[str, str | None]
) -> Json:
    """Return cards in a compact form: each title occurs once, and products are integers.

    Returns:
        ``products``: a list of id and title. ``customers``: a list per customer with the id, the
        number of earlier purchases that are not shown, the latest purchases, the targets, and for
        each model the ranks of the targets and the indices of the recommended products. A purchase
        is the index of the product and the UTC day (or None). A target is the same and whether the
        customer bought the product before.
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
        bought = card["purchases"]
        customers.append(
            [
                card["user_id"],
                max(0, len(bought) - MAX_PURCHASES),
                [shorten(purchase) for purchase in bought[-MAX_PURCHASES:]],
                [[*shorten(target), target["is_repeat"]] for target in card["targets"]],
                [
                    [
                        card["target_ranks"][model],
                        [get_index(item["item_id"]) for item in card["recommendations"][model]],
                    ]
                    for model in models
                ],
            ]
        )
    products = [[item_id, title_of.get(item_id)] for item_id in indices]
    return {"products": products, "customers": customers}
