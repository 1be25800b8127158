"""The page of spend: its numbers, whose eyes see which of them, every link on it, and its export."""

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role, Workspace
from apps.jobs.models import Job
from apps.spend.actions import roll_up
from apps.spend.models import Charge
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_job, make_route
from tests.factories.spend import make_charge, make_saving, make_waste
from tests.factories.spending_month import make_month
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db
PAGE = "/admin/spend/charge/overview/"


def page(client: Client, query: str = "") -> str:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def rows(client: Client, query: str) -> list[list[str]]:
    answer = client.get(f"{PAGE}csv/?{query}")
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def viewer(workspace: str = "acme") -> Client:
    return make_office_client(make_user(f"viewer-of-{workspace}", **{workspace: Role.VIEWER}))


def test_sums_are_those_of_the_charges_whether_rolled_up_or_not() -> None:
    now = timezone.now()
    acme = make_workspace()
    for hours, cost, seq in ((0, "2", 0), (0, "0.5", 1), (24 * 7, "1", 0)):
        make_charge(acme.id, cost, at=now - timedelta(hours=hours), seq=seq, feature="notes")
    make_saving(acme.id, by_cache="0.3", by_first="-0.1", at=now)
    make_waste(acme.id, "0.7", at=now)
    client = make_office_client()
    for _ in range(2):
        shown = client.get(PAGE, {"period": "today"}).context
        sums = shown["sums"]
        assert (sums.cost_usd, sums.calls, sums.retry_usd, sums.waste_usd) == (Decimal("2.5"), 2, Decimal("0.5"), Decimal("0.7"))
        assert (sums.cache_saved_usd, sums.cascade_saved_usd) == (Decimal("0.3"), Decimal("-0.1"))
        assert shown["forecast"].today_usd == Decimal("2.5")
        roll_up()


def test_today_is_compared_with_the_same_weekday_to_the_same_hour() -> None:
    now = timezone.now()
    acme = make_workspace()
    make_charge(acme.id, "3", at=now)
    # Midnight is no later than now, whenever this runs.
    make_charge(acme.id, "2", at=(now - timedelta(days=7)).replace(hour=0, minute=0, second=0, microsecond=0))
    make_charge(acme.id, "40", at=(now - timedelta(days=7)).replace(hour=23, minute=59, second=59, microsecond=999_999))
    told = page(make_office_client(), "period=today")
    assert f"50 % more than last {now:%A} by this time ($2.00)" in told
    assert f"50 % more than {now:%A} last week to the same hour ($2.00)" in told


def test_members_see_their_workspaces_and_never_the_waste() -> None:
    now = timezone.now()
    acme, globex = make_workspace(), make_workspace("globex")
    job = make_job(workspace=globex, feature="secret-project")
    make_charge(acme.id, "2", at=now, feature="notes")
    make_charge(globex.id, "7654.32", at=now, feature="secret-project", end_user="boss@globex", job_id=job.id)
    make_waste(acme.id, "31.25", at=now)
    make_budget("workspace", "12345", workspace=globex, period="month")
    client = viewer()
    foreign = (f"workspace={globex.id}", f"job={job.id}", "feature=secret-project", "end_user=boss@globex")
    for query in ("", "by=workspace", "by=job", "by=end_user", *foreign, f"workspace={globex.id}&by=job"):
        told = page(client, query)
        assert "7,654" not in told, query
        # The name that was asked for is told back, nothing else is.
        assert "globex" not in re.sub(r"boss(@|%40)globex", "", told), query
        assert "31.25" not in told
        assert "Waste" not in told
        assert "12,345" not in told
        assert "questions.jsonl" not in told
        assert "7654" not in str(rows(client, query))
        assert "waste_usd" not in rows(client, query)[0]
    root = make_office_client()
    assert "$31.25" in page(root, "by=workspace")
    assert "$7,656.32" in page(root, "by=workspace")
    assert rows(root, "by=workspace")[0][-1] == "waste_usd"


