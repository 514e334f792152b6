"""The pages, as a browser without JavaScript gets them."""

import json
import re
import uuid
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from bazar.config.service import ServiceOptions
from bazar.service.api.app import create_app
from bazar.service.engine.requests import SearchMode, SearchRequest
from bazar.service.gateway import Gateway
from bazar.service.live import NewItem
from bazar.service.loading import BundleLoader
from bazar.service.shop.pages import N_COMPARED, N_FOR_YOU, Shop
from bazar.service.shop.sessions import COOKIE, ShopSession, read_session
from bazar.service.store import ItemChange, LiveStore
from tests.service.engine.example_store import LAST_DAY, at_day
from tests.service.example_bundles import write_example
from tests.service.shop.example_shop import read_list

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def get_session(client: TestClient) -> ShopSession:
    session = read_session(client.cookies.get(COOKIE))
    assert session is not None
    return session


def become(client: TestClient, user_id: str) -> str:
    response = client.post("/visitor", data={"user_id": user_id})
    assert response.status_code == 200
    return response.text


def order(client: TestClient, *item_ids: str) -> str:
    for item_id in item_ids:
        client.post("/cart", data={"item_id": item_id, "action": "add"})
    html = client.get("/checkout").text
    order_id = re.search(r'name="order_id" value="(\w+)"', html)
    assert order_id is not None
    return client.post("/checkout", data={"order_id": order_id[1]}).text


# Lists


def test_a_new_visitor_sees_popular_products(client: TestClient) -> None:
    html = client.get("/").text
    assert len(read_list(html, "for-you")) == N_FOR_YOU
    assert "Bought most often lately" in html
    assert "Buy again" not in html
    assert "Recently viewed" not in html
    assert "New for you" not in html


def test_a_purchase_changes_the_list_and_marks_what_is_new(client: TestClient) -> None:
    before = read_list(client.get("/").text, "for-you")
    html = order(client, "bread")
    after = read_list(html, "for-you")
    assert after != before
    assert after[0] == "butter"
    assert "Thank you for your order" in html
    assert html.count("New for you") == len(set(after) - set(before))
    assert get_session(client).cart == {}


def test_an_order_that_is_sent_twice_is_stored_once(client: TestClient, gateway: Gateway) -> None:
    client.post("/cart", data={"item_id": "bread", "action": "add", "quantity": "3"})
    cookie = client.cookies.get(COOKIE)
    order_id = uuid.uuid4().hex
    for _ in range(2):
        client.post(
            "/checkout",
            data={"order_id": order_id},
            headers={"cookie": f"{COOKIE}={cookie}"},
            follow_redirects=False,
        )
    events = gateway.store.read_events(session_id=get_session(client).session_id)
    purchases = [event for event in events if event.event_type == "purchase"]
    assert [(event.item_id, event.quantity) for event in purchases] == [("bread", 3)]


def test_a_customer_has_a_history_and_products_that_are_due(client: TestClient) -> None:
    html = become(client, "alice")
    due = read_list(html, "buy-again")
    assert due
    assert "milk" in due
    assert not set(due) & set(read_list(html, "for-you"))
    assert "Bought 13 times, about every 7 days" in html
    assert "milk" not in read_list(order(client, "milk"), "buy-again")


def test_the_clock_starts_after_all_events_of_the_customer(client: TestClient) -> None:
    become(client, "alice")
    first = get_session(client)
    assert at_day(84) <= first.began_at_shop < at_day(LAST_DAY)
    order(client, "milk")
    become(client, "alice")
    second = get_session(client)
    assert first.session_id != second.session_id
    assert second.began_at_shop > first.began_at_shop
    assert second.began_at_shop < at_day(LAST_DAY)


def test_products_that_were_viewed_are_on_the_home_page(client: TestClient) -> None:
    client.get("/product", params={"id": "couch"})
    client.get("/product", params={"id": "jam"})
    assert read_list(client.get("/").text, "viewed") == ["jam", "couch"]


def test_search_shows_words_and_meaning_side_by_side(client: TestClient) -> None:
    html = client.get("/search", params={"q": "flashlight"}).text
    assert read_list(html, "words") == []
    assert read_list(html, "meaning")[0] == "lamp"
    assert "Also found by" not in html
    html = client.get("/search", params={"q": "lavendar soap"}).text
    assert read_list(html, "words")[0] == "soap"


