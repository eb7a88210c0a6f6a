"""Chromium for the tests, and what they ask of a page in it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from tests.debian import bring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 180_000  # on a machine with other work
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def chromium() -> str:
    """Return Chromium's path: Debian's own in CI, elsewhere whichever is here."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None or os.environ.get("CI"):
        bring({"chromium": "chromium"})
    return found or str(shutil.which("chromium"))


@contextmanager
def browsing() -> Iterator[Browser]:
    """Yield a headless Chromium."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Sight:
    """A page in a window, and all that it complained of or asked for since it was opened."""

    def __init__(self, browser: Browser, file: Path, **window: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page: Page = browser.new_page(**{"viewport": DESKTOP, **window})
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.goto(file.as_uri())

    def count(self, selector: str) -> int:
        """Return how many elements fit."""
        return self.page.locator(selector).count()

    def text(self, selector: str) -> str:
        """Return the text of the first element that fits."""
        return self.page.locator(selector).first.inner_text()
