import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.data.seen_items import list_seen_items
from bazar.service.engine.histories import MAX_CONTEXT_ITEMS, VisitorHistory, build_history
from bazar.service.engine.requests import Visitor
from bazar.service.live import LiveEvent
from tests.service.engine.example_store import (
    DAY,
    ITEM_IDS,
    at_day,
    list_orders,
    make_bundle,
    make_event,
    visit,
)

CUSTOMERS = make_bundle().customers
WITHOUT_CLOCK = make_bundle(has_clock=False).customers
INDEX = {item_id: number for number, item_id in enumerate(ITEM_IDS, start=1)}
USERS = list(list_orders())


def build(visitor: Visitor, day: float = 91, has_clock: bool = True) -> VisitorHistory:
    customers = CUSTOMERS if has_clock else WITHOUT_CLOCK
    known = None
    if visitor.user_id in USERS:
        known = customers.take(np.array([USERS.index(visitor.user_id)]))
    return build_history(visitor, known, INDEX, customers, at_day(day))


def list_items(history: VisitorHistory) -> list[str]:
    return [ITEM_IDS[index - 1] for index in history.purchases.sequences.items[:-1]]


events = st.lists(
    st.builds(
        make_event,
        st.sampled_from(["purchase", "cart", "view", "click", "impression"]),
        st.sampled_from([*ITEM_IDS, "unknown"]),
        st.integers(0, 100),
        st.sampled_from([None, "o1", "o2", "o3"]),
    ),
    max_size=12,
).map(lambda listed: visit(*listed).events)


@given(events, st.sampled_from([None, "alice", "bob"]), st.booleans())
def test_rows_are_in_order_of_time(
    listed: tuple[LiveEvent, ...], user_id: str | None, has_clock: bool
) -> None:
    visitor = Visitor(user_id, listed)
    history = build(visitor, has_clock=has_clock)
    live = [e.item_id for e in listed if e.event_type == "purchase"]
    known = [item for _, basket in list_orders().get(user_id or "", []) for item in basket]
    assert sorted(list_items(history)) == sorted(
        [*known, *(item_id for item_id in live if item_id in INDEX)]
    )
    assert set(history.unknown_items) == {item_id for item_id in live if item_id not in INDEX}
    assert len(history.context) <= MAX_CONTEXT_ITEMS
    for row in (history.purchases, history.with_context):
        sequences = row.sequences
        assert sequences.orders is not None
        steps = np.diff(sequences.orders)
        assert set(steps.tolist()) <= {0, 1}
        assert (sequences.timestamps is not None) is has_clock
        if sequences.timestamps is not None:
            gaps = np.diff(sequences.timestamps)
            assert (gaps >= 0).all()
            # The lines of an order have one time.
            assert (gaps[steps == 0] == 0).all()
            assert sequences.timestamps[-1] == history.at


def test_late_purchase_takes_its_place_in_time() -> None:
    # Bob bought on the days 3 and 50.
    visitor = visit(make_event("purchase", "milk", 20), user_id="bob")
    history = build(visitor)
    assert list_items(history) == ["bread", "butter", "jam", "milk", "lamp"]
    assert history.purchases.sequences.orders is not None
    assert history.purchases.sequences.orders.tolist() == [0, 0, 0, 1, 2, 3]


def test_lines_of_an_order_are_together() -> None:
    history = build(
        visit(
            make_event("purchase", "bread", 92, "o1"),
            make_event("purchase", "milk", 92.5, "o2"),
            make_event("purchase", "butter", 93, "o1"),
        ),
        day=95,
    )
    assert list_items(history) == ["bread", "butter", "milk"]
    seen = list_seen_items(history.purchases)
    assert seen.last_days.tolist() == pytest.approx([2.5, 3, 3])


def test_context_prefers_carts_then_clicks_then_views() -> None:
    listed = [make_event("view", f"misc{number:02}", 90.1 + number / 100) for number in range(6)]
    listed += [make_event("click", "soap", 90.05), make_event("cart", "jam", 90.04)]
    history = build(visit(*listed, make_event("view", "jam", 90.5)))
    context = [ITEM_IDS[index - 1] for index in history.context]
    assert context == ["jam", "soap", "misc05", "misc04", "misc03"]
    assert [ITEM_IDS[index - 1] for index in history.in_cart] == ["jam"]
    assert len(history.purchases.sequences.items) == 1
    assert history.with_context.sequences.items.tolist() == [*history.context[::-1], 0]


def test_request_is_not_before_the_last_event() -> None:
    assert build(visit(make_event("view", "jam", 95)), day=91).at == at_day(95)
    assert build(Visitor(user_id="alice"), day=3).at == at_day(84)
    assert build(Visitor(), day=3).at == at_day(3)


def test_given_history() -> None:
    times = (at_day(1), at_day(1), at_day(2), at_day(5))
    history = build(Visitor(history=("milk", "tea", "bread", "jam"), times=times))
    assert list_items(history) == ["milk", "bread", "jam"]
    assert history.unknown_items == ("tea",)
    assert history.purchases.sequences.timestamps is not None
    assert np.diff(history.purchases.sequences.timestamps).tolist() == [DAY, 3 * DAY, 86 * DAY]
    without = build(Visitor(history=("milk", "bread")))
    assert without.purchases.sequences.timestamps is None
