"""Opens pages in the headless Chromium of the machine, as a reader sees them."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser. The test is skipped, with a message, if the machine has none."""
    executable = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no browser to open pages with: none of {', '.join(_NAMES)} is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(
    browser: Browser, url: str, width: int, scheme: str, java_script: bool = True
) -> Iterator[Page]:
    """Open a page, and check that no request failed and the console stayed empty.

    Args:
        browser: the browser.
        url: address of the page.
        width: width of the window, in pixels.
        scheme: ``light`` or ``dark``.
        java_script: whether the browser runs scripts.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=java_script,
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))

    def note_failure(request: Request) -> None:
        # The next page may be opened before the search has loaded its index.
        if request.failure != "net::ERR_ABORTED":
            problems.append(request.url)

    page.on("requestfailed", note_failure)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    yield page
    assert problems == []
    context.close()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, for pages that do not open from a disk, and return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
