"""Recommendations for one customer or for all: what notebooks, commands and programs call.

It needs no Kedro: a folder that the pipeline ``recommendation`` filled is enough.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from bazar.labels import get_model_label

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
"""What is recommended to all customers: a row for each recommendation.

``answered_by`` is the model, or ``recent_popularity`` where it can read nothing of the customer.
"""


@dataclass(frozen=True)
class Recommendation:
    """A product that is recommended.

    Attributes:
        rank: from 1.
        item_id: the product.
        title: its title; None where it has none.
        score: what the model gave it: of one answer, higher is better; of two models or two
            answers, not to be compared.
        nearest_item_id: the past purchase with the nearest title; None where there is none.
        nearest_title: its title.
        nearest_cosine: how near, from -1 to 1.
    """

    rank: int
    item_id: str
    title: str | None
    score: float
    nearest_item_id: str | None = None
    nearest_title: str | None = None
    nearest_cosine: float | None = None


@dataclass(frozen=True)
class Recommendations(Sequence[Recommendation]):
    """An answer: products, the best first.

    Attributes:
        model: what recommends them. ``recent_popularity``, what is bought most of late, where
            nothing is known of the customer.
        products: the products.
        skipped: ids of the history that the shop does not know.
    """

    model: str
    products: tuple[Recommendation, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.products)

    def __getitem__(self, place: Any) -> Any:
        return self.products[place]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each product, the columns of :class:`Recommendation`."""
        columns = list(Recommendation.__dataclass_fields__)
        return pd.DataFrame([asdict(one) for one in self.products], columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "model": self.model,
            "skipped": list(self.skipped),
            "products": [asdict(one) for one in self.products],
        }

    def _repr_html_(self) -> str:
        """Show as a table in a notebook."""
        told = self.to_frame().dropna(axis=1, how="all")
        return f"<p>{get_model_label(self.model)}</p>" + told.to_html(index=False)
