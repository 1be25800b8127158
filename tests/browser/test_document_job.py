"""Somebody uploads a zip, has its documents asked a question, reads an answer beside its text, corrects it and downloads the table."""

import csv
import re
import time
import zipfile
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.jobs.actions import declare_recipe
from apps.jobs.models import Correction
from apps.knowledge.models import DocumentVersion
from tests.browser.looks import faults_of
from tests.chaos.workers import worker
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_route
from tests.factories.knowledge import make_collection
from tests.simulated import Simulator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
TEXTS = {
    "rules.txt": "Refunds\n\nMoney is paid back within fourteen days of the return.\n",
    "prices.md": "# Prices\n\nA chair costs 1,234.50 dollars. Delivery takes three weeks.\n",
}


def packed(folder: Path) -> Path:
    path = folder / "documents.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in TEXTS.items():
            archive.writestr(name, text)
    return path


def _wait_until_read() -> None:
    """By the worker, however long a busy machine takes."""
    ends_at = time.monotonic() + 240
    while DocumentVersion.objects.filter(status="pending").exists():
        assert time.monotonic() < ends_at, "the documents are not read"
        time.sleep(0.2)


def test_a_zip_is_asked_read_corrected_and_downloaded(page: Page, live_server: LiveServer, simulator: Simulator, tmp_path: Path) -> None:
    workspace = make_workspace()
    provider = make_route().provider
    provider.base_url = simulator.base_url
    provider.save()
    simulator.behave(script="say=Within%20fourteen%20days%20[1].")
    make_collection(workspace)
    declared = {"model": "small", "question": "When is money paid back?"}
    declare_recipe(workspace_id=workspace.id, name="refunds", kind="ask", declared=declared, now=timezone.now())
    storage = str(settings.STORAGES["default"]["OPTIONS"]["location"])
    shots = tmp_path / "shots"
    wrong: list[str] = []
    with worker("exec", AIPLATFORM_STORAGE=storage), worker("ingest", AIPLATFORM_STORAGE=storage):
        page.goto(f"{live_server.url}/admin/jobs/job/")
        page.get_by_role("link", name="Job of documents").click()
        page.set_input_files("input[name=upload]", packed(tmp_path))
        page.get_by_label("Which documents").select_option("uploaded")
        page.get_by_role("button", name="What would it cost?").click()
        expect(page.locator("#estimate")).to_be_visible()
        expect(page.locator("#uploaded")).to_contain_text("2 uploaded")
        _wait_until_read()
        page.get_by_role("button", name="Look again").click()
        expect(page.locator("#cost")).to_be_visible()
        wrong += faults_of(page, shots, "estimate")
        page.get_by_role("button", name="Submit the job").click()
        expect(page.get_by_text("2 answered")).to_be_visible()
        page.get_by_role("link", name="rules.txt").click()
        page.locator("#answer-text .cite").click()
        expect(page).to_have_url(re.compile(r"#passage-1$"))
        expect(page.locator("#document-text mark.cited")).to_contain_text("within fourteen days of the return")
        wrong += faults_of(page, shots, "answer")
        page.get_by_text("Correct it").click()
        page.locator("#id_answer").fill("In 14 days [1].")
        page.get_by_role("button", name="Save the correction").click()
        expect(page.locator("#corrected")).to_contain_text("Corrected by root")
        expect(page.locator("#original")).to_contain_text("Within fourteen days [1].")
        page.get_by_role("link", name="Back to the job").click()
        wrong += faults_of(page, shots, "job")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download CSV").click()
        saved = tmp_path / "answers.csv"
        download.value.save_as(saved)
    assert wrong == []
    assert Correction.objects.get().created_by is not None
    with saved.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["document"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(TEXTS)
    assert (rows["rules.txt"]["answer"], rows["rules.txt"]["corrected_by"]) == ("In 14 days [1].", "root")
    assert rows["rules.txt"]["citations"].startswith("[1] rules.txt")
