"""The demo shop in a real browser."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bazar.service.gateway import Gateway
from bazar.service.shop.pages import N_FOR_YOU
from bazar.service.shop.sessions import COOKIE, read_session
from tests.browser import browser
from tests.service.shop.example_shop import make_app, open_gateway, serve

FOR_YOU = "section[aria-labelledby=for-you] [data-bazar-item]"
PAGES = (
    "/", "/search?q=herbal+soap", "/product?id=shampoo", "/category?name=Misc", "/stock", "/cart",
    "/checkout", "/?why=for_you&item=lavender",
)  # fmt: skip
# The tag, the text and the outlines of the element that has the focus.
READ_FOCUS = """() => {
  const element = document.activeElement;
  const outlines = [null, "::after"].map((part) => getComputedStyle(element, part).outlineStyle);
  return [element.tagName, element.textContent, outlines];
}"""
# The lowest contrast of all texts with their ground.
FIND_LOWEST_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const read = (color) => {
    if (!known.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      known.set(color, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(color);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((value) => value / 255)
      .map((value) => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const findGround = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = read(getComputedStyle(one).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest("svg, option, .hidden")) continue;
    const pair = [read(getComputedStyle(element).color), findGround(element)].map(luminance);
    pair.sort((one, other) => other - one);
    found.push([(pair[0] + .05) / (pair[1] + .05), element.outerHTML.slice(0, 80)]);
  }
  return found.sort((one, other) => one[0] - other[0])[0];
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with open_gateway(tmp_path) as made:
        yield made


@pytest.fixture
def address(gateway: Gateway) -> Iterator[str]:
    with serve(make_app(gateway)) as started:
        yield started


@contextmanager
def visit(
    chromium: Browser, address: str, width: int = 1280, java_script: bool = True
) -> Iterator[Page]:
    """Open the shop as a new visitor, and check that the console stayed empty."""
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, java_script_enabled=java_script
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    yield page
    if problems:
        pytest.fail("\n".join(problems))
    context.close()


def read_items(page: Page, selector: str = FOR_YOU) -> list[str | None]:
    return [one.get_attribute("data-bazar-item") for one in page.locator(selector).all()]


def read_events(page: Page, gateway: Gateway) -> list[tuple[str, str]]:
    """Return the events of the visit that were stored."""
    value = next(c.get("value") for c in page.context.cookies() if c.get("name") == COOKIE)
    session = read_session(value)
    assert session is not None
    events = gateway.store.read_events(session.user_id, session.session_id)
    return [(event.event_type, event.item_id) for event in events]


@pytest.mark.parametrize("java_script", [True, False])
def test_a_purchase_of_a_new_visitor_changes_the_list(
    chromium: Browser, address: str, java_script: bool
) -> None:
    with visit(chromium, address, java_script=java_script) as page:
        before = read_items(page)
        assert len(before) == N_FOR_YOU
        page.get_by_role("searchbox", name="Search products").fill("sourdough")
        page.get_by_role("button", name="Search").click()
        words = page.get_by_role("region", name="Matching words")
        expect(page.get_by_role("region", name="Matching meaning")).to_be_visible()
        words.get_by_role("link", name="Sourdough Bread").click()
        expect(page.get_by_role("heading", name="Sourdough Bread", level=1)).to_be_visible()
        page.get_by_label("Quantity").fill("2")
        page.get_by_role("button", name="Add to cart").click()
        expect(page.get_by_role("link", name="Cart 2 products")).to_be_visible()
        page.get_by_role("link", name="Go to checkout").click()
        page.get_by_role("button", name="Place order").click()
        expect(page.get_by_role("status")).to_contain_text("Thank you for your order")
        after = read_items(page)
        assert after != before
        assert after[0] == "butter"
        assert len(after) == N_FOR_YOU
        n_new = len(set(after) - set(before))
        expect(page.get_by_text("New for you")).to_have_count(n_new)
        assert n_new


def test_a_product_without_stock_disappears_and_the_list_stays_full(
    chromium: Browser, address: str
) -> None:
    with visit(chromium, address) as page:
        first = read_items(page)[0]
        title = page.locator(FOR_YOU).first.get_by_role("link").inner_text()
        page.get_by_role("link", name="Stock").click()
        page.get_by_role("button", name=f"Set out of stock {title}").click()
        expect(page.get_by_role("button", name=f"Set in stock {title}")).to_be_visible()
        page.get_by_role("link", name="Bazar", exact=True).click()
        expect(page.locator(FOR_YOU)).to_have_count(N_FOR_YOU)
        assert first not in read_items(page)
        # The list explains it.
        page.get_by_text("Why these products?").click()
        page.get_by_label("Why is a product not in this list?").fill(title)
        page.get_by_role("button", name="Explain").click()
        expect(page.get_by_role("status")).to_contain_text("The product is out of stock.")


def test_a_visitor_becomes_a_customer(chromium: Browser, address: str) -> None:
    with visit(chromium, address) as page:
        page.get_by_label("You are").select_option("alice")
        page.get_by_role("button", name="Switch").click()
        due = page.get_by_role("region", name="Buy again")
        expect(due.get_by_text("Bought 13 times").first).to_be_visible()
        expect(page.get_by_label("You are")).to_have_value("alice")
        due.get_by_role("button", name="Add to cart Whole Milk 1 l").click()
        expect(page.get_by_role("heading", name="Cart", level=1)).to_be_visible()


def press_tab_until(page: Page, name: str) -> None:
    """Press the tab key until an element with a text has the focus, which must be visible."""
    for _ in range(120):
        page.keyboard.press("Tab")
        tag, text, outlines = page.evaluate(READ_FOCUS)
        if name in text and tag != "BODY":
            assert "solid" in outlines
            return
    raise AssertionError(f"no element with the text {name!r} gets the focus")


def test_the_keyboard_alone_is_enough(chromium: Browser, address: str) -> None:
    with visit(chromium, address) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the products")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        press_tab_until(page, "Sourdough Bread")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Sourdough Bread", level=1)).to_be_visible()
        press_tab_until(page, "Add to cart")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Cart", level=1)).to_be_visible()
        press_tab_until(page, "Go to checkout")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Checkout", level=1)).to_be_visible()
        press_tab_until(page, "Place order")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Thank you for your order")
        press_tab_until(page, "Why these products?")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Answered by").first).to_be_visible()


def test_pages_fit_a_phone_and_can_be_read(chromium: Browser, address: str) -> None:
    with visit(chromium, f"{address}/product?id=bread", width=360) as page:
        page.get_by_role("button", name="Add to cart").click()
        # The controls of the header have names, although they are small.
        for control in (
            page.get_by_label("You are"),
            page.get_by_role("button", name="Search"),
            page.get_by_role("link", name="Cart 1 product"),
        ):
            box = control.bounding_box()
            assert box is not None
            assert box["height"] >= 24
            assert box["x"] + box["width"] <= 360
        header = page.locator("header").bounding_box()
        assert header is not None
        assert header["y"] + header["height"] <= 200
        # No category is cut.
        assert page.evaluate(
            "[...document.querySelectorAll('nav a')]"
            ".every((link) => link.getBoundingClientRect().right <= 360)"
        )
        for path in PAGES:
            page.goto(address + path)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                contrast, element = page.evaluate(FIND_LOWEST_CONTRAST)
                assert contrast >= 4.5, (path, scheme, element)
            assert page.locator("h1").count() == 1, path


def test_impressions_and_clicks_are_sent(chromium: Browser, address: str, gateway: Gateway) -> None:
    with visit(chromium, address) as page:
        with page.expect_response("**/shop/events") as caught:
            page.evaluate("bazar.flush()")
        body = caught.value.request.post_data_json
        assert body is not None
        events = body["events"]
        shown = [event["item_id"] for event in events if event["event_type"] == "impression"]
        assert caught.value.ok
        assert gateway.store.newest_sequence() >= len(events)
        assert set(shown) <= set(read_items(page))
        assert len(set(shown)) == len(shown) > 0
        with page.expect_response("**/shop/events"):
            page.get_by_role("link", name="Sourdough Bread").click()
        expect(page.get_by_role("heading", name="Sourdough Bread", level=1)).to_be_visible()
        with page.expect_response("**/shop/events"):
            page.evaluate("bazar.send('view', 'jam'); bazar.flush()")
        stored = read_events(page, gateway)
        assert {("click", "bread"), ("view", "bread"), ("view", "jam")} <= set(stored)


def test_events_are_repeated_with_the_same_id_until_they_are_stored(
    chromium: Browser, address: str, gateway: Gateway
) -> None:
    bodies: list[str] = []

    def answer(route: Route) -> None:
        bodies.append(route.request.post_data or "")
        if len(bodies) == 1:
            route.fulfill(status=204)
        elif len(bodies) == 2:
            route.fulfill(status=503, headers={"access-control-allow-origin": "*"})
        else:
            route.continue_()

    context = chromium.new_context()
    page = context.new_page()
    page.route("**/shop/events", answer)
    page.goto(f"{address}/cart")
    page.evaluate("bazar.send('view', 'jam')")
    with page.expect_response("**/shop/events"):
        page.evaluate("bazar.flush()")
    page.evaluate("bazar.send('view', 'milk')")
    with page.expect_response("**/shop/events"):
        page.evaluate("bazar.flush()")
    # Another page of the shop sends what is left.
    with page.expect_response("**/shop/events"):
        page.goto(f"{address}/cart")
    page.wait_for_function("sessionStorage.getItem('bazar-events') === '[]'")
    events = [json.loads(body)["events"] for body in bodies]
    assert events[1] == events[2] != events[0]
    assert [event["item_id"] for event in events[2]] == ["milk"]
    assert read_events(page, gateway) == [("view", "milk")]
    context.close()
