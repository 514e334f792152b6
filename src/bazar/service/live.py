"""Live data of a shop: what happened since the bundle was built.

The store returns these values, and the engine reads them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

EventType = Literal["purchase", "cart", "view", "impression", "click"]
"""What a visitor did with a product."""


@dataclass(frozen=True)
class LiveEvent:
    """Something that a user or an anonymous visitor did with one product.

    Attributes:
        event_type: what happened.
        item_id: the product.
        timestamp: when it happened, UTC milliseconds.
        order_id: the order of a purchase. Purchases without one that have the same time are one
            order.
        quantity: number of units; None if it is not known.
        price: price of one unit; None if it is not known.
    """

    event_type: EventType
    item_id: str
    timestamp: int
    order_id: str | None = None
    quantity: float | None = None
    price: float | None = None


@dataclass(frozen=True)
class ItemState:
    """The live state of a product.

    Attributes:
        item_id: the product.
        in_stock: whether it can be bought; None if this did not change since the bundle was built.
        price: price of one unit; None if it did not change since the bundle was built.
        is_hidden: whether the product is never shown.
    """

    item_id: str
    in_stock: bool | None = None
    price: float | None = None
    is_hidden: bool = False


@dataclass(frozen=True)
class NewItem:
    """A product that was added after the bundle was built.

    Attributes:
        item_id: the product.
        title: its title; None if it has none.
        attributes: brand, categories and similar attributes, separated by ``", "``; None if there
            are none.
        variant_group: name of the group of products that differ only in a variant, such as a
            colour or a size; None if it has no variants.
        vector: unit vector of the title, shape (dimension,), float32; None if it is not known.
    """

    item_id: str
    title: str | None = None
    attributes: str | None = None
    variant_group: str | None = None
    vector: np.ndarray | None = None
