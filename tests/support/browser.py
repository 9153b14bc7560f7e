"""Pages in a real browser: what they load, what they complain about, and what does not fit."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (360, 800, 1400)
_OWN = ("data:", "blob:", "about:", "file:", "http://127.0.0.1:", "ws://127.0.0.1:")  # from this machine

# Elements that are wider than the page, unless they can be scrolled within their own box.
_OVERFLOWING = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => element && (/auto|scroll|hidden/.test(getComputedStyle(element).overflowX)
    || scrolls(element.parentElement));
  const wide = [...document.body.querySelectorAll("*")].filter((element) =>
    element.getBoundingClientRect().right > width + 1 && !scrolls(element.parentElement));
  const names = wide.map((element) => `${element.tagName} ${element.className}`);
  return document.documentElement.scrollWidth > width ? ["the page", ...names] : names;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium; without one, the tests are skipped, or fail if MULTINN_REQUIRE_BROWSER is 1."""
    path = os.environ.get("MULTINN_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            _missing(str(error).splitlines()[0])
        yield found
        found.close()


def _missing(reason: str) -> None:
    if os.environ.get("MULTINN_REQUIRE_BROWSER") == "1":
        pytest.fail(f"MULTINN_REQUIRE_BROWSER is 1, but no browser starts: {reason}")
    pytest.skip(f"the tests in a browser were left out: {reason}")


@contextmanager
def quiet_page(browser: Any, address: str, *, width: int = 1400, **options: Any) -> Iterator[Any]:
    """Open a page, and check at the end that nothing was loaded from afar and nothing was complained of.

    The check includes the pages to which the caller goes on.

    Args:
        browser: the fixture's browser.
        address: the address of the page; requests to loopback and to files are its own.
        width: of the window.
        options: of `browser.new_page`, such as ``color_scheme``.
    """
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    messages: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(address)
        yield page
        far = [url for url in requests if not url.startswith((address.partition("#")[0], *_OWN))]
        errors = [f"{each.location['url']}: {each.text}" for each in messages if each.type == "error"]
        if far or (errors := complaints + errors):
            raise AssertionError(f"{address} loads {far}" if far else f"{address} complains: {errors}")
    finally:
        page.close()


def overflowing(page: Any) -> list[str]:
    """Return the elements that stick out of the page on the right."""
    found: list[str] = page.evaluate(_OVERFLOWING)
    return found
