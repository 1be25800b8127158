"""Roll-ups: with what is not in them yet they come to the ledgers at every moment, whoever writes, commits late or is killed meanwhile."""

import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import F

from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.failpoints import VARIABLE, FailpointError
from apps.spend.actions import rebuild_rollups, roll_up
from apps.spend.domain.spending import Dimension, Question
from apps.spend.models import (
    Charge,
    DayRollup,
    JobCost,
    JobRollup,
    QuarterRollup,
    Rollup,
    RollupMark,
    UserDayRollup,
    UserMonthRollup,
    UserRollup,
)
from apps.spend.queries.check_rollups import check_rollups
from apps.spend.queries.spending import has_all_history, split_spending, sum_spending
from tests.chaos.workers import own_database_url
from tests.factories.accounts import make_workspace
from tests.factories.spend import make_charge, make_saving, make_waste
from tests.long_reader import Reader

module = sys.modules["apps.spend.actions.roll_up"]
pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BY_TIME = (Rollup, DayRollup, QuarterRollup, UserDayRollup, UserMonthRollup, JobRollup, UserRollup)
EVER = Question(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2027, 1, 1, tzinfo=UTC))


def rolled(model: Any = Rollup) -> Decimal:
    """What the sums alone come to."""
    return sum(model.objects.values_list("cost_usd", flat=True), Decimal(0))


def test_every_ledger_is_summed_up_by_hour_and_dimension() -> None:
    ours = make_workspace().id
    item = UUID(int=1)
    make_charge(ours, "1", at=NOON, item_id=item, feature="letters", cached_input_tokens=5, cache_write_tokens=7, reasoning_tokens=3)
    make_charge(ours, "2", at=NOON + timedelta(minutes=59), item_id=item, seq=1, feature="letters")
    make_charge(ours, "4", at=NOON + timedelta(hours=1), feature="letters")
    make_waste(ours, "8", at=NOON, feature="letters")
    make_saving(ours, by_cache="16", by_first="-32", at=NOON, feature="letters")
    assert roll_up().rows == 5
    first = Rollup.objects.get(begins_at=NOON, calls__gt=0)
    assert (first.calls, first.items, first.cost_usd, first.retries, first.retry_usd) == (2, 1, 3, 1, 2)
    assert (first.input_tokens, first.cached_input_tokens, first.output_tokens, first.reasoning_tokens) == (212, 5, 23, 3)
    assert Rollup.objects.get(begins_at=NOON + timedelta(hours=1)).cost_usd == 4
    sums = sum_spending(EVER)
    assert (sums.wasted, sums.waste_usd, sums.cache_saved_usd, sums.cascade_saved_usd, sums.calls) == (1, 8, 16, -32, 3)
    assert rolled(JobRollup) == rolled(UserRollup) == 7


def test_prompt_versions_are_told_apart_alone_within_a_job_and_of_an_end_user() -> None:
    ours, job = make_workspace().id, UUID(int=7)
    make_charge(ours, "1", at=NOON, job_id=job, end_user="ada", prompt_version="letter@1")
    make_charge(ours, "2", at=NOON, job_id=job, end_user="ada", prompt_version="letter@2")
    make_charge(ours, "4", at=NOON, job_id=job, prompt_version="letter@2")
    make_charge(ours, "8", at=NOON, prompt_version="letter@2")
    make_charge(ours, "16", at=NOON)
    make_waste(ours, "32", at=NOON, prompt_version="letter@2")
    make_saving(ours, by_cache="64", at=NOON, prompt_version="letter@2")
    costs: dict[tuple[Dimension, UUID | str] | None, dict[str, int]] = {
        None: {"": 16, "letter@2": 14, "letter@1": 1},
        (Dimension.JOB, job): {"letter@2": 6, "letter@1": 1},
        (Dimension.END_USER, "ada"): {"letter@2": 2, "letter@1": 1},
    }
    # From the ledgers, and then from the sums: cut at an end of an hour, and not.
    for _ in range(2):
        for since in (NOON - timedelta(days=1), NOON - timedelta(days=1, minutes=7)):
            for narrowed, expected in costs.items():
                question = Question(since=since, until=NOON + timedelta(days=1), filters=dict([narrowed] if narrowed else []))
                parts = split_spending(question, Dimension.PROMPT_VERSION)
                assert {part.value: part.sums.cost_usd for part in parts} == expected
                second = sum_spending(replace(question, filters={**question.filters, Dimension.PROMPT_VERSION: "letter@2"}))
                assert second.cost_usd == expected["letter@2"]
                assert (second.waste_usd, second.cache_saved_usd) == ((0, 0) if narrowed else (32, 64))
        roll_up()
    assert JobRollup.objects.filter(job_id=job).count() == 2


