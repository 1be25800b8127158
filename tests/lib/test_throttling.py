"""A key that asks too often is told to wait; another key, and the other kind of request, are not."""

import json
from typing import Any

import pytest
import redis
from django.test import Client
from structlog.testing import capture_logs

from apps.lib import throttling
from apps.lib.redis_client import redis_client
from tests.factories.accounts import make_client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(settings: Any) -> None:
    settings.API_READS_PER_MINUTE = 3
    settings.API_WRITES_PER_MINUTE = 2


def statuses(client: Client, path: str, times: int) -> list[int]:
    return [client.get(path).status_code for _ in range(times)]


@pytest.mark.parametrize("path", ["/v1/batches", "/api/jobs"])
def test_a_key_that_asks_too_often_waits(path: str) -> None:
    client = make_client()
    assert statuses(client, path, 5) == [200, 200, 200, 429, 429]
    answer = client.get(path)
    # Twenty seconds refill one request.
    assert 1 <= int(answer.headers["Retry-After"]) <= 20
    body: dict[str, Any] = json.loads(answer.content)
    if path.startswith("/v1"):
        assert (body["error"]["code"], answer.headers["Content-Type"]) == ("rate_limit_exceeded", "application/json")
    else:
        assert (body["code"], answer.headers["Content-Type"]) == ("rate_limit_exceeded", "application/problem+json")
    assert "Wait" in answer.content.decode()


def test_reads_and_writes_and_keys_are_counted_apart() -> None:
    client = make_client()
    assert statuses(client, "/api/jobs", 4)[-1] == 429
    writes = [client.post("/api/jobs/batch_1/pause").status_code for _ in range(3)]
    assert writes == [404, 404, 429]
    assert make_client().get("/api/jobs").status_code == 200


def test_a_bucket_is_kept_no_longer_than_it_takes_to_refill() -> None:
    before = set(redis_client().keys("aiplatform:throttle:*"))
    make_client().get("/api/jobs")
    (name,) = set(redis_client().keys("aiplatform:throttle:read:*")) - before
    assert 0 < redis_client().pttl(name) <= 20_000


def test_zero_means_no_limit(settings: Any) -> None:
    settings.API_READS_PER_MINUTE = 0
    assert statuses(make_client(), "/api/jobs", 5) == [200] * 5


@pytest.fixture
def _no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_client", lambda: redis.Redis(port=1, socket_connect_timeout=0.25))
    monkeypatch.setattr(throttling._Rest, "until", 0.0)
    # Once, however long the requests here take.
    monkeypatch.setattr(throttling, "_AGAIN_SECONDS", 600.0)


@pytest.mark.usefixtures("_no_redis")
def test_without_redis_everybody_is_let_in_and_the_log_says_so_once() -> None:
    with capture_logs() as logs:
        assert statuses(make_client(), "/api/jobs", 6) == [200] * 6
    assert [entry["event"] for entry in logs if entry["event"] == "not_throttling"] == ["not_throttling"]