def test_prompt_versions_can_be_shown_and_narrowed_to() -> None:
    now, acme = timezone.now(), make_workspace()
    for cost, version in (("2", "letter@2"), ("4", "letter@1"), ("1", "")):
        make_charge(acme.id, cost, at=now, feature="letters", prompt_version=version)
    make_charge(make_workspace("globex").id, "999", at=now, prompt_version="secret@1")
    told = rows(viewer(), "by=prompt_version&feature=letters")
    assert [row[0] for row in told] == ["prompt_version", "letter@1", "letter@2", "no prompt version"]
    shown = page(make_office_client(), "prompt_version=letter%401&by=feature")
    assert "$4.00" in shown
    assert "$7.00" not in shown


def test_whoever_belongs_to_nothing_sees_nothing() -> None:
    make_charge(make_workspace().id, "2", at=timezone.now())
    told = page(make_office_client(make_user("stranger")))
    assert "Nothing has been spent yet" in told
    assert "$2" not in told


def test_days_begin_where_the_workspace_is() -> None:
    Workspace.objects.filter(id=make_workspace().id).update(time_zone="Pacific/Kiritimati")
    make_workspace("globex")
    assert "midnight in Pacific/Kiritimati" in page(viewer())
    root = make_office_client()
    assert "midnight in UTC" in page(root)
    assert "midnight in Pacific/Kiritimati" in page(root, f"workspace={make_workspace().id}")
    assert "end users are summed up by days of UTC" in page(
        viewer("acme2") if False else root, f"workspace={make_workspace().id}&by=end_user"
    )


