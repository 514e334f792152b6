"""Answers of the engine."""

from dataclasses import dataclass

from bazar.serving.answers import Recommendation


@dataclass(frozen=True)
class ListedProduct:
    """A product of a list.

    Attributes:
        recommendation: the product, its rank over all pages, its score before business rules, and
            the past purchases that explain it. The score is 0 if a rule pinned a product that the
            source cannot score.
        source: what proposed the product: a model, ``similar``, ``bought_together``, ``buy_again``
            or ``search``.
        attributes: brand, categories and similar attributes, separated by ``", "``; None if there
            are none.
        price: price of one unit; None if it is not known.
        in_stock: whether it can be bought.
        rules: names of the business rules that pinned or boosted it.
    """

    recommendation: Recommendation
    source: str
    attributes: str | None
    price: float | None
    in_stock: bool
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One page of a list.

    Attributes:
        bundle_id: the bundle that answered.
        source: the model or the method that answered.
        products: the products, the best first.
        at: time of the request, UTC milliseconds.
        cursor: cursor of the next page; None if there is none.
        rules: names of the business rules that changed the list.
        unknown_items: ids of the history that are not in the catalogue.
        notes: what the caller should know about the list, in words.
    """

    bundle_id: str
    source: str
    products: tuple[ListedProduct, ...]
    at: int
    cursor: str | None = None
    rules: tuple[str, ...] = ()
    unknown_items: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def item_ids(self) -> list[str]:
        """The ids of the products, the best first."""
        return [product.recommendation.item_id for product in self.products]


@dataclass(frozen=True)
class Absence:
    """Why a product is not in a list.

    Attributes:
        item_id: the product.
        reason: ``listed`` if it is in the list; otherwise ``unknown``, ``hidden``,
            ``out_of_stock``, ``category``, ``brand``, ``price``, ``excluded``, ``rule``,
            ``in_cart``, ``viewed``, ``already_bought``, ``not_scored``, ``variant_limit``,
            ``title_limit`` or ``rank``.
        text: the reason in words.
        rank: rank among all products that may be listed, before the diversity limits; None if it
            may not be listed.
        score: score before business rules; None if the model does not score it.
    """

    item_id: str
    reason: str
    text: str
    rank: int | None = None
    score: float | None = None
