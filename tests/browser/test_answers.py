"""How answers are come by, in a real browser: chosen for a new job, and told on its page."""

from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job
from tests.jobs.batches import make_model

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
TABLE = b"text\nhello\n"


def test_a_policy_is_chosen_and_its_errors_stand_at_their_fields(page: Page, live_server: LiveServer) -> None:
    make_workspace()
    make_model()
    make_model("tiny")
    page.goto(f"{live_server.url}/admin/jobs/job/new/")
    schema = page.get_by_label("Answer schema")
    expect(schema).to_be_hidden()
    page.get_by_text("How answers are come by").click()
    page.set_input_files("input[name=upload]", {"name": "words.csv", "mimeType": "text/csv", "buffer": TABLE})
    page.select_option("select[name=model]", "small")
    page.get_by_label("Prompt", exact=True).fill("Translate {{text}}")
    schema.fill('{"$ref": "http://127.0.0.1/"}')
    page.select_option("select[name=output_contract]", "on")
    page.select_option("select[name=first_model]", "tiny")
    page.get_by_label("Accept if").fill("schema, confidence>=0.8")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("only places inside itself")).to_be_visible()
    schema.fill('{"type": "object"}')
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Submit the job")).to_be_visible()
    page.get_by_role("button", name="Submit the job").click()
    expect(page.locator("#tile-first")).to_contain_text("tiny did")
    expect(page.get_by_text("tiny is asked first, accepted if schema, confidence>=0.8")).to_be_visible()


def test_what_was_saved_stands_on_the_jobs_page(page: Page, live_server: LiveServer) -> None:
    job = make_job(
        policy={"cache_seconds": 3600, "has_contract": True, "first_model": "tiny"}, first_model_name="tiny", cache_hits=12,
        cache_saved_usd=Decimal("0.0015"), first_asked=40, first_accepted=31, first_saved_usd=Decimal("0.0042"), repaired=3,
    )  # fmt: skip
    page.goto(f"{live_server.url}/admin/jobs/job/{job.pk}/change/")
    expect(page.locator("#tile-cache")).to_contain_text("12")
    expect(page.locator("#tile-first")).to_contain_text("78%")
    expect(page.locator("#tile-repaired")).to_contain_text("3")
