"""A person signs in to a running stack: the back office opens its lists, Flower its queues, and the browser does not complain."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from openai import OpenAI
from playwright.sync_api import BrowserContext, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from apps.lib.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A whole stack without the local model; `password` is the one that it made for `admin`."""
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}} | {
        "AIPLATFORM_HOME": str(home),
        "AIPLATFORM_PORT": str(free_port()),
        "AIPLATFORM_FLOWER_PORT": str(free_port()),
        "AIPLATFORM_LOCAL_MODEL": "off",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "up", "--detach"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout) | {
        "password": json.loads((home / "stack.json").read_text())["secrets"]["admin"],
        "environment": environment,
    }
    subprocess.run([sys.executable, "manage.py", "down"], env=environment, check=True, capture_output=True)


@pytest.fixture
def browser(stack: dict[str, Any], tmp_path: Path) -> Iterator[BrowserContext]:
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    assert chromium, "Chromium is not installed: 'make browser' says how."
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            args=_ARGUMENTS,
            viewport={"width": 1440, "height": 900},
            http_credentials={"username": "admin", "password": stack["password"]},
        )
        context.set_default_timeout(240_000)
        yield context
        context.close()


def test_a_person_signs_in_and_walks_through_the_back_office(stack: dict[str, Any], browser: BrowserContext) -> None:
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.text} {message.location['url']}") if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(stack["admin_url"])
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", stack["password"])
    page.click("button[type=submit]")
    page.wait_for_url(stack["admin_url"])
    for path in ("jobs/job/", "jobs/item/", "files/file/", "accounts/apikey/", "providers/provider/", "providers/model/", "spend/price/"):
        answer = page.goto(stack["admin_url"] + path)
        assert answer is not None
        assert (path, answer.status) == (path, 200)
    assert complaints == []


def submit(client: OpenAI) -> str:
    """The id of a job whose one line names a model that there is not: it is judged by a worker, and that is all."""
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "none", "messages": []}}
    file = client.files.create(file=("a.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    return str(UUID(batch.id.removeprefix("batch_")))


def open_until_listed(page: Page, address: str, text: str) -> None:
    """Flower hears of a task when it has happened, and its table stays as it was when the page was opened."""
    deadline = time.monotonic() + 200
    while True:
        page.goto(address)
        try:
            page.locator("#tasks-table tbody tr", has_text=text).first.wait_for(timeout=5000)
        except PlaywrightTimeoutError:
            assert time.monotonic() < deadline, f"Flower never told of {text}"
        else:
            return


def test_flower_opens_with_the_tasks_of_one_job(stack: dict[str, Any], browser: BrowserContext) -> None:
    made = subprocess.run(
        [sys.executable, "manage.py", "create_api_key", "--workspace", "smoke"],
        env=stack["environment"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    with OpenAI(api_key=made.stdout.splitlines()[-1], base_url=stack["url"].rstrip("/") + "/v1") as client:
        wanted, other = submit(client), submit(client)
    page = browser.new_page()
    page.goto(stack["admin_url"])
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", stack["password"])
    page.click("button[type=submit]")
    page.wait_for_url(stack["admin_url"])
    page.goto(f"{stack['admin_url']}jobs/job/{wanted}/change/")
    link = page.get_by_role("link", name="Its tasks in Flower").get_attribute("href")
    assert link
    open_until_listed(page, link.split("?")[0], other)
    open_until_listed(page, link, wanted)
    rows = page.locator("#tasks-table tbody tr").all_inner_texts()
    assert [row for row in rows if wanted not in row] == []


def test_flower_shows_every_queue_and_only_with_the_password(stack: dict[str, Any], browser: BrowserContext) -> None:
    page = browser.new_page()
    page.goto(stack["flower_url"] + "broker")
    shown = page.inner_text("table")
    assert [name for name in ("interactive", "default", "bulk", "ingest", "control", "dead_letter") if name not in shown] == []
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(stack["flower_url"])
