"""Questions about spend: each answer is what adding up the ledgers by hand comes to, rolled up or not."""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from apps.lib.ids import uuid7
from apps.spend.actions import roll_up
from apps.spend.domain.spending import Dimension, Question, QuestionError, Span, Step, before
from apps.spend.models import Charge, RollupMark
from apps.spend.queries.spending import find_movers, list_hours, read_course, read_forecast, split_spending, sum_spending
from tests.factories.accounts import make_workspace
from tests.factories.spend import make_charge

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2026, 10, 20, tzinfo=UTC)
HOURS = 24 * 20
UTC_ZONE, BERLIN, KATHMANDU = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")


@pytest.fixture
def workspaces() -> list[UUID]:
    """Two, with some hundred charges over twenty days, over the end of summer time; half of them rolled up."""
    chance = random.Random(7)
    ids = [make_workspace(name).id for name in ("acme", "globex")]
    jobs, keys = [uuid7() for _ in range(4)], [uuid7(), None]
    for number in range(400):
        if number == 200:
            roll_up()
        make_charge(
            chance.choice(ids),
            str(Decimal(chance.randrange(1, 10**9)).scaleb(-12)),
            at=START + timedelta(seconds=chance.randrange(HOURS * 3600)),
            job_id=chance.choice(jobs),
            api_key_id=chance.choice(keys),
            feature=chance.choice(["", "letters", "search"]),
            end_user=chance.choice(["", "ada", "grace", "alan"]),
            lane=chance.choice(["bulk", "default"]),
            seq=chance.choice([0, 0, 1]),
        )
    return ids


def by_hand(question: Question, key: Callable[[Charge], Any] = lambda _: "all") -> dict[Any, Decimal]:
    """From the charges themselves."""
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for charge in Charge.objects.filter(created_at__gte=question.since, created_at__lt=question.until):
        is_theirs = question.workspace_ids is None or charge.workspace_id in question.workspace_ids
        none = {part: None if part.is_id else "" for part in question.filters}
        if is_theirs and all(
            getattr(charge, part.column) == (none[part] if value is None else value) for part, value in question.filters.items()
        ):
            found[key(charge)] += charge.cost_usd
    return dict(found)


def questions(workspaces: Sequence[UUID]) -> list[Question]:
    """Whole days, hours cut at both ends, within one hour, nothing at all; of all and of one."""
    month = Question(since=START, until=START + timedelta(hours=HOURS))
    cut = Question(since=START + timedelta(days=2, minutes=17), until=START + timedelta(days=9, hours=5, minutes=43))
    short = Question(since=START + timedelta(hours=30, minutes=10), until=START + timedelta(hours=30, minutes=50))
    hour = Question(since=START + timedelta(hours=30, minutes=50), until=START + timedelta(hours=31, minutes=10))
    none = Question(since=START, until=START)
    return [
        Question(since=one.since, until=one.until, workspace_ids=whose)
        for one in (month, cut, short, hour, none)
        for whose in (None, workspaces[:1], [])
    ]


def test_sums_and_their_parts_are_what_the_charges_come_to(workspaces: list[UUID]) -> None:
    for question in questions(workspaces):
        expected = by_hand(question)
        assert sum_spending(question).cost_usd == expected.get("all", 0)
        for by in Dimension:
            found = split_spending(question, by, limit=100)
            assert {part.value: part.sums.cost_usd for part in found} == by_hand(question, lambda charge, by=by: getattr(charge, by.column))
            assert [part.sums.cost_usd for part in found] == sorted((part.sums.cost_usd for part in found), reverse=True)


def test_filters_are_of_every_dimension(workspaces: list[UUID]) -> None:
    charge = Charge.objects.filter(workspace_id=workspaces[0]).exclude(feature="").exclude(end_user="").first()
    assert charge is not None
    for by in Dimension:
        for value in (getattr(charge, by.column), None):
            for question in questions(workspaces)[:5]:
                narrowed = Question(since=question.since, until=question.until, workspace_ids=question.workspace_ids, filters={by: value})
                assert sum_spending(narrowed).cost_usd == by_hand(narrowed).get("all", 0)
                parts = split_spending(narrowed, Dimension.FEATURE, limit=100)
                assert {part.value: part.sums.cost_usd for part in parts} == by_hand(narrowed, lambda charge: charge.feature)


