"""Samples of open jobs: taken when something has moved, thinned when there are many."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs.actions import sample_progress
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.samples import MOST_SAMPLES, SAMPLES_KEY, Sample
from apps.jobs.models import Job
from apps.jobs.queries import read_course
from apps.lib.redis_client import redis_client
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Iterator[Job]:
    row = make_job(done=2, dead=1, running=0, waiting=3)
    yield row
    redis_client().delete(SAMPLES_KEY.format(job_id=row.id))


def test_only_what_moved_is_sampled(job: Job) -> None:
    now = timezone.now()
    assert sample_progress(now=now) == 1
    assert sample_progress(now=now + timedelta(seconds=10)) == 0
    Job.objects.filter(id=job.id).update(done=4)
    assert sample_progress(now=now + timedelta(seconds=20)) == 1
    job.refresh_from_db()
    course = read_course(job, now=now + timedelta(seconds=30))
    assert [(point.done, point.dead) for point in course] == [(0, 0), (2, 1), (4, 1), (4, 1)]


def test_a_job_that_has_ended_is_left_alone(job: Job) -> None:
    Job.objects.filter(id=job.id).update(status=JobStatus.COMPLETED, ended_at=timezone.now())
    assert sample_progress(now=timezone.now()) == 0


def test_a_long_course_is_thinned_and_keeps_its_ends(job: Job) -> None:
    key = SAMPLES_KEY.format(job_id=job.id)
    redis_client().rpush(key, *[Sample(n, n, 0).to_text() for n in range(MOST_SAMPLES)])
    sample_progress(now=timezone.now())
    texts = redis_client().lrange(key, 0, -1)
    assert len(texts) == MOST_SAMPLES // 2 + 1
    assert texts[0] == Sample(0, 0, 0).to_text()
    assert str(texts[-1]).endswith(" 2 1")


def test_without_samples_a_course_still_has_its_ends(job: Job) -> None:
    assert [(point.done, point.dead) for point in read_course(job, now=timezone.now())] == [(0, 0), (2, 1)]
