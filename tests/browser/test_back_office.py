"""The back office in Chromium: every page opens, the look is there, and the browser has nothing to complain about."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import User
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from tests.factories.accounts import make_api_key, make_workspace
from tests.factories.jobs import make_job, make_pump

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
_PAGES = (
    "jobs/job/", "jobs/item/", "files/file/", "providers/provider/", "providers/provider/add/", "providers/model/", "spend/charge/",
    "spend/price/", "spend/price/add/", "traces/run/", "traces/exchange/", "accounts/workspace/", "accounts/apikey/",
    "accounts/apikey/add/", "accounts/user/", "accounts/user/add/", "jobs/pump/", "django_celery_results/taskresult/",
)  # fmt: skip


def test_an_empty_platform_says_what_to_do_next(page: Page) -> None:
    expect(page.get_by_text("No batch yet")).to_be_visible()
    expect(page.get_by_role("link", name="API keys").last).to_be_visible()


def test_every_list_and_form_opens(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    make_job()
    make_api_key()
    make_pump()
    for path in _PAGES:
        answer = page.goto(f"{live_server.url}/admin/{path}")
        assert answer is not None
        assert (path, answer.status) == (path, 200)
        expect(page.locator("#nav-sidebar")).to_be_visible()
        page.screenshot(path=tmp_path / "shots" / f"{path.strip('/').replace('/', '-')}.png")


def test_from_home_to_an_items_answer(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    job = make_job(done=3, dead=1, running=1, waiting=2)
    page.goto(f"{live_server.url}/admin/")
    page.screenshot(path=tmp_path / "shots" / "home.png")
    page.get_by_role("link", name=job.public_id).first.click()
    page.get_by_text("4 of 7 items have ended").wait_for()
    page.screenshot(path=tmp_path / "shots" / "job.png")
    page.get_by_role("link", name="All items").click()
    page.get_by_role("link", name="question-1", exact=True).click()
    page.get_by_text("It is 7.", exact=True).wait_for()
    page.screenshot(path=tmp_path / "shots" / "item.png", full_page=True)


def test_progress_moves_without_a_reload(page: Page, live_server: LiveServer) -> None:
    job = make_job(done=1, dead=0, running=1, waiting=0)
    page.goto(f"{live_server.url}/admin/jobs/job/{job.id}/change/")
    page.get_by_text("1 of 2 items have ended").wait_for()
    Item.objects.filter(job=job, state=ItemState.RUNNING).update(state=ItemState.DONE)
    Job.objects.filter(id=job.id).update(done=2)
    page.get_by_text("2 of 2 items have ended").wait_for()


def test_a_job_is_paused_and_cancelled_by_hand(page: Page, live_server: LiveServer) -> None:
    job = make_job()
    page.goto(f"{live_server.url}/admin/jobs/job/{job.id}/change/")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("The job is paused").wait_for()
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_text("is being cancelled").wait_for()
    assert Job.objects.get(id=job.id).status == JobStatus.CANCELLING


def test_a_key_is_revoked_after_a_question(page: Page, live_server: LiveServer) -> None:
    key, _ = make_api_key(make_workspace())
    page.goto(f"{live_server.url}/admin/accounts/apikey/")
    page.locator("input[name=_selected_action]").first.check()
    page.locator("select[name=action]").first.select_option("revoke")
    page.get_by_role("button", name="Run").first.click()
    page.get_by_label("Why?").fill("it has leaked")
    page.get_by_role("button", name="Revoke 1 key").click()
    page.get_by_text("1 key revoked").wait_for()
    key.refresh_from_db()
    assert key.revoked_at


def test_the_policy_is_looser_below_admin_alone(page: Page, live_server: LiveServer) -> None:
    def policy(path: str) -> str:
        return page.request.get(f"{live_server.url}{path}").headers["content-security-policy"]

    assert "'unsafe-eval'" in policy("/admin/")
    assert "unsafe" not in policy("/healthz")
    scripts = next(part for part in policy("/admin/").split(";") if part.strip().startswith("script-src"))
    assert "unsafe-inline" not in scripts
    assert User.objects.filter(username="root").exists()


def test_the_dark_theme_is_readable(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    job = make_job(done=3, dead=1, running=1, waiting=2)
    page.emulate_media(color_scheme="dark")
    page.evaluate("localStorage.setItem('_x_adminTheme', '\"dark\"')")
    for name, path in (("home", ""), ("jobs", "jobs/job/"), ("job", f"jobs/job/{job.id}/change/")):
        page.goto(f"{live_server.url}/admin/{path}")
        page.locator("html.dark").wait_for()
        page.screenshot(path=tmp_path / "shots" / f"{name}.png")


def test_no_page_scrolls_sideways_on_a_phone(page: Page, live_server: LiveServer) -> None:
    job = make_job(done=3, dead=1, running=1, waiting=2)
    make_api_key()
    page.set_viewport_size({"width": 380, "height": 800})
    item = Item.objects.filter(job=job, state=ItemState.DONE).first()
    assert item
    wide = []
    for path in ("", *_PAGES, f"jobs/job/{job.id}/change/", f"jobs/item/{item.id}/change/", f"jobs/job/{job.id}/cancel/"):
        page.goto(f"{live_server.url}/admin/{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 380:
            wide.append((path, width))
    assert wide == []


def test_home_renews_itself_and_keeps_the_focus(page: Page, live_server: LiveServer) -> None:
    make_job(done=0, dead=0, running=0, waiting=1)
    page.goto(f"{live_server.url}/admin/")
    page.locator("#tile-jobs").focus()
    make_job(done=0, dead=0, running=0, waiting=2)
    page.locator("#tile-waiting strong", has_text="3").wait_for()
    # Given back once the new tiles stand there.
    page.wait_for_function("document.activeElement.id === 'tile-jobs'")


def test_a_jobs_course_is_drawn(page: Page, live_server: LiveServer) -> None:
    job = make_job(done=5, dead=1, running=1, waiting=1)
    page.goto(f"{live_server.url}/admin/jobs/job/{job.id}/change/")
    page.locator("figure.chart-box").wait_for(state="visible")
    page.wait_for_function("window.Chart && Chart.getChart('job-chart')")
    bars = page.evaluate("Chart.getChart('job-chart').data.datasets.map((set) => set.data.length)")
    assert bars[0] == bars[1] >= 1


def test_a_new_key_is_copied_from_the_page_that_shows_it_once(page: Page, live_server: LiveServer) -> None:
    make_workspace()
    page.goto(f"{live_server.url}/admin/accounts/apikey/add/")
    page.fill("input[name=name]", "nightly")
    page.get_by_label("Why?").fill("the nightly import")
    page.get_by_role("button", name="Save", exact=True).click()
    secret = page.get_by_label("API key", exact=True).input_value()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("status").filter(has_text="Copied").or_(page.get_by_text("The key is selected")).wait_for()
    assert secret.startswith("aip-")
    with page.expect_navigation():
        page.get_by_role("link", name="I have copied it").click()
    assert secret not in page.content()
