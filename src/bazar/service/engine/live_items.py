"""Live state of the products: stock, price, hidden."""

import threading
from collections.abc import Mapping

import numpy as np

from bazar.service.engine.requests import check_price
from bazar.service.live import ItemState


class LiveItems:
    """Stock, price and visibility by item index.

    A change of one product writes three elements. Readers need no lock: each reads the arrays once
    per request. A bundle has no stock or prices, so that a product is in stock and has no price
    until a change names them.

    Attributes:
        in_stock: shape (items + 1,), bool.
        prices: shape (items + 1,), float64; NaN if a price is not known.
        is_hidden: shape (items + 1,), bool.
    """

    def __init__(self, n_items: int) -> None:
        """Set all products to in stock, without a price, and visible.

        Args:
            n_items: number of items + 1.
        """
        self.in_stock = np.ones(n_items, bool)
        self.prices = np.full(n_items, np.nan)
        self.is_hidden = np.zeros(n_items, bool)
        self._lock = threading.Lock()

    def change(self, states: Mapping[int, ItemState]) -> None:
        """Apply changes.

        Args:
            states: the new state of each changed product, by item index.

        Raises:
            InputError: if a price is invalid. Nothing is changed then.
        """
        for state in states.values():
            check_price("price", state.price)
        with self._lock:
            for index, state in states.items():
                self.in_stock[index] = state.in_stock is not False
                self.prices[index] = np.nan if state.price is None else state.price
                self.is_hidden[index] = state.is_hidden

    def extend(self, n_items: int) -> "LiveItems":
        """Return a copy for a catalogue of ``n_items`` items + 1, at least as many as now."""
        extended = LiveItems(n_items)
        with self._lock:
            for name in ("in_stock", "prices", "is_hidden"):
                getattr(extended, name)[: len(self.in_stock)] = getattr(self, name)
        return extended
