"""The busiest minutes of each hour, written down once it is over."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.spend.actions import keep_pace
from apps.spend.models import HourlyPace, PacedHour
from tests.factories.accounts import make_workspace
from tests.factories.paces import make_calls
from tests.factories.spend import KEY, make_charge

pytestmark = pytest.mark.django_db
NINE = datetime(2026, 11, 18, 9, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def paces(at: datetime = NINE) -> dict[tuple[str, str], list[float]]:
    return {(pace.scope, pace.name): pace.calls for pace in HourlyPace.objects.filter(hour=at)}


def test_an_hour_that_is_over_is_written_down_once_for_the_workspace_and_each_feature_and_key() -> None:
    acme = make_workspace()
    make_calls(acme.id, 60, until=NINE + 59 * MINUTE, minutes=59, feature="search")
    make_calls(acme.id, 30, until=NINE + 20 * MINUTE, minutes=1, feature="search", api_key_id=KEY)
    assert keep_pace(now=NINE + HOUR + 2 * MINUTE) == 1
    assert keep_pace(now=NINE + HOUR + 3 * MINUTE) == 0
    assert paces() == {
        ("feature", "search"): [32, 40, 90],
        ("api_key", str(KEY)): [30, 30, 30],
        ("workspace", ""): [32, 40, 90],
    }
    pace = HourlyPace.objects.get(scope="api_key")
    assert (pace.tokens[0], round(pace.usd[0], 9)) == (3_000, 0.03)


def test_windows_reach_into_the_hour_before_and_an_hour_without_calls_has_no_row() -> None:
    acme = make_workspace()
    for minutes in (-1, 0, 119):
        make_charge(acme.id, at=NINE + minutes * MINUTE)
    assert keep_pace(now=NINE + 3 * HOUR + 2 * MINUTE) == 4
    assert paces()["workspace", ""] == [2, 2, 2]
    assert paces(NINE + HOUR)["workspace", ""] == [1, 1, 1]
    assert paces(NINE + 2 * HOUR) == {}
    assert PacedHour.objects.count() == 4


def test_the_running_hour_and_the_last_minutes_of_the_one_before_are_not_yet_settled() -> None:
    make_charge(make_workspace().id, at=NINE + MINUTE)
    assert keep_pace(now=NINE + HOUR + MINUTE) == 0
    assert keep_pace(now=NINE + HOUR + 2 * MINUTE) == 1


def test_a_platform_without_calls_keeps_nothing() -> None:
    assert keep_pace(now=NINE) == 0


def test_what_is_too_old_to_say_what_is_usual_is_neither_read_nor_kept() -> None:
    acme = make_workspace()
    make_charge(acme.id, at=NINE - timedelta(weeks=6))
    make_charge(acme.id, at=NINE - timedelta(weeks=2))
    read = []
    while number := keep_pace(now=NINE):
        read.append(number)
    assert (max(read), sum(read)) == (48, 4 * 7 * 24 + 5)
    assert set(HourlyPace.objects.values_list("scope", flat=True)) == {"api_key", "workspace"}
    keep_pace(now=NINE + timedelta(weeks=3))
    assert not HourlyPace.objects.exists()


def test_an_hour_that_another_has_written_down_is_left_alone() -> None:
    make_charge(make_workspace().id, at=NINE)
    PacedHour.objects.create(hour=NINE)
    assert keep_pace(now=NINE + 2 * HOUR + 2 * MINUTE) == 1
    assert paces() == {}


def test_who_names_features_anew_with_each_call_has_no_more_than_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("apps.spend.actions.keep_pace"), "_MOST_NAMES", 2)
    acme = make_workspace()
    for number, feature in enumerate(("rare", "often", "seldom"), start=1):
        make_calls(acme.id, {"often": 9, "seldom": 5}.get(feature, number), until=NINE + 9 * MINUTE, minutes=5, feature=feature)
    keep_pace(now=NINE + HOUR + 2 * MINUTE)
    assert {name for scope, name in paces() if scope == "feature"} == {"often", "seldom"}


def test_hours_cost_as_many_questions_however_many_calls_they_had() -> None:
    acme = make_workspace()
    make_calls(acme.id, 3, until=NINE + 30 * MINUTE, minutes=20)
    make_calls(acme.id, 300, until=NINE + HOUR + 30 * MINUTE, minutes=20, api_key_id=UUID(int=9))
    counts = []
    for hours in (1, 2):
        with CaptureQueriesContext(connection) as asked:
            assert keep_pace(now=NINE + hours * HOUR + 2 * MINUTE) == 1
        counts.append(len(asked))
    assert counts[1] <= counts[0]
