"""Whatever stands under our keys in Redis, the home page, /metrics and the watch go on, and tell what the tables say."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.accounts.domain import guesses
from apps.jobs.actions.sample_progress import sample_progress
from apps.jobs.domain.samples import SAMPLES_KEY
from apps.jobs.models import Job
from apps.jobs.queries import COUNTERS_KEY
from apps.lib.redis_client import redis_client
from apps.ops.actions.watch_conditions import watch_conditions
from apps.ops.queries import access_conditions, platform_conditions
from apps.ops.queries.health import CANARY_KEY
from apps.providers.queries import list_buckets
from apps.traces.domain.slots import LAST_DAY, LAST_HOUR, SINCE_KEY
from apps.webhooks.models import Alert
from tests.factories.accounts import make_office_client
from tests.factories.jobs import DONE_COST, make_job, make_route

pytestmark = pytest.mark.django_db
REFUSALS_KEY, SLOWED_KEY = guesses.KEYS.counts, guesses.KEYS.slowed
KEYS = [guesses.PASSWORDS.counts, guesses.PASSWORDS.slowed, REFUSALS_KEY, SLOWED_KEY, COUNTERS_KEY, CANARY_KEY.format(queue="bulk"), "bulk"]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _forget() -> None:
    client = redis_client()
    patterns = ("aiplatform:cost:*", "limits:*", "aiplatform:outcomes:*", SAMPLES_KEY.format(job_id="*"))
    client.delete(*KEYS, *(key for pattern in patterns for key in client.keys(pattern)))


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


GARBAGE = ["x", "", "NaN", "-1e999", "1 2", "1,2,3", b"\xff\x00"]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_jobs_page_goes_on_whatever_its_course_is_said_to_be(garbage: str | bytes) -> None:
    job, office, key = make_job(done=1, dead=0, running=0, waiting=3), make_office_client(), ""
    Job.objects.filter(pk=job.pk).update(started_at=timezone.now() - timedelta(minutes=5))
    key = SAMPLES_KEY.format(job_id=job.pk)
    redis_client().rpush(key, garbage, f"{timezone.now().timestamp() - 100:.1f} 1 0", garbage)
    for name in ("jobs_job_change", "jobs_job_progress"):
        page = office.get(reverse(f"admin:{name}", args=[job.pk]))
        assert page.status_code == 200
        assert page.context["bars"]
    assert sample_progress(now=timezone.now()) == 1
    redis_client().delete(key)
    redis_client().set(key, garbage)
    assert office.get(reverse("admin:jobs_job_change", args=[job.pk])).status_code == 200


def test_the_courses_of_other_jobs_go_on_beside_one_that_is_garbage() -> None:
    jobs = [make_job(done=1, dead=0, running=0, waiting=3) for _ in range(2)]
    redis_client().set(SAMPLES_KEY.format(job_id=jobs[0].pk), "x")
    assert sample_progress(now=timezone.now()) == 1
    assert redis_client().llen(SAMPLES_KEY.format(job_id=jobs[1].pk)) == 1


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("is_hash", [True, False])
def test_the_desk_of_providers_goes_on_whatever_stands_in_its_buckets(garbage: str | bytes, *, is_hash: bool) -> None:
    make_route()
    now, client = timezone.now(), redis_client()
    names = ["breaker", "open_until", "blocked", "paused", "requests", "limit", "told_requests", "budget", "slow_from", "pump:x"]
    written = [f"limits:{{{bucket.key}}}" for bucket in list_buckets()] + LAST_HOUR.keys(now) + LAST_DAY.keys(now)
    for key in written:
        client.delete(key)
        if is_hash:
            client.hset(key, mapping=dict.fromkeys([*names, "x:ok", f"{uuid4().hex}:ok"], garbage))
        else:
            client.set(key, garbage)
    client.set(SINCE_KEY, garbage)
    page = make_office_client().get(reverse("admin:providers_provider_desk"))
    assert page.status_code == 200
    assert page.context["standings"].is_told
    assert (metrics()["aiplatform_part_up/providers"], metrics()["aiplatform_part_up/redis"]) == (1, 1)
    assert platform_conditions.BREAKER_OPEN in watch_conditions(now=now)
    client.delete(*written, SINCE_KEY)


def test_a_source_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buckets can't be read: what comes after them is looked at."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("a defect")

    make_route()
    monkeypatch.setattr("apps.providers.limits.look.read_bucket", fail)
    redis_client().zadd(SLOWED_KEY, {"198.51.100.7": timezone.now().timestamp()})
    held = watch_conditions(now=timezone.now())
    assert platform_conditions.BREAKER_OPEN not in held
    assert platform_conditions.WORK_UNSERVED in held
    assert Alert.objects.open().filter(kind=access_conditions.KEYS_REFUSED).exists()
    told = metrics()
    assert (told["aiplatform_part_up/providers"], told["aiplatform_part_up/redis"]) == (0, 1)
