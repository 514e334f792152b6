"""Pages in a headless Chromium that the machine has, as a reader sees them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser; the test is skipped, and says so, where there is none."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-gpu"]
            )
        except Error as error:
            pytest.skip(f"no Chromium to open pages with: {str(error).splitlines()[0]}")
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(browser: Browser, url: str, width: int, scheme: str) -> Iterator[Page]:
    """A page that made no request that failed, and wrote nothing to its console.

    Args:
        browser: the browser.
        url: of the page.
        width: of the window, in pixels.
        scheme: ``light`` or ``dark``.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("requestfailed", lambda request: told.append(request.url))
    page.goto(url)
    page.wait_for_load_state("networkidle")
    yield page
    assert told == []
    context.close()
