"""Histories of visitors: purchases of the bundle and live events, merged in order of time.

How carts, clicks and views influence an answer
-----------------------------------------------
The models are trained on purchases. A visitor who looks at products shows what is wanted now, but
has not bought it. Therefore:

- The latest products that were put into the cart, clicked or viewed since the last purchase, and
  at most :data:`CONTEXT_DURATION_MS` before the request, form one last step of the history
  (the context), at most :data:`MAX_CONTEXT_ITEMS` products. Carts come first, then clicks, then
  views. Models give the last step a high weight, so that the answer changes at once. It is a
  single step, so that an hour of browsing does not replace years of purchases.
- Products of the context are not recommended, except those that were bought before: the visitor
  has just seen them. Products in the cart are never recommended.
- A product that was bought before keeps the score that it has without the context, because a view
  is not a purchase. Explanations and ``filter_seen`` use purchases alone.

An anonymous session follows the same rule. Without purchases, the context is the only step.
Impressions have no influence: the shop chose what it showed.
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bazar.data.sequences import Sequences
from bazar.data.windows import Windows
from bazar.service.engine.requests import Visitor
from bazar.service.live import LiveEvent

MAX_CONTEXT_ITEMS = 5
"""Maximum number of products of the last step that were put into the cart, clicked or viewed."""
CONTEXT_DURATION_MS = 86_400_000
"""How long before a request carts, clicks and views influence it: one day."""

_CONTEXT_PRIORITY = {"cart": 0, "click": 1, "view": 2}


@dataclass(frozen=True)
class VisitorHistory:
    """What a visitor bought and looked at.

    Attributes:
        purchases: one row, the purchases before the request.
        with_context: one row, the purchases and the context; ``purchases`` without a context.
        bought: item indices of the purchases, ascending, each once.
        context: item indices of the context, int64.
        in_cart: item indices of the products that were put into the cart, int64.
        unknown_items: ids of purchases that are not in the catalogue.
        at: time of the request, UTC milliseconds, not before the last event.
    """

    purchases: Windows
    with_context: Windows
    bought: np.ndarray
    context: np.ndarray
    in_cart: np.ndarray
    unknown_items: tuple[str, ...]
    at: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known about the visitor."""
        return not len(self.bought) and not len(self.context)


@dataclass
class _Purchases:
    """Purchases in order of time: item indices, times, and numbers of orders."""

    items: list[int] = field(default_factory=list)
    times: list[int] | None = field(default_factory=list)
    orders: list[int] = field(default_factory=list)

    @property
    def next_order(self) -> int:
        return self.orders[-1] + 1 if self.orders else 0

    @property
    def last_time(self) -> int:
        return self.times[-1] if self.times else 0


def build_history(
    visitor: Visitor,
    known: Windows | None,
    item_index: dict[str, int],
    customers: Windows,
    at: int,
) -> VisitorHistory:
    """Merge the purchases of the bundle with the live events of a visitor.

    Args:
        visitor: the visitor.
        known: the row of the user in the bundle; None if there is none.
        item_index: item index by external id.
        customers: the customers of the bundle. They show whether times and orders are known.
        at: time of the request, UTC milliseconds.
    """
    unknown: list[str] = []
    purchases = _read_known(known) if known is not None else _read_given(visitor, item_index)
    unknown += [item_id for item_id in visitor.history if item_id not in item_index]
    live = [event for event in visitor.events if event.event_type == "purchase"]
    unknown += [event.item_id for event in live if event.item_id not in item_index]
    _append_live(purchases, live, item_index)
    at = max([at, purchases.last_time, *(event.timestamp for event in visitor.events)])
    after = max([purchases.last_time, *(event.timestamp for event in live)])
    browsed = _list_browsed(visitor.events, item_index, after, at)
    context = browsed[:MAX_CONTEXT_ITEMS]
    row = _build_row(purchases, [], customers, at)
    return VisitorHistory(
        purchases=row,
        with_context=_build_row(purchases, context, customers, at) if context else row,
        bought=np.unique(np.array(purchases.items, np.int64)),
        context=np.array([index for index, _ in context], np.int64),
        in_cart=np.array([index for index, kind in browsed if kind == "cart"], np.int64),
        unknown_items=tuple(dict.fromkeys(unknown)),
        at=at,
    )


