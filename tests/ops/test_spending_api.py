"""`/api/spend`: what a program is told of its workspace's spend, and how a question that can't be answered is refused."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.domain.keys import Scope
from apps.accounts.models import Workspace
from apps.lib.cursors import write_cursor
from apps.lib.ids import public_id, uuid7
from apps.ops.domain.asked_spending import Words
from apps.ops.queries import spending_table
from apps.spend.actions import roll_up
from apps.spend.domain.spending import Dimension
from tests.factories.accounts import make_api_key, make_client, make_workspace
from tests.factories.jobs import make_job, make_route
from tests.factories.spend import MODEL, make_charge, make_saving, make_waste

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 10, tzinfo=UTC)
TIME = "since=2026-11-10&until=2026-11-12"
ROUTES = ("/api/spend", "/api/spend/parts?by=feature", "/api/spend/parts.csv?by=feature", "/api/spend/course", "/api/spend/course.csv",
    "/api/spend/movers?by=feature")  # fmt: skip


def ask(path: str, client: Client | None = None) -> Any:
    answer = (client or make_client("acme", Scope.SPEND, Scope.JOBS)).get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def table(path: str, client: Client | None = None) -> list[list[str]]:
    answer = (client or make_client("acme", Scope.SPEND, Scope.JOBS)).get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


@pytest.fixture
def ours() -> Workspace:
    """Two features on two days; another workspace's spend must never be told."""
    workspace = make_workspace()
    make_charge(workspace.id, "0.5", at=DAY + timedelta(hours=1), feature="letters", cached_input_tokens=20, reasoning_tokens=5)
    make_charge(workspace.id, "0.25", at=DAY + timedelta(hours=30), feature="letters", seq=1)
    make_charge(workspace.id, "1.00000000001", at=DAY + timedelta(hours=30), feature="search")
    make_waste(workspace.id, "7", at=DAY, feature="letters")
    make_saving(workspace.id, by_cache="2", by_first="-0.125", at=DAY, feature="letters")
    make_charge(make_workspace("globex").id, "1000", at=DAY + timedelta(hours=1), feature="letters")
    return workspace


def test_the_sums_of_a_time(ours: Workspace) -> None:
    found = ask(f"/api/spend?{TIME}")
    assert found["total"] == {
        "calls": 3, "items": 2, "input_tokens": 320, "cached_input_tokens": 20, "output_tokens": 35, "reasoning_tokens": 5,
        "cost_usd": "1.75000000001", "retries": 1, "retry_usd": "0.25", "cache_saved_usd": "2", "cascade_saved_usd": "-0.125",
        "wasted": None, "waste_usd": None,
    }  # fmt: skip
    assert (found["since"], found["until"], found["time_zone"]) == ("2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z", "UTC")


def test_waste_is_told_to_the_operators_keys_alone(ours: Workspace) -> None:
    client = make_client("acme", Scope.SPEND, Scope.PLATFORM)
    total = ask(f"/api/spend?{TIME}", client)["total"]
    assert (total["wasted"], total["waste_usd"], total["cost_usd"]) == (1, "7", "1.75000000001")
    assert "waste_usd" in table(f"/api/spend/parts.csv?by=feature&{TIME}", client)[0]
    assert "waste_usd" not in table(f"/api/spend/parts.csv?by=feature&{TIME}", make_client("acme", Scope.SPEND))[0]
    assert ask(f"/api/spend/parts?by=feature&{TIME}", client)["data"][1]["sums"]["waste_usd"] == "7"
    assert ask(f"/api/spend/parts?by=feature&{TIME}", make_client("acme", Scope.SPEND))["data"][1]["sums"]["waste_usd"] is None


def test_parts_are_told_dearest_first_page_by_page(ours: Workspace) -> None:
    client = make_client("acme", Scope.SPEND, Scope.JOBS)
    first = ask(f"/api/spend/parts?by=feature&limit=1&{TIME}", client)
    assert [(part["value"], part["sums"]["cost_usd"]) for part in first["data"]] == [("search", "1.00000000001")]
    second = ask(f"/api/spend/parts?by=feature&limit=1&{TIME}&cursor={first['next_cursor']}", client)
    assert [(part["value"], part["sums"]["cost_usd"]) for part in second["data"]] == [("letters", "0.75")]
    assert second["next_cursor"] is None


