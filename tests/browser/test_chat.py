"""Somebody talks to a model in the back office: the answer comes in pieces, cites its passages, and tells its cost and its run."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.core.management import call_command
from playwright.sync_api import BrowserContext, expect

from apps.conversations.models import Turn
from apps.providers.models import Model
from tests.browser.looks import faults_of
from tests.browser.payloads import PAYLOADS
from tests.browser.watch import Watch, open_watched, plain
from tests.factories.accounts import make_user, make_workspace
from tests.factories.conversations import make_conversation
from tests.factories.knowledge import make_collection, make_document
from tests.jobs.calls.callers import make_callable
from tests.journeys.live import running_parts

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]
_SLOWLY = "[[sim pieces=20 gap=0.5 say=Within%20thirty%20days%20%5B1%5D.]]"


# As much as one script of the simulator's holds, of every second kind.
_RUNNABLE = "\n".join(PAYLOADS[:24:2])


def _talk_of_scripts(watch: Watch, url: str, conversation_id: UUID) -> None:
    """What would run as code is a text while it comes, and afterwards; in what is said, and in what is answered."""
    page, told = watch.page, "\n".join(text for text in PAYLOADS if "]]" not in text)
    page.goto(f"{url}/admin/jobs/job/chat/{conversation_id}/")
    page.get_by_label("Say something").fill(f"[[sim pieces=10 gap=0.2 say={quote(_RUNNABLE)}]] {told}")
    page.get_by_role("button", name="Say it").click()
    expect(page.locator("#talk .answered")).to_contain_text("<script>")
    assert watch.live() == []
    expect(page.get_by_role("button", name="Fork here")).to_be_visible()
    assert plain(_RUNNABLE) in watch.shown("#talk .answered")
    assert plain(told) in watch.shown("#talk")
    assert (watch.ran, watch.live(), watch.blocked) == ([], [], [])


def test_an_answer_comes_as_it_is_made_with_citations_cost_and_run(browser: BrowserContext, settings: Any, tmp_path: Path) -> None:
    make_user("root", is_superuser=True)
    make_document("Money is paid back within thirty days.", collection=make_collection(make_workspace(), name="rules"))
    settings.STATIC_ROOT = str(tmp_path / "static")
    call_command("collectstatic", interactive=False, verbosity=0)
    with running_parts(tmp_path, "web", "exec-interactive", STATIC_ROOT=settings.STATIC_ROOT) as live:
        make_callable(base_url=live.provider_url)
        watch = open_watched(browser)
        page = watch.page
        page.goto(f"{live.url}/admin/")
        page.fill("input[name=username]", "root")
        page.fill("input[name=password]", "a long enough password")
        page.click("button[type=submit]")
        page.wait_for_url(f"{live.url}/admin/")
        page.goto(f"{live.url}/admin/conversations/conversation/")
        page.get_by_role("link", name="New conversation").click()
        page.get_by_label("Title").fill("Refunds")
        page.get_by_label("Collection").select_option("rules")
        page.get_by_role("button", name="Begin").click()
        page.get_by_label("Say something").fill(f"{_SLOWLY} When is money paid back?")
        page.get_by_role("button", name="Say it").click()
        # A part of it, before it is whole.
        # A part of it, while the rest is still being made.
        expect(page.locator("#talk .answered").last).to_have_text(re.compile("^Within t"))
        assert Turn.objects.get().state == "open"
        expect(page.locator("#talk a.cite")).to_have_text("1")
        expect(page.locator("#talk blockquote.passage")).to_contain_text("Money is paid back within thirty days.")
        expect(page.get_by_label("Say something")).to_have_value("")
        turn = Turn.objects.get()
        assert (turn.answer, turn.state) == ("Within thirty days [1].", "answered")
        wrong = faults_of(page, tmp_path / "shots", "chat")
        _talk_of_scripts(watch, live.url, make_conversation(make_workspace(), model_name="small").pk)
        page.goto(f"{live.url}/admin/jobs/job/chat/{turn.conversation_id}/")
        # What is refused stays in its field.
        Model.objects.update(is_enabled=False)
        page.get_by_label("Say something").fill("And for gifts?")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#say-error")).to_contain_text("does not exist")
        expect(page.get_by_label("Say something")).to_have_value("And for gifts?")
        page.get_by_role("button", name="Fork here").click()
        expect(page.locator("#about")).to_contain_text("after turn 1")
        page.get_by_role("link", name="its run").click()
        expect(page.locator("h1").first).to_be_visible()
        page.close()
    assert (watch.complaints, wrong) == ([], [])
