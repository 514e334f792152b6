"""Translate requests of the API into requests to the engine, within the limits of the service."""

from typing import Any

from bazar.config.service import ServiceOptions
from bazar.service.api.problems import ProblemError
from bazar.service.api.schemas import (
    BoughtTogetherFields,
    BuyAgainPlacement,
    ListFields,
    PageBody,
    RecommendFields,
    SearchFields,
    VisitorFields,
)
from bazar.service.engine.requests import (
    BoughtTogetherRequest,
    BuyAgainRequest,
    Diversity,
    Filters,
    ListRequest,
    Placement,
    RecommendRequest,
    SearchRequest,
    SimilarRequest,
    Visitor,
)
from bazar.serving.requests import to_milliseconds


def make_request(
    fields: ListFields,
    options: ServiceOptions,
    visitor: VisitorFields,
    item_id: str | None = None,
    is_buy_again: bool = False,
) -> ListRequest:
    """Return the request to the engine.

    Args:
        fields: the fields of the list.
        options: limits and defaults.
        visitor: who the list is for.
        item_id: the product of a list of similar products.
        is_buy_again: whether the list contains the products that are due.

    Raises:
        ProblemError: with the status 422 if a field is above its limit.
    """
    common = _make_common(fields, options, visitor)
    if is_buy_again:
        return BuyAgainRequest(**common)
    if item_id is not None:
        return SimilarRequest(item_id=item_id, **common)
    if isinstance(fields, SearchFields):
        return SearchRequest(query=fields.query, mode=fields.mode, **common)
    if isinstance(fields, BoughtTogetherFields):
        return BoughtTogetherRequest(item_ids=tuple(fields.item_ids), **common)
    if isinstance(fields, RecommendFields):
        return RecommendRequest(model=fields.model, filter_seen=fields.filter_seen, **common)
    raise TypeError(f"no list has the fields {type(fields).__name__}")


def make_placements(body: PageBody, options: ServiceOptions) -> list[Placement]:
    """Return the placements of a page for the engine.

    Raises:
        ProblemError: with the status 422 if a field is above its limit.
    """
    check_maximum(
        "the number of placements", len(body.placements), options.max_placements, "placements"
    )
    return [
        Placement(
            fields.name,
            make_request(
                fields,
                options,
                body,
                getattr(fields, "item_id", None),
                isinstance(fields, BuyAgainPlacement),
            ),
        )
        for fields in body.placements
    ]


def check_maximum(name: str, value: int, maximum: int, field: str | None = None) -> None:
    """Raise ProblemError with the status 422 if a number is above its limit."""
    if value > maximum:
        text = f"{name[0].upper()}{name[1:]}" if field else name
        raise ProblemError(422, f"{text} must be at most {maximum}, found {value}.", field or name)


def _make_visitor(fields: VisitorFields) -> Visitor:
    history = getattr(fields, "history", [])
    times = getattr(fields, "times", None)
    return Visitor(
        user_id=fields.user_id,
        history=tuple(history),
        times=None if times is None else tuple(to_milliseconds(time) for time in times),
    )


def _make_common(
    fields: ListFields, options: ServiceOptions, visitor: VisitorFields
) -> dict[str, Any]:
    """Return the arguments that all requests to the engine have."""
    k = options.default_k if fields.k is None else fields.k
    check_maximum("k", k, options.max_k)
    for name in ("categories", "brands", "exclude", "history", "item_ids"):
        values = getattr(fields, name, None) or getattr(visitor, name, None) or ()
        check_maximum(f"the number of values of {name}", len(values), options.max_ids, name)
    common: dict[str, Any] = {
        "visitor": _make_visitor(visitor),
        "k": k,
        "filters": Filters(
            tuple(fields.categories),
            tuple(fields.brands),
            fields.min_price,
            fields.max_price,
            fields.only_in_stock,
        ),
        "exclude": tuple(fields.exclude),
        "diversity": Diversity(
            fields.max_per_variant_group or options.max_per_variant_group,
            options.max_title_cosine
            if fields.max_title_cosine is None
            else fields.max_title_cosine,
        ),
        "at": None if visitor.at is None else to_milliseconds(visitor.at),
        "cursor": getattr(fields, "cursor", None),
        "is_explained": fields.explain,
    }
    if fields.placement is not None:
        common["placement"] = fields.placement
    return common
