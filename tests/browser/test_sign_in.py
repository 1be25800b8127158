"""Signing in as people do it: the app's key is read off the page, its code is entered, and without one nobody gets in."""

import re
from base64 import b32decode
from pathlib import Path

import pytest
from django.utils import timezone
from django_otp.oath import TOTP
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Authenticator, User
from tests.browser.looks import faults_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]


def code_of(secret: str, *, step: int = 0) -> str:
    app = TOTP(b32decode(secret))
    app.time = timezone.now().timestamp() + 30 * step
    return f"{app.token():06}"


def test_the_second_factor_from_setting_it_up_to_the_next_day(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    page.goto(f"{live_server.url}/admin/second-factor/")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    wrong = faults_of(page, shots, "set-up")
    secret = re.findall(r"[A-Z2-7]{32}", page.inner_text("body"))[0]
    page.get_by_label("The six digits").fill("12345")
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("alert")).to_contain_text("not the code of this moment")
    wrong += faults_of(page, shots, "wrong-code")
    # A wrong code makes the next one wait, which tests/accounts tells of.
    Authenticator.objects.update(throttling_failure_timestamp=None)
    page.get_by_label("The six digits").fill(code_of(secret))
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    codes = re.findall(r"\w{4}-\w{4}-\w{4}", page.inner_text("body"))
    wrong += faults_of(page, shots, "recovery-codes")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Newest batches")).to_be_visible()
    page.goto(f"{live_server.url}/admin/second-factor/")
    expect(page.get_by_text("10 recovery codes left")).to_be_visible()
    wrong += faults_of(page, shots, "own-page")
    # The next day: the cookie is gone.
    page.context.clear_cookies()
    page.goto(f"{live_server.url}/admin/jobs/job/")
    page.fill("input[name=username]", "root")
    page.fill("input[name=password]", "a long enough password")
    page.click("button[type=submit]")
    expect(page.get_by_role("heading", name="One more step, root")).to_be_visible()
    wrong += faults_of(page, shots, "enter")
    page.get_by_label("The six digits that your app shows").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/admin/jobs/job/")
    assert User.objects.get(username="root").second_factor_since is not None
    assert wrong == []
