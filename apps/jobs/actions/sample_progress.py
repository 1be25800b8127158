"""Take down, every ten seconds, how far open jobs are: the course that their pages draw, without reading a single item."""

from datetime import datetime

import redis
import structlog

from apps.jobs.domain.samples import MOST_SAMPLES, SAMPLES_KEY, Sample, read_sample
from apps.jobs.models import Job
from apps.lib.redis_client import redis_client

log = structlog.get_logger(__name__)

_AT_ONCE = 1_000
_KEPT_SECONDS = 7 * 86_400


def sample_progress(*, now: datetime) -> int:
    """How many jobs had moved. Only their newest counts are written; a job that stands still grows nothing."""
    rows = Job.objects.filter(ended_at=None, started_at__isnull=False).exclude(kind="single").order_by("-started_at")
    jobs = list(rows.values_list("id", "done", "dead")[:_AT_ONCE])
    try:
        return _write([(SAMPLES_KEY.format(job_id=job_id), Sample(now.timestamp(), done, dead)) for job_id, done, dead in jobs])
    except redis.RedisError as error:
        log.warning("progress_not_sampled", error=str(error))
        return 0


def _write(samples: list[tuple[str, Sample]]) -> int:
    client = redis_client()
    with client.pipeline(transaction=False) as pipeline:
        for key, _ in samples:
            pipeline.lindex(key, -1)
            pipeline.llen(key)
        # A key that is no list is left alone: the courses of other jobs go on.
        told = [None if isinstance(answer, redis.ResponseError) else answer for answer in pipeline.execute(raise_on_error=False)]
    moved = 0
    with client.pipeline(transaction=False) as pipeline:
        for (key, sample), last, length in zip(samples, told[::2], told[1::2], strict=True):
            if length is None:
                continue
            before = read_sample(last) if last else None
            if before and (before.done, before.dead) == (sample.done, sample.dead):
                continue
            moved += 1
            if length >= MOST_SAMPLES:
                _thin(pipeline, key)
            pipeline.rpush(key, sample.to_text())
            pipeline.expire(key, _KEPT_SECONDS)
        pipeline.execute()
    return moved


def _thin(pipeline: "redis.client.Pipeline", key: str) -> None:
    """Every second one goes, so that the whole course fits however long the job takes."""
    texts = redis_client().lrange(key, 0, -1)
    pipeline.delete(key)
    pipeline.rpush(key, *texts[::2])
