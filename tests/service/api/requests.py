"""Short forms of requests and answers."""

from typing import Any

from fastapi.testclient import TestClient
from httpx import Response


def recommend(client: TestClient, **fields: Any) -> list[str]:
    """Return the ids of recommended products."""
    return list_ids(client.get("/v1/recommendations", params=fields))


def list_ids(response: Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [product["item_id"] for product in response.json()["products"]]


def send(
    client: TestClient, event_id: str, event_type: str, item_id: str, **fields: Any
) -> Response:
    """Send an event."""
    event = {"event_id": event_id, "event_type": event_type, "item_id": item_id} | fields
    if "session_id" not in fields:
        event.setdefault("user_id", "bob")
    return client.post("/v1/events", json=event)


def check_problem(response: Response, status: int, *parts: str, field: str | None = None) -> None:
    """Assert that a response is a problem with a status and with parts of its text."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    for part in parts:
        assert part in problem["detail"]
    if field is not None:
        assert problem["field"] == field
