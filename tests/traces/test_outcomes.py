"""Requests counted by target and outcome: in the last hour, in the last day, no longer."""

import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import redis

from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.traces.actions import count_outcomes
from apps.traces.domain.records import ExchangeRecord
from apps.traces.queries import read_outcomes

NOW = datetime(2026, 11, 20, 12, 2, tzinfo=UTC)
TARGET, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    for key in redis_client().scan_iter("aiplatform:outcomes:*"):
        redis_client().delete(key)


def exchange(ended_at: datetime, *, outcome: str = "ok", target_id: UUID = TARGET) -> ExchangeRecord:
    return ExchangeRecord(
        id=uuid7(), workspace_id=uuid7(), run_id=uuid7(), provider_id=UUID(int=9), target_id=target_id, upstream_model="m",
        path="/v1/chat/completions", outcome=outcome, status_code=200, error="", provider_request_id="", headers="{}",
        sent_at=ended_at - timedelta(seconds=2), first_byte_seconds=1.0, duration_seconds=2.0, answer_body_id=None,
    )  # fmt: skip


def ago(**of: float) -> datetime:
    return NOW - timedelta(**of)


def test_each_counts_in_the_hour_and_the_day_that_it_ended_in() -> None:
    ended = [ago(seconds=5), ago(minutes=30), ago(minutes=61), ago(hours=2), ago(hours=23)]
    count_outcomes([exchange(at) for at in ended] + [exchange(ago(seconds=9), outcome="throttled")] * 3, now=NOW)
    count_outcomes([exchange(ago(seconds=1), outcome="failed_upstream", target_id=OTHER)], now=NOW)
    found = read_outcomes(now=NOW).targets
    # An hour in steps of five minutes: since 11:00.
    assert (found[TARGET].hour, found[TARGET].day) == ({"ok": 3, "throttled": 3}, {"ok": 5, "throttled": 3})
    assert found[OTHER].hour == found[OTHER].day == {"failed_upstream": 1}


def test_what_is_over_is_no_longer_told() -> None:
    count_outcomes([exchange(NOW)], now=NOW)
    assert TARGET in read_outcomes(now=NOW + timedelta(hours=24)).targets
    assert read_outcomes(now=NOW + timedelta(minutes=66)).targets[TARGET].hour == {}
    assert read_outcomes(now=NOW + timedelta(hours=26)).targets == {}


def test_less_than_a_day_of_counting_is_told_as_such() -> None:
    count_outcomes([exchange(NOW)], now=NOW)
    count_outcomes([exchange(NOW)], now=NOW + timedelta(hours=1))
    assert read_outcomes(now=NOW + timedelta(hours=2)).since == NOW
    assert read_outcomes(now=NOW + timedelta(hours=25)).since is None


def test_without_redis_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(sys.modules["apps.traces.actions.count_outcomes"], "figures_pipeline", gone)
    count_outcomes([exchange(NOW)], now=NOW)
