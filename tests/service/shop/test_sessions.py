import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazar.errors import InputError
from bazar.service.shop.sessions import MAX_QUANTITY, ShopSession, read_session

TEXT = st.text(min_size=1, max_size=20)
NOW = 1_800_000_000_000
START = 1_700_000_000_000


@given(
    user_id=st.none() | TEXT,
    cart=st.dictionaries(TEXT, st.integers(1, MAX_QUANTITY), max_size=5),
    seen=st.lists(TEXT, max_size=12),
)
def test_a_cookie_contains_the_session(
    user_id: str | None, cart: dict[str, int], seen: list[str]
) -> None:
    session = ShopSession.start(NOW, START, user_id).remember_items(seen)
    for item_id, quantity in cart.items():
        session = session.set_quantity(item_id, quantity)
    assert read_session(session.to_cookie()) == session
    assert session.find_new_items(seen) == set()


@given(st.text(max_size=200))
def test_no_text_is_an_error(cookie: str) -> None:
    assert read_session(cookie) is None


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "x"},
        {"began_at": -1},
        {"began_at_shop": 10**18},
        {"cart": {"milk": 0}},
        {"cart": {"milk": 10**9}},
        {"user_id": ""},
        {"is_admin": True},
    ],
)
def test_invalid_cookies_are_no_session(change: dict[str, object]) -> None:
    fields = ShopSession.start(NOW, START).model_dump() | change
    cookie = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
    assert read_session(cookie) is None


def test_the_clock_starts_at_the_end_of_the_data_and_runs() -> None:
    session = ShopSession.start(NOW, START)
    assert session.get_shop_time(NOW) == START
    assert session.get_shop_time(NOW + 5_000) == START + 5_000
    assert session.get_shop_time(NOW - 5_000) == START


def test_quantities_change_in_place_and_are_limited() -> None:
    session = ShopSession.start(NOW, START).set_quantity("milk", 1).set_quantity("jam", 2)
    session = session.set_quantity("milk", 500)
    assert list(session.cart.items()) == [("milk", MAX_QUANTITY), ("jam", 2)]
    assert session.set_quantity("milk", 0).cart == {"jam": 2}


def test_nothing_is_new_at_the_first_visit() -> None:
    session = ShopSession.start(NOW, START)
    assert session.find_new_items(["milk"]) == set()
    assert session.remember_items(["milk"]).find_new_items(["milk", "jam"]) == {"jam"}


def test_a_cart_that_no_cookie_can_hold_is_an_error() -> None:
    session = ShopSession.start(NOW, START)
    for number in range(10):
        session = session.set_quantity(f"{number}" * 500, 1)
    with pytest.raises(InputError, match="full: it has 10"):
        session.to_cookie()
