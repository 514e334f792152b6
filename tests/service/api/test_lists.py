from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.service.api.conftest import Connect
from tests.service.api.requests import check_problem, list_ids, recommend


def test_users_sessions_and_histories_are_answered(client: TestClient) -> None:
    assert recommend(client, user_id="alice", k=1) == ["milk"]
    popular = client.get("/v1/recommendations").json()
    assert popular["source"] == "recent_popularity"
    assert len(popular["products"]) == 10
    body = {"history": ["bread", "nothing"], "k": 1, "filter_seen": True}
    answer = client.post("/v1/recommendations", json=body)
    assert list_ids(answer) == ["butter"]
    assert answer.json()["unknown_items"] == ["nothing"]


def test_get_and_post_give_the_same_list(client: TestClient) -> None:
    fields = {
        "user_id": "bob",
        "k": 4,
        "at": "2024-05-01T00:00:00Z",
        "categories": ["Dairy", "Care"],
    }
    posted = client.post("/v1/recommendations", json=fields).json()
    assert client.get("/v1/recommendations", params=fields).json() == posted
    assert posted["at"] == "2024-05-01T00:00:00.000Z"


def test_every_answer_names_the_bundle(client: TestClient) -> None:
    bundle_id = client.get("/v1/bundle").json()["bundle_id"]
    answers = [
        client.get("/v1/recommendations"),
        client.get("/v1/recommendations?k=0"),
        client.get("/nothing"),
        client.get("/healthz"),
        client.post("/v1/events", content=b"x" * 2_000_000),
    ]
    assert [answer.headers["x-bundle-id"] for answer in answers] == [bundle_id] * 5
    assert answers[0].json()["bundle_id"] == bundle_id


def test_pages_follow_each_other_without_repeats(client: TestClient) -> None:
    listed, cursor = [], None
    for _ in range(3):
        fields = {"user_id": "alice", "k": 5} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/v1/recommendations", params=fields).json()
        listed += [(product["rank"], product["item_id"]) for product in answer["products"]]
        cursor = answer["cursor"]
    assert [rank for rank, _ in listed] == list(range(1, 16))
    assert len({item_id for _, item_id in listed}) == 15
    check_problem(
        client.get("/v1/recommendations", params={"cursor": cursor}), 422, "another request"
    )


@pytest.mark.parametrize(
    ("fields", "is_listed"),
    [
        ({"categories": "Care"}, lambda item: item.startswith(("shampoo", "soap", "moist"))),
        ({"brands": ["Alpina", "Kanto"]}, lambda item: item in {"milk", "butter", "coffee"}),
        ({"exclude": ["milk", "soap"]}, lambda item: item not in {"milk", "soap"}),
    ],
)
def test_filters_leave_only_matching_products(
    client: TestClient, fields: dict[str, Any], is_listed: Any
) -> None:
    ids = recommend(client, user_id="alice", k=30, **fields)
    assert ids
    assert all(map(is_listed, ids))


def test_one_variant_is_listed_unless_the_request_or_the_service_says_otherwise(
    client: TestClient, connect: Connect
) -> None:
    def count(asked: TestClient, **fields: object) -> int:
        ids = recommend(asked, categories="Care", k=10, **fields)
        return sum(item_id.startswith("shampoo") for item_id in ids)

    assert count(client) == 1
    assert count(client, max_per_variant_group=2) == 2
    assert count(connect(max_per_variant_group=None)) == 3
    assert count(connect(max_per_variant_group=None), max_title_cosine=0.5) == 1


def test_defaults_and_limits_are_those_of_the_service(connect: Connect) -> None:
    client = connect(default_k=3, max_k=4, max_ids=2, max_placements=1)
    assert len(recommend(client)) == 3
    assert len(recommend(client, k=4)) == 4
    check_problem(client.get("/v1/recommendations?k=5"), 422, "at most 4, found 5", field="k")
    long = {"history": ["milk"] * 3}
    check_problem(client.post("/v1/recommendations", json=long), 422, "at most 2", field="history")
    check_problem(
        client.get("/v1/recommendations", params={"exclude": ["a", "b", "c"]}), 422, field="exclude"
    )
    placement = {"type": "recommendations"}
    page = {"placements": [placement | {"name": "a"}, placement | {"name": "b"}]}
    check_problem(client.post("/v1/page", json=page), 422, "at most 1", field="placements")


