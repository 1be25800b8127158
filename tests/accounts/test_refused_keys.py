"""Whoever tries many keys is slowed, good keys from the same address never are, and people are told."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
import redis
from django.test import AsyncClient, Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.accounts.actions import authenticate_key, revoke_api_key
from apps.accounts.domain.guesses import KEYS, origin_of
from apps.accounts.queries import read_refusals
from apps.lib import throttling
from apps.lib.http_errors import ApiError
from apps.lib.redis_client import redis_client
from apps.ops.actions.watch_conditions import watch_conditions
from apps.webhooks.models import Alert
from tests.factories.accounts import make_api_key

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOME, OFFICE = "198.51.100.7", "203.0.113.9"
MOST = 5
WRONG = "aip-" + "x" * 43


@pytest.fixture(autouse=True)
def _few(settings: Any) -> Iterator[None]:
    settings.REFUSED_KEYS_PER_MINUTE = MOST
    _forget()
    yield
    _forget()


def _forget() -> None:
    """Who was slowed would be told of in the tests after these too."""
    client = redis_client()
    client.delete(KEYS.counts, KEYS.slowed, *client.keys("aiplatform:refused:*"))


def status(secret: str, address: str = HOME, path: str = "/api/jobs") -> int:
    return Client(headers={"Authorization": f"Bearer {secret}"}).get(path, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize("path", ["/api/jobs", "/v1/files", "/v1/models"])
@pytest.mark.parametrize("secret", [WRONG, "sk-of-somebody-else", ""])
def test_the_sixth_wrong_key_of_a_minute_waits(path: str, secret: str) -> None:
    assert [status(secret, path=path) for _ in range(MOST + 2)] == [401] * MOST + [429] * 2


def test_the_refusal_says_when_to_come_back_and_what_was_wrong() -> None:
    for _ in range(MOST):
        status(WRONG)
    answer = Client(headers={"Authorization": f"Bearer {WRONG}"}).get("/v1/models", REMOTE_ADDR=HOME)
    error = json.loads(answer.content)["error"]
    assert (answer.status_code, error["code"], answer.headers["x-should-retry"]) == (429, "rate_limit_exceeded", "false")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60 / MOST
    assert error["message"].startswith("Incorrect API key.")
    assert WRONG not in answer.content.decode()


def test_good_keys_of_the_same_address_and_other_addresses_go_on() -> None:
    _, good = make_api_key()
    wrong = [status(WRONG) for _ in range(20)]
    assert wrong[-1] == 429
    assert [status(good) for _ in range(20)] == [200] * 20
    assert status(WRONG, OFFICE) == 401


def test_a_good_key_is_not_looked_at_in_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(import_module("apps.accounts.actions.count_guess"), "milliseconds_to_wait", lambda *_: asked.append("asked") or 0)
    _, good = make_api_key()
    assert authenticate_key(f"Bearer {good}", now=NOW, address=HOME)
    assert asked == []
    with pytest.raises(ApiError):
        authenticate_key(f"Bearer {WRONG}", now=NOW, address=HOME)
    assert asked == ["asked"]


def test_a_repeatable_post_counts_once() -> None:
    client = Client(headers={"Authorization": f"Bearer {WRONG}"})
    for _ in range(MOST):
        answer = client.post("/v1/batches", {}, "application/json", headers={"Idempotency-Key": "one"}, REMOTE_ADDR=HOME)
        assert answer.status_code == 401
    assert read_refusals(since=NOW).refused == MOST


@pytest.mark.django_db(transaction=True)
async def test_single_calls_and_events_count_like_every_route() -> None:
    headers = {"Authorization": f"Bearer {WRONG}"}
    client = AsyncClient(REMOTE_ADDR=HOME)
    calls = [(await client.post("/v1/chat/completions", "{}", "application/json", headers=headers)).status_code for _ in range(MOST)]
    assert calls == [401] * MOST
    assert (await client.get("/api/jobs/batch_1/events", headers=headers)).status_code == 429


def test_revoked_and_expired_keys_count_like_wrong_ones() -> None:
    key, revoked = make_api_key()
    _, expired = make_api_key(None, expires_at=timezone.now() - timedelta(days=1))
    revoke_api_key(key_id=key.id, now=timezone.now())
    assert [status(secret) for secret in (revoked, expired) * 3] == [401] * MOST + [429]


def test_an_ipv6_network_is_one_caller() -> None:
    assert [status(WRONG, f"2001:db8::{n}") for n in range(MOST + 1)] == [401] * MOST + [429]
    assert status(WRONG, "2001:db8:0:1::1") == 401
    assert (origin_of("::ffff:192.0.2.1"), origin_of("192.0.2.1"), origin_of("unix:"), origin_of("")) == ("192.0.2.1",) * 2 + ("", "")


def test_the_waiting_ends_by_itself_and_leaves_nothing() -> None:
    for _ in range(MOST + 5):
        status(WRONG)
    assert 0 < redis_client().pttl(f"aiplatform:refused:{HOME}") <= 60_000
    assert 0 < redis_client().ttl(KEYS.slowed) <= 3600


def test_only_the_latest_hundred_addresses_are_remembered(settings: Any) -> None:
    settings.REFUSED_KEYS_PER_MINUTE = 1
    for n in range(105):
        for _ in range(2):
            with pytest.raises(ApiError):
                authenticate_key(None, now=NOW, address=f"192.0.2.{n}")
    assert len(read_refusals(since=NOW - timedelta(days=1)).origins) == 100


def test_zero_means_no_limit(settings: Any) -> None:
    settings.REFUSED_KEYS_PER_MINUTE = 0
    assert {status(WRONG) for _ in range(20)} == {401}


def test_without_redis_nobody_is_slowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_client", lambda: redis.Redis(port=1, socket_connect_timeout=0.25))
    monkeypatch.setattr(throttling._Rest, "until", 0.0)
    _, good = make_api_key()
    assert {status(WRONG) for _ in range(MOST * 2)} == {401}
    assert status(good) == 200


def test_people_are_told_while_it_goes_on_and_the_metrics_count_it() -> None:
    watch_conditions(now=timezone.now())
    assert not Alert.objects.filter(kind="keys.refused").exists()
    for _ in range(MOST + 3):
        status(WRONG)
    watch_conditions(now=timezone.now())
    alert = Alert.objects.get(kind="keys.refused")
    assert alert.workspace_id is None
    assert HOME in alert.title
    assert alert.data == {"origins": [HOME]}
    text = Client().get("/metrics").content.decode()
    values = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert (values["aiplatform_refused_keys_total"], values["aiplatform_slowed_keys_total"]) == (MOST + 3, 3)
    watch_conditions(now=timezone.now() + timedelta(minutes=8))
    assert not Alert.objects.open().filter(kind="keys.refused").exists()
