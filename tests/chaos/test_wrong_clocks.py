"""Machines whose clocks are hours off: time is told by Postgres, so nothing is repeated, let in or refused that should not be."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
from django.utils import timezone

from apps.accounts.models import IdempotencyRecord
from apps.jobs.actions import sweep
from apps.jobs.models import Job
from apps.lib.enqueue import enqueue
from apps.ops.actions.release_canaries import land_canary
from apps.ops.queries.health import WATCHED_QUEUES
from apps.traces.models import Run
from apps.webhooks.actions.claim_deliveries import LEASE, claim_deliveries
from apps.webhooks.models import Delivery, DeliveryState
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done, submit
from tests.chaos.workers import run_out, until, worker
from tests.factories.accounts import make_api_key, make_workspace
from tests.factories.webhooks import make_endpoint_with_secret, publish
from tests.jobs.batches import CHAT, input_line, jsonl, make_model
from tests.journeys.live import Live, running_parts
from tests.simulated import Simulator
from tests.webhooks.receivers import opened, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

# Python imports a module of this name before anything else.
_SHIFTED = """
import datetime, time
_real, _time = datetime.datetime, time.time
class _Same(type(_real)):
    def __instancecheck__(cls, value):
        return isinstance(value, _real)
class _Shifted(_real, metaclass=_Same):
    @classmethod
    def now(cls, tz=None):
        return _real.now(tz) + datetime.timedelta(hours={hours})
datetime.datetime = _Shifted
time.time = lambda: _time() + {hours} * 3600
"""


def shift(folder: Path, hours: int) -> None:
    """Processes with this folder on their path live so many hours later."""
    (folder / "sitecustomize.py").write_text(_SHIFTED.format(hours=hours))
    shown = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    mine = subprocess.run([sys.executable, "-c", "import time; print(time.time())"], capture_output=True, text=True, check=True)
    assert (float(shown.stdout) > float(mine.stdout)) is (hours > 0)


@pytest.mark.long
@pytest.mark.parametrize("hours", [2, -2])
def test_a_worker_whose_clock_is_off_repeats_no_call(hours: int, simulator: Simulator, tmp_path: Path) -> None:
    shift(tmp_path, hours)
    with worker("exec", PYTHONPATH=str(tmp_path)), worker("exec"):
        job = submit(simulator, 400)
        until(lambda: some_are_done(job, 50), "a part was done", meanwhile=sweep)
        run_out(job)
    assert_each_ended_once(job, 400)
    assert simulator.calls()["total"] == 400
    assert not Run.objects.filter(job_id=job.id, outcome="lost").exists()


@contextmanager
def shifted_web(folder: Path, hours: int) -> Iterator[Live]:
    shift(folder, hours)
    with running_parts(folder, "web", PYTHONPATH=str(folder)) as live:
        yield live


def at(live: Live, **values: Any) -> openai.OpenAI:
    """A client with a key of its own."""
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key=make_api_key(**values)[1], max_retries=0)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_web_host_whose_clock_is_off_lets_in_and_refuses_whom_it_should(hours: int, tmp_path: Path) -> None:
    make_model()
    with shifted_web(tmp_path, hours) as live:
        now = timezone.now()
        client = at(live, expires_at=now + timedelta(hours=1))
        with pytest.raises(openai.AuthenticationError, match="expired"):
            at(live, expires_at=now - timedelta(hours=1)).files.list()
        # What is to be kept for an hour is there, and for an hour.
        content = jsonl([input_line("a")])
        file = client.files.create(file=("a.jsonl", content), purpose="batch", expires_after={"anchor": "created_at", "seconds": 3600})
        assert client.files.retrieve(file.id).expires_at == file.expires_at
        assert abs(file.created_at - now.timestamp()) < 600
        # A window that is open, and one that is over.
        begin = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
        batches = [client.batches.create(**begin, extra_headers={"Idempotency-Key": "k"})]  # type: ignore[arg-type]  # words of the package's own types
        IdempotencyRecord.objects.update(expires_at=timezone.now() + timedelta(hours=1))
        batches.append(client.batches.create(**begin, extra_headers={"Idempotency-Key": "k"}))  # type: ignore[arg-type]  # the same
        IdempotencyRecord.objects.update(expires_at=timezone.now() - timedelta(hours=1))
        batches.append(client.batches.create(**begin, extra_headers={"Idempotency-Key": "k"}))  # type: ignore[arg-type]  # the same
        assert (batches[0].id == batches[1].id, batches[1].id == batches[2].id, Job.objects.count()) == (True, False, 2)
        for job in Job.objects.all():
            assert job.expires_at is not None
            assert abs(job.expires_at - timezone.now() - timedelta(hours=24)) < timedelta(minutes=10)
        # It is ready, and says what is wrong with it.
        for queue in WATCHED_QUEUES:
            land_canary(on_queue=queue)
        ready = client.get(f"{live.url}/readyz", cast_to=dict[str, Any])
        assert ready["failing"] == []
        assert "clock is 7," in ready["checks"]["postgres"]
        assert ("ahead" if hours > 0 else "behind") in ready["checks"]["postgres"]


@pytest.mark.parametrize("hours", [2, -2])
def test_a_sender_whose_clock_is_off_signs_and_claims_by_the_time_of_all(hours: int, tmp_path: Path) -> None:
    shift(tmp_path, hours)
    with receiving() as receiver, opened(receiver):
        own = {"WEBHOOKS_PORTS": str(receiver.port), "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.1/32", "WEBHOOKS_HTTP": "true"}
        _, secret = make_endpoint_with_secret(make_workspace(), url=receiver.url)
        receiver.gate.clear()
        with worker("control", PYTHONPATH=str(tmp_path), **own):
            publish()
            assert receiver.arrived.acquire(timeout=240)
            # In the air: leased for a minute by the clock of all, so nobody else sends it.
            held = Delivery.objects.get()
            assert held.lease_until is not None
            assert timedelta() < held.lease_until - timezone.now() <= LEASE + timedelta(seconds=2)
            assert claim_deliveries(now=timezone.now()) == []
            receiver.gate.set()
            until(lambda: Delivery.objects.get().state == DeliveryState.DELIVERED, "it was delivered")
            # Due now by the clock of all is due now for it, too.
            publish()
            until(
                lambda: Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 2,
                "the second was delivered",
                meanwhile=lambda: enqueue("webhooks.deliver", queue="control"),
            )
        assert len(receiver.got) == 2
        for got in receiver.got:
            # The package refuses a timestamp that is more than five minutes off.
            openai.OpenAI(api_key="unused").webhooks.unwrap(got.body, got.headers, secret=secret)
