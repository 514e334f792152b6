"""The query is read as FastAPI reads it."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.params import Path, Query
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bazar.service.api.query_route import QueryRoute


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid")

    k: int | None = Field(default=None, ge=1)
    user_id: Annotated[str, Field(min_length=1, max_length=4)] | None = None
    brands: list[Annotated[str, Field(max_length=3)]] = []
    is_explained: bool = False
    at: datetime | None = None


def make_client(route_class: type[APIRoute]) -> TestClient:
    router = APIRouter(prefix="/v1", route_class=route_class)

    @router.get("/lists/{name}")
    async def get_list(
        name: Annotated[str, Path(max_length=4)], fields: Annotated[_Fields, Query()]
    ) -> Response:
        return JSONResponse({"name": name, "fields": fields.model_dump(mode="json")})

    async def answer_errors(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # The value of an unknown field is not in any answer.
        errors = [
            {name: str(found.get(name)) for name in ("type", "loc", "msg", "ctx")}
            | {"input": None if found["type"] == "extra_forbidden" else found["input"]}
            for found in error.errors()
        ]
        return JSONResponse({"errors": errors}, 422)

    app = FastAPI()
    app.add_exception_handler(RequestValidationError, answer_errors)
    app.include_router(router)
    return TestClient(app)


OURS, FASTAPI = make_client(QueryRoute), make_client(APIRoute)
NAMES = st.sampled_from(["k", "user_id", "brands", "is_explained", "at", "unknown", "K"])
VALUES = st.sampled_from(["", "0", "3", "true", "abcde", "é", "a b", "2026-01-01T00:00:00Z", "%"])


@given(st.text("abé/%", min_size=1, max_size=6), st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_answers_equal_those_of_fastapi(name: str, query: list[tuple[str, str]]) -> None:
    path = f"/v1/lists/{quote(name, safe='')}?{urlencode(query)}"
    ours, theirs = OURS.get(path), FASTAPI.get(path)
    assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())


def test_the_values_of_the_query_and_the_path_arrive() -> None:
    found = OURS.get("/v1/lists/a?k=3&brands=x&brands=y&is_explained=1").json()
    assert found["name"] == "a"
    assert found["fields"] == {
        "k": 3, "user_id": None, "brands": ["x", "y"], "is_explained": True, "at": None,
    }  # fmt: skip


def test_other_methods_and_the_reference_are_those_of_fastapi() -> None:
    for method in ("POST", "HEAD"):
        ours, theirs = OURS.request(method, "/v1/lists/a"), FASTAPI.request(method, "/v1/lists/a")
        assert ours.status_code == theirs.status_code == 405
    assert OURS.get("/openapi.json").json() == FASTAPI.get("/openapi.json").json()


def test_a_route_with_other_parameters_is_answered_by_fastapi() -> None:
    router = APIRouter(route_class=QueryRoute)

    @router.get("/single")
    async def get_single(request: Request, k: int = 1) -> dict[str, Any]:
        return {"k": k, "path": request.url.path}

    app = FastAPI()
    app.include_router(router)
    assert TestClient(app).get("/single?k=4").json() == {"k": 4, "path": "/single"}
