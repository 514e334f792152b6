"""The session of a visitor of the demo shop. The cookie contains all of it.

Nothing is kept in memory, so that several processes can serve the shop. The cookie is not signed:
whoever changes it can only become another demo customer, which the shop offers anyway.
"""

import base64
import binascii
import uuid
import zlib
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bazar.errors import InputError
from bazar.service.store.checks import MAX_ID_LENGTH

COOKIE = "bazar_shop"
"""Name of the cookie."""
MAX_QUANTITY = 99
"""Largest quantity of one product in the cart."""
# Browsers store 4,096 bytes of a cookie, its name and attributes included.
_MAX_COOKIE_BYTES = 3_800
_MAX_COOKIE_TIME = 200_000_000_000_000

_Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
_ItemId = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
_Time = Annotated[int, Field(ge=0, le=_MAX_COOKIE_TIME)]


class ShopSession(BaseModel):
    """A visit of the demo shop.

    The data of the shop may be old. A session begins at the end of the data, and from then on its
    clock runs as fast as the real one.

    Attributes:
        session_id: id of the visit.
        user_id: the demo customer; None for a new visitor.
        began_at: when the session began, UTC milliseconds.
        began_at_shop: what the clock of the shop showed then, UTC milliseconds.
        cart: quantity of each product in the cart.
        seen: checksums of the products of "For you" at the last visit of the home page; None before
            the first visit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    user_id: str | None = Field(default=None, min_length=1, max_length=MAX_ID_LENGTH)
    began_at: _Time
    began_at_shop: _Time
    cart: dict[_ItemId, _Quantity] = Field(default={}, max_length=100)
    seen: list[int] | None = Field(default=None, max_length=100)

    @classmethod
    def start(cls, now: int, shop_time: int, user_id: str | None = None) -> Self:
        """Return a new session with an empty cart.

        Args:
            now: UTC milliseconds.
            shop_time: what the clock of the shop shows, UTC milliseconds.
            user_id: the demo customer; None for a new visitor.
        """
        return cls(
            session_id=uuid.uuid4().hex, user_id=user_id, began_at=now, began_at_shop=shop_time
        )

    def get_shop_time(self, time: int) -> int:
        """Return what the clock of the shop shows at a time, UTC milliseconds."""
        return self.began_at_shop + max(0, time - self.began_at)

    def set_quantity(self, item_id: str, quantity: int) -> Self:
        """Return the session with another quantity of a product in the cart; 0 removes it."""
        cart = {name: number for name, number in self.cart.items() if name != item_id}
        if quantity > 0:
            cart[item_id] = min(quantity, MAX_QUANTITY)
            if item_id in self.cart:
                # The product keeps its position.
                cart = {name: cart[name] for name in self.cart}
        return self.model_copy(update={"cart": cart})

    def find_new_items(self, item_ids: Iterable[str]) -> set[str]:
        """Return the products that were not listed at the last visit; none at the first visit."""
        if self.seen is None:
            return set()
        return {item_id for item_id in item_ids if _compute_checksum(item_id) not in self.seen}

    def remember_items(self, item_ids: Iterable[str]) -> Self:
        """Return the session with the products of "For you" that the visitor sees now."""
        return self.model_copy(update={"seen": [_compute_checksum(item) for item in item_ids]})

    def to_cookie(self) -> str:
        """Return the value of the cookie.

        Raises:
            InputError: if the cart has too many products for a cookie.
        """
        value = base64.urlsafe_b64encode(self.model_dump_json().encode()).decode()
        if len(value) > _MAX_COOKIE_BYTES:
            raise InputError(
                f"The cart of this demo is full: it has {len(self.cart)} different products. "
                "Remove one, or order what is in the cart."
            )
        return value


def read_session(cookie: str | None) -> ShopSession | None:
    """Return the session of a cookie; None if there is none, or it is invalid."""
    if not cookie or len(cookie) > _MAX_COOKIE_BYTES:
        return None
    try:
        return ShopSession.model_validate_json(base64.urlsafe_b64decode(cookie.encode()))
    except (ValidationError, binascii.Error, ValueError):
        return None


def _compute_checksum(item_id: str) -> int:
    """Return a number that stands for a product, because ids may be long."""
    return zlib.crc32(item_id.encode(errors="replace"))
