"""What a day has cost so far: settled charges are summed up once, the last minute is read anew."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.lib.redis_client import redis_client
from apps.spend.models import Charge
from apps.spend.queries import read_cost_of_day, read_usage_of_day
from tests.factories.accounts import make_workspace
from tests.factories.jobs import DONE_COST, make_job

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 20, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    for key in redis_client().scan_iter("aiplatform:cost:*"):
        redis_client().delete(key)


def charge(at: datetime) -> None:
    job = make_job(done=1, dead=0, running=0, waiting=0)
    Charge.objects.filter(job_id=job.id).update(created_at=at)


def cost(now: datetime) -> Decimal:
    return read_cost_of_day(day_began_at=DAY, now=now, workspace_ids=None)


def test_what_was_charged_lately_is_in_it_at_once() -> None:
    charge(DAY - timedelta(seconds=1))
    charge(DAY)
    charge(NOON - timedelta(seconds=5))
    assert cost(NOON) == 2 * DONE_COST
    charge(NOON - timedelta(seconds=1))
    assert cost(NOON) == 3 * DONE_COST


def test_the_settled_part_is_summed_up_once() -> None:
    charge(NOON - timedelta(hours=1))
    assert cost(NOON) == DONE_COST
    Charge.objects.all().delete()
    charge(NOON + timedelta(minutes=5))
    assert cost(NOON + timedelta(minutes=10)) == 2 * DONE_COST


def test_each_scope_is_remembered_apart() -> None:
    charge(NOON - timedelta(hours=1))
    ours = make_workspace("acme").id
    assert read_cost_of_day(day_began_at=DAY, now=NOON, workspace_ids=[ours]) == DONE_COST
    assert read_cost_of_day(day_began_at=DAY, now=NOON, workspace_ids=[make_workspace("globex").id]) == 0
    assert read_cost_of_day(day_began_at=DAY, now=NOON, workspace_ids=[]) == 0


GARBAGE = [
    "x", "1 2 3", "2099-01-01T00:00:00+00:00 0", "2026-11-20T11:00:00 0", "2026-11-19T11:00:00+00:00 0", "2026-11-20T11:00:00+00:00 NaN",
    "2026-11-20T11:00:00+00:00 -5", "[]", "{}", '{"until": 5, "rows": []}', '{"until": "2099-01-01T00:00:00+00:00", "rows": []}',
    '{"until": "2026-11-20T11:00:00+00:00", "rows": [[1, 2]]}', '{"until": "2026-11-20T11:00:00+00:00", "rows": 7}', b"\xff\xfe",
    '{"until": "2026-11-20T11:00:00+00:00", "rows": [["a", "b", "c", "d", "e", "f", "g"]]}', None,
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_cannot_have_been_remembered_is_summed_up_anew(garbage: Any) -> None:
    charge(NOON - timedelta(hours=2))
    client = redis_client()
    for key in ("aiplatform:cost:2026-11-20:all", "aiplatform:usage-by-target:2026-11-20"):
        client.delete(key)
        client.set(key, garbage) if garbage is not None else client.rpush(key, "a list")
    try:
        assert cost(NOON) == cost(NOON) == DONE_COST
        for _ in range(2):
            assert [usage.cost_usd for usage in read_usage_of_day(day_began_at=DAY, now=NOON).values()] == [DONE_COST]
    finally:
        client.delete("aiplatform:usage-by-target:2026-11-20")
