"""The pages of a long list, as people leaf through them."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from apps.jobs.models import Item
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]


def shoot(page: Page, name: str) -> None:
    """A picture, when somebody wants to look."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def leaf(page: Page, word: str) -> None:
    with page.expect_navigation():
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=word, exact=True).click()


def test_people_leaf_through_a_long_list(page: Page, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.lib.keyset_lists.COUNTED_ROWS", 100)
    make_job(workspace=make_workspace("acme"), done=0, dead=0, running=0, waiting=120)
    names = list(Item.objects.order_by("-pk").values_list("custom_id", flat=True))
    page.goto(f"{live_server.url}/admin/jobs/item/")
    shoot(page, "first")
    pages = page.get_by_role("navigation", name="Pages")
    assert pages.get_by_role("link").all_inner_texts() == ["Next", "Last"]
    for word, first in (("Next", 50), ("Last", 70), ("Previous", 20), ("Previous", 0), ("Last", 70), ("First", 0)):
        leaf(page, word)
        assert names[first] in page.locator("#result_list tbody").first.inner_text().split(), (word, first)
    page.set_viewport_size({"width": 380, "height": 800})
    leaf(page, "Next")
    pages.scroll_into_view_if_needed()
    shoot(page, "narrow")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(color_scheme="dark")
    page.evaluate("localStorage.setItem('_x_adminTheme', '\"dark\"')")
    page.reload()
    page.locator("html.dark").wait_for()
    pages.scroll_into_view_if_needed()
    shoot(page, "narrow-dark")
    page.set_viewport_size({"width": 1440, "height": 900})
    shoot(page, "dark")
    page.goto(f"{live_server.url}/admin/jobs/item/?error_code=none")
    shoot(page, "filtered")
    assert pages.get_by_role("link").all_inner_texts() == []