def test_pages_follow_each_other_also_where_costs_are_equal() -> None:
    ours = make_workspace().id
    for name in ("a", "b", "c", "d", ""):
        make_charge(ours, "2" if name == "c" else "1", at=START, end_user=name)
    question = Question(since=START, until=START + timedelta(days=1))
    seen, last = [], None
    while page := split_spending(question, Dimension.END_USER, limit=2, after=last):
        seen += [part.value for part in page]
        last = page[-1]
    assert seen == ["c", "", "a", "b", "d"]


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, KATHMANDU], ids=str)
def test_a_course_has_every_day_where_the_clocks_say_so(workspaces: list[UUID], zone: ZoneInfo) -> None:
    for question in questions(workspaces)[:6]:
        course = read_course(question, Step.DAY, zone=zone)
        days = by_hand(question, lambda charge: charge.created_at.astimezone(zone).date())
        assert {point.at.astimezone(zone).date(): point.sums.cost_usd for point in course if point.sums.calls} == days
        assert [point.at.astimezone(zone).strftime("%H:%M") for point in course] == ["00:00"] * len(course)
        dates = [point.at.astimezone(zone).date() for point in course]
        first, last = question.since.astimezone(zone).date(), (question.until - timedelta(seconds=1)).astimezone(zone).date()
        assert question.workspace_ids == [] or dates == [first + timedelta(days=n) for n in range((last - first).days + 1)]


def test_days_that_begin_within_an_hour_of_utc_are_summed_up_too(workspaces: list[UUID]) -> None:
    roll_up()
    midnight = datetime(2026, 10, 22, tzinfo=KATHMANDU)
    for filters in ({}, {Dimension.PROMPT_VERSION: None}):
        question = Question(midnight, midnight + timedelta(days=9), workspaces[:1], filters)
        days = by_hand(question, lambda charge: charge.created_at.astimezone(KATHMANDU).date())
        with transaction.atomic():
            Charge.objects.filter(transaction_id__lt=RollupMark.objects.get(source="charge").before).delete()
            course = read_course(question, Step.DAY, zone=KATHMANDU)
            transaction.set_rollback(True)
        assert {point.at.astimezone(KATHMANDU).date(): point.sums.cost_usd for point in course} == days


@pytest.mark.parametrize(
    ("name", "first", "is_rolled_up"), [("Atlantic/Azores", "2026-10-25T00:00Z", True), ("America/Havana", "2026-11-01T04:00Z", False)]
)
def test_a_day_whose_midnight_comes_twice_is_whole(name: str, first: str, *, is_rolled_up: bool) -> None:
    zone, begin = ZoneInfo(name), datetime.fromisoformat(first)
    for hours in (-1, 0, 1, 24, 25):
        make_charge(make_workspace().id, str(2 ** (hours + 1)), at=begin + timedelta(hours=hours))
    if is_rolled_up:
        roll_up()
    question = Question(begin - timedelta(days=1), begin + timedelta(hours=25 + 24))
    course = read_course(question, Step.DAY, zone=zone)
    # 25 hours: what is charged in both of the first and in the last one is of that day.
    assert [(point.at - begin, point.sums.cost_usd) for point in course] == [
        (timedelta(days=-1), 1), (timedelta(0), 2 + 4 + 2**25), (timedelta(hours=25), 2**26),
    ]  # fmt: skip
    forecast = read_forecast(None, now=begin + timedelta(hours=24, minutes=30), zone=zone)
    assert forecast.today_usd == 2 + 4 + 2**25


def test_a_course_by_the_hour(workspaces: list[UUID]) -> None:
    question = questions(workspaces)[3]
    course = read_course(question, Step.HOUR, zone=BERLIN)
    hours = by_hand(question, lambda charge: charge.created_at.replace(minute=0, second=0, microsecond=0))
    assert {point.at: point.sums.cost_usd for point in course if point.sums.calls} == hours
    assert {later.at - one.at for one, later in pairwise(course)} == {timedelta(hours=1)}


def test_what_is_not_kept_is_refused(workspaces: list[UUID]) -> None:
    question = Question(since=START, until=START + timedelta(days=1), filters={Dimension.END_USER: "ada"})
    with pytest.raises(QuestionError):
        split_spending(question, Dimension.JOB)
    with pytest.raises(QuestionError):
        read_course(question, Step.HOUR, zone=UTC_ZONE)
    assert read_course(question, Step.DAY, zone=UTC_ZONE)[0].sums.cost_usd == by_hand(question).get("all", 0)