def test_after_an_upgrade_from_sums_without_prompt_versions_they_are_made_anew() -> None:
    ours = make_workspace().id
    for version in ("letter@1", "letter@2", ""):
        make_charge(ours, at=NOON, prompt_version=version)
    roll_up()
    JobRollup.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(import_module("apps.spend.migrations.0013_prompt_version_summed")._BEGIN_ANEW)
    assert not has_all_history()
    make_charge(ours, at=NOON, prompt_version="letter@3")
    assert roll_up().is_done
    assert has_all_history()
    assert set(JobRollup.objects.values_list("prompt_version", "cost_usd")) == {
        (one, 1) for one in ("letter@1", "letter@2", "letter@3", "")
    }
    assert rolled() == rolled(JobRollup) == rolled(UserRollup) == 4


def test_what_the_release_before_added_meanwhile_is_made_anew() -> None:
    """In an upgrade its workers move the marks, and know neither all tables nor the seal."""
    ours = make_workspace().id
    make_charge(ours, "1", at=NOON)
    roll_up()
    assert has_all_history()
    make_charge(ours, "2", at=NOON)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE spend_rollup SET cost_usd = 3")
        cursor.execute("UPDATE spend_rollupmark SET before = pg_snapshot_xmin(pg_current_snapshot())::text::int8")
    assert not has_all_history()
    assert roll_up().is_done
    assert has_all_history()
    assert {rolled(table) for table in (*BY_TIME, JobCost)} == {3}
    assert check_rollups(since=NOON) == []


def test_what_the_release_before_forgets_without_what_it_does_not_know_is_not_added_twice() -> None:
    make_charge(make_workspace().id, "1", at=NOON)
    roll_up()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE spend_rollup, spend_userdayrollup, spend_jobrollup, spend_userrollup, spend_rollupmark")
    assert not has_all_history()
    assert roll_up().is_done
    assert {rolled(table) for table in (*BY_TIME, JobCost)} == {1}


def test_a_job_knows_what_it_cost_in_all_and_when() -> None:
    ours, job = make_workspace().id, UUID(int=7)
    late = NOON + timedelta(days=40)
    make_charge(ours, "1", at=NOON, job_id=job)
    roll_up()
    make_charge(ours, "2", at=late, job_id=job)
    make_waste(ours, "8", at=NOON - timedelta(hours=1), job_id=job)
    roll_up()
    (kept,) = JobCost.objects.all()
    assert (kept.job_id, kept.cost_usd, kept.begins_at, kept.ends_at) == (job, 3, NOON - timedelta(hours=1), late)


def test_nothing_is_added_twice() -> None:
    ours = make_workspace().id
    make_charge(ours, at=NOON)
    assert [roll_up().rows for _ in range(3)] == [1, 0, 0]
    make_charge(ours, "2", at=NOON)
    assert roll_up().rows == 1
    assert (rolled(), rolled(JobRollup), rolled(UserRollup)) == (3, 3, 3)


def test_a_transaction_that_commits_late_is_not_missed() -> None:
    ours = make_workspace().id
    has_written, may_commit = threading.Event(), threading.Event()

    def write_late() -> None:
        with transaction.atomic():
            make_charge(ours, "5", at=NOON - timedelta(days=3))
            has_written.set()
            assert may_commit.wait(120)
        connections.close_all()

    late = threading.Thread(target=write_late)
    late.start()
    assert has_written.wait(120)
    make_charge(ours, "1", at=NOON)
    roll_up()
    assert sum_spending(EVER).cost_usd == 1
    may_commit.set()
    late.join(120)
    assert sum_spending(EVER).cost_usd == 6
    roll_up()
    assert rolled() == sum_spending(EVER).cost_usd == 6


