"""Celery's results can't be written: they are for looking at, so work goes on, and nothing is asked twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django_celery_results.models import TaskResult

from apps.jobs.actions import ring, sweep
from apps.jobs.models import Job
from tests.chaos.test_pumps import assert_each_ended_once, submit
from tests.chaos.workers import run_out, until, worker
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]
ITEMS = 300
TABLE = "django_celery_results_taskresult"


@contextmanager
def results_gone() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} RENAME TO put_aside")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE put_aside RENAME TO {TABLE}")


def again(job: Job, name: str) -> Job:
    """Another job for the same model."""
    made = make_job(
        prompts=[f"[[sim delay=0.2]] {name} {n}" for n in range(ITEMS)], model_id=job.items.values_list("model_id", flat=True)[0]
    )
    ring(lane="default", job_id=made.id)
    return made


def test_work_goes_on_without_celerys_results(simulator: Simulator) -> None:
    # Pumps end every second or so here: each wants to leave its result.
    with worker("exec", JOBS_PUMP_SECONDS="1") as running:
        children = running.children()
        with results_gone():
            jobs = [submit(simulator, ITEMS)]
            run_out(jobs[0])
            jobs.append(again(jobs[0], "more"))
            run_out(jobs[1])
        assert all(child.is_running() for child in children)
        assert running.is_running()
        for job in jobs:
            assert_each_ended_once(job, ITEMS)
        assert simulator.calls()["total"] == 2 * ITEMS
        # And once they can be written again, they are.
        before = TaskResult.objects.filter(task_name="jobs.run_items").count()
        run_out(again(jobs[0], "last"))
        until(
            lambda: TaskResult.objects.filter(task_name="jobs.run_items").count() > before,
            "a result was written",
            meanwhile=sweep,
        )