def read_marked(html: str, heading_id: str, mark: str) -> list[str]:
    """Return the ids of the products of a section that have a mark."""
    section = html.partition(f'aria-labelledby="{heading_id}"')[2].partition("</section>")[0]
    rows = section.split('data-bazar-item="')[1:]
    return [row.partition('"')[0] for row in rows if mark in row]


def test_search_marks_what_both_find(client: TestClient, gateway: Gateway) -> None:
    def find(mode: SearchMode) -> list[str]:
        request = SearchRequest(query="herbal thing soap", mode=mode, k=N_COMPARED)
        return gateway.search(request).item_ids

    words, meaning = find("words"), find("meaning")
    html = client.get("/search", params={"q": "herbal thing soap"}).text
    shown = read_list(html, "words")
    # A product that the other list finds, but does not show, is marked, too.
    assert read_marked(html, "words", "Also found by meaning") == [
        item for item in shown if item in meaning
    ]
    assert set(shown) & set(meaning) - set(read_list(html, "meaning"))
    shown = read_list(html, "meaning")
    assert read_marked(html, "meaning", "Also found by words") == [
        item for item in shown if item in words
    ]


def test_search_without_a_query_asks_for_one(client: TestClient) -> None:
    for query in ("", "   "):
        response = client.get("/search", params={"q": query})
        assert response.status_code == 200
        assert "Enter what you look for" in response.text


def test_a_product_page_has_what_is_bought_together_and_similar(client: TestClient) -> None:
    html = client.get("/product", params={"id": "bread"}).text
    assert read_list(html, "bought_together")[0] == "butter"
    assert not set(read_list(html, "bought_together")) & set(read_list(html, "similar"))
    html = client.get("/product", params={"id": "shampoo"}).text
    assert "Herbal Shampoo Rosemary 500\N{NO-BREAK SPACE}ml" in html


def test_products_that_go_together_have_the_pair_as_their_reason(client: TestClient) -> None:
    # The customer bought milk and coffee, but that is no reason for a list about coffee.
    become(client, "alice")
    html = client.get("/product", params={"id": "coffee"}).text
    section = html.partition('aria-labelledby="bought_together"')[2].partition("</section>")[0]
    assert "Bought together with Roasted Coffee Beans 500\N{NO-BREAK SPACE}g" in section
    assert "times, about every" not in html
    assert "Similar title" in section
    client.post("/cart", data={"item_id": "bread", "action": "add"})
    html = client.post("/cart", data={"item_id": "jam", "action": "add"}).text
    assert "Bought together with products of your cart" in html


def test_similar_products_are_not_the_variants_of_one(client: TestClient) -> None:
    similar = read_list(client.get("/product", params={"id": "soap"}).text, "similar")
    assert len({"shampoo", "shampoo-l", "shampoo-xl"} & set(similar)) == 1


def test_a_product_page_has_the_facts_of_the_product(client: TestClient, gateway: Gateway) -> None:
    gateway.add_items([NewItem("tea", "Green Tea 100 g", "Drinks, Kanto, Organic")])
    facts = client.get("/product", params={"id": "tea"}).text.partition('class="facts"')[2]
    facts = re.sub(r"<[^>]*>", " ", facts.partition("</dl>")[0])
    assert re.search(r"Category\s+\w+", facts)
    assert re.search(r"Attributes\s+\w+, \w+", facts)
    assert re.search(r"Stock\s+In stock", facts)
    assert re.search(r"For you\s+Rank \d+ of all products", facts)
    facts = client.get("/product", params={"id": "tea"}).text.partition('class="facts"')[2]
    assert "The visitor has just looked at the product" in facts
    client.post("/stock", data={"item_id": "tea", "in_stock": "no"})
    facts = client.get("/product", params={"id": "tea"}).text.partition('class="facts"')[2]
    assert "The product is out of stock." in facts
    become(client, "alice")
    facts = client.get("/product", params={"id": "milk"}).text.partition('class="facts"')[2]
    assert "Listed under “Buy again”" in facts


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Powder, 9 g", "Powder, 9_g"),
        ("Mask, 200 ml, 2 pieces", "Mask, 200_ml, 2 pieces"),
        ("Sunscreen SPF 50, No. 4 Plum", "Sunscreen SPF 50, No. 4 Plum"),
        ("Oil 8 fl oz", "Oil 8_fl oz"),
    ],
)
def test_numbers_and_units_stay_on_one_line(
    client: TestClient, gateway: Gateway, title: str, shown: str
) -> None:
    gateway.add_items([NewItem("new", title, "Misc")])
    html = client.get("/product", params={"id": "new"}).text
    assert f"<h1>{shown}</h1>".replace("_", "\N{NO-BREAK SPACE}") in html


