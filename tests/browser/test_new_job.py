"""A person new to it uploads a table and downloads the answers, with real workers and a provider over HTTP; clicks are counted."""

import csv
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.jobs.models import Job
from tests.chaos.workers import worker
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_route
from tests.simulated import Simulator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
ROWS = 50


class Clicks:
    """Counts what a hand does with a mouse."""

    def __init__(self) -> None:
        self.number = 0

    def on(self, target: Locator) -> None:
        target.click()
        self.number += 1


def table(folder: Path) -> Path:
    path = folder / "words.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["word", "note"])
        writer.writerows([[f"word {number}", "=1+1" if number % 2 else "plain"] for number in range(ROWS)])
    return path


def test_a_table_of_50_rows_is_answered_within_8_clicks(page: Page, live_server: LiveServer, simulator: Simulator, tmp_path: Path) -> None:
    make_workspace()
    provider = make_route().provider
    provider.base_url = simulator.base_url
    provider.save()
    clicks = Clicks()
    storage = str(settings.STORAGES["default"]["OPTIONS"]["location"])
    with worker("exec", AIPLATFORM_STORAGE=storage), worker("ingest", AIPLATFORM_STORAGE=storage):
        page.goto(f"{live_server.url}/admin/")
        clicks.on(page.get_by_role("link", name="New job"))
        page.set_input_files("input[name=upload]", table(tmp_path))
        clicks.number += 1
        clicks.on(page.get_by_label("Prompt", exact=True))
        page.keyboard.type("Translate into French: {{word}}")
        clicks.on(page.get_by_role("button", name="Preview"))
        expect(page.get_by_text("Translate into French: word 0")).to_be_visible()
        page.screenshot(path=tmp_path / "shots" / "preview.png", full_page=True)
        clicks.on(page.get_by_role("button", name="Submit the job"))
        expect(page.get_by_text(f"{ROWS} of {ROWS} items have ended")).to_be_visible()
        page.screenshot(path=tmp_path / "shots" / "job.png", full_page=True)
        with page.expect_download() as download:
            clicks.on(page.get_by_role("link", name="Download CSV"))
        saved = tmp_path / "answers.csv"
        download.value.save_as(saved)
    assert clicks.number <= 8
    with saved.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["word"] for row in rows] == [f"word {number}" for number in range(ROWS)]
    assert {row["status"] for row in rows} == {"done"}
    assert all(row["answer"] for row in rows)
    assert {row["note"] for row in rows} == {"plain", "'=1+1"}
    assert Job.objects.get().done == ROWS


@pytest.mark.parametrize("width", [1440, 380])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_says_what_is_wrong(page: Page, live_server: LiveServer, tmp_path: Path, width: int, scheme: str) -> None:
    make_workspace()
    make_route()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{live_server.url}/admin/jobs/job/new/")
    page.set_input_files("input[name=upload]", table(tmp_path))
    page.get_by_label("Prompt", exact=True).fill("Translate {{wrod}}")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("The table has no column 'wrod'. Its columns: word, note.")).to_be_visible()
    expect(page.get_by_role("button", name="Submit the job")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.screenshot(path=tmp_path / "shots" / f"new-job-{scheme}-{width}.png", full_page=True)