def test_a_row_of_a_day_is_of_that_day_where_the_workspace_is() -> None:
    """Far east of Greenwich a day begins in the evening before by UTC."""
    acme, midnight = make_workspace(), datetime(2026, 11, 10, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    Workspace.objects.filter(id=acme.id).update(time_zone="Pacific/Kiritimati")
    make_charge(acme.id, "3", at=midnight + timedelta(hours=1))
    asked = {"workspace": str(acme.id), "by": "day", "period": "own", "from": "2026-11-08", "to": "2026-11-14"}
    (row,) = make_office_client().get(PAGE, asked).context["rows"]
    assert (row.label, row.sums.cost_usd) == ("2026-11-10", 3)
    assert "from=2026-11-10&to=2026-11-10" in row.query


def test_every_link_leads_somewhere_and_rows_add_up() -> None:
    now = timezone.now()
    make_month(now, a_day=4)
    client = make_office_client()
    seen: set[str] = set()
    waiting = ["period=last_month&by=workspace"]
    while waiting and len(seen) < 120:
        query = waiting.pop()
        if query in seen:
            continue
        seen.add(query)
        answer = client.get(f"{PAGE}?{query}")
        assert answer.status_code == 200, query
        shown = answer.context
        parts = sum((row.sums.cost_usd for row in shown["rows"]), shown["rest"].cost_usd if shown["rest"] else Decimal(0))
        assert parts == shown["sums"].cost_usd, query
        links = [html.unescape(link) for link in re.findall(r'href="\?([^"]*)"', answer.content.decode())]
        # Of each page some: all of them are thousands.
        waiting += [link for link in links if link not in seen][:: max(1, len(links) // 6)]
    assert len(seen) > 50


def test_awkward_names_are_shown_as_they_are_and_stay_texts_in_spreadsheets() -> None:
    make_month(timezone.now(), a_day=6)
    client = make_office_client()
    told = page(client, "period=last_month&by=end_user")
    assert "<script>alert(1)</script>" not in told
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    labels = [row[0] for row in rows(client, "period=last_month&by=end_user")]
    assert '\'=HYPERLINK("http://example.org")' in labels
    assert "no end user" in labels
    total = sum((Decimal(row[7]) for row in rows(client, "period=last_month&by=day")[1:]), Decimal(0))
    assert total == sum((Decimal(row[8]) for row in rows(client, "period=last_month&by=model")[1:]), Decimal(0)) > 0


@pytest.mark.parametrize(
    "query",
    [
        "workspace=x", "job=%01", "feature=%01", "end_user=" + "x" * 5000, "by=nonsense", "by=day&day=2026-01-01", "period=own&from=x",
        "from=2026-02-30", "period=own&from=9999-12-31&to=9999-12-31", "job=00000000-0000-0000-0000-000000000000&end_user=a&by=end_user",
        "workspace=&api_key=&model=&provider=&lane=&upstream_model=", "period=today&end_user=ada", "by=%F0%9F%92%A9", "feature=%ED%A0%80",
    ],
)  # fmt: skip
def test_no_address_breaks_it(query: str) -> None:
    make_charge(make_workspace().id, "2", at=timezone.now(), end_user="ada")
    client = make_office_client()
    for path in (PAGE, f"{PAGE}csv/"):
        assert client.get(f"{path}?{query}").status_code == 200


def test_of_end_users_either_the_dearest_or_what_moved_is_shown_a_click_from_the_other() -> None:
    make_charge(make_workspace().id, "2", at=timezone.now(), end_user="ada")
    client = make_office_client()
    dearest = client.get(PAGE, {"by": "end_user"})
    assert ([row.label for row in dearest.context["rows"]], dearest.context["movers"]) == (["ada"], [])
    assert "Show what moved most by end user" in dearest.text
    moved = client.get(PAGE, {"by": "end_user", "moved": "1"})
    assert ([one.label for one in moved.context["movers"]], moved.context["rows"]) == (["ada"], [])
    assert "Show the dearest by end user" in moved.text
    # Other days of the same.
    assert "?period=today&amp;by=end_user&amp;moved=1" in moved.text
    assert 'name="moved" value="1"' in moved.text
    assert "period=today&amp;by=end_user&amp;moved=1" not in dearest.text
    few = client.get(PAGE, {"by": "feature", "moved": "1"})
    assert (len(few.context["movers"]), len(few.context["rows"])) == (1, 1)


def test_while_sums_are_made_anew_nothing_is_said_to_be_nothing() -> None:
    make_charge(make_workspace().id, "2", at=datetime(2025, 3, 5, tzinfo=UTC))
    client, days = make_office_client(), "period=own&from=2026-01-01&to=2026-01-02"
    told = page(client, days)
    assert "Nothing was spent" not in told
    assert told.count("still being summed up") == 2
    roll_up()
    told = page(client, days)
    assert "Nothing was spent" in told
    assert "still being summed up" not in told


def test_a_job_shows_its_dearest_items() -> None:
    job = make_job(done=3, dead=0, running=0, waiting=0)
    told = make_office_client().get(PAGE, {"job": str(job.id), "period": "today"})
    assert [item.custom_id for item in told.context["items"]] == ["question-1", "question-2", "question-3"]
    assert reverse("admin:jobs_job_change", args=[job.pk]) in told.content.decode()
    Job.objects.filter(pk=job.pk).update(total=20_001)
    assert "they are not sorted by cost here" in page(make_office_client(make_user("b", is_superuser=True)), f"job={job.id}")


def test_budgets_stand_with_a_word_beside_the_colour_the_fullest_first() -> None:
    make_month(datetime.now(UTC), a_day=1)
    bars = make_office_client().get(PAGE).context["budgets"]
    assert [(bar.percent, bar.word) for bar in bars] == [
        (100, "used up"),
        (83, "nearly used up"),
        (55, "half used"),
        (32, "less than half"),
    ]
    make_budget("feature", "0", subject="closed", period="day")
    assert (
        make_office_client(make_user("b", is_superuser=True)).get(PAGE).context["budgets"][-1].word == "used up"
    )  # nothing may be spent, and nothing was


def test_it_asks_as_often_for_much_as_for_little() -> None:
    client = make_office_client()
    make_route()
    make_charge(make_workspace().id, "2", at=timezone.now())
    client.get(PAGE)
    with CaptureQueriesContext(connection) as few:
        client.get(PAGE, {"by": "workspace"})
    make_month(timezone.now(), a_day=6)
    assert Charge.objects.count() > 200
    with CaptureQueriesContext(connection) as many:
        client.get(PAGE, {"by": "workspace"})
    assert len(many) <= len(few), [query["sql"][:150] for query in many]