def test_every_dimension_is_told_in_words_that_filters_take(ours: Workspace) -> None:
    route = make_route("small", provider_name="primary")
    key, _ = make_api_key(ours)
    job = make_job(workspace=ours, done=0, dead=0, running=0, waiting=0)
    dimensions = {
        "model_id": route.model.id, "provider_id": route.provider.id, "api_key_id": key.id, "job_id": job.id, "end_user": "ada",
        "lane": "interactive", "upstream_model": "gpt-x", "feature": "poems", "prompt_version": "poem@3",
    }  # fmt: skip
    make_charge(ours.id, "64", at=DAY, **dimensions)
    expected = {
        "model": "small", "provider": "primary", "api_key": public_id("key_", key.id), "job": job.public_id, "end_user": "ada",
        "lane": "interactive", "upstream_model": "gpt-x", "feature": "poems", "prompt_version": "poem@3",
    }  # fmt: skip
    client = make_client("acme", Scope.SPEND, Scope.JOBS)
    for by, value in expected.items():
        part = ask(f"/api/spend/parts?by={by}&{TIME}", client)["data"][0]
        assert (part["value"], part["name"], part["sums"]["cost_usd"]) == (value, key.name if by == "api_key" else None, "64")
        assert ask(f"/api/spend?{by}={value}&{TIME}", client)["total"]["cost_usd"] == "64"
        # And on: from one dimension to the next.
        assert ask(f"/api/spend/parts?by=feature&{by}={value}&{TIME}", client)["data"][0]["value"] == "poems"
    items = client.get(f"/api/jobs/{expected['job']}/items")
    assert items.status_code == 200


def test_what_is_really_called_none_is_asked_for_in_quotes() -> None:
    workspace = make_workspace()
    names = {"none": '"none"', '"none"': '""none""', '"other"': '"other"', "nonesuch": "nonesuch", "": "none"}
    for number, name in enumerate(names):
        make_charge(workspace.id, str(2**number), at=DAY, feature=name, end_user=name, upstream_model=name)
    client = make_client("acme", Scope.SPEND)
    for number, asked in enumerate(names.values()):
        for by in ("feature", "end_user", "upstream_model"):
            assert ask(f"/api/spend?{by}={quote(asked)}&{TIME}", client)["total"]["cost_usd"] == str(2**number)
    parts = ask(f"/api/spend/parts?by=feature&{TIME}", client)["data"]
    assert [part["value"] for part in parts] == [None, *(value for value in [*names.values()][-2::-1])]


def test_a_model_that_is_called_none_is_asked_for_in_quotes() -> None:
    words = Words(models={MODEL: "none"}, providers={})
    assert words.tell(Dimension.MODEL, MODEL) == '"none"'
    assert (words.read(Dimension.MODEL, '"none"'), words.read(Dimension.MODEL, "none")) == (MODEL, None)


def test_none_names_what_has_none(ours: Workspace) -> None:
    make_charge(ours.id, "3", at=DAY, api_key_id=None)
    client = make_client("acme", Scope.SPEND, Scope.JOBS)
    assert ask(f"/api/spend?feature=none&{TIME}", client)["total"]["cost_usd"] == "3"
    assert ask(f"/api/spend?api_key=none&{TIME}", client)["total"]["cost_usd"] == "3"
    assert None in [part["value"] for part in ask(f"/api/spend/parts?by=api_key&{TIME}", client)["data"]]


def test_a_course_has_every_day_or_hour(ours: Workspace) -> None:
    client = make_client("acme", Scope.SPEND, Scope.JOBS)
    days = ask(f"/api/spend/course?{TIME}", client)
    assert [(point["at"], point["sums"]["cost_usd"]) for point in days["data"]] == [
        ("2026-11-10T00:00:00Z", "0.5"), ("2026-11-11T00:00:00Z", "1.25000000001"),
    ]  # fmt: skip
    hours = ask(f"/api/spend/course?step=hour&feature=search&{TIME}", client)["data"]
    assert (len(hours), [point["sums"]["calls"] for point in hours].index(1)) == (48, 30)
    rows = table(f"/api/spend/course.csv?{TIME}", client)
    assert [row[0] for row in rows] == ["at", "2026-11-10T00:00:00Z", "2026-11-11T00:00:00Z"]
    assert rows[2][rows[0].index("cost_usd")] == "1.25000000001"


