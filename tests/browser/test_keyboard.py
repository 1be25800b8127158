"""The whole way without a mouse: Tab, Enter and Space from home to the answers, and wherever the focus stands it can be seen."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection
from playwright.sync_api import Locator, Page
from pytest_django.live_server_helper import LiveServer

from apps.jobs.actions import finish_job, run_items, validate_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job, make_route
from tests.simulated import Simulator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
# How the part with the focus looks with it and without it, and the part itself; a frame around it may be the one that changes.
# Asked in one go: a page that renews itself may replace the part between two questions.
_LOOKS = """() => {
  const part = document.activeElement;
  if (!part || part === document.body || part.matches("iframe")) return null;
  const arrive = () => document.getAnimations().filter((move) => move instanceof CSSTransition).forEach((move) => move.finish());
  const look = () => (arrive(), [part, part.parentElement, part.parentElement.parentElement].map((at) => {
    const style = getComputedStyle(at);
    return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow, style.borderColor].join(" ");
  }).join("|"));
  const focused = look();
  part.blur();
  const bare = look();
  part.focus({ focusVisible: true, preventScroll: true });
  return [focused, bare, part.outerHTML.slice(0, 160)];
}"""


class Keyboard:
    """Goes from stop to stop; `unseen` are those that look no different with the focus."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.unseen: list[str] = []
        self.stops = 0

    def to(self, target: Locator) -> None:
        """Tab until the focus is there, going on from where it is."""
        target.first.wait_for()
        for _ in range(150):
            self.page.keyboard.press("Tab")
            self.stops += 1
            self._look()
            if target.first.evaluate("(part) => part === document.activeElement"):
                return
        raise AssertionError(f"Tab never came to {target}")

    def press(self, target: Locator, key: str = "Enter") -> None:
        self.to(target)
        self.page.keyboard.press(key)

    def _look(self) -> None:
        """Home renews itself now and then, and may do so between two looks: what looks no different is looked at again."""
        if self._is_bare() and (stop := self._is_bare()):
            self.unseen.append(stop)

    def _is_bare(self) -> str:
        """The part that has the focus and doesn't show it; empty when it does."""
        looks = self.page.evaluate(_LOOKS)
        if looks is None:
            return ""
        focused, bare, stop = looks
        return str(stop) if focused == bare else ""


@pytest.fixture
def keyboard(page: Page) -> Keyboard:
    return Keyboard(page)


def work_off(job: Job) -> None:
    """What the workers do, outside Playwright's event loop."""

    def run() -> None:
        try:
            validate_job(job_id=job.id, clock=clock)
            run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=clock)
            finish_job(job_id=job.id, clock=clock)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    thread.join(600)
    assert not thread.is_alive()


def clock() -> datetime:
    return datetime.now(UTC)


def test_from_home_to_the_answers_by_keyboard(
    page: Page, keyboard: Keyboard, live_server: LiveServer, simulator: Simulator, tmp_path: Path
) -> None:
    make_workspace()
    provider = make_route().provider
    provider.base_url = simulator.base_url
    provider.save()
    table = tmp_path / "words.csv"
    table.write_text("word\none\ntwo\n")
    page.goto(f"{live_server.url}/admin/")
    keyboard.press(page.get_by_role("link", name="New job"))
    page.wait_for_url("**/job/new/")
    keyboard.to(page.locator("input[name=upload]"))
    # What the system's own window does when Enter opens it.
    page.set_input_files("input[name=upload]", table)
    keyboard.to(page.get_by_label("Prompt", exact=True))
    page.keyboard.type("Translate {{word}}")
    keyboard.press(page.get_by_role("button", name="Preview"))
    page.get_by_text("Translate one").wait_for()
    keyboard.press(page.get_by_role("button", name="Submit the job"), "Space")
    page.get_by_text("The job is submitted").wait_for()
    job = Job.objects.get()
    Job.objects.filter(pk=job.pk).update(status=JobStatus.RUNNING)
    page.reload()
    keyboard.press(page.get_by_role("button", name="Pause"))
    page.get_by_text("The job is paused").wait_for()
    keyboard.press(page.get_by_role("button", name="Resume"), "Space")
    page.get_by_text("The job goes on").wait_for()
    Job.objects.filter(pk=job.pk).update(status=JobStatus.VALIDATING)
    work_off(job)
    page.goto(page.url)
    page.get_by_text("2 of 2 items have ended").wait_for()
    with page.expect_download() as download:
        keyboard.press(page.get_by_role("link", name="Download CSV"))
    saved = tmp_path / "answers.csv"
    download.value.save_as(saved)
    with saved.open(encoding="utf-8-sig", newline="") as file:
        assert [row["word"] for row in csv.DictReader(file)] == ["one", "two"]
    assert keyboard.stops > 50
    assert keyboard.unseen == []


def test_dead_items_are_run_again_by_keyboard(page: Page, keyboard: Keyboard, live_server: LiveServer) -> None:
    job = make_job(status=JobStatus.RUNNING, done=1, dead=2, running=0, waiting=0)
    page.goto(f"{live_server.url}/admin/")
    keyboard.press(page.locator("#tile-dead"))
    page.locator("#result_list").wait_for()
    page.goto(f"{live_server.url}/admin/jobs/job/{job.pk}/change/")
    keyboard.press(page.get_by_role("link", name="Rerun failed…"))
    keyboard.to(page.get_by_label("Why?"))
    page.keyboard.type("The prompts are shorter now.")
    keyboard.press(page.get_by_role("button", name="Run 2 items again"))
    page.get_by_text("What had failed waits to run again").wait_for()
    assert Item.objects.filter(job=job, state=ItemState.WAITING).count() == 2
    assert keyboard.unseen == []


def test_the_themes_own_parts_are_reached_by_keyboard(page: Page, keyboard: Keyboard, live_server: LiveServer) -> None:
    make_job()
    page.goto(f"{live_server.url}/admin/jobs/job/")
    keyboard.press(page.get_by_role("button", name="Filters"))
    page.locator("#changelist-filter").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.locator("#changelist-filter").wait_for(state="hidden")
    page.goto(f"{live_server.url}/admin/")
    keyboard.press(page.get_by_role("button", name="Your account and the colours"), "Space")
    keyboard.press(page.get_by_role("button", name="Dark"))
    page.locator("html.dark").wait_for()
    keyboard.press(page.get_by_role("button", name="Show or hide the menu"))
    page.locator("#nav-sidebar").wait_for(state="hidden")
    assert keyboard.unseen == []
