from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.live import EventType, LiveEvent
from bazar.service.store import EventRecord, LiveStore
from tests.service.store.records import make_record


def read_ids(store: LiveStore, *args: Any, **options: Any) -> list[str]:
    """Return the ids of the events that a user's or a session's reading returns."""
    found = store.read_events(*args, **options)
    return [event.item_id.removeprefix("item of ") for event in found]


# Insertion


def test_event_comes_back_with_all_its_fields(store: LiveStore) -> None:
    record = make_record(
        "e", 123, event_type="purchase", item_id="007", order_id="o", quantity=2.5, price=0.1
    )
    assert store.insert_events([record]) == ["new"]
    assert store.read_events("u") == [LiveEvent("purchase", "007", 123, "o", 2.5, 0.1)]


def test_repeated_event_is_stored_once(store: LiveStore) -> None:
    record = make_record("e")
    assert store.insert_events([record]) == ["new"]
    later = make_record("e", received_at=9_999)
    assert store.insert_events([later, make_record("f"), later]) == [
        "duplicate", "new", "duplicate",
    ]  # fmt: skip
    assert read_ids(store, "u") == ["e", "f"]
    assert store.newest_sequence() == 2


def test_repetition_within_a_batch_is_stored_once(store: LiveStore) -> None:
    batch = [make_record("e"), make_record("e"), make_record("e", item_id="other")]
    assert store.insert_events(batch) == ["new", "duplicate", "conflict"]
    assert read_ids(store, "u") == ["e"]


@pytest.mark.parametrize(
    "changed",
    [
        {"event_type": "cart"}, {"item_id": "other"}, {"timestamp": 1_001}, {"user_id": "v"},
        {"session_id": "s", "user_id": "u"}, {"order_id": "o"}, {"quantity": 2}, {"price": 1.0},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_other_event_with_a_known_id_is_a_conflict(
    store: LiveStore, changed: dict[str, Any]
) -> None:
    store.insert_events([make_record("e")])
    assert store.insert_events([make_record("e", **changed), make_record("f")]) == [
        "conflict", "new",
    ]  # fmt: skip
    assert read_ids(store, "u") == ["e", "f"]


def test_event_without_a_time_happened_when_it_was_received(store: LiveStore) -> None:
    assert store.insert_events([make_record("e", None, received_at=7_000)]) == ["new"]
    # The client sends it again, and it arrives later.
    assert store.insert_events([make_record("e", None, received_at=8_000)]) == ["duplicate"]
    assert [event.timestamp for event in store.read_events("u")] == [7_000]


def test_empty_batch_is_stored(store: LiveStore) -> None:
    assert store.insert_events([]) == []
    assert store.newest_sequence() == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"user_id": None}, "a user_id, a session_id or both"),
        ({"user_id": ""}, "user_id must not be empty"),
        ({"user_id": "secret" * 100}, "user_id must have at most 512 characters, got 600"),
        ({"user_id": "secret\x00"}, "user_id contains a NUL character"),
        ({"session_id": "\ud800"}, "session_id contains a NUL character or half"),
        ({"item_id": 7}, "item_id must be a text, got int"),
        ({"event_type": "sold"}, "event_type must be one of purchase, cart, .*, got 'sold'"),
        ({"timestamp": -1}, "timestamp must be an integer, .* got -1"),
        ({"timestamp": 2**63}, "timestamp must be an integer"),
        ({"timestamp": 1.5}, "timestamp must be an integer"),
        ({"received_at": None}, "received_at must be an integer"),
        ({"price": float("nan")}, "price must be a finite number, got nan"),
        ({"quantity": 10**400}, "quantity must be a finite number"),
        ({"quantity": "2"}, "quantity must be a finite number, got '2'"),
    ],
)
def test_invalid_event_stores_nothing(
    store: LiveStore, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        store.insert_events([make_record("good"), make_record("bad", **fields)])
    assert "secret" not in str(caught.value)
    assert store.newest_sequence() == 0


def test_batch_has_a_largest_size(store: LiveStore) -> None:
    batch = [make_record(str(number)) for number in range(10_001)]
    with pytest.raises(InputError, match="at most 10000 events, got 10001"):
        store.insert_events(batch)
    assert store.insert_events(batch[1:]) == ["new"] * 10_000
    assert store.newest_sequence() == 10_000


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)
NUMBERS = st.none() | st.floats(
    allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300
)
RECORDS = st.builds(
    EventRecord,
    event_id=st.sampled_from(["a", "b", "c", "d"]) | TEXTS,
    event_type=st.sampled_from(get_args(EventType)),
    item_id=TEXTS,
    received_at=st.integers(0, 2**63 - 1),
    timestamp=st.none() | st.integers(0, 2**63 - 1),
    user_id=TEXTS,
    session_id=st.none() | TEXTS,
    order_id=st.none() | TEXTS,
    quantity=NUMBERS,
    price=NUMBERS,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(RECORDS, max_size=8))
def test_whatever_is_stored_comes_back_and_is_stored_once(
    store: LiveStore, records: list[EventRecord]
) -> None:
    before = store.newest_sequence()
    outcomes = store.insert_events(records)
    assert store.newest_sequence() == before + outcomes.count("new")
    for record, outcome in zip(records, outcomes, strict=True):
        if outcome == "new" and record.event_type != "impression":
            time = record.received_at if record.timestamp is None else record.timestamp
            assert (
                LiveEvent(
                    record.event_type, record.item_id, time, record.order_id, record.quantity,
                    record.price,
                )
                in store.read_events(record.user_id, limit=100_000)
            )  # fmt: skip
    again = store.insert_events(records)
    assert again == ["duplicate" if outcome == "new" else outcome for outcome in outcomes]


