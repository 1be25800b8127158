"""Workers of the release before on the schema of today: they take in, run and finish work, alone and beside today's workers."""

import io
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from apps.files.actions import create_file
from apps.jobs.actions import ring, submit_batch, sweep
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job, Pump
from apps.lib.enqueue import enqueue
from tests.chaos.release_before import release_before, unpack
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done
from tests.chaos.traffic import lines
from tests.chaos.workers import PATIENT, run_out, stop, until, worker
from tests.factories.providers import make_model, make_provider
from tests.jobs.batches import CHAT, file_lines
from tests.jobs.rows import make_job, make_workspace
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

ITEMS, MANY = 300, 1500


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the release before."""
    return unpack(release_before(), tmp_path_factory.mktemp("release-before"))


def storage() -> dict[str, str]:
    return {"AIPLATFORM_STORAGE": str(django_settings.STORAGES["default"]["OPTIONS"]["location"])}


def prompts(number: int, *, delay: float = 0.2) -> list[str]:
    return [f"[[sim delay={delay}]] item {n}" for n in range(number)]


def submit() -> Job:
    """A batch as callers send it: a file and a request."""
    workspace = make_workspace()
    file = create_file(
        workspace_id=workspace.id,
        api_key_id=None,
        purpose="batch",
        filename="input.jsonl",
        content=io.BytesIO(lines("small", prompts(ITEMS))),
        expires_after_seconds=None,
        now=timezone.now(),
    )
    values = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h"}
    return submit_batch(workspace_id=workspace.id, api_key_id=None, values=values, now=timezone.now())


def has_ended(job: Job) -> bool:
    job.refresh_from_db()
    assert job.status not in {JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED}, job.errors
    return job.status == JobStatus.COMPLETED


def runs(process: psutil.Process, root: Path) -> bool:
    return process.cwd() == str(root)


def test_the_old_workers_carry_a_batch_from_validation_to_its_file(old: Path, simulator: Simulator) -> None:
    make_model("small", make_provider(base_url=simulator.base_url))
    with worker("ingest", root=old, **storage()) as ingest, worker("exec", root=old, **storage(), **PATIENT) as runner:
        assert runs(ingest, old)
        assert runs(runner, old)
        job = submit()
        until(lambda: has_ended(job), "the batch completed", meanwhile=sweep)
    assert_each_ended_once(job, ITEMS)
    assert {line["response"]["status_code"] for line in file_lines(job.output_file_id)} == {200}
    assert len(file_lines(job.output_file_id)) == simulator.calls()["total"] == ITEMS


@pytest.mark.long
def test_old_and_new_workers_share_one_job_and_the_new_one_ends_it(old: Path, simulator: Simulator) -> None:
    model = make_model("small", make_provider(base_url=simulator.base_url))
    with worker("exec", root=old, JOBS_PUMPS_PER_HOST="1") as before:
        job = make_job(prompts=prompts(MANY, delay=0.5), model_id=model.id)
        ring(lane="default", job_id=job.id)
        until(lambda: some_are_done(job, 40), "the old worker did a part", meanwhile=sweep)
        # Room for one pump more than the old worker has.
        with worker("exec", JOBS_PUMPS_PER_HOST="2") as after:
            until(lambda: has_pump(after), "a pump of the new worker claims beside it", meanwhile=lambda: ring_once(job))
            assert has_pump(before)
            stop(before)
            assert not Item.objects.filter(job=job, losses__gt=0).exists()
            job.refresh_from_db()
            assert job.done < MANY
            run_out(job)
    assert_each_ended_once(job, MANY)
    assert simulator.calls()["total"] == MANY


def has_pump(process: psutil.Process) -> bool:
    family = [process.pid, *(child.pid for child in process.children(recursive=True))]
    return Pump.objects.filter(pid__in=family, ended_at=None).exists()


def ring_once(job: Job) -> None:
    """Whoever has room for a pump answers."""
    enqueue("jobs.run_items", queue="default", lane="default", job_id=str(job.id))
