"""Lists of the back office cost what they show, not what the table holds: the rows that Postgres reads for them are counted."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Role
from apps.jobs.models import Item, Job
from apps.lib.keyset_lists import About
from apps.spend.models import Charge
from apps.traces.models import Exchange, Run
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.volume import ITEMS_OF_EACH, JOBS, fill_tables, rows_read

pytestmark = pytest.mark.django_db
BIG = (Item, Run, Exchange, Charge)
PAGE = 10
WINDOW = 100
# A page, what its filters offer and two windows, with index entries and rows both counted; 4,000 rows stand in each table.
ALLOWED = 600


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages and windows as small beside the tables as they are in a big installation."""
    monkeypatch.setattr("apps.lib.keyset_lists.COUNTED_ROWS", 1000)
    monkeypatch.setattr("apps.lib.keyset_lists.WINDOW_ROWS", WINDOW)
    monkeypatch.setattr("apps.lib.large_tables._SAMPLED_ROWS", PAGE)
    monkeypatch.setattr("apps.lib.large_tables.LargeTable.list_per_page", PAGE)


@pytest.fixture
def jobs(_small: None) -> list[Job]:
    return fill_tables(make_workspace("acme"))


@pytest.fixture(params=["superuser", "member of one", "member of three"])
def client(request: pytest.FixtureRequest, jobs: list[Job]) -> Client:
    if request.param == "superuser":
        return make_office_client()
    more = {} if request.param == "member of one" else {"globex": Role.VIEWER, "initech": Role.VIEWER}
    return make_office_client(make_user(acme=Role.VIEWER, **more))


def open_list(client: Client, model: Any, query: str = "") -> Any:
    """The list at an address, after a look that read little and counted nothing."""
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") + query
    table = model._meta.db_table
    before = rows_read(table)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, path
    read = rows_read(table) - before
    assert read <= ALLOWED, (path, read, [query["sql"] for query in captured.captured_queries if table in query["sql"]])
    counts = [query["sql"] for query in captured.captured_queries if "COUNT(" in query["sql"] and f'"{table}"' in query["sql"]]
    assert counts == [], path
    return answer.context["cl"]


def walk(client: Client, model: Any, query: str, direction: str) -> Iterator[Any]:
    """Every page from here on, by its own links."""
    while query:
        changes = open_list(client, model, query)
        yield changes
        query = getattr(changes.paginator, direction)


def addresses(jobs: list[Job]) -> dict[Any, list[str]]:
    old, new = Item.objects.order_by("pk")[0], Item.objects.order_by("-pk")[0]
    run = Run.objects.order_by("pk")[0]
    everywhere = ["", "?p=last", "?q=nothing-like-this", f"?workspace__id__exact={jobs[0].workspace_id}", "?o=3", "?o=-2.1"]
    return {
        Item: [
            *everywhere, *(f"?state__exact={state}" for state in ("dead", "waiting", "running", "expired", "done")), "?outcome=rejected",
            "?outcome=none", "?lane=default", "?q=line-0-7", f"?q=line-{JOBS - 1}-7", f"?q={old.pk}", f"?q={new.pk}",
            f"?q={jobs[0].pk}", f"?q={jobs[0].public_id}", f"?q={old.run_id}", f"?job={jobs[0].pk}", f"?job={jobs[0].pk}&state__exact=dead",
            f"?job={jobs[0].pk}&p=last", f"?job={jobs[0].pk}&outcome=none", f"?job={jobs[0].pk}&q=line-0-9", f"?p=after-{old.pk}",
            f"?p=before-{new.pk}", "?state__exact=dead&ended_at__gte=2020-01-01T00:00:00Z", "?error_message__icontains=x",
        ],
        Run: [*everywhere, f"?q={old.pk}", f"?q={run.pk}", "?outcome=rejected", "?decision=none"],
        Exchange: [*everywhere, f"?q={run.pk}", "?q=req-line-0-9", "?outcome=rejected", "?outcome=none"],
        Charge: [*everywhere, f"?q={old.pk}", "?lane=none", "?created_at__gte=2020-01-01T00:00:00Z"],
    }  # fmt: skip


