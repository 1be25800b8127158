"""A worker killed while it validates or finishes: the next one carries the job to its end as if nothing had been."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from django.db import connection

from apps.files.models import File
from apps.jobs.actions import finish_job, validate_job
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from tests.jobs.batches import clock, end_item, file_lines, input_line, jsonl, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos]

_WORKER = """
import sys, uuid, django
django.setup()
from django.conf import settings
from django.utils import timezone
from apps.jobs import actions
getattr(actions, sys.argv[1])(job_id=uuid.UUID(sys.argv[2]), clock=timezone.now)
"""
_LINES = 30_000


def kill_when(verb: str, job: Job, is_time: Callable[[], bool]) -> None:
    """Run `verb` in a process of its own and kill it once `is_time`."""
    parts = connection.get_connection_params()
    url = f"postgresql://{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    from django.conf import settings

    storage = settings.STORAGES["default"]["OPTIONS"]["location"]
    environment = os.environ | {"DATABASE_URL": url, "AIPLATFORM_STORAGE": str(storage), "DJANGO_SETTINGS_MODULE": "aiplatform.settings"}
    process = subprocess.Popen([sys.executable, "-c", _WORKER, verb, str(job.id)], env=environment)
    deadline = time.monotonic() + 60
    while not is_time():
        assert process.poll() is None, "the worker was done before it could be killed"
        assert time.monotonic() < deadline, "the worker never came so far"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def when_lock_is_free(action: Callable[[], None], is_done: Callable[[], bool]) -> None:
    """Postgres gives a dead session's lock back when it notices; until then a second worker rightly does nothing."""
    deadline = time.monotonic() + 30
    while not is_done():
        assert time.monotonic() < deadline, "the dead worker's lock was never given back"
        action()


def status_of(job: Job) -> str:
    return Job.objects.values_list("status", flat=True).get(id=job.id)


def test_validation_killed_in_the_middle_starts_clean() -> None:
    job = submit(jsonl(input_line(f"{n}") for n in range(_LINES)))
    kill_when("validate_job", job, lambda: Item.objects.filter(job=job).exists())
    assert status_of(job) == JobStatus.VALIDATING
    assert Item.objects.filter(job=job).count() < _LINES
    when_lock_is_free(lambda: validate_job(job_id=job.id, clock=clock), lambda: status_of(job) == JobStatus.RUNNING)
    assert Item.objects.filter(job=job).count() == _LINES
    assert Item.objects.filter(job=job).values("custom_id").distinct().count() == _LINES


def test_finishing_killed_in_the_middle_leaves_no_rows_and_is_done_again() -> None:
    job = submit(jsonl(input_line(f"{n}") for n in range(_LINES)))
    validate_job(job_id=job.id, clock=clock)
    end_item(Item.objects.filter(job=job).first() or Item(), answer=b'{"text": "' + b"x" * 20_000 + b'"}')
    answered = Item.objects.filter(job=job, state="done").get()
    Item.objects.filter(job=job).update(state="done", status_code=200, answer_body_id=answered.answer_body_id)
    before = File.objects.count()
    kill_when("finish_job", job, lambda: status_of(job) == JobStatus.FINISHING)
    assert (status_of(job), File.objects.count()) == (JobStatus.FINISHING, before)
    when_lock_is_free(lambda: finish_job(job_id=job.id, clock=clock), lambda: status_of(job) == JobStatus.COMPLETED)
    assert File.objects.count() == before + 1
    job.refresh_from_db()
    assert len(file_lines(job.output_file_id)) == _LINES