# Reading


def test_events_are_read_oldest_first(store: LiveStore) -> None:
    times = {"a": 30, "b": 10, "c": 20, "d": 10}
    store.insert_events([make_record(event_id, time) for event_id, time in times.items()])
    assert read_ids(store, "u") == ["b", "d", "c", "a"]


def test_latest_events_are_kept(store: LiveStore) -> None:
    store.insert_events([make_record(str(number), 100 - number) for number in range(10)])
    store.insert_events(
        [make_record("s", 95, session_id="s"), make_record("t", 99, session_id="t")]
    )
    store.insert_events([make_record("v", 2, session_id="s", user_id="u")])
    assert read_ids(store, "u", limit=4) == ["3", "2", "1", "0"]
    assert read_ids(store, "u", limit=7) == ["5", "s", "4", "3", "2", "1", "0"][-7:]


def test_purchases_up_to_the_watermark_are_left_out(store: LiveStore) -> None:
    purchase = {"event_type": "purchase"}
    store.insert_events([make_record("a", 3, **purchase), make_record("b", 2, **purchase)])
    # A training does not get carts and views.
    store.insert_events([make_record("v", 4), make_record("w", 5, event_type="cart")])
    watermark = store.newest_sequence()
    store.insert_events([make_record("c", 1, **purchase)])
    assert read_ids(store, "u", after_sequence=watermark) == ["c", "v", "w"]
    assert read_ids(store, "u", after_sequence=1) == ["c", "b", "v", "w"]


def test_impressions_do_not_push_out_other_events(store: LiveStore) -> None:
    store.insert_events([make_record("a", 1)])
    store.insert_events([make_record(f"i{n}", 2, event_type="impression") for n in range(5)])
    assert read_ids(store, "u", limit=2) == ["a"]


def test_session_is_joined_to_the_user_that_it_names_later(store: LiveStore) -> None:
    store.insert_events([make_record("before", 1, session_id="s")])
    assert read_ids(store, "u") == []
    assert read_ids(store, session_id="s") == ["before"]
    store.insert_events([make_record("login", 2, session_id="s", user_id="u")])
    store.insert_events(
        [make_record("after", 3, session_id="s"), make_record("other", 4, session_id="t")]
    )
    assert read_ids(store, "u") == ["before", "login", "after"]
    assert read_ids(store, session_id="s") == ["before", "login", "after"]
    assert read_ids(store, "u", "s") == ["before", "login", "after"]


def test_session_without_a_user_counts_for_the_user_that_is_asked_with_it(store: LiveStore) -> None:
    store.insert_events([make_record("own", 1), make_record("visit", 2, session_id="s")])
    assert read_ids(store, "u", "s") == ["own", "visit"]
    assert read_ids(store, "u") == ["own"]


def test_session_of_two_users_belongs_to_the_first(store: LiveStore) -> None:
    store.insert_events([make_record("visit", 1, session_id="s")])
    store.insert_events(
        [
            make_record("first", 2, session_id="s", user_id="u"),
            make_record("second", 3, session_id="s", user_id="v"),
        ]
    )
    assert read_ids(store, "u") == ["visit", "first"]
    assert read_ids(store, "v") == ["second"]
    assert read_ids(store, "v", "s") == ["second"]


def test_reading_needs_a_user_or_a_session(store: LiveStore) -> None:
    with pytest.raises(InputError, match="user_id, session_id or both"):
        store.read_events()
    with pytest.raises(InputError, match="user_id contains a NUL character"):
        store.read_events("\x00")


# Export


def test_purchases_count_once(store: LiveStore) -> None:
    store.insert_events(
        [
            make_record("a", 30, event_type="purchase", order_id="o", quantity=2, price=1.5),
            make_record("b", 20),
            make_record("c", 10, event_type="purchase", session_id="s"),
            make_record("d", 10, event_type="purchase", session_id="t"),
            make_record("e", 5, session_id="s", user_id="v"),
        ]
    )
    first = store.newest_sequence()
    store.insert_events([make_record("f", 1, event_type="purchase")])
    batches = list(store.read_purchases(0, first, batch_rows=2))
    assert [batch.num_rows for batch in batches] == [2, 1]
    rows = pa.Table.from_batches(batches).to_pylist()
    assert [row["event_id"] for row in rows] == ["a", "c", "d"]
    # The session of "c" belongs to "v".
    assert [row["user_id"] for row in rows] == ["u", "v", None]
    assert [row["session_id"] for row in rows] == [None, "s", "t"]
    assert rows[0] == {
        "sequence": 1, "event_id": "a", "user_id": "u", "session_id": None, "item_id": "item of a",
        "order_id": "o", "quantity": 2.0, "price": 1.5, "timestamp": 30,
    }  # fmt: skip
    later = pa.Table.from_batches(store.read_purchases(first, store.newest_sequence()))
    assert later["event_id"].to_pylist() == ["f"]
    assert list(store.read_purchases(store.newest_sequence(), store.newest_sequence())) == []
