"""How long the back office and the API take to answer when the tables are full: 1,000,000 items in 10,000 jobs, one of them of 500,000.

    python -m bench volume [--quick] [--items 1000000] [--only-slower-than 0]

Every list of the back office (first and last page, each filter, each column's order, searches), every change page and every GET route
of the API is asked five times in this process: server time without a network. Prints a table, and writes
bench/results/<date>-volume.json.
"""

import argparse
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.models import Member, Role, User, Workspace
from apps.accounts.permissions import ByWorkspace
from apps.files.models import File
from apps.jobs.models import Item, Job
from apps.lib.large_tables import LargeTable
from bench.harness import declare_model, make_key, prepare
from bench.report import print_table, write_results
from bench.seeding import seed

TARGET_MS = 300
_TIMES = 5
TIMES_IN_ALL = _TIMES + 1  # one warms up
_CHOICES = 2
_HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to the server: who asks what."""

    who: str
    path: str

    @property
    def shape(self) -> str:
        """The path with its ids taken out, for a table that people read."""
        return re.sub(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "ID", self.path)[:110]


def sign_in(workspace: Workspace) -> dict[str, Client]:
    """A superuser, a viewer of the workspace that has the big job, and a program with a key of it."""
    settings.ALLOWED_HOSTS = [_HOST]
    root, viewer = User.objects.create_superuser("root", password=None), User.objects.create_user("viewer", is_staff=True)
    Member.objects.create(workspace=workspace, user=viewer, role=Role.VIEWER)
    clients = {"superuser": Client(SERVER_NAME=_HOST), "viewer": Client(SERVER_NAME=_HOST)}
    clients["superuser"].force_login(root, backend=settings.AUTHENTICATION_BACKENDS[-1])
    clients["viewer"].force_login(viewer, backend=settings.AUTHENTICATION_BACKENDS[-1])
    clients["key"] = Client(SERVER_NAME=_HOST, headers={"Authorization": f"Bearer {make_key(workspace)}"})
    return clients


def office_questions() -> Iterator[Ask]:
    """Home, and of every model: its list in every way that the page offers, and the pages of its newest and oldest row."""
    for who in ("superuser", "viewer"):
        yield Ask(who, "/admin/")
        for model, page in admin.site._registry.items():  # noqa: SLF001 -- Django's public registry has no other name
            if who == "superuser" or isinstance(page, ByWorkspace):
                base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"  # noqa: SLF001 -- how Django calls it
                for query in _ways(model, page, User.objects.get(username="root" if who == "superuser" else "viewer")):
                    yield Ask(who, base + query)
                for row in filter(None, (model._default_manager.first(), _big(model))):  # noqa: SLF001 -- how Django calls it
                    yield Ask(who, f"{base}{row.pk}/change/")


def further_pages() -> Iterator[Ask]:
    """The pages of the back office that are neither a list nor a form of a row: the triage desk, parts that renew themselves, questions."""
    ids = {
        "job_id": Job.objects.order_by("-total")[0].pk,
        "file_id": File.objects.order_by("-pk")[0].pk,
        "id": User.objects.get(username="root").pk,
    }
    for route in _routes(get_resolver()):
        names = set(re.findall(r"<(?:[^:>]*:)?([^>]*)>", route))
        if route.startswith("admin/") and names <= set(ids) and not re.search(r"(login|logout|jsi18n|content|download)/$", route):
            path = "/" + re.sub("<(?:[^:>]*:)?([^>]*)>", lambda found: str(ids[found[1]]), route)
            more = {"search/": "?s=item", "autocomplete/": "?app_label=jobs&model_name=item&field_name=job"}
            for who in ("superuser", "viewer"):
                yield Ask(who, path + more.get(route.removeprefix("admin/"), ""))


def _ways(model: Any, page: Any, user: User) -> Iterator[str]:
    """The queries that a list's own controls send: pages, filters, columns; and searches that find much, one and nothing."""
    request = RequestFactory(SERVER_NAME=_HOST).get("/admin/")
    request.user = user
    changes = page.get_changelist_instance(request)
    yield ""
    yield "?p=last"
    if isinstance(page, LargeTable):
        keys = model.objects.order_by("pk").values_list("pk", flat=True)
        yield from (f"?p={side}-{middle}" for middle in keys[keys.count() // 2 :][:1] for side in ("after", "before"))
    for number in range(1, len(page.get_list_display(request)) + 1):
        if page.get_list_display(request)[number - 1] in page.get_sortable_by(request):
            yield from (f"?o={number}", f"?o=-{number}")
    for spec in changes.filter_specs:
        yield from [choice["query_string"] for choice in spec.choices(changes)][1 : _CHOICES + 1]
    for name in getattr(page, "id_fields", ()):
        newest = model.objects.values_list(name, flat=True).order_by("-pk").first()
        big = Job.objects.order_by("-total").values_list("pk", flat=True)[0] if name == "job_id" else newest
        yield f"?q={big}"
    if page.get_search_fields(request):
        yield from ("?q=nothing-like-this", "?q=line-77", "?q=feature-1")


def _big(model: Any) -> Any:
    """The row that costs most to show: the big job; elsewhere the newest."""
    return model.objects.order_by("-total" if model is Job else "-pk").first()


def api_questions(workspace: Workspace) -> Iterator[Ask]:
    """Every GET route of the API: lists with their first page, a late one and narrowed; and one object of each kind."""
    job = Job.objects.order_by("-total")[0]
    item = Item.objects.filter(job=job).order_by("-pk")[0]
    file = File.objects.filter(workspace=workspace).order_by("-pk")[0]
    ids = {"job_id": job.public_id, "batch_id": job.public_id, "item_id": item.public_id, "file_id": file.public_id, "name": "bench"}
    narrowed = {
        "api/jobs": ("?status=running", "?lane=bulk", "?feature=feature-1", "?feature=none", "?kind=single",
            "?created_before=2020-01-01T00:00:00Z"),
        "api/jobs/<str:job_id>/items": ("?state=dead", "?state=waiting", "?error_code=context_length_exceeded", "?error_code=none"),
        "v1/files": ("?purpose=batch_output", "?order=asc", "?purpose=vision"),
    }  # fmt: skip
    for route in _routes(get_resolver()):
        if not route.startswith(("v1/", "api/")) or route.endswith(("content", "schema/", "results")):
            continue
        path = "/" + re.sub("<[^:]*:([^>]*)>", lambda found: str(ids.get(found[1], "x")), route)
        yield from (
            Ask("key", path + query)
            for query in ("", *(() if "<" in route.rsplit("/", 1)[-1] else ("?limit=100",)), *narrowed.get(route, ()))
        )


def _routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern)


def late_pages(client: Client, path: str) -> Iterator[str]:
    """The address of the page after the 50th of a list by cursor."""
    cursor = None
    for _ in range(50):
        answer = client.get(path, {"limit": 100} | ({"cursor": cursor} if cursor else {})).json()
        cursor = answer.get("next_cursor")
        if not cursor:
            return
    yield f"{path}?limit=100&cursor={cursor}"


def measure(client: Client, ask: Ask) -> dict[str, Any] | None:
    """p50 and the worst of five, after one that warms up; None when the address has nothing to GET."""
    queries = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 -- Django's signature
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            queries.append((time.perf_counter() - started, sql))

    status = client.get(ask.path).status_code
    if status == 405:
        return None
    seconds = []
    with connection.execute_wrapper(count):
        for _ in range(_TIMES):
            started = time.perf_counter()
            b"".join(client.get(ask.path))
            seconds.append(time.perf_counter() - started)
    slowest = max(queries, default=(0.0, ""))
    return {
        "who": ask.who, "page": ask.shape, "status": status, "p50_ms": round(statistics.median(seconds) * 1000, 1),
        "worst_ms": round(max(seconds) * 1000, 1), "queries": len(queries) // _TIMES, "slowest_query_ms": round(slowest[0] * 1000, 1),
        "slowest_query": slowest[1][:2000],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--only-slower-than", type=float, default=0, metavar="MS", help="print no quicker pages; all are kept")
    parser.add_argument("--pages", default="", metavar="REGEX", help="ask for these alone; no figures are written")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    arguments = parser.parse_args()
    prepare()
    workspace, model = declare_model("http://127.0.0.1:9/v1")  # nothing is called here
    seeded = seed(workspace, model, items=arguments.items // (10 if arguments.quick else 1))
    print(f"seeded in {seeded['seconds']:.0f} s: {seeded['rows']}", flush=True)
    clients = sign_in(workspace)
    asked = dict.fromkeys([*office_questions(), *further_pages(), *api_questions(workspace)])
    big = Job.objects.order_by("-total")[0].public_id
    lists = ("/api/jobs", f"/api/jobs/{big}/items", "/api/files")
    asked |= dict.fromkeys(Ask("key", late) for path in lists for late in late_pages(clients["key"], path))
    questions = [ask for ask in asked if re.search(arguments.pages, f"{ask.who} {ask.path}")]
    print(f"{len(questions)} questions", flush=True)
    found = [figures for ask in questions if (figures := measure(clients[ask.who], ask))]
    found.sort(key=lambda row: -row["worst_ms"])
    columns = ("who", "page", "status", "p50_ms", "worst_ms", "queries", "slowest_query_ms")
    print_table([{name: row[name] for name in columns} for row in found if row["worst_ms"] >= arguments.only_slower_than])
    slow = [row for row in found if row["worst_ms"] > TARGET_MS]
    print(f"{len(found)} pages, {len(slow)} of them slower than {TARGET_MS} ms")
    for row in slow:
        print(f"{row['page']}: {row['slowest_query_ms']} ms in {row['slowest_query']}")
    kept = [{name: row[name] for name in columns} for row in found]
    is_partial = arguments.quick or bool(arguments.pages)
    write_results("volume", {"seeded": seeded, "target_ms": TARGET_MS, "slower": len(slow), "pages": kept}, quick=is_partial)