def _read_known(row: Windows) -> _Purchases:
    """Return the purchases of a customer of the bundle."""
    sequences, stop = row.sequences, int(row.target_positions[0])
    positions = np.arange(stop - int(row.n_seen[0]), stop)
    orders = sequences.number_orders(positions)
    times = sequences.timestamps
    return _Purchases(
        sequences.items[positions].tolist(),
        None if times is None else times[positions].tolist(),
        (orders - orders[:1]).tolist(),
    )


def _read_given(visitor: Visitor, item_index: dict[str, int]) -> _Purchases:
    """Return the purchases that a request gives."""
    purchases = _Purchases()
    times = visitor.times
    if visitor.history and times is None:
        purchases.times = None
    for position, item_id in enumerate(visitor.history):
        if item_id not in item_index:
            continue
        is_same_order = (
            times is not None and bool(purchases.times) and purchases.last_time == times[position]
        )
        purchases.orders.append(purchases.next_order - (1 if is_same_order else 0))
        purchases.items.append(item_index[item_id])
        if times is not None and purchases.times is not None:
            purchases.times.append(times[position])
    return purchases


def _append_live(
    purchases: _Purchases, events: list[LiveEvent], item_index: dict[str, int]
) -> None:
    """Add live purchases in order of time. The lines of an order have the time of the first."""
    by_order: dict[str | int, list[LiveEvent]] = {}
    for event in events:
        if event.item_id in item_index:
            key = event.timestamp if event.order_id is None else event.order_id
            by_order.setdefault(key, []).append(event)
    starts = {key: min(line.timestamp for line in lines) for key, lines in by_order.items()}
    for key in sorted(by_order, key=lambda key: starts[key]):
        items = [item_index[line.item_id] for line in by_order[key]]
        number = purchases.next_order
        position = len(purchases.items)
        if purchases.times is not None:
            # Purchases of the bundle may be later than a live purchase.
            position = int(np.searchsorted(purchases.times, starts[key], side="right"))
            if position < len(purchases.items):
                number = purchases.orders[position]
                position = purchases.orders.index(number)
            purchases.times[position:position] = [starts[key]] * len(items)
        purchases.items[position:position] = items
        later = [order + 1 for order in purchases.orders[position:]]
        purchases.orders[position:] = [number] * len(items) + later


def _list_browsed(
    events: tuple[LiveEvent, ...], item_index: dict[str, int], after: int, at: int
) -> list[tuple[int, str]]:
    """List products in the cart, clicked or viewed since the last purchase, with what happened.

    Each product is listed once. Carts are first, then clicks, then views; within them, the latest.
    """
    recent = [
        event
        for event in events
        if event.event_type in _CONTEXT_PRIORITY
        and event.item_id in item_index
        and event.timestamp > after
        and event.timestamp >= at - CONTEXT_DURATION_MS
    ]
    recent.sort(key=lambda event: (_CONTEXT_PRIORITY[event.event_type], -event.timestamp))
    browsed: dict[int, str] = {}
    for event in recent:
        browsed.setdefault(item_index[event.item_id], event.event_type)
    return list(browsed.items())


def _build_row(
    purchases: _Purchases, context: list[tuple[int, str]], customers: Windows, at: int
) -> Windows:
    """Build a row of the purchases and, as a last order, the context."""
    items = [*purchases.items, *(index for index, _ in reversed(context))]
    orders = [*purchases.orders, *[purchases.next_order] * len(context)]
    request = orders[-1] + 1 if orders else 0
    times = purchases.times
    timestamps = None
    if times is not None and customers.sequences.timestamps is not None:
        timestamps = np.array([*times, *[at] * len(context), at], np.int64)
    sequences = Sequences(
        pa.array([""], pa.large_string()),
        np.array([*items, 0], np.int32),
        np.array([0, len(items) + 1]),
        orders=(
            None if customers.sequences.orders is None else np.array([*orders, request], np.int32)
        ),
        timestamps=timestamps,
    )
    return Windows(sequences, np.array([len(items)]), customers.history_length)