@pytest.mark.parametrize("model", BIG)
def test_no_address_of_a_list_reads_the_table(client: Client, jobs: list[Job], model: Any) -> None:
    for query in addresses(jobs)[model]:
        open_list(client, model, query)


@pytest.mark.usefixtures("_small")
def test_the_old_half_of_a_table_is_not_looked_for_from_the_new_end() -> None:
    """Half of the rows are of one job, and the oldest: the planner takes them to be spread over all ids."""
    job = fill_tables(make_workspace("acme"), old=(JOBS - 1) * ITEMS_OF_EACH)[0]
    root, one = make_office_client(), make_office_client(make_user("bob", acme=Role.VIEWER))
    two = make_office_client(make_user("cleo", acme=Role.VIEWER, globex=Role.VIEWER))
    for client in (root, one, two):
        for query in (f"?job={job.pk}", f"?q={job.pk}", f"?job={job.pk}&outcome=none", f"?workspace__id__exact={job.workspace_id}"):
            assert open_list(client, Item, query).paginator.next
    for client in (one, two):
        for model in BIG:
            for query in ("", "?p=last", "?lane=default" if model is Charge else "?outcome=ok"):
                assert len(open_list(client, model, query).result_list) == PAGE


def test_every_row_is_on_one_page(client: Client) -> None:
    keys = list(Item.objects.filter(job__workspace__name="acme").order_by("-pk").values_list("pk", flat=True))
    acme = f"?workspace__id__exact={make_workspace('acme').pk}"
    seen = [[row.pk for row in page.result_list] for page in walk(client, Item, acme, "next")]
    assert [key for page in seen for key in page] == keys
    assert {len(page) for page in seen} == {PAGE}
    back = [[row.pk for row in page.result_list] for page in walk(client, Item, f"{acme}&p=last", "previous")]
    assert back == seen[::-1]


def test_a_member_of_several_workspaces_sees_their_rows_in_one_order(jobs: list[Job]) -> None:
    Item.objects.filter(job=jobs[5]).update(workspace=make_workspace("globex"))
    client = make_office_client(make_user(acme=Role.VIEWER, globex=Role.VIEWER))
    shown = [row.job_id for page in walk(client, Item, "?", "next") for row in page.result_list]
    assert shown == [jobs[5].pk] * ITEMS_OF_EACH + [jobs[0].pk] * ITEMS_OF_EACH


def test_what_is_rare_is_found_window_by_window(client: Client) -> None:
    for way, start in (("next", "?"), ("previous", "?p=last")):
        pages = list(walk(client, Item, f"{start}&error_code=too_long&workspace__id__exact={make_workspace('acme').pk}", way))
        assert [row.custom_id for page in pages for row in page.result_list] == ["line-0-7"]
        assert pages[0].paginator.looked_through == WINDOW
        assert len(pages) <= 2 + ITEMS_OF_EACH // WINDOW


def test_what_died_or_waits_is_found_at_once_however_old(client: Client) -> None:
    for state in ("dead", "waiting"):
        acme = make_workspace("acme").pk
        assert open_list(client, Item, f"?state__exact={state}&workspace__id__exact={acme}").result_list[0].position in {7, 8}


def test_a_big_tables_count_is_an_estimate(jobs: list[Job]) -> None:
    root = make_office_client()
    assert isinstance(open_list(root, Item).result_count, About)
    assert str(open_list(root, Item).result_count) == "about 4,000"
    assert open_list(root, Item, f"?q={Item.objects.filter(job=jobs[0])[0].pk}").result_count == 1


@pytest.mark.parametrize("number", [(7, "about 7"), (99, "about 99"), (1234, "about 1,200"), (987_654, "about 990,000")])
def test_an_estimate_is_told_as_one(number: tuple[int, str]) -> None:
    assert str(About(number[0])) == number[1]


@pytest.mark.parametrize("place", ["0", "7", "-1", "x", "after-", "after-x", "before-\x00", "last-", "after-0190"])
def test_a_place_that_is_none_is_the_first_page(jobs: list[Job], place: str) -> None:
    root = make_office_client()
    changes = open_list(root, Item, f"?p={place}")
    assert changes.result_list[0].job_id == jobs[-1].pk
    assert not changes.paginator.first