def test_days_begin_where_the_workspaces_clocks_say_so(ours: Workspace) -> None:
    Workspace.objects.filter(id=ours.id).update(time_zone="America/New_York")
    found = ask("/api/spend/course?since=2026-11-10&until=2026-11-12")
    assert [(point["at"], point["sums"]["cost_usd"]) for point in found["data"]] == [
        ("2026-11-10T05:00:00Z", "0"), ("2026-11-11T05:00:00Z", "1.25000000001"),
    ]  # fmt: skip
    of_user = ask("/api/spend/course?since=2026-11-10&until=2026-11-12&end_user=ada")
    assert (of_user["time_zone"], of_user["data"][0]["at"]) == ("UTC", "2026-11-10T00:00:00Z")


@pytest.mark.parametrize("asked", ["parts?by=end_user&", "parts?by=feature&end_user=ada&", "movers?by=end_user&", "?end_user=ada&"])
def test_days_of_end_users_are_in_utc_and_say_so(ours: Workspace, asked: str) -> None:
    Workspace.objects.filter(id=ours.id).update(time_zone="America/New_York")
    found = ask(f"/api/spend{'' if asked.startswith('?') else '/'}{asked}since=2026-11-10&until=2026-11-12")
    assert (found["since"], found["until"], found["time_zone"]) == ("2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z", "UTC")
    this_month = ask(f"/api/spend{'' if asked.startswith('?') else '/'}{asked}period=month")
    assert this_month["since"].endswith("-01T00:00:00Z")


def test_a_moment_that_cuts_a_day_of_end_users_is_answered_to_the_second(ours: Workspace) -> None:
    make_charge(ours.id, "3", at=datetime(2026, 11, 15, 10, 30, tzinfo=UTC), end_user="grace")
    asked = "/api/spend/parts?by=end_user&since=2026-11-15T10:{}:00Z&until=2026-11-15T11:00:00Z"
    assert [part["value"] for part in ask(asked.format(30))["data"]] == ["grace"]
    assert ask(asked.format(31))["data"] == []


def test_movers_are_told_against_as_much_time_before(ours: Workspace) -> None:
    found = ask("/api/spend/movers?by=feature&since=2026-11-11&until=2026-11-12")
    assert found["before_since"] == "2026-11-10T00:00:00Z"
    assert [(move["value"], move["before_usd"], move["now_usd"], move["change_usd"]) for move in found["data"]] == [
        ("search", "0", "1.00000000001", "1.00000000001"), ("letters", "0.5", "0.25", "-0.25"),
    ]  # fmt: skip


def test_today_and_this_month_of_all_of_the_workspace() -> None:
    workspace, now = make_workspace(), timezone.now()
    make_charge(workspace.id, "1", at=now - timedelta(seconds=1))
    make_charge(workspace.id, "4", at=now - timedelta(days=7, seconds=1))
    found = ask("/api/spend?period=today&feature=nothing-like-it")
    assert found["total"]["cost_usd"] == "0"
    in_this_month = (now - timedelta(days=7, seconds=1)).month == now.month
    assert found["month"]["cost_usd"] == ("5" if in_this_month else "1")
    assert Decimal(found["month"]["forecast_usd"]) >= Decimal(found["month"]["cost_usd"])
    assert ask("/api/spend")["total"]["cost_usd"] == found["month"]["cost_usd"]