def test_a_product_without_title_has_a_page(client: TestClient) -> None:
    assert "(no title)" in client.get("/product", params={"id": "untitled"}).text


def test_a_category_has_pages_without_repeats(client: TestClient, gateway: Gateway) -> None:
    gateway.add_items([NewItem(f"extra{i}", f"Extra {i}", "Misc") for i in range(20)])
    html = client.get("/category", params={"name": "Misc"}).text
    first = read_list(html, "category")
    more = re.search(r'href="(/category\?[^"]*cursor[^"]*)"', html)
    assert more is not None
    second = read_list(client.get(more[1].replace("&amp;", "&")).text, "category")
    assert second
    assert not set(first) & set(second)


# Cart


def test_the_cart_is_changed_by_forms(client: TestClient, gateway: Gateway) -> None:
    gateway.change_items([ItemChange("milk", price=1.25)])
    html = client.post("/cart", data={"item_id": "milk", "action": "add", "quantity": "2"}).text
    assert "2.50" in html
    html = client.post("/cart", data={"item_id": "milk", "quantity": "4"}).text
    assert "5.00" in html
    assert read_list(html, "beside")
    assert "milk" not in read_list(html, "beside")
    html = client.post("/cart", data={"item_id": "milk", "quantity": "0"}).text
    assert "Your cart is empty" in html
    assert client.get("/checkout").url.path == "/cart"


def test_no_price_is_shown_if_one_is_unknown(client: TestClient, gateway: Gateway) -> None:
    gateway.change_items([ItemChange("milk", price=1.25)])
    client.post("/cart", data={"item_id": "milk", "action": "add"})
    html = client.post("/cart", data={"item_id": "jam", "action": "add"}).text
    assert "Total" not in html
    assert "None" not in html


@pytest.mark.parametrize("quantity", ["-1", "x", "", "²", "1e3", "9" * 50])
def test_invalid_quantities_are_a_page(client: TestClient, quantity: str) -> None:
    response = client.post("/cart", data={"item_id": "milk", "quantity": quantity})
    assert response.status_code == 400
    assert "The quantity must be" in response.text


# Stock


def test_a_product_out_of_stock_leaves_the_list_which_stays_full(client: TestClient) -> None:
    first = read_list(client.get("/").text, "for-you")[0]
    html = client.post("/stock", data={"item_id": first, "in_stock": "no"}).text
    assert "Out of stock" in html
    products = read_list(client.get("/").text, "for-you")
    assert first not in products
    assert len(products) == N_FOR_YOU
    client.post("/stock", data={"item_id": first, "in_stock": "yes"})
    assert read_list(client.get("/").text, "for-you")[0] == first


def test_a_product_out_of_stock_cannot_be_ordered(client: TestClient, gateway: Gateway) -> None:
    client.post("/cart", data={"item_id": "jam", "action": "add"})
    gateway.change_items([ItemChange("jam", in_stock=False)])
    assert client.get("/checkout").url.path == "/cart"
    response = client.post("/checkout", data={"order_id": "1"})
    assert response.url.path == "/cart"
    assert "Remove it to order the rest" in response.text
    page = client.get("/product", params={"id": "jam"}).text
    assert "Add to cart" not in page.partition("</article>")[0]
    client.post("/cart", data={"item_id": "jam", "action": "add"})
    assert get_session(client).cart == {"jam": 1}


def test_stock_finds_products_by_words_and_by_id(client: TestClient) -> None:
    for query in ("herbal", "shampoo-xl"):
        html = client.get("/stock", params={"q": query}).text
        assert "Herbal Shampoo Rosemary 1000\N{NO-BREAK SPACE}ml" in html
    assert "No product matches" in client.get("/stock", params={"q": "zzzzzz"}).text


# Explanations


def test_a_list_explains_itself(client: TestClient) -> None:
    html = become(client, "alice")
    panel = html.partition('id="why-for_you"')[2].partition("</details>")[0]
    assert "Decayed co-occurrence (model)" in panel
    assert "bundle-1" in panel
    panel = html.partition('id="why-buy_again"')[2].partition("</details>")[0]
    assert "Bought 13 times, about every 7 days, last 5 days ago." in panel


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("soap", "Its rank is|The list contains it|looked at"),
        ("lavender", "Lavender Soap"),
        ("jam", "The product is out of stock."),
        ("zzzzzz", "No product matches"),
        (MARKUP, "No product matches|The list contains it"),
        ("x" * 5000, "No product matches"),
    ],
)
def test_a_list_explains_why_a_product_is_not_in_it(
    client: TestClient, gateway: Gateway, text: str, reply: str
) -> None:
    gateway.change_items([ItemChange("jam", in_stock=False)])
    html = client.get("/", params={"why": "for_you", "item": text}).text
    found = html.partition('class="reply"')[2].partition("</div>")[0]
    assert re.search(reply, found), found
    assert '<details class="why" id="why-for_you" open>' in html


