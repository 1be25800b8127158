"""One beat leads; another takes over when it is gone."""

from collections.abc import Iterator

import psycopg
import pytest
from celery import Celery
from django.db import connection

from apps.ops.actions.lead_beat import _LOCK_KEY, LeaderScheduler

pytestmark = pytest.mark.django_db


@pytest.fixture
def scheduler() -> Iterator[LeaderScheduler]:
    app = Celery("beat-test", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {"job": {"task": "nothing.happens", "schedule": 60}}
    yield LeaderScheduler(app)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")


@pytest.fixture
def other_beat() -> Iterator[psycopg.Connection]:
    settings = connection.get_connection_params()
    with psycopg.connect(
        host=settings["host"], port=settings["port"], user=settings["user"], password=settings.get("password"), dbname=settings["dbname"]
    ) as other:
        yield other


def fired(scheduler: LeaderScheduler, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many entries three ticks fire."""
    calls: list[str] = []
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, producer=None: calls.append(entry.name))
    for _ in range(3):
        scheduler.tick()
    return len(calls)


def test_a_new_leader_fires_everything_once(scheduler: LeaderScheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [fired(scheduler, monkeypatch), fired(scheduler, monkeypatch)] == [1, 0]


def test_it_is_silent_while_another_leads_and_takes_over_after_it(
    scheduler: LeaderScheduler, other_beat: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_beat.execute("SELECT pg_advisory_lock(%s)", [_LOCK_KEY])
    assert fired(scheduler, monkeypatch) == 0
    other_beat.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_KEY])
    assert fired(scheduler, monkeypatch) == 1


def test_leading_twice_takes_the_lock_once(scheduler: LeaderScheduler, other_beat: psycopg.Connection) -> None:
    assert [scheduler._leads(), scheduler._leads()] == [True, True]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_KEY])
    row = other_beat.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_KEY]).fetchone()
    assert row == (True,)
