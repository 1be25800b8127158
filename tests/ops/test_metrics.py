"""/metrics: the open work, the pumps, and the counters that settle keeps."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.queries import COUNTERS_KEY
from apps.lib.redis_client import redis_client
from apps.webhooks.models import DeliveryState
from tests.factories.jobs import make_job, make_pump
from tests.factories.webhooks import make_delivery

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counters() -> None:
    redis_client().delete(COUNTERS_KEY, "bulk")


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """(name, label values...) -> value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_items_of_open_jobs_by_lane_and_state(client: Client) -> None:
    make_job(done=2, dead=1, running=3, waiting=4)
    values = scrape(client)
    assert [values["aiplatform_items", "default", state] for state in ("waiting", "running", "dead")] == [4, 3, 1]
    assert values["aiplatform_items", "interactive", "waiting"] == 0


def test_deliveries_that_wait_and_how_long_they_have_been_due(client: Client) -> None:
    values = scrape(client)
    assert (values["aiplatform_webhooks_waiting",], values["aiplatform_webhooks_overdue_seconds",]) == (0, 0)
    delivery = make_delivery(due_at=timezone.now() - timedelta(hours=1))
    make_delivery(endpoint=delivery.endpoint, state=DeliveryState.DELIVERED, due_at=timezone.now() - timedelta(hours=9))
    values = scrape(client)
    assert values["aiplatform_webhooks_waiting",] == 1
    assert 3600 <= values["aiplatform_webhooks_overdue_seconds",] < 7200


def test_ended_jobs_are_history_and_cost_nothing_to_scrape(client: Client) -> None:
    make_job(status=JobStatus.COMPLETED, running=0, waiting=0, ended_at=timezone.now())
    make_job()
    values = scrape(client)
    assert values["aiplatform_open_jobs", "running"] == 1
    assert ("aiplatform_open_jobs", "completed") not in values
    assert values["aiplatform_items", "default", "dead"] == 1


def test_pumps_are_summed_by_worker_set(client: Client) -> None:
    make_pump("exec", window=500, in_flight=120)
    make_pump("exec", window=300, in_flight=30)
    values = scrape(client)
    assert values["aiplatform_pump_window", "claiming", "exec"] == 800
    assert values["aiplatform_pump_in_flight", "claiming", "exec"] == 150


def test_messages_waiting_in_a_queue(client: Client) -> None:
    redis_client().rpush("bulk", "a", "b")
    assert scrape(client)["aiplatform_queue_messages", "bulk"] == 2


def test_counters_of_what_was_settled(client: Client) -> None:
    redis_client().hset(COUNTERS_KEY, mapping={"outcome:answered": 7, "decision:done": 7, "tokens:input": 1200, "cost_usd": "0.25"})
    values = scrape(client)
    assert values["aiplatform_calls_total", "answered"] == 7
    assert values["aiplatform_decisions_total", "done"] == 7
    assert values["aiplatform_tokens_total", "input"] == 1200
    assert values["aiplatform_cost_usd_total",] == 0.25


def test_a_scrape_asks_few_questions_however_many_jobs_there_are(client: Client, django_assert_max_num_queries: object) -> None:
    for _ in range(5):
        make_job()
    with django_assert_max_num_queries(6):  # type: ignore[operator]  # pytest-django's fixture
        scrape(client)


def test_a_lost_redis_takes_away_its_own_figures_alone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    unreachable = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    monkeypatch.setattr("apps.ops.queries.metrics.redis_client", lambda: unreachable)
    make_job()
    values = scrape(client)
    assert (values["aiplatform_part_up", "postgres"], values["aiplatform_part_up", "redis"]) == (1, 0)
    assert values["aiplatform_open_jobs", "running"] == 1
    assert ("aiplatform_queue_messages", "bulk") not in values
