"""Routes that read their query directly.

In each request, FastAPI examines the types of all fields of a query again, and opens two stacks for
dependencies. This takes more than a tenth of the time of a list of products. Here, the types are
examined once. The reference of the API still comes from FastAPI.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from fastapi.params import Path, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.types import Receive, Scope, Send


class QueryRoute(APIRoute):
    """A route whose endpoint gets a Pydantic model of the query, and perhaps parts of the path.

    It gives the endpoint the same arguments, and answers the same errors, as FastAPI. A route with
    other parameters is answered by FastAPI.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Prepare a route.

        Args:
            path: path of the route.
            endpoint: the function that answers.
            options: options of FastAPI's route.
        """
        super().__init__(path, endpoint, **options)
        self._reader = _find_reader(endpoint)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._reader is None or scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        arguments = self._reader.read(scope["path_params"], scope["query_string"])
        response = await self.endpoint(**arguments)
        await response(scope, receive, send)


class _Reader:
    """Reads the arguments of an endpoint."""

    def __init__(self, query_name: str, model: type[BaseModel], path: dict[str, Any]) -> None:
        """Prepare to read.

        Args:
            query_name: name of the argument that is a model of the query.
            model: the model.
            path: types of the arguments that are parts of the path, by name.
        """
        self._query_name = query_name
        self._model = model
        self._path = {name: TypeAdapter(annotation) for name, annotation in path.items()}
        self._lists = {
            name
            for name, field in model.model_fields.items()
            if get_origin(field.annotation) is list
        }

    def read(self, path: Mapping[str, str], query: bytes) -> dict[str, Any]:
        """Return the arguments by name.

        Args:
            path: parts of the path by name.
            query: the query of the request, without the question mark.

        Raises:
            RequestValidationError: if some of them are invalid.
        """
        arguments: dict[str, Any] = {}
        errors: list[Any] = []
        for name, adapter in self._path.items():
            try:
                arguments[name] = adapter.validate_python(path[name])
            except ValidationError as error:
                errors += _list_errors(error, "path", name)
        try:
            arguments[self._query_name] = self._model.model_validate(self._parse(query))
        except ValidationError as error:
            errors += _list_errors(error, "query")
        if errors:
            raise RequestValidationError(errors)
        return arguments

    def _parse(self, query: bytes) -> dict[str, Any]:
        """Return the values of the query by name. The last of several values of a field counts."""
        values: dict[str, Any] = {}
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
            if name in self._lists:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        return values


def _list_errors(error: ValidationError, *place: str) -> list[dict[str, Any]]:
    """Return validation errors with the part of the request where they are."""
    return [
        {**details, "loc": (*place, *details["loc"])} for details in error.errors(include_url=False)
    ]


def _find_reader(endpoint: Callable[..., Any]) -> _Reader | None:
    """Return the reader of an endpoint; None if it has other parameters than a query and a path."""
    queries: dict[str, type[BaseModel]] = {}
    path: dict[str, Any] = {}
    hints = get_type_hints(endpoint, include_extras=True)
    hints.pop("return", None)
    for name, hint in hints.items():
        type_, *metadata = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if any(isinstance(entry, Path) for entry in metadata):
            path[name] = hint
        elif any(isinstance(entry, Query) for entry in metadata) and issubclass(type_, BaseModel):
            queries[name] = type_
        else:
            return None
    if len(queries) != 1:
        return None
    (query_name, model), *_ = queries.items()
    return _Reader(query_name, model, path)