def test_explanations_are_given_on_request(client: TestClient) -> None:
    assert (
        "explanation" not in client.get("/v1/recommendations?user_id=alice").json()["products"][0]
    )
    fields = {"user_id": "alice", "k": 1, "explain": True, "explain_missing": ["soap", "nothing"]}
    answer = client.get("/v1/recommendations", params=fields).json()
    explanation = answer["products"][0]["explanation"]
    assert explanation["reason"].startswith("bought 13 times, about every 7 days")
    assert explanation["n_orders"] == 13
    assert [absence["reason"] for absence in answer["absences"]] == ["rank", "unknown"]
    assert answer["absences"][0]["rank"] > 1


def test_similar_products(client: TestClient) -> None:
    answer = client.get("/v1/items/shampoo/similar", params={"k": 2, "max_per_variant_group": 9})
    assert set(list_ids(answer)) == {"shampoo-l", "shampoo-xl"}
    check_problem(client.get("/v1/items/nothing/similar"), 404, "'nothing'", field="item_id")
    check_problem(client.get("/v1/items/untitled/similar"), 422, "no title")


def test_products_that_are_bought_together(client: TestClient) -> None:
    params = {"item_ids": ["bread", "butter"], "k": 1}
    assert list_ids(client.get("/v1/bought-together", params=params)) == ["jam"]
    check_problem(client.get("/v1/bought-together"), 422, "is missing", field="item_ids")
    check_problem(client.get("/v1/bought-together?item_ids=nothing"), 422, "'nothing'")


def test_products_that_are_due(client: TestClient) -> None:
    params = {"user_id": "alice", "at": "2024-02-20"}
    assert set(list_ids(client.get("/v1/buy-again", params=params))) == {"milk", "coffee"}
    assert list_ids(client.get("/v1/buy-again")) == []


def test_search_tolerates_typing_errors(client: TestClient) -> None:
    assert list_ids(client.get("/v1/search?query=lavnder&mode=words")) == ["soap"]
    check_problem(client.get("/v1/search"), 422, "is missing", field="query")
    check_problem(client.get("/v1/search?query=a&mode=smell"), 422, field="mode")


def test_a_page_has_no_repeats(client: TestClient) -> None:
    placements = [
        {"name": "again", "type": "buy_again", "k": 2},
        {"name": "for you", "type": "recommendations", "k": 5, "explain": True},
        {"name": "like soap", "type": "similar", "item_id": "shampoo", "k": 2},
        {"name": "cart", "type": "bought_together", "item_ids": ["bread"], "k": 2},
        {"name": "found", "type": "search", "query": "soap shampoo", "k": 2},
    ]
    body = {"user_id": "alice", "placements": placements}
    answer = client.post("/v1/page", json=body).json()
    assert list(answer["placements"]) == [placement["name"] for placement in placements]
    ids = [
        product["item_id"]
        for found in answer["placements"].values()
        for product in found["products"]
    ]
    assert len(ids) == len(set(ids)) > 8
    assert "explanation" in answer["placements"]["for you"]["products"][0]
    twice = {"placements": [placements[0], placements[0]]}
    check_problem(client.post("/v1/page", json=twice), 422, "unique")
    wrong = {"placements": [{"name": "a", "type": "recommendation"}]}
    check_problem(client.post("/v1/page", json=wrong), 422, field="placements.0")


def test_rules_change_lists_and_are_read_again(connect: Connect, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        "rules: [{name: jam first, action: pin, items: [jam], position: 1, placements: [home]}]"
    )
    client = connect(rules=rules)
    answer = client.get("/v1/recommendations?placement=home").json()
    assert answer["products"][0]["item_id"] == "jam"
    assert answer["rules"] == answer["products"][0]["rules"] == ["jam first"]
    assert client.get("/v1/recommendations").json()["rules"] == []
    rules.write_text("rules: [{name: bad, action: pin}]")
    check_problem(client.post("/v1/rules/reload"), 422, "rule 1")
    assert "rule 1" in client.get("/readyz").json()["problem"]
    rules.write_text("rules: []")
    assert client.post("/v1/rules/reload").json()["n_rules"] == 0
    assert client.get("/v1/recommendations?placement=home").json()["rules"] == []
    assert client.get("/readyz").json()["problem"] is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"k": 10**9}, "k"),
        ({"k": "ten"}, "k"),
        ({"usr_id": "a"}, "usr_id"),
        ({"model": "oracle"}, None),
        ({"categories": "Nothing"}, None),
        ({"min_price": 3, "max_price": 2}, "min_price"),
        ({"at": "yesterday"}, "at"),
        ({"at": "1900-01-01"}, "at"),
        ({"user_id": ""}, "user_id"),
        ({"cursor": "abc"}, None),
        ({"explain_missing": ["a"] * 11}, "explain_missing"),
    ],
)
def test_invalid_fields_are_named(
    client: TestClient, fields: dict[str, Any], field: str | None
) -> None:
    check_problem(client.get("/v1/recommendations", params=fields), 422, field=field)
