"""Texts that would run as code are put through every door, and every page that shows them shows them as texts.

With `-s` it prints how many payloads each place was given, how many stood there to be read, and how many ran.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import BrowserContext
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import ApiKey, AuditEntry, Workspace
from apps.files.domain.upload import plain_name
from apps.files.models import File
from apps.jobs.models import Item, Job
from apps.jobs.queries import group_errors
from apps.providers.models import Model, Provider
from apps.traces.models import Exchange, Run
from tests.browser.hostile_world import BY_HAND, METADATA_PAIRS, World, make_world, upload
from tests.browser.payloads import FIRST, PAYLOADS
from tests.browser.watch import Watch, open_watched, plain
from tests.factories.accounts import make_client, make_office_client

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
# A page with one text of its own is opened for so many of them, each place beginning elsewhere.
SAMPLED = 2
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# On a page that trusts its texts.
RUN_BY_THEMSELVES, SILENT = 30, 3
TRUSTING = (
    "<title>TEXT</title><body><p>TEXT</p>", '<p title="TEXT">a</p>', "<p title='TEXT'>b</p>", "<textarea>TEXT</textarea>",
    "<script>const a = 'TEXT';</script>", '<script>const b = "TEXT";</script>', "<script>const c = `TEXT`;</script>",
)  # fmt: skip


@pytest.fixture
def world() -> World:
    """Before the browser: a pump has an event loop of its own."""
    return make_world()


@dataclass
class Tour:
    """Goes from page to page; `seen` holds, by place, how many payloads were to be read there, how many were, and how many ran."""

    watch: Watch
    root: str
    seen: dict[str, list[int]] = field(default_factory=dict)
    missing: list[tuple[str, str]] = field(default_factory=list)
    live: list[tuple[str, str]] = field(default_factory=list)

    def visit(self, place: str, path: str, texts: Sequence[str], *, within: str = "body") -> None:
        self.watch.page.goto(self.root + path)
        self.read(place, texts, within=within)

    def read(self, place: str, texts: Sequence[str], *, within: str = "body") -> None:
        """The page that stands there now; without `within` it need not show the texts."""
        shown = self.watch.shown(within) if within else ""
        missing = [text for text in texts if plain(text) not in shown]
        live = self.watch.live()
        self.missing += [(place, text) for text in missing if within]
        self.live += [(place, hit) for hit in live]
        ran = sum(counts[2] for counts in self.seen.values())
        counts = self.seen.setdefault(place, [0, 0, 0])
        counts[0] += len(texts)
        counts[1] += len(texts) - len(missing)
        counts[2] += len(self.watch.ran) + len(self.live) - ran

    def table(self) -> str:
        width = max(map(len, self.seen))
        rows = [f"{place:<{width}}  {sent:>8} {shown:>5} {ran:>8}" for place, (sent, shown, ran) in self.seen.items()]
        return "\n".join([f"{'place':<{width}}  payloads shown executed", *rows])


@pytest.fixture
def tour(world: World, browser: BrowserContext, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tour]:
    # All payloads on one page of a list.
    monkeypatch.setattr("apps.lib.large_tables.LargeTable.list_per_page", 2 * len(PAYLOADS))
    browser.add_cookies([{"name": name, "value": cookie.value, "url": live_server.url} for name, cookie in world.office.cookies.items()])
    tour = Tour(open_watched(browser), live_server.url)
    yield tour
    if not tour.seen:
        return
    print("\n" + tour.table())  # noqa: T201 -- what -s is for
    assert tour.missing == []
    assert (tour.watch.ran, tour.live, tour.watch.blocked, tour.watch.complaints) == ([], [], [], [])


def test_no_text_runs_on_any_page(world: World, tour: Tour, tmp_path: Path) -> None:
    tour.visit("messages after adding", "/admin/", PAYLOADS)
    _lists(tour, world)
    _jobs(tour, world)
    _rows(tour, world)
    _forms(tour, world, tmp_path)
    _addresses(tour)
    _downloads(world)


def _lists(tour: Tour, world: World) -> None:
    answered, died = world.jobs["answered"], world.jobs["died"]
    tour.visit("home", "/admin/", BY_HAND, within="#home")
    tour.visit("jobs: workspace", "/admin/jobs/job/?lane__exact=bulk", BY_HAND, within="#result_list")
    for place, path in (
        ("workspaces", "accounts/workspace/"),
        ("API keys", "accounts/apikey/"),
        ("groups", "auth/group/"),
        ("providers", "providers/provider/"),
        ("models and targets", "providers/model/"),
        ("prices", "spend/price/"),
        ("items: custom_id", f"jobs/item/?job={answered.pk}"),
        ("items: error code", f"jobs/item/?job={died.pk}"),
        ("charges: model, user, feature", f"spend/charge/?job_id={answered.pk}"),
        ("runs: error code", "traces/run/?decision=dead"),
        ("exchanges: provider's id", "traces/exchange/?outcome=rejected"),
        ("audit: reasons", "accounts/auditentry/?verb=paused"),
        ("audit: labels", "accounts/auditentry/?object_type=provider"),
    ):  # fmt: skip
        tour.visit(place, f"/admin/{path}", PAYLOADS, within="#result_list")
    tour.visit("users: e-mail", "/admin/accounts/user/", world.emails, within="#result_list")
    tour.visit("files", "/admin/files/file/", [_kept(text) for text in PAYLOADS], within="#result_list")


def _jobs(tour: Tour, world: World) -> None:
    """What callers told of a job, the names of its files, why it was refused, what its items died of."""
    dead = world.jobs["died"]
    tour.visit("job: error groups", _page(dead), [group.message for group in group_errors(dead.pk)], within="#job-errors")
    tour.visit("job: why it was refused", _page(world.jobs["invalid"]), [repr(text)[1:-1] for text in PAYLOADS], within="#main")
    for number in range(0, len(PAYLOADS), METADATA_PAIRS):
        told = [PAYLOADS[(number + step) % len(PAYLOADS)] for step in range(METADATA_PAIRS)]
        job = world.described[number]
        tour.visit("job: metadata, feature, file", _page(job), [*told, _kept(told[0])], within="#main")


def _page(row: Any, page: str = "change") -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{page}/"


def _rows(tour: Tour, world: World) -> None:
    """Pages of single rows: the whole of one, and some of each other kind."""
    whole = Item.objects.get(job=world.jobs["whole"])
    tour.visit("item: prompts and answer", _page(whole), PAYLOADS, within="#main")
    tour.visit("exchange: raw answer", _page(_exchange_of(whole)), [json.dumps(text)[1:-1] for text in PAYLOADS], within="#main")
    names = dict(enumerate(PAYLOADS))
    for number in _some(0):
        item = Item.objects.get(job=world.jobs["answered"], custom_id=names[number])
        tour.visit("item: custom_id, user, feature", _page(item), [names[number]], within="#main")
    for number in _some(1):
        item = Item.objects.get(job=world.jobs["died"], custom_id=names[number])
        tour.visit("item: provider's error", _page(item), [names[number]], within="#main")
        tour.visit("run: error", _page(Run.objects.filter(item_id=item.id).latest("id")), [names[number]], within="#main")
        tour.visit("exchange: error, id, headers", _page(_exchange_of(item)), [_in_a_header(names[number])], within="#main")
    for number in _some(2):
        tour.visit("file: name", _page(_file_of(world.described[number])), [_kept(names[number])], within="#main")
        tour.visit("file: delete?", _page(_file_of(world.described[number]), "discard"), [_kept(names[number])])
    for number, model in ((3, Workspace), (4, ApiKey), (5, Provider), (6, Model), (7, Group)):
        for at in _some(number):
            tour.visit(f"{model._meta.verbose_name}: form", _page(model.objects.get(name=names[at])), [names[at]], within="#main")
    for number in _some(8):
        tour.visit("provider: delete?", _page(Provider.objects.get(name=names[number]), "delete"), [names[number]], within="#main")
        entry = AuditEntry.objects.get(verb="paused", reason=names[number])
        tour.visit("audit: entry", _page(entry), [names[number]], within="#main")
        entry = AuditEntry.objects.get(verb="added", object_type="model", object_label=names[number])
        tour.visit("audit: what changed", _page(entry), [f"{names[number]} at {names[number]}"], within="#main")


def _forms(tour: Tour, world: World, folder: Path) -> None:
    """What a form says back: errors, previews, questions, a new key."""
    page = tour.watch.page
    for column, texts in enumerate((PAYLOADS[:33], PAYLOADS[33:])):
        prompt = "\n".join(text for text in texts if "{{" not in text)
        for place, headers, cells in (("cells", [f"c{n}" for n in range(33)], texts), ("headers", list(texts), texts)):
            _preview(tour, folder / f"{column}.csv", headers, cells, prompt)
            tour.read(f"new job: {place}, prompts", texts, within=".new-job")
    for path, name, first in (("accounts/workspace/add/", "time_zone", 0), ("accounts/user/add/", "username", 1)):
        for number in _some(first):
            page.goto(f"{tour.root}/admin/{path}")
            page.fill(f"input[name={name}]", PAYLOADS[number])
            with page.expect_navigation():
                page.get_by_role("button", name="Save", exact=True).click()
            page.wait_for_selector(".errorlist, .errornote, [class*=error]")
            tour.read(f"a form's error: {name}", [PAYLOADS[number]], within="#main")
    for number in _some(2)[:2]:
        page.goto(f"{tour.root}/admin/accounts/apikey/add/")
        page.fill("input[name=name]", PAYLOADS[number])
        page.select_option("select[name=workspace]", label=PAYLOADS[number])
        page.fill("input[name=reason]", PAYLOADS[number])
        with page.expect_navigation():
            page.get_by_role("button", name="Save", exact=True).click()
        tour.read("API key: shown once", [PAYLOADS[number]], within="#main")
    page.goto(f"{tour.root}/admin/accounts/apikey/")
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").first.select_option("revoke")
    with page.expect_navigation():
        page.get_by_role("button", name="Run").first.click()
    tour.read("API key: revoke?", PAYLOADS, within="#main")


def _preview(tour: Tour, path: Path, headers: list[str], cells: Sequence[str], prompt: str) -> None:
    page = tour.watch.page
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([headers, cells])
    page.goto(f"{tour.root}/admin/jobs/job/new/")
    page.set_input_files("input[name=upload]", path)
    page.fill("textarea[name=system]", prompt)
    page.fill("textarea[name=user]", " ".join(f"{{{{{name}}}}}" for name in headers if "{" not in name))
    page.get_by_role("button", name="Preview").click()
    page.locator("section.preview").wait_for()


_SEARCHED = ("jobs/job", "jobs/item", "files/file", "accounts/auditentry", "spend/charge", "traces/exchange", "providers/model")
_PARAMETERS = (
    "/admin/jobs/item/?error_code={}", "/admin/jobs/item/?state__exact={}", "/admin/jobs/job/?lane__exact={}&_popup=1",
    "/admin/jobs/job/?{}=1", "/admin/jobs/job/?o={}", "/admin/jobs/job/?p={}", "/admin/?next={}",
    "/admin/spend/price/add/?upstream_model={}", "/admin/search/?s={}", "/api/docs/?url={}", "/api/docs/#/{}",
)  # fmt: skip


def _addresses(tour: Tour) -> None:
    """What stands in an address, and what is told by those that there are not."""
    for number, path in enumerate(_SEARCHED):
        for at in _some(number)[:1]:
            tour.visit("search", f"/admin/{path}/?{urlencode({'q': PAYLOADS[at]})}", [PAYLOADS[at]], within="#main")
    for number, path in enumerate(_PARAMETERS):
        for at in _some(number)[:1]:
            tour.visit("filters and other parameters", path.format(quote(PAYLOADS[at])), [PAYLOADS[at]], within="")
    for number, path in enumerate(("/{}", "/admin/{}/", "/admin/jobs/job/{}/change/", "/v1/batches/{}", "/api/jobs/{}")):
        for at in _some(number)[:1]:
            tour.watch.page.goto(tour.root + path.format(quote(PAYLOADS[at], safe="")))
            tour.read("pages that there are not", [PAYLOADS[at]], within="body" if number == 0 else "")
    refused = "Failed to load resource: the server responded with a status of 40"
    tour.watch.complaints[:] = [text for text in tour.watch.complaints if not text.startswith(refused)]


def _file_of(job: Job) -> File:
    return File.objects.get(pk=str(job.input_file_id))


def _some(number: int) -> list[int]:
    return [(number * 7 + step * len(PAYLOADS) // SAMPLED) % len(PAYLOADS) for step in range(SAMPLED)]


def _kept(text: str) -> str:
    """The form's parser reads entities in a file's name, and we keep no path."""
    return plain_name(f"{unescape(text)}.jsonl")


def _in_a_header(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")


def _exchange_of(item: Item) -> Exchange:
    return Exchange.objects.get(run_id__in=Run.objects.filter(item_id=item.id).values("id"))


def _downloads(world: World) -> None:
    """Whatever a file is called, it comes as a file; and no spreadsheet runs what it reads."""
    files = [_file_of(world.described[number]) for number in range(0, len(PAYLOADS), 3)]
    download = _page(world.jobs["answered"], "download")
    told = [world.office.get(_page(file, "content")) for file in files]
    told += [world.api.get(f"/v1/files/{file.public_id}/content") for file in files]
    told += [world.office.get(f"{download}?as={form}") for form in ("xlsx", "jsonl", "csv")]
    for answer in told:
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] in {"application/octet-stream", "application/jsonl", "text/csv", XLSX}
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.getvalue()
    table = world.office.get(f"{download}?as=csv")
    text = b"".join(table.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]  # a stream
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert f"'{PAYLOADS[-1]}" in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "@"))] == []


# --- without that world ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=1\r\n\r\n<svg onload=xss(1)>.jsonl", 'a"; filename="b.html', "a\u202elsonj.exe", "../../a.html"]
)
def test_a_files_name_adds_no_header(name: str) -> None:
    api = make_client("acme")
    public_id = upload(api, b"{}\n", name=name)
    answer = api.get(f"/v1/files/{public_id}/content")
    assert answer.getvalue() == b"{}\n"
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"].startswith("attachment")
    kept = File.objects.get().filename
    assert kept.isprintable()
    assert "/" not in kept


def test_the_witnesses_see_what_a_page_that_trusts_its_texts_does(browser: BrowserContext) -> None:
    """The same payloads where nothing is escaped and no policy holds: most run at once, the others lie ready for a hand."""
    watch = open_watched(browser)
    silent = []
    for number, text in enumerate(PAYLOADS, start=FIRST):
        # As an element's content, in an attribute and in a script: where careless pages put texts.
        page = "".join(place.replace("TEXT", text) for place in TRUSTING)
        watch.page.goto("data:text/html;charset=utf-8," + quote(page))
        live = watch.live()
        if number not in watch.ran and not live:
            silent.append(text)
    print(f"{len(set(watch.ran))} of {len(PAYLOADS)} ran by themselves; neither ran nor lay ready: {silent}")  # noqa: T201 -- what -s is for
    assert len(set(watch.ran)) >= RUN_BY_THEMSELVES
    assert len(silent) <= SILENT


def test_the_policy_stops_a_script_that_got_into_a_page_and_the_witnesses_tell(browser: BrowserContext, live_server: LiveServer) -> None:
    office = make_office_client()
    browser.add_cookies([{"name": name, "value": cookie.value, "url": live_server.url} for name, cookie in office.cookies.items()])
    watch = open_watched(browser)
    watch.page.goto(f"{live_server.url}/admin/")
    watch.page.evaluate(
        "document.body.append(document.createRange().createContextualFragment('<script>xss(1)</script><img src=x onerror=xss(2)>'))"
    )
    watch.wait_until(lambda: len(watch.blocked) >= 2)
    assert watch.ran == []
    assert len(watch.blocked) == 2
    # The theme evaluates its own attributes, so a page of ours must never let one in.
    watch.page.evaluate("document.body.append(document.createRange().createContextualFragment('<p x-data x-init=\"xss(3)\">x</p>'))")
    watch.wait_until(lambda: bool(watch.ran))
    assert watch.ran == [3]
