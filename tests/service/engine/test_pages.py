import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.engine.engine import Engine
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    ListRequest,
    Placement,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from tests.service.engine.example_store import ITEM_IDS, at_day

ALICE = Visitor(user_id="alice")
NOW = at_day(91)
REQUESTS: list[ListRequest] = [
    RecommendRequest(visitor=ALICE, at=NOW, k=5),
    RecommendRequest(visitor=ALICE, at=NOW, k=3, model="nearest_titles"),
    SimilarRequest(item_id="shampoo", k=4),
    BoughtTogetherRequest(item_ids=("bread",), k=4),
    BuyAgainRequest(visitor=ALICE, at=NOW, k=4),
    SearchRequest(query="thing", k=6),
]


@given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6))
def test_no_product_is_on_a_page_twice(shared_engine: Engine, requests: list[ListRequest]) -> None:
    placements = [Placement(f"p{number}", request) for number, request in enumerate(requests)]
    answers = shared_engine.build_page(placements)
    assert list(answers) == [placement.name for placement in placements]
    listed = [item_id for answer in answers.values() for item_id in answer.item_ids]
    assert len(set(listed)) == len(listed)
    assert all(answer.cursor is None for answer in answers.values())
    # The first placement is as if it were alone.
    first = next(iter(answers.values()))
    assert first.item_ids == shared_engine._list(requests[0]).item_ids
    for request, answer in zip(requests, answers.values(), strict=True):
        if isinstance(request, RecommendRequest) and not request.model:
            assert len(answer.item_ids) == min(request.k, len(ITEM_IDS))


def test_errors_name_the_placement(shared_engine: Engine) -> None:
    with pytest.raises(InputError, match=r"placement 'b': k must be an integer .*, got 0"):
        shared_engine.build_page([Placement("a"), Placement("b", RecommendRequest(k=0))])
    with pytest.raises(InputError, match="must be unique, found 'a' twice"):
        shared_engine.build_page([Placement("a"), Placement("a")])
    with pytest.raises(InputError, match="placement 'a': cursor must be empty"):
        shared_engine.build_page([Placement("a", RecommendRequest(cursor="x"))])