@pytest.mark.django_db(transaction=True)
def test_history_that_is_not_summed_up_yet_is_told() -> None:
    client = make_client("acme", Scope.SPEND, Scope.JOBS)
    assert ask("/api/spend", client)["complete"] is False
    roll_up()
    assert ask("/api/spend", client)["complete"] is True


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("period=week", "period"),
        ("period=today&since=2026-11-01", "period"),
        ("until=2026-11-01", "since"),
        ("since=2026-11-02&until=2026-11-01", "since"),
        ("since=2026-11-01&until=2026-11-01", "since"),
        ("since=yesterday", "since"),
        ("since=1999-12-31", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("since=2026-11-01&until=9999-12-31", "until"),
        ("since=", "since"),
        ("feature=", "feature"),
        ("end_user=" + "x" * 256, "end_user"),
        ("lane=fast", "lane"),
        ("job=42", "job"),
        ("api_key=batch_0192f0c1c0de70008000000000000001", "api_key"),
        ("model=no-such-model", "model"),
        ("provider=no-such-provider", "provider"),
        ("end_user=ada&job=batch_0192f0c1c0de70008000000000000001", "end_user"),
    ],
)
def test_a_refusal_names_the_parameter(query: str, param: str) -> None:
    client = make_client("acme", Scope.SPEND, Scope.JOBS)
    for route in ROUTES:
        answer = client.get(f"{route}{'&' if '?' in route else '?'}{query}")
        assert (answer.status_code, answer.json()["param"], answer.headers["Content-Type"]) == (400, param, "application/problem+json")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/api/spend/parts", "by"),
        ("/api/spend/parts?by=workspace", "by"),
        ("/api/spend/parts?by=feature&limit=0", "limit"),
        ("/api/spend/parts?by=feature&limit=101", "limit"),
        ("/api/spend/parts?by=feature&cursor=nonsense", "cursor"),
        ("/api/spend/parts?by=feature&cursor=" + write_cursor("spend:model", ["1", ""]), "cursor"),
        ("/api/spend/parts?by=model&cursor=" + write_cursor("spend:model", ["1", "x"]), "cursor"),
        ("/api/spend/parts?by=model&cursor=" + write_cursor("spend:model", ["x", ""]), "cursor"),
        ("/api/spend/parts?by=feature&cursor=" + write_cursor("spend:feature", ["1"]), "cursor"),
        ("/api/spend/parts?by=feature&cursor=" + write_cursor("spend:feature", ["1e999999", "x"]), "cursor"),
        ("/api/spend/parts?by=feature&cursor=" + write_cursor("spend:feature", [5]), "cursor"),  # type: ignore[list-item]  # made up by hand
        ("/api/spend/parts?by=feature&cursor=" + write_cursor("spend:feature", ["9" * 500, "x"]), "cursor"),
        ("/api/spend/course?step=minute", "step"),
        ("/api/spend/course?step=hour&since=2026-01-01&until=2026-11-01", "since"),
        ("/api/spend/course?step=hour&end_user=ada", "step"),
        ("/api/spend/movers?by=feature&limit=x", "limit"),
    ],
)
def test_a_refusal_of_one_route_names_the_parameter(path: str, param: str) -> None:
    answer = make_client("acme", Scope.SPEND, Scope.JOBS).get(path)
    assert (answer.status_code, answer.json()["param"]) == (400, param)


def test_a_key_without_the_scope_is_refused() -> None:
    client = make_client("acme", Scope.JOBS)
    for route in ROUTES:
        assert client.get(route).status_code == 403


def test_names_that_look_like_formulas_are_text_in_the_table(ours: Workspace) -> None:
    names = ["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "plain, with a comma", '"quoted"']
    for name in names:
        make_charge(ours.id, at=DAY, end_user=name)
    rows = table(f"/api/spend/parts.csv?by=end_user&{TIME}")
    told = {row[0] for row in rows[1:]}
    assert {"'=1+1", "'-cmd|' /C calc'!A0", "'@SUM(A1)", "plain, with a comma", '"quoted"', ""} <= told
    assert not {name for name in told if name[:1] in "=@" and name}
    # Amounts stay numbers, also below nothing.
    by_feature = table(f"/api/spend/parts.csv?by=feature&{TIME}")
    assert {row[by_feature[0].index("cascade_saved_usd")] for row in by_feature[1:]} == {"-0.125", "0"}


def test_a_long_table_is_written_while_it_is_sent(ours: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(25):
        make_charge(ours.id, at=DAY, end_user=f"user-{number:02}", job_id=uuid7())
    pages = []
    real = spending_table.list_parts

    def watched(*arguments: Any, **options: Any) -> Iterator[Any]:
        for part in real(*arguments, at_once=4, **options):
            pages.append(part.value)
            yield part

    monkeypatch.setattr(spending_table, "list_parts", watched)
    monkeypatch.setattr(spending_table, "_ROWS", 5)
    answer = make_client("acme", Scope.SPEND, Scope.JOBS).get(f"/api/spend/parts.csv?by=end_user&{TIME}")
    first = next(iter(answer))
    assert len(pages) == 5
    rest = b"".join(answer)
    rows = list(csv.reader(io.StringIO((first + rest).decode("utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == ["", *(f"user-{number:02}" for number in range(25))]
