"""Chromium, and a page of the back office that somebody has signed in to."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.factories.accounts import make_user

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A page that comes is not waited for any longer; a busy machine may take its time.
_PATIENCE_MS = 240_000
expect.set_options(timeout=_PATIENCE_MS)


@pytest.fixture(autouse=True)
def _database_from_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright's sync API runs an event loop in this thread, which Django takes for asynchronous code."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[BrowserContext]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "Chromium is not installed: 'make browser' says how."
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=chromium, headless=True, args=_ARGUMENTS, viewport={"width": 1440, "height": 900}
        )
        context.set_default_timeout(_PATIENCE_MS)
        yield context
        # Inside Playwright's loop Django keeps a connection of its own, which nobody else would close.
        connection.close()
        context.close()


@pytest.fixture
def page(browser: BrowserContext, live_server: LiveServer) -> Iterator[Page]:
    """Signed in as a superuser; whatever the browser complains about fails the test, policy violations included."""
    complaints: list[str] = []
    tab = browser.new_page()
    tab.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("response", lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    make_user("root", is_superuser=True)
    tab.goto(f"{live_server.url}/admin/")
    tab.fill("input[name=username]", "root")
    tab.fill("input[name=password]", "a long enough password")
    tab.click("button[type=submit]")
    tab.wait_for_url(f"{live_server.url}/admin/")
    yield tab
    assert complaints == []