def test_a_product_that_another_list_shows_is_explained(client: TestClient) -> None:
    become(client, "alice")
    html = client.get("/", params={"why": "for_you", "item": "milk"}).text
    assert "This page lists it under “Buy again”." in html


def test_every_list_keeps_the_parameters_of_its_page(client: TestClient) -> None:
    parameters = {"q": "soap", "why": "meaning", "item": "milk"}
    html = client.get("/search", params=parameters).text
    assert html.count('<input type="hidden" name="q" value="soap">') == 2
    assert html.count('class="reply"') == 1
    parameters = {"id": "bread", "why": "similar", "item": "milk"}
    assert 'class="reply"' in client.get("/product", params=parameters).text


# Safety


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def check_markup(html: str) -> None:
    """Check that a page has no elements but its own, and nothing that the policy blocks."""
    parser = _Elements()
    parser.feed(html)
    scripts = [attributes.get("src") for tag, attributes in parser.found if tag == "script"]
    assert scripts in ([], ["/shop/static/bazar.js"])
    for tag, attributes in parser.found:
        assert tag not in {"img", "style", "iframe"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("/", "#")) or not value, value
    ids = [attributes["id"] for _, attributes in parser.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_titles_and_queries_with_markup_are_texts(client: TestClient, gateway: Gateway) -> None:
    gateway.add_items([NewItem(MARKUP, f"Soap {MARKUP}", f"Care, {MARKUP}", MARKUP)])
    gateway.add_items([NewItem("2", f"Lavender {MARKUP}", f"Care, {MARKUP}", MARKUP)])
    client.post("/cart", data={"item_id": MARKUP, "action": "add"})
    pages = [
        client.get(path, params=parameters)
        for path, parameters in [
            ("/", {}),
            ("/", {"why": "for_you", "item": MARKUP}),
            ("/search", {"q": f"soap {MARKUP}"}),
            ("/product", {"id": MARKUP}),
            ("/category", {"name": "Misc"}),
            ("/category", {"name": MARKUP}),
            ("/cart", {}),
            ("/checkout", {}),
            ("/stock", {"q": "soap"}),
            ("/stock", {"q": MARKUP}),
            ("/product", {"id": f"{MARKUP}?"}),
        ]
    ]
    assert [page.status_code for page in pages] == [200] * 5 + [200] * 5 + [404]
    for page in pages:
        check_markup(page.text)
        assert "<script>alert" not in page.text
    assert "Soap &lt;script&gt;" in pages[3].text


def test_pages_of_a_customer_are_valid(client: TestClient) -> None:
    check_markup(become(client, "alice"))


def test_no_page_is_stored_or_runs_other_scripts(client: TestClient) -> None:
    for path in ("/", "/search?q=soap", "/product?id=nothing"):
        headers = client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
    cookie = client.get("/", headers={"cookie": ""}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/product?id=nothing", 404),
        ("GET", "/product?id=%00", 404),
        ("GET", "/product", 400),
        ("GET", "/category?name=nothing", 400),
        ("GET", "/category?name=Misc&cursor=wrong", 400),
        ("GET", f"/search?q={'a' * 201}", 400),
        ("GET", "/?ordered=many", 400),
        ("POST", "/cart", 400),
        ("POST", "/checkout", 200),
        ("POST", "/stock", 400),
    ],
)
def test_invalid_requests_are_helpful_pages(
    client: TestClient, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert 'role="search"' in response.text
    check_markup(response.text)


def test_a_hidden_product_is_unknown(client: TestClient, gateway: Gateway) -> None:
    client.post("/cart", data={"item_id": "jam", "action": "add"})
    gateway.change_items([ItemChange("jam", is_hidden=True)])
    response = client.get("/product", params={"id": "jam"})
    assert response.status_code == 404
    assert "Search for it" in response.text
    assert client.post("/stock", data={"item_id": "jam", "in_stock": "no"}).status_code == 404
    assert "Your cart is empty" in client.get("/cart").text


@pytest.mark.parametrize(
    ("headers", "is_allowed"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://testserver"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_forms_of_other_sites_change_nothing(
    client: TestClient, gateway: Gateway, headers: dict[str, str], is_allowed: bool
) -> None:
    form = {"item_id": "jam", "in_stock": "no"}
    response = client.post("/stock", data=form, headers=headers)
    assert response.status_code == (200 if is_allowed else 403)
    assert bool(gateway.store.read_changes().item_states) == is_allowed


def test_large_and_malformed_forms_are_pages(client: TestClient) -> None:
    assert client.post("/cart", content=b"a" * 70_000).status_code == 413
    assert client.post("/cart", content=b"item_id=%ff").status_code == 400
    assert client.post("/cart", content=b"\xff").status_code == 400
    assert client.post("/cart", content=b"&".join([b"a=1"] * 100)).status_code == 400


@pytest.mark.parametrize("cookie", ["", "x", "e30=", "a" * 5_000])
def test_a_damaged_cookie_is_a_new_visit(client: TestClient, cookie: str) -> None:
    assert client.get("/", headers={"cookie": f"{COOKIE}={cookie}"}).status_code == 200


def test_only_the_demo_customers_can_be_chosen(client: TestClient) -> None:
    become(client, "bob")
    assert get_session(client).user_id is None
    forged = ShopSession.start(get_session(client).began_at, 0, "bob").to_cookie()
    response = client.get("/", headers={"cookie": f"{COOKIE}={forged}"})
    given = read_session(response.cookies.get(COOKIE))
    assert given is not None
    assert given.user_id is None


# Events of bazar.js


def send(client: TestClient, *events: dict[str, Any]) -> Any:
    return client.post("/shop/events", json={"events": list(events)})


def test_events_of_the_browser_belong_to_the_visit(client: TestClient, gateway: Gateway) -> None:
    client.get("/")
    session = get_session(client)
    event = {"event_id": "1", "event_type": "click", "item_id": "bread"}
    event["session_id"] = session.session_id
    other = event | {"event_id": "2", "session_id": "another"}
    unknown = event | {"event_id": "3", "item_id": "nothing"}
    response = send(client, event, other, unknown, event)
    assert response.status_code == 202
    assert response.json() == {"stored": 1}
    (stored,) = gateway.store.read_events(session_id=session.session_id)
    assert (stored.event_type, stored.item_id) == ("click", "bread")
    assert stored.timestamp < at_day(LAST_DAY)
    assert read_list(client.get("/").text, "for-you")[0] == "butter"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"events": []}',
        b'{"events": [{"event_id": "1", "event_type": "purchase", "item_id": "jam"}]}',
        json.dumps({"events": [{"event_id": "1", "event_type": "click", "item_id": "a"}] * 101}),
    ],
)
def test_invalid_batches_are_rejected(client: TestClient, body: bytes) -> None:
    assert client.post("/shop/events", content=body).status_code == 422


