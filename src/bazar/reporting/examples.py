"""One page that says how good the models are, and shows what they recommend."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter


@dataclass(frozen=True)
class Purchase:
    """A product that a customer bought; ``timestamp`` is in UTC milliseconds, if known."""

    item_id: str
    title: str | None
    timestamp: int | None


@dataclass(frozen=True)
class Recommendation:
    """A product that a model recommends."""

    rank: int
    item_id: str
    title: str | None
    score: float
    is_target: bool


@dataclass(frozen=True)
class ExampleCustomer:
    """A customer's purchases, what came next, and what each model recommended."""

    user_id: str
    purchases: list[Purchase]
    target: Purchase
    target_rank: dict[str, float]
    recommendations: dict[str, list[Recommendation]]


def choose_rows(ranks: pd.DataFrame, n: int, seed: int) -> list[int]:
    """Choose test rows to show: short and long histories alike, whatever the models made of them.

    Rows are put in order of the length of their history and cut into ``n`` equal groups; one
    of each is drawn.

    Args:
        ranks: ``row, n_seen``, a row per test row.
        n: rows to choose; fewer if there are fewer.
        seed: seed of the draw.
    """
    ordered = ranks.sort_values(["n_seen", "row"])["row"].to_numpy()
    rng = np.random.default_rng(seed)
    groups = np.array_split(ordered, min(n, len(ordered)))
    return [int(rng.choice(group)) for group in groups]


def example_customers(
    rows: list[int],
    purchases: pd.DataFrame,
    ranks: Mapping[str, pd.DataFrame],
    recommendations: Mapping[str, pd.DataFrame],
    titles: Mapping[str, str | None],
    top: int = 5,
) -> list[ExampleCustomer]:
    """Gather what is shown of the chosen test rows, histories filtered.

    Args:
        rows: the chosen test rows.
        purchases: ``row, item_id, timestamp``: what the customer of each chosen row bought
            before the target, in order, then the target itself.
        ranks: per model, ``row, user_id, rank_filtered``.
        recommendations: per model, ``row, history, rank, item_id, score``.
        titles: title by item id.
        top: recommendations to show per model.
    """

    def title_of(item_id: str) -> str | None:
        # Pandas gives a missing title as NaN or NA, which would be shown as a word.
        title = titles.get(item_id)
        return None if pd.isna(title) else title

    examples = []
    for row in rows:
        bought = [
            Purchase(item_id, title_of(item_id), None if pd.isna(time) else int(time))
            for item_id, time in purchases.loc[
                purchases["row"] == row, ["item_id", "timestamp"]
            ].itertuples(index=False)
        ]
        target = bought[-1]
        shown, target_rank = {}, {}
        for model, table in recommendations.items():
            own = table[
                (table["row"] == row) & (table["history"] == "filtered") & (table["rank"] <= top)
            ].sort_values("rank")
            shown[model] = [
                Recommendation(rank, item_id, title_of(item_id), score, item_id == target.item_id)
                for rank, item_id, score in zip(
                    own["rank"].tolist(),
                    own["item_id"].tolist(),
                    own["score"].tolist(),
                    strict=True,
                )
            ]
            of_model = ranks[model]
            target_rank[model] = float(
                of_model.loc[of_model["row"] == row, "rank_filtered"].iloc[0]
            )
        first = ranks[next(iter(ranks))]
        user_id = str(first.loc[first["row"] == row, "user_id"].iloc[0])
        examples.append(ExampleCustomer(user_id, bought[:-1], target, target_rank, shown))
    return examples


def examples_to_json(examples: list[ExampleCustomer]) -> list[dict[str, Any]]:
    """Turn examples into what a JSON file holds."""
    return _EXAMPLES.dump_python(examples, mode="json")


def examples_from_json(content: list[dict[str, Any]]) -> list[ExampleCustomer]:
    """Read what :func:`examples_to_json` made."""
    return _EXAMPLES.validate_python(content)


_EXAMPLES = TypeAdapter(list[ExampleCustomer])
