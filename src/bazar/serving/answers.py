"""The answers of a Recommender: one per request, or a table for all customers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bazar.labels import get_model_label

if TYPE_CHECKING:
    import pandas as pd

RECOMMENDATIONS = pa.schema(
    [
        ("user_id", pa.large_string()),
        ("model", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("score", pa.float32()),
        ("answered_by", pa.string()),
    ]
)
"""The recommendations for all customers, one row per recommendation.

``answered_by`` is the model, or ``recent_popularity`` for a customer whose history the model
cannot read.
"""


@dataclass(frozen=True)
class Recommendation:
    """A recommended product.

    Attributes:
        rank: from 1.
        item_id: the product.
        title: its title; None if it has none.
        score: the model's score. Higher is better within one answer; scores of different models
            or answers cannot be compared.
        nearest_item_id: the past purchase with the most similar title; None if there is none.
        nearest_title: the title of that purchase.
        nearest_cosine: the cosine similarity of the two titles, from -1 to 1.
        n_orders: number of past orders with the product; 0 if it was never bought.
        days_between_orders: mean number of days between these orders; None for a single order, or
            if the times are not known.
        days_since_last_order: number of days since the last of them; None if it was never bought,
            or the times are not known.
        orders_since: number of the customer's orders after the last one with the product; None if
            it was never bought.
    """

    rank: int
    item_id: str
    title: str | None
    score: float
    nearest_item_id: str | None = None
    nearest_title: str | None = None
    nearest_cosine: float | None = None
    n_orders: int = 0
    days_between_orders: float | None = None
    days_since_last_order: float | None = None
    orders_since: int | None = None

    @property
    def reason(self) -> str:
        """The past purchases that explain the recommendation, in words; empty if there are none.

        For example ``bought 3 times, about every 40 days, last 38 days ago``, or
        ``bought once, 38 days ago``.
        """
        if self.n_orders:
            return self._describe_orders()
        if self.nearest_title:
            return f"similar to {self.nearest_title}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the reason as plain values that ``json`` can write."""
        return asdict(self) | {"reason": self.reason}

    def _describe_orders(self) -> str:
        times = "once" if self.n_orders == 1 else f"{self.n_orders} times"
        parts = [f"bought {times}"]
        if self.days_between_orders is not None:
            parts.append(f"about every {_format_days(self.days_between_orders)}")
        if self.days_since_last_order is not None:
            days = _format_days(self.days_since_last_order)
            when = "today" if days == "0 days" else f"{days} ago"
            parts.append(when if self.n_orders == 1 else f"last {when}")
        elif self.orders_since == 0:
            parts.append("in the last order" if self.n_orders == 1 else "also in the last order")
        elif self.orders_since is not None:
            last = "order" if self.orders_since == 1 else f"{self.orders_since} orders"
            parts.append(f"but not in the last {last}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Recommendations(Sequence[Recommendation]):
    """An answer: a sequence of products, the best first.

    Attributes:
        model: the model that answered. It is ``recent_popularity`` if the model that was asked for
            cannot read anything in the history.
        products: the recommended products.
        unknown_items: ids of the history that are not in the catalogue.
    """

    model: str
    products: tuple[Recommendation, ...]
    unknown_items: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.products)

    def __getitem__(self, index: Any) -> Any:
        return self.products[index]

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per product, with the fields of :class:`Recommendation` as columns."""
        import pandas as pd

        columns = [*Recommendation.__dataclass_fields__, "reason"]
        return pd.DataFrame([product.to_json() for product in self.products], columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain values that ``json`` can write."""
        return {
            "model": self.model,
            "unknown_items": list(self.unknown_items),
            "products": [product.to_json() for product in self.products],
        }

    def _repr_html_(self) -> str:
        """Return the answer as a table, for notebooks."""
        table = self.to_frame().dropna(axis=1, how="all")
        return f"<p>{get_model_label(self.model)}</p>" + table.to_html(index=False)


def shorten_float(value: np.float32) -> float:
    """Return the float with the fewest digits that still identifies a float32 value.

    ``float(np.float32(0.1))`` is 0.10000000149011612; this is 0.1.
    """
    return float(str(value))


def _format_days(days: float) -> str:
    rounded = round(days)
    return "1 day" if rounded == 1 else f"{rounded} days"
