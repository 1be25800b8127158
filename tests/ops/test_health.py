"""/healthz, /readyz: each part has to do something to count, and what doesn't is named."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client

from apps.lib.redis_client import redis_client
from apps.ops.actions.release_canaries import land_canary
from apps.ops.queries.health import CANARY_KEY, WATCHED_QUEUES
from tests.factories.jobs import make_pump

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_canaries() -> None:
    redis_client().delete(*(CANARY_KEY.format(queue=queue) for queue in WATCHED_QUEUES))


def ready(client: Client) -> tuple[int, list[str]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()["failing"]


def test_alive_needs_nothing_else(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_workers_every_queue_is_named(client: Client) -> None:
    assert ready(client) == (503, [f"queue {queue}" for queue in WATCHED_QUEUES])


def test_the_reason_says_what_to_look_at(client: Client) -> None:
    reason = client.get("/readyz").json()["checks"]["queue ingest"]
    assert "No worker" in reason
    assert "beat" in reason


def test_ready_when_every_queue_had_its_canary(client: Client) -> None:
    for queue in WATCHED_QUEUES:
        land_canary(on_queue=queue)
    assert ready(client) == (200, [])


def test_one_silent_queue_is_enough_to_be_not_ready(client: Client) -> None:
    for queue in WATCHED_QUEUES:
        land_canary(on_queue=queue)
    redis_client().delete(CANARY_KEY.format(queue="ingest"))
    assert ready(client) == (503, ["queue ingest"])


def test_a_canary_counts_for_ninety_seconds() -> None:
    land_canary(on_queue="bulk")
    assert 0 < redis_client().ttl(CANARY_KEY.format(queue="bulk")) <= 90


def test_a_renewed_pump_counts_for_the_queues_of_its_worker_set(client: Client) -> None:
    make_pump("exec")
    assert ready(client) == (503, ["queue interactive", "queue ingest", "queue control"])


@pytest.mark.parametrize("values", [{"renewed_at": Now() - timedelta(seconds=31)}, {"ended_at": Now()}])
def test_a_silent_or_ended_pump_does_not_count(client: Client, values: dict[str, object]) -> None:
    make_pump("exec", **values)
    assert "queue bulk" in ready(client)[1]


def test_a_lost_redis_is_named_and_nothing_else_is_asked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    unreachable = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    monkeypatch.setattr("apps.ops.queries.health.redis_client", lambda: unreachable)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["failing"]) == (503, ["redis"])
    assert "does not answer" in answer.json()["checks"]["redis"]


def test_a_redis_that_drops_rings_when_it_is_full_is_named(client: Client) -> None:
    redis_client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        answer = client.get("/readyz")
    finally:
        redis_client().config_set("maxmemory-policy", "noeviction")
    assert (answer.status_code, "redis" in answer.json()["failing"]) == (503, True)
    assert "set maxmemory-policy to noeviction (now allkeys-lru)" in answer.json()["checks"]["redis"]


def test_only_reading_is_allowed(client: Client) -> None:
    assert [client.post(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [405, 405, 405]
