"""Every page of the back office for every person: with labels and names, readable in both themes, whole on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from apps.jobs.models import Item, Job
from apps.prompts.models import PromptVersion
from apps.traces.models import Exchange, Run
from tests.accounts.test_admin_isolation import pages
from tests.browser.audit import contrast_of, narrowness_of, structure_of
from tests.browser.lived_in import live_in
from tests.browser.looks import NARROW, WIDE
from tests.jobs.answered import asked_job, extracted_job

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
# Parts of pages, files, redirects and what takes a POST alone.
_NO_PAGES = {
    "progress",
    "documents",
    "answer",
    "errors",
    "download",
    "content",
    "history",
    "pause",
    "resume",
    "lane",
    "bare",
    "overview_csv",
}


def paths(job: Job) -> Iterator[str]:
    """The address of every page, by the URLconf: a new page is looked at without being named here."""
    done = Item.objects.filter(job=job, state="done").latest("id")
    run = Run.objects.filter(item_id=done.pk).latest("id")
    shown: dict[Any, Any] = {Job: job.pk, Item: done.pk, Run: run.pk, Exchange: Exchange.objects.filter(run_id=run.pk).latest("id").pk}
    yield from ("/admin/", "/admin/jobs/", "/admin/password_change/", f"/admin/jobs/item/{dead_item(job)}/change/")
    version = PromptVersion.objects.latest("id")
    yield f"/admin/jobs/job/try-prompt/?prompt={version.prompt_id}&version={version.number}"
    asked, extracted = asked_job(job.workspace), extracted_job(job.workspace)
    yield f"/admin/jobs/job/{asked.pk}/change/"
    yield from (f"/admin/jobs/job/{one.pk}/answer/?document={position}" for one in (asked, extracted) for position in (1, 3))
    kinds = ("extract", "cascade-classify", "custom", "steps")
    yield from (f"/admin/jobs/recipe/add/?kind={kind}" for kind in kinds)
    for status in ("failed", "paused", "completed"):
        yield f"/admin/jobs/job/{Job.objects.filter(status=status).latest('id').pk}/change/"
    for page in pages():
        row = page.row_model._default_manager.order_by("-pk").first()
        if page.kind not in _NO_PAGES:
            yield page.path(shown.get(page.row_model, row.pk if row else ""))


def dead_item(job: Job) -> Any:
    return Item.objects.filter(job=job, state="dead").latest("id").pk


def test_every_page_is_whole_readable_and_named(page: Page, live_server: LiveServer) -> None:
    wrong: list[str] = []
    looked_at = []
    for path in paths(live_in()):
        # Asked without the browser first, which would complain about what is refused here.
        if page.request.get(live_server.url + path, max_redirects=0).status != 200:
            continue
        page.set_viewport_size(WIDE)
        page.goto(live_server.url + path)
        found = structure_of(page) + [f"light: {complaint}" for complaint in contrast_of(page)]
        page.evaluate("document.documentElement.classList.add('dark')")
        found += [f"dark: {complaint}" for complaint in contrast_of(page)]
        page.set_viewport_size(NARROW)
        found += [f"narrow: {complaint}" for complaint in narrowness_of(page)]
        looked_at.append(path)
        wrong += [f"{path} {complaint}" for complaint in found]
    assert len(looked_at) > 40
    assert not wrong, "\n".join(wrong)


def test_the_looks_find_what_is_wrong(page: Page, live_server: LiveServer) -> None:
    page.set_viewport_size(NARROW)
    page.goto(f"{live_server.url}/admin/")
    page.evaluate("""document.getElementById("content").innerHTML =
      '<h4>Deep</h4><input name="bare"><button class="button"></button><a x-on:click="1">mouse</a><img src="/static/ops/icon.svg">' +
      '<p class="pale">pale</p><button class="button far">far away</button><div class="broad">x</div>'""")
    page.add_style_tag(content=".pale { color: #ccc; background: #fff } .far { margin-left: 500px } .broad { width: 900px }")
    told = " ".join(structure_of(page) + contrast_of(page) + narrowness_of(page))
    for word in (
        "h1 is followed by h4",
        "no label: input",
        "no name: button",
        "only for a mouse",
        "no alt",
        "contrast",
        "px wide",
        "cut off",
    ):
        assert word in told
