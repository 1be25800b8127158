"""Whatever stands under our keys in Redis, the home page, /metrics and the watch go on, and tell what the tables say."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.accounts.domain.keys import REFUSALS_KEY, SLOWED_KEY
from apps.jobs.queries import COUNTERS_KEY
from apps.lib.redis_client import redis_client
from apps.ops.actions.watch_conditions import watch_conditions
from apps.ops.queries import access_conditions, platform_conditions
from apps.ops.queries.health import CANARY_KEY
from apps.providers.queries import list_buckets
from apps.webhooks.models import Alert
from tests.factories.accounts import make_office_client
from tests.factories.jobs import DONE_COST, make_job, make_route

pytestmark = pytest.mark.django_db
KEYS = [REFUSALS_KEY, SLOWED_KEY, COUNTERS_KEY, CANARY_KEY.format(queue="bulk"), "bulk"]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _forget() -> None:
    client = redis_client()
    client.delete(*KEYS, *client.keys("aiplatform:cost:*"), *client.keys("limits:*"))


def metrics() -> dict[str, float]:
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {"/".join((sample.name, *sample.labels.values())): sample.value for family in families for sample in family.samples}


@pytest.mark.parametrize("garbage", ["x", "", "NaN", "1e999", b"\xff"])
def test_fields_that_are_no_numbers(garbage: str | bytes) -> None:
    client = redis_client()
    client.hset(REFUSALS_KEY, mapping={"refused": garbage, "slowed": "3"})
    client.hset(COUNTERS_KEY, mapping={"cost_usd": garbage, "retries": "7"})
    told = metrics()
    assert told["aiplatform_refused_keys_total"] == 0
    assert told["aiplatform_part_up/redis"] == 1
    if isinstance(garbage, str):
        assert (told["aiplatform_slowed_keys_total"], told["aiplatform_retries_total"]) == (3, 7)
    assert access_conditions.KEYS_REFUSED in watch_conditions(now=timezone.now())


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_another_kind(key: str) -> None:
    make_job(done=1, dead=0, running=0, waiting=0)
    if key == CANARY_KEY.format(queue="bulk"):
        redis_client().rpush(key, "x")
    else:
        redis_client().set(key, "x")
    told = metrics()
    assert told["aiplatform_part_up/redis"] == 1
    assert "aiplatform_retries_total" in told
    assert make_office_client().get(reverse("admin:index")).context["cost_today"] == DONE_COST
    assert access_conditions.KEYS_REFUSED in watch_conditions(now=timezone.now())


@pytest.mark.parametrize("garbage", ["2099-01-01T00:00:00+00:00 0", "x", "a b"])
def test_a_day_that_somebody_else_has_summed_up(garbage: str) -> None:
    make_job(done=1, dead=0, running=0, waiting=0)
    home, client = reverse("admin:index"), make_office_client()
    assert client.get(home).context["cost_today"] == DONE_COST
    (key,) = redis_client().keys("aiplatform:cost:*")
    redis_client().set(key, garbage)
    assert client.get(home).context["cost_today"] == DONE_COST


def test_a_source_that_fails_holds_up_no_other() -> None:
    """The buckets can't be read: what comes after them is looked at."""
    make_route()
    for bucket in list_buckets():
        redis_client().hset(f"limits:{{{bucket.key}}}", mapping={"breaker": "open", "open_until": "x"})
    redis_client().zadd(SLOWED_KEY, {"198.51.100.7": timezone.now().timestamp()})
    held = watch_conditions(now=timezone.now())
    assert platform_conditions.BREAKER_OPEN not in held
    assert platform_conditions.WORK_UNSERVED in held
    assert Alert.objects.open().filter(kind=access_conditions.KEYS_REFUSED).exists()
    told = metrics()
    assert (told["aiplatform_part_up/providers"], told["aiplatform_part_up/redis"]) == (0, 1)
