"""Health, metrics, the reference, and new bundles."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.service.api.conftest import Connect
from tests.service.api.requests import check_problem, recommend, send
from tests.service.example_bundles import damage, set_current, write_example


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "grocer"
    write_example(folder / "a", seed=1)
    write_example(folder / "b", seed=2)
    set_current(folder, folder / "a")
    return folder


def read_metrics(client: TestClient) -> dict[tuple[str, ...], float]:
    """Return the value of each sample by its name and the values of its labels."""
    text = client.get("/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["problem"]) == ("ready", None)


def test_the_bundle_is_described(client: TestClient) -> None:
    bundle = client.get("/v1/bundle").json()
    assert bundle["models"][0] == "decayed_cooccurrence"
    assert set(bundle["models"]) <= set(bundle["available_models"])
    assert (bundle["n_products"], bundle["n_customers"]) == (30, 33)
    for model in bundle["available_models"]:
        answer = client.get("/v1/recommendations", params={"user_id": "alice", "model": model})
        assert answer.json()["source"] == model


def test_a_new_bundle_answers_after_a_reload(connect: Connect, dataset: Path) -> None:
    client = connect(folder=dataset)
    first = client.get("/v1/bundle").json()["bundle_id"]
    cursor = client.get("/v1/recommendations?k=2").json()["cursor"]
    assert client.post("/v1/bundle/reload").json() == {"bundle_id": first, "is_replaced": False}
    set_current(dataset, dataset / "b")
    answer = client.post("/v1/bundle/reload").json()
    assert answer["is_replaced"]
    assert answer["bundle_id"] != first
    listed = client.get("/v1/recommendations?k=2")
    assert listed.json()["bundle_id"] == listed.headers["x-bundle-id"] == answer["bundle_id"]
    old_page = client.get(f"/v1/recommendations?k=2&cursor={cursor}")
    check_problem(old_page, 422, "Request the first page again")


def test_a_damaged_bundle_is_reported_and_the_old_one_answers(
    connect: Connect, dataset: Path
) -> None:
    client = connect(folder=dataset)
    first = client.get("/v1/bundle").json()["bundle_id"]
    damage(dataset / "b")
    set_current(dataset, dataset / "b")
    check_problem(client.post("/v1/bundle/reload"), 422, "bundle.json is damaged")
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "bundle.json is damaged" in ready.json()["problem"]
    assert ready.json()["bundle_id"] == first
    assert recommend(client)
    metrics = read_metrics(client)
    assert metrics["bazar_bundle_loads_total", "failed"] == 1
    assert metrics["bazar_bundle_loads_total", "loaded"] == 1


def wait_for_bundle(client: TestClient, old: str) -> None:
    while client.get("/v1/bundle").json()["bundle_id"] == old:
        pass


def test_the_service_finds_a_new_bundle_by_itself(connect: Connect, dataset: Path) -> None:
    client = connect(folder=dataset, watch_seconds=0.01)
    first = client.get("/v1/bundle").json()["bundle_id"]
    set_current(dataset, dataset / "b")
    wait_for_bundle(client, first)


def test_metrics_count_requests_answers_and_events(connect: Connect) -> None:
    client = connect()
    recommend(client, user_id="alice")
    client.get("/v1/recommendations?k=0")
    send(client, "1", "view", "soap")
    send(client, "1", "view", "soap")
    client.get("/v1/items/secret item/similar")
    client.get("/secret path")
    client.request("BREW", "/healthz")
    metrics = read_metrics(client)
    assert metrics["bazar_requests_total", "GET", "/v1/recommendations", "200"] == 1
    assert metrics["bazar_requests_total", "GET", "/v1/recommendations", "422"] == 1
    assert metrics["bazar_requests_total", "GET", "/v1/items/{item_id}/similar", "404"] == 1
    assert metrics["bazar_answers_total", "decayed_cooccurrence"] == 1
    assert metrics["bazar_events_total", "new"] == 1
    assert metrics["bazar_events_total", "duplicate"] == 1
    assert metrics["bazar_request_seconds_count", "/v1/events"] == 2
    assert metrics["process_resident_memory_bytes",] > 0
    text = client.get("/metrics").text
    assert not re.search("secret|alice|soap|BREW", text)
    labels = set(re.findall(r'[{,](\w+)="', text))
    assert labels <= {"route", "method", "status", "model", "le"}


def test_the_reference_describes_every_route(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        "GET /v1/recommendations", "POST /v1/recommendations", "GET /v1/items/{item_id}/similar",
        "GET /v1/bought-together", "GET /v1/buy-again", "GET /v1/search", "POST /v1/page",
        "POST /v1/events", "PATCH /v1/items/{item_id}", "POST /v1/items",
        "DELETE /v1/users/{user_id}", "GET /v1/bundle", "POST /v1/bundle/reload",
        "POST /v1/rules/reload", "GET /healthz", "GET /readyz", "GET /metrics",
    }  # fmt: skip
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        if name.split()[1].startswith("/v1/"):
            content = operation["responses"]["503"]["content"]
            assert list(content) == ["application/problem+json"], name
            success = next(code for code in operation["responses"] if code.startswith("2"))
            assert operation["responses"][success]["content"]["application/json"]["schema"], name
    for name in ("RecommendationBody", "PageBody", "Event", "ItemChangeBody"):
        assert schema["components"]["schemas"][name]["examples"]


def test_examples_of_the_reference_are_valid(connect: Connect) -> None:
    client = connect()
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    paths = {
        "RecommendationBody": "/v1/recommendations", "PageBody": "/v1/page", "Event": "/v1/events",
    }  # fmt: skip
    for name, path in paths.items():
        for example in schemas[name]["examples"]:
            assert client.post(path, json=example).status_code == 200
    change = schemas["ItemChangeBody"]["examples"][0]
    assert client.patch("/v1/items/soap", json=change).status_code == 200


def test_answers_have_the_fields_of_the_reference(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    params = {"user_id": "alice", "explain": True, "explain_missing": "soap"}
    answer = client.get("/v1/recommendations", params=params).json()
    product = answer["products"][0]
    for name, content in (
        ("ListAnswer", answer),
        ("ListedProductAnswer", product),
        ("Explanation", product["explanation"]),
        ("AbsenceAnswer", answer["absences"][0]),
        ("BundleInformation", client.get("/v1/bundle").json()),
    ):
        assert set(content) == set(schemas[name]["properties"])
