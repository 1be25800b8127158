"""A worker killed while it validates or finishes: the next one carries the job to its end as if nothing had been."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from apps.files.actions import remove_strays
from apps.files.models import File
from apps.jobs.actions import finish_job, validate_job
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from tests.factories.files import make_file, stored_names
from tests.jobs.batches import clock, end_item, file_lines, input_line, jsonl, submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

_WORKER = """
import sys, uuid, django
django.setup()
from django.conf import settings
from django.utils import timezone
from apps.jobs import actions
getattr(actions, sys.argv[1])(job_id=uuid.UUID(sys.argv[2]), clock=timezone.now)
"""
_EXPIRY = """
import django, importlib
django.setup()
from django.utils import timezone
from apps.jobs import actions
importlib.import_module("apps.files.actions.expire_files")._AT_ONCE = 2
actions.expire_files(now=timezone.now())
"""
_LINES = 30_000


def start(program: str, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
    """A process of its own on the test's database and files."""
    parts = connection.get_connection_params()
    url = f"postgresql://{parts['user']}:{parts.get('password', '')}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    storage = django_settings.STORAGES["default"]["OPTIONS"]["location"]
    environment = os.environ | {"DATABASE_URL": url, "AIPLATFORM_STORAGE": str(storage), "DJANGO_SETTINGS_MODULE": "aiplatform.settings"}
    return subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment | settings)


def kill_when(verb: str, job: Job, is_time: Callable[[], bool]) -> None:
    """Run `verb` in a process of its own and kill it once `is_time`."""
    process = start(_WORKER, verb, str(job.id))
    deadline = time.monotonic() + 240
    while not is_time():
        assert process.poll() is None, "the worker was done before it could be killed"
        assert time.monotonic() < deadline, "the worker never came so far"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def when_lock_is_free(action: Callable[[], None], is_done: Callable[[], bool]) -> None:
    """Postgres gives a dead session's lock back when it notices; until then a second worker rightly does nothing."""
    deadline = time.monotonic() + 240
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


def test_expiry_killed_between_rows_and_bytes_is_gone_on_with(tmp_path: Path) -> None:
    """What a bite has let go is gone for everybody; its bytes go with the strays, and the next run takes the rest."""
    due = [make_file(expires_after_seconds=3600, now=timezone.now() - timedelta(days=2)) for _ in range(4)]
    kept = make_file(purpose="user_data")
    (tmp_path / "expire.after_commit").write_text("kill")
    process = start(_EXPIRY, AIPLATFORM_FAILPOINTS=str(tmp_path))
    assert process.wait(240) == -signal.SIGKILL
    assert File.objects.present().count() == 3
    assert stored_names() == sorted(file.storage_key for file in [*due, kept])
    assert start(_EXPIRY).wait(240) == 0
    assert set(File.objects.present()) == {kept}
    first = File.objects.filter(storage_key__in=stored_names()).exclude(id=kept.id)
    assert first.count() == 2
    assert remove_strays(now=timezone.now() + timedelta(days=2)) == 2
    assert stored_names() == [kept.storage_key]
