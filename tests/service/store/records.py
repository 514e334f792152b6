"""Events for tests."""

from typing import Any

from bazar.service.store import EventRecord


def make_record(event_id: str, timestamp: int | None = 1_000, **fields: Any) -> EventRecord:
    """Return a view of one product by the user "u", unless fields say otherwise."""
    if "session_id" not in fields:
        fields.setdefault("user_id", "u")
    values = {"event_type": "view", "item_id": f"item of {event_id}", "received_at": 5_000}
    return EventRecord(event_id=event_id, timestamp=timestamp, **(values | fields))