@pytest.mark.parametrize("point", ["roll_up.before_commit", "roll_up.after_commit"])
def test_broken_off_at_any_point_it_adds_each_row_once(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    make_charge(make_workspace().id, "3", at=NOON)

    with monkeypatch.context() as patch:
        patch.setattr(module, "failpoint", _break_off_at(point))
        with pytest.raises(FailpointError, match=point):
            roll_up()
    assert rolled() == (0 if point == "roll_up.before_commit" else 3)
    assert sum_spending(EVER).cost_usd == 3
    roll_up()
    assert rolled() == 3


def test_history_from_before_there_were_roll_ups_is_added_in_bites() -> None:
    ours = make_workspace().id
    for number in range(25):
        make_charge(ours, at=NOON + timedelta(hours=number))
    Charge.objects.update(transaction_id=None)
    assert not has_all_history()
    assert not roll_up(at_once=10, seconds=0).is_done
    assert rolled() == 10
    make_charge(ours, "100", at=NOON)
    assert sum_spending(EVER).cost_usd == 110
    assert not has_all_history()
    assert roll_up(at_once=10).is_done
    assert has_all_history()
    assert rolled() == sum_spending(EVER).cost_usd == 125


def test_while_many_write_the_sums_and_the_rest_are_the_ledgers_at_every_moment() -> None:
    """Transactions of all lengths, out of order, some rolled back; days that come late; and two that roll up at once."""
    ours = make_workspace().id
    roll_up()
    writers, is_over = 4, threading.Event()
    written: list[int] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            number = chance.randrange(1, 6)
            with transaction.atomic():
                for _ in range(number):
                    at = NOON - timedelta(hours=chance.randrange(100))
                    make_charge(ours, "0.000000000001", at=at, end_user=chance.choice(["", "ada"]))
                is_kept = chance.random() > 0.2
                transaction.set_rollback(not is_kept)
            written.append(number * is_kept)

    def roll() -> None:
        while not is_over.is_set():
            roll_up(at_once=3)

    def run(work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        finally:
            connections.close_all()

    looks = 0
    with ThreadPoolExecutor(writers + 2) as pool:
        rolling = [pool.submit(run, roll) for _ in range(2)]
        writing = [pool.submit(run, write, seed) for seed in range(writers)]
        try:
            # Twice at least, also where writing is over before the first look is.
            while looks < 2 or not all(one.done() for one in writing):
                assert check_rollups(since=NOON - timedelta(days=30)) == []
                looks += 1
        finally:
            is_over.set()
    assert [one.result() for one in (*rolling, *writing)] == [None] * (writers + 2)
    while not roll_up().is_done:
        pass
    assert rolled() == rolled(JobRollup) == rolled(UserRollup) == sum(written) * Decimal("0.000000000001")
    assert Charge.objects.count() == sum(written)


def test_a_difference_is_found() -> None:
    ours = make_workspace().id
    make_charge(ours, "3", at=NOON)
    roll_up()
    assert check_rollups(since=NOON) == []
    for table in BY_TIME:
        table.objects.update(cost_usd=F("cost_usd") + 1)
        # What a job cost in all is compared with its sums by the hour.
        found, *of_job = check_rollups(since=NOON)
        assert "has 1 calls of $4" in found
        assert table._meta.db_table in found
        assert len(of_job) == (table is JobRollup)
        table.objects.update(cost_usd=F("cost_usd") - 1)
    JobCost.objects.update(cost_usd=5)
    (found,) = check_rollups(since=NOON)
    assert "spend_jobcost has $5.000000000000, spend_jobrollup $3.000000000000" in found
    assert check_rollups(since=NOON + timedelta(days=31)) == []


def test_sums_are_made_anew() -> None:
    ours = make_workspace().id
    for number in range(7):
        make_charge(ours, at=NOON + timedelta(hours=number))
    roll_up()
    Rollup.objects.update(cost_usd=5)
    Charge.objects.filter(created_at=NOON).delete()
    told: list[int] = []
    assert rebuild_rollups(at_once=3, tell=told.append, wait=told.clear) == 6
    assert rolled() == rolled(JobRollup) == rolled(UserRollup) == 6
    call_command("rebuild_spending", stdout=io.StringIO(), stderr=io.StringIO())
    assert rolled() == 6


def test_nobody_waits_behind_sums_that_are_to_be_forgotten_while_somebody_reads_them() -> None:
    make_charge(make_workspace().id, at=NOON)
    roll_up()
    reader, waited = Reader("spend_rollup", behind="TRUNCATE"), []

    def wait() -> None:
        waited.append(Rollup.objects.count())
        reader.may_go.set()
        reader.thread.join()

    reader.thread.start()
    assert reader.holds.wait(120)
    assert rebuild_rollups(tell=print, wait=wait) == 1
    assert (reader.has_seen_it_wait, reader.has_read_meanwhile, waited[:1]) == (True, True, [1])
    assert rolled() == 1


def test_a_roll_up_steps_back_too_and_is_tried_again() -> None:
    """By beat: the rows came from another server, and somebody reads the sums."""
    make_charge(make_workspace().id, at=NOON)
    roll_up()
    RollupMark.objects.update(before=F("before") + 10**12)
    reader = Reader("spend_rollup", behind="TRUNCATE")
    reader.thread.start()
    assert reader.holds.wait(120)
    with pytest.raises(INFRASTRUCTURE_ERRORS):
        roll_up()
    assert Rollup.objects.count() == 1
    reader.may_go.set()
    reader.thread.join()
    assert reader.has_read_meanwhile
    assert roll_up().is_done
    assert rolled() == 1


def test_rows_that_another_server_numbered_are_counted_once() -> None:
    """As after pg_dump and restore: the numbers of there are beyond any of here."""
    ours = make_workspace().id
    make_charge(ours, "1", at=NOON)
    roll_up()
    make_charge(ours, "2", at=NOON)
    Charge.objects.update(transaction_id=F("transaction_id") + 10**12)
    RollupMark.objects.update(before=F("before") + 10**12, history_before=F("history_before") + 10**12)
    make_charge(ours, "4", at=NOON)
    assert roll_up().is_done
    assert rolled() == sum_spending(EVER).cost_usd == 7
    make_charge(ours, "8", at=NOON)
    assert sum_spending(EVER).cost_usd == 15
    roll_up()
    assert rolled() == 15


@pytest.mark.parametrize("is_broken_off", [False, True])
def test_numbers_of_another_server_are_taken_away_in_bites_and_after_a_break_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    is_broken_off: bool,  # noqa: FBT001 -- pytest passes by name
) -> None:
    ours = make_workspace().id
    for _ in range(25):
        make_charge(ours, at=NOON)
    roll_up()
    make_charge(ours, "100", at=NOON)
    # Of the numbers of there, the first transactions of here will come to some very soon.
    Charge.objects.update(transaction_id=F("transaction_id") + 20)
    RollupMark.objects.update(before=F("before") + 10**6, history_before=F("history_before") + 10**6)
    assert not roll_up(at_once=3, seconds=0).is_done
    if is_broken_off:
        with monkeypatch.context() as patch:
            patch.setattr(module, "failpoint", _break_off_at("roll_up.before_commit"))
            with pytest.raises(FailpointError):
                roll_up(at_once=3, seconds=0)
    steps = []
    while not roll_up(at_once=3, seconds=0).is_done:
        make_charge(ours, "1000", at=NOON)
        steps.append((has_all_history(), Charge.objects.filter(transaction_id=None).count(), Rollup.objects.exists()))
        assert len(steps) < 100
    # Whoever asked meanwhile was told that not all is there; never were more than three rows changed at once.
    assert not any(is_whole for is_whole, _, _ in steps[:-1])
    changed = [number for _, number, _ in steps]
    assert all(0 <= after - before <= 3 for before, after in zip([3, *changed], changed, strict=False))
    assert changed[-1] > 6
    expected = sum(Charge.objects.values_list("cost_usd", flat=True), Decimal(0))
    roll_up()
    assert rolled() == rolled(JobRollup) == rolled(UserRollup) == sum_spending(EVER).cost_usd == expected
    assert has_all_history()
    assert check_rollups(since=NOON - timedelta(days=1)) == []


def _break_off_at(point: str) -> Callable[[str], None]:
    def break_off(name: str) -> None:
        if name == point:
            raise FailpointError(name)

    return break_off


_ROLLER = """
import django
django.setup()
from apps.spend.actions import roll_up
roll_up()
"""


@pytest.mark.parametrize("point", ["roll_up.before_commit", "roll_up.after_commit"])
def test_killed_at_any_point_it_adds_each_row_once(tmp_path: Path, point: str) -> None:
    make_charge(make_workspace().id, "3", at=NOON)
    (tmp_path / point).write_text("kill")
    environment = os.environ | {
        "DATABASE_URL": own_database_url(),
        VARIABLE: str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "aiplatform.settings",
    }
    killed = subprocess.run([sys.executable, "-c", _ROLLER], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert rolled() == (0 if point == "roll_up.before_commit" else 3)
    assert sum_spending(EVER).cost_usd == 3
    deadline = time.monotonic() + 240
    while rolled() != 3:
        # Postgres gives a dead session's lock back when it notices.
        assert time.monotonic() < deadline
        roll_up()
    assert [rolled(table) for table in (JobRollup, UserRollup)] == [3, 3]


def test_a_transaction_bigger_than_a_bite_is_added_whole() -> None:
    ours = make_workspace().id
    roll_up()
    with transaction.atomic():
        for _ in range(12):
            make_charge(ours, at=NOON)
    for _ in range(3):
        make_charge(ours, at=NOON)
    assert roll_up(at_once=5).rows == 15
    assert rolled() == 15
    assert RollupMark.objects.count() == 3