def test_movers_are_told_against_the_time_before(workspaces: list[UUID]) -> None:
    since, until = START + timedelta(days=10, minutes=20), START + timedelta(days=12, minutes=50)
    question = Question(since=since, until=until)
    earlier = before(Span(since, until))
    for by in Dimension:
        then = by_hand(Question(since=earlier.since, until=earlier.until), lambda charge, by=by: getattr(charge, by.column))
        now = by_hand(question, lambda charge, by=by: getattr(charge, by.column))
        found = find_movers(question, by, limit=100)
        assert {move.value: (move.before_usd, move.now_usd) for move in found} == {
            value: (then.get(value, 0), now.get(value, 0)) for value in then | now
        }
        changes = [abs(move.change_usd) for move in found]
        assert changes == sorted(changes, reverse=True)


def test_hours_of_a_feature(workspaces: list[UUID]) -> None:
    since, until = START, START + timedelta(days=20)
    found = list_hours(Dimension.FEATURE, since=since, until=until)
    expected = by_hand(
        Question(since=since, until=until),
        lambda charge: (charge.created_at.replace(minute=0, second=0, microsecond=0), charge.workspace_id, charge.feature),
    )
    assert {(hour.at, hour.workspace_id, hour.value): hour.cost_usd for hour in found} == expected
    assert sum(hour.calls for hour in found) == 400
    assert sum(hour.tokens for hour in found) == 400 * 110
    assert [hour.at for hour in found] == sorted(hour.at for hour in found)


def test_the_month_today_and_a_week_ago() -> None:
    ours = make_workspace().id
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    for days in range(30):
        make_charge(ours, "1", at=now - timedelta(days=days, hours=1))
        make_charge(ours, "1", at=now - timedelta(days=days + 1) + timedelta(hours=1))
    roll_up()
    found = read_forecast([ours], now=now, zone=UTC_ZONE)
    assert (found.month_usd, found.today_usd, found.last_week_until_now_usd, found.last_week_usd) == (35, 1, 1, 2)
    assert found.forecast_usd == 35 + 1 + 12 * 2
    assert read_forecast([], now=now, zone=UTC_ZONE).forecast_usd == 0


@pytest.fixture
def months() -> list[UUID]:
    """Two workspaces with some hundred charges from August to November; most of them rolled up."""
    chance = random.Random(11)
    ids, start = [make_workspace(name).id for name in ("acme", "globex")], datetime(2026, 8, 20, tzinfo=UTC)
    jobs, whole = [uuid7() for _ in range(60)], timedelta(days=85)
    for number in range(500):
        if number == 450:
            roll_up()
        job = chance.randrange(60)
        make_charge(
            ids[job % 2],
            # Few different amounts, so that some jobs cost the same.
            str(Decimal(chance.randrange(1, 4)) * 10 ** chance.randrange(3)),
            at=start + whole * job / 60 + timedelta(hours=chance.randrange(72), minutes=chance.randrange(60)),
            job_id=jobs[job],
            feature=chance.choice(["letters", "search"]),
            end_user=chance.choice(["", "ada", "grace"]),
            prompt_version=chance.choice(["", "letter@1"]),
        )
    return ids


def long_questions(workspaces: Sequence[UUID]) -> list[Question]:
    """Months whole, and cut at days, hours and minutes; of all and of one."""
    moments = [
        (datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 8, 25, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC)),
        (datetime(2026, 9, 3, 18, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, tzinfo=UTC)),
        (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 31, 23, 59, tzinfo=UTC)),
        (datetime(2026, 10, 9, tzinfo=UTC), datetime(2026, 10, 10, tzinfo=UTC)),
    ]
    return [Question(since=since, until=until, workspace_ids=whose) for since, until in moments for whose in (None, workspaces[:1])]


