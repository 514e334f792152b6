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

        columns = list(Recommendation.__dataclass_fields__)
        return pd.DataFrame([asdict(product) for product in self.products], columns=columns)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain values that ``json`` can write."""
        return {
            "model": self.model,
            "unknown_items": list(self.unknown_items),
            "products": [asdict(product) for product in self.products],
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
