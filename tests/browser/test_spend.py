"""The page of spend, with three months of it: whole and readable as one follows its links down to a job, and when there is nothing."""

from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.spend.actions import roll_up
from tests.browser.looks import faults_of
from tests.factories.spending_month import make_month

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
PAGE = "/admin/spend/charge/overview/"


def test_spend_is_followed_down_to_a_job_and_left_again(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    make_month(timezone.now())
    roll_up()
    page.goto(f"{live_server.url}/admin/")
    page.locator("#tile-cost").click()
    expect(page.get_by_role("heading", name="What it was spent on")).to_be_visible()
    wrong = faults_of(page, shots, "today")
    page.get_by_role("link", name="Last month", exact=True).click()
    expect(page.get_by_role("heading", name="Course by the day")).to_be_visible()
    wrong += faults_of(page, shots, "month")
    page.locator("#parts").get_by_role("link", name="Marketing & Sales", exact=True).click()
    expect(page.get_by_text("Workspace: Marketing & Sales").first).to_be_visible()
    page.get_by_role("link", name="Job", exact=True).click()
    page.locator("#parts").get_by_role("link", name="Preisliste Herbst 2026 (endgültig).csv", exact=True).click()
    expect(page.get_by_role("heading", name="What cost most in this job")).to_be_visible()
    wrong += faults_of(page, shots, "job")
    page.get_by_role("link", name="Without Job").click()
    expect(page.get_by_role("heading", name="What cost most in this job")).to_have_count(0)
    page.get_by_role("link", name="End user", exact=True).click()
    expect(page.locator("#parts").get_by_text("<script>alert(1)</script>")).to_be_visible()
    wrong += faults_of(page, shots, "users")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert "'=HYPERLINK" in download.value.path().read_text("utf-8-sig")
    assert wrong == []


def test_where_nothing_was_spent_it_says_what_to_do(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    page.goto(live_server.url + PAGE)
    expect(page.get_by_text("Nothing has been spent yet.")).to_be_visible()
    expect(page.get_by_role("link", name="Set a budget")).to_be_visible()
    wrong = faults_of(page, tmp_path / "shots", "nothing")
    page.get_by_label("from").fill("2026-03-01")
    page.get_by_label("to", exact=True).fill("2026-02-01")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("2026-02-01 lies before 2026-03-01")).to_be_visible()
    wrong += faults_of(page, tmp_path / "shots", "complaint")
    assert wrong == []