def test_months_are_the_charges_whatever_cuts_them(months: list[UUID]) -> None:
    for question in long_questions(months):
        total = sum(by_hand(question).values())
        assert sum_spending(question).cost_usd == total
        for by in Dimension:
            expected = by_hand(question, lambda charge, by=by: getattr(charge, by.column))
            parts = split_spending(question, by, limit=100)
            assert {part.value: part.sums.cost_usd for part in parts} == expected
        narrowed = replace(question, filters={Dimension.PROMPT_VERSION: "letter@1"})
        assert sum_spending(narrowed).cost_usd == sum(by_hand(narrowed).values())
        for zone in (UTC_ZONE, BERLIN, KATHMANDU):
            assert sum(point.sums.cost_usd for point in read_course(question, Step.DAY, zone=zone)) == total
        of_ada = replace(question, filters={Dimension.END_USER: "ada"})
        course = read_course(of_ada, Step.DAY, zone=UTC_ZONE)
        assert {f"{point.at:%F}": point.sums.cost_usd for point in course if point.sums.cost_usd} == by_hand(
            of_ada, lambda charge: f"{charge.created_at:%F}"
        )


@pytest.mark.parametrize("filters", [{}, {Dimension.FEATURE: "letters"}, {Dimension.PROMPT_VERSION: "nothing of this name"}])
def test_the_dearest_jobs_are_found_among_few(months: list[UUID], filters: dict[Dimension, UUID | str | None]) -> None:
    for asked in long_questions(months):
        question = replace(asked, filters=filters)
        costs = by_hand(question, lambda charge: charge.job_id)
        expected = sorted(costs.items(), key=lambda one: (-one[1], str(one[0])))
        for limit in (1, 3, 100):
            found, page = [], split_spending(question, Dimension.JOB, limit=limit)
            while page:
                found += page
                page = split_spending(question, Dimension.JOB, limit=limit, after=page[-1])
            assert [(part.value, part.sums.cost_usd) for part in found] == expected


@pytest.mark.parametrize("filters", [{}, {Dimension.FEATURE: "letters"}])
def test_jobs_that_moved_most_are_found_among_few(months: list[UUID], filters: dict[Dimension, UUID | str | None]) -> None:
    for asked in long_questions(months):
        question = replace(asked, filters=filters)
        earlier = before(Span(question.since, question.until))
        now = by_hand(question, lambda charge: charge.job_id)
        then = by_hand(replace(question, since=earlier.since, until=earlier.until), lambda charge: charge.job_id)
        changes = {job: now.get(job, Decimal(0)) - then.get(job, Decimal(0)) for job in now.keys() | then.keys()}
        moved = ((job, change) for job, change in changes.items() if change)
        expected = sorted(moved, key=lambda one: (-abs(one[1]), str(one[0])))
        for limit in (1, 4, 100):
            assert [(move.value, move.change_usd) for move in find_movers(question, Dimension.JOB, limit=limit)] == expected[:limit]


def test_what_is_cut_within_an_hour_belongs_to_one_of_two_stretches_that_touch() -> None:
    ours, at = make_workspace().id, datetime(2026, 10, 20, 18, tzinfo=UTC)
    make_charge(ours, "1", at=at + timedelta(minutes=10), feature="letters")
    make_charge(ours, "2", at=at + timedelta(minutes=50), feature="letters")
    roll_up()
    half = at + timedelta(minutes=30)
    question = Question(since=half, until=half + timedelta(days=3))
    (move,) = find_movers(question, Dimension.FEATURE)
    assert (move.before_usd, move.now_usd) == (1, 2)


def test_what_a_job_has_not_in_the_sums_yet_counts_once_in_cut_hours_and_never_between_two_stretches() -> None:
    ours, job, midnight = make_workspace().id, uuid7(), datetime(2026, 10, 20, tzinfo=UTC)
    make_charge(ours, "1000", at=midnight + timedelta(hours=5), job_id=job)
    roll_up()
    for hours, cost in ((-30, "1"), (-12, "2"), (0.75, "4"), (5, "8"), (9.4, "16")):
        make_charge(ours, cost, at=midnight + timedelta(hours=hours), job_id=job)
    question = Question(since=midnight + timedelta(minutes=30), until=midnight + timedelta(hours=9, minutes=40))
    (part,) = split_spending(question, Dimension.JOB)
    assert (part.value, part.sums.cost_usd, part.sums.calls) == (job, 1028, 4)
    (move,) = find_movers(question, Dimension.JOB, earlier=Span(midnight - timedelta(hours=40), midnight - timedelta(hours=20)))
    assert (move.value, move.before_usd, move.now_usd) == (job, 1, 1028)
