"""Whatever stands in any text of any table, and in what Flower is told, no page of the back office or of Flower runs it."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests
from celery import current_app
from django.test import Client
from playwright.sync_api import BrowserContext
from pytest_django.live_server_helper import LiveServer

from tests.accounts.test_admin_isolation import Page, pages
from tests.browser.payloads import PAYLOADS
from tests.browser.poisoned_tables import make_poisoned_world, rows_of
from tests.browser.watch import open_watched, plain
from tests.chaos.workers import until
from tests.factories.accounts import make_office_client, make_user
from tests.journeys.live import running_parts

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
# Of whose rows a page has to show a payload, or nothing was looked at.
SHOWN = {
    "Prompt", "Collection", "Document", "Recipe", "Endpoint", "Delivery", "Budget", "Alert", "AuditEntry", "ApiKey",
    "Workspace", "Provider", "Model", "Job", "Item", "Run", "Exchange", "Charge", "File", "User",
    "Conversation", "Profile",
}  # fmt: skip


@pytest.fixture
def office() -> Client:
    """Before the browser, whose loop Django takes for asynchronous code."""
    client = make_office_client(make_user("ada", is_superuser=True))
    make_poisoned_world()
    return client


def addresses() -> Iterator[tuple[Page, str]]:
    for page in pages():
        for row in rows_of(page.row_model, 2 if page.kind == "change" else 1) if page.has_row else [""]:
            yield page, page.path(row)


def test_no_stored_text_runs_on_any_page_of_the_back_office(office: Client, browser: BrowserContext, live_server: LiveServer) -> None:
    browser.add_cookies([{"name": name, "value": cookie.value, "url": live_server.url} for name, cookie in office.cookies.items()])
    watch = open_watched(browser)
    wanted = [plain(text) for text in PAYLOADS]
    shown: Counter[str] = Counter()
    opened = 0
    for page, path in addresses():
        # Files, and what only takes a form, are not pages.
        answer: Any = office.get(path)
        b"".join(answer)
        if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
            continue
        watch.page.goto(live_server.url + path)
        opened += 1
        told = watch.shown("body")
        shown[page.row_model._meta.object_name] += sum(text in told for text in wanted)
        assert (watch.ran, watch.live(), watch.blocked) == ([], [], []), path
    print(f"{opened} pages, payloads read there: {dict(shown)}")  # noqa: T201 -- what -s is for
    assert {name for name in SHOWN if not shown[name]} == set()
    assert opened > 130


TASKS = [str(uuid4()) for _ in ("succeeded", "failed", "of many names")]


def _forged(flower_url: str, signed_in: dict[str, str]) -> bool:
    """Whether Flower, told once more, knows of the tasks and of a worker for each payload. Events that nobody listens to are lost."""
    everything = "\n".join(PAYLOADS)
    with current_app.connection_for_write() as connection:
        for name in PAYLOADS:
            with current_app.events.Dispatcher(connection, hostname=name, enabled=True) as worker:
                worker.send("worker-online", freq=2, sw_ident=name, sw_ver=name, sw_sys=name, active=1, processed=1, loadavg=[name] * 3)
                for task_id in (*TASKS[:2], f"{TASKS[2]} {name}"[:60]):
                    worker.send(
                        "task-received", uuid=task_id, name=name, args=everything, kwargs=everything, retries=0, eta=name, expires=name
                    )
                worker.send("task-succeeded", uuid=TASKS[0], result=everything, runtime=1.0)
                worker.send("task-failed", uuid=TASKS[1], exception=everything, traceback=everything)
                worker.send("task-retried", uuid=TASKS[2], name=name, exception=everything, traceback=everything)
    found = requests.get(f"{flower_url}/api/tasks", params={"limit": 10_000}, headers=signed_in, timeout=60).json()
    return set(TASKS) <= set(found)


def test_nothing_that_flower_is_told_runs_there(tmp_path: Path, browser: BrowserContext) -> None:
    """Whoever reaches the broker can send events: of workers and tasks with any name, any arguments and any result."""
    password = "a password of the test"
    with running_parts(tmp_path, "flower", AIPLATFORM_FLOWER_PASSWORD=password) as live:
        signed_in = {"Authorization": "Basic " + b64encode(f"admin:{password}".encode()).decode()}
        until(lambda: _forged(live.flower_url, signed_in), "Flower heard of all of them")
        watch = open_watched(browser)
        watch.page.set_extra_http_headers(signed_in)
        told = ""
        for path in ("workers", "tasks", "broker", *(f"task/{task_id}" for task_id in TASKS), f"worker/{quote(PAYLOADS[0], safe='')}"):
            watch.page.goto(f"{live.flower_url}/{path}")
            watch.page.wait_for_load_state("networkidle")
            told += watch.shown("body")
            assert (watch.ran, watch.live()) == ([], []), path
    assert [text for text in PAYLOADS if plain(text) not in told] == []