def test_the_script_is_small_and_documented() -> None:
    import bazar.service.shop

    script = (Path(bazar.service.shop.__file__).parent / "static/bazar.js").read_bytes()
    assert len(script) < 4_096
    assert b"data-bazar-item" in script[:1_500]


# The application


def test_the_shop_is_served_only_if_it_is_wanted(tmp_path: Path) -> None:
    store = LiveStore(f"sqlite:///{tmp_path}/live.db")
    loader = BundleLoader(write_example(tmp_path / "bundle"), store)
    for has_shop in (False, True):
        app: FastAPI = create_app(loader, ServiceOptions(), uses_keys=True, has_shop=has_shop)
        client = TestClient(app, base_url="http://localhost")
        expected = [200, 200] if has_shop else [401, 401]
        paths = ["/", "/shop/static/shop.css"]
        assert [client.get(path).status_code for path in paths] == expected
        assert client.get("/v1/buy-again").status_code == 401
        assert not any(path in app.openapi()["paths"] for path in ("/", "/cart"))
    page = client.get("/")
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert client.get("/shop/static/bazar.js").headers["content-type"].startswith("text/javascript")
    store.close()


def test_another_catalogue_is_examined_once(gateway: Gateway) -> None:
    shop = Shop(gateway)
    facts = shop.get_facts()
    assert shop.get_facts() is facts
    gateway.add_items([NewItem("tea", "Green Tea", "Drinks")])
    assert shop.get_facts() is not facts
    assert shop.get_product("tea").title == "Green Tea"
