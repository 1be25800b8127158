"""Events of a job: what stands now, each change, an end; and nothing that stays behind when a watcher goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from django.test import AsyncClient
from django.utils import timezone

from apps.accounts.actions import revoke_api_key
from apps.accounts.domain.keys import Scope, prefix_of
from apps.accounts.models import ApiKey
from apps.jobs.actions import job_watch, watch_jobs
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from tests.jobs.calls.callers import make_secret
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_jobs, "_LOOK_SECONDS", 0.01)


async def watch(secret: str, job: Job) -> Any:
    return await AsyncClient().get(f"/api/jobs/{job.public_id}/events", headers={"Authorization": f"Bearer {secret}"})


async def events(answer: Any) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """(event, data) without the heartbeats."""
    async for chunk in answer.streaming_content:
        lines = chunk.decode().strip().split("\n")
        if not lines[0].startswith(":"):
            yield lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))


def change(job: Job, **values: Any) -> None:
    Job.objects.filter(id=job.id).update(**values)


async def test_a_watcher_sees_what_stands_each_change_and_the_end() -> None:
    secret, job = await in_thread(make_secret), await in_thread(make_job, prompts=("a", "b"))
    answer = await watch(secret, job)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
    async with aclosing(events(answer)) as seen:
        name, data = await anext(seen)
        assert (name, data["id"], data["done"], data["open"]) == ("progress", job.public_id, 0, 2)
        await in_thread(change, job, done=1, cost_usd="0.5")
        _, data = await anext(seen)
        assert (data["done"], data["open"], data["cost_usd"]) == (1, 1, "0.500000000000")
        await in_thread(change, job, done=2, status=JobStatus.COMPLETED, ended_at=timezone.now())
        _, data = await anext(seen)
        assert (data["status"], data["open"]) == ("completed", 0)
        assert [event async for event in seen] == [("end", {})]


async def test_a_job_that_has_ended_is_told_at_once() -> None:
    secret = await in_thread(make_secret)
    job = await in_thread(make_job, status=JobStatus.COMPLETED, ended_at=timezone.now())
    assert [name async for name, _ in events(await watch(secret, job))] == ["progress", "end"]


async def test_a_job_that_is_deleted_ends() -> None:
    secret, job = await in_thread(make_secret), await in_thread(make_job, prompts=())
    async with aclosing(events(await watch(secret, job))) as seen:
        await anext(seen)
        await in_thread(job.delete)
        assert [name async for name, _ in seen] == ["end"]


async def test_a_quiet_line_is_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_jobs, "HEARTBEAT_SECONDS", 0.02)
    secret, job = await in_thread(make_secret), await in_thread(make_job)
    async with aclosing((await watch(secret, job)).streaming_content) as chunks:
        assert (await anext(chunks)).startswith(b"event: progress")
        assert await anext(chunks) == b": still here\n\n"


async def test_watchers_share_one_look_and_leave_nothing_behind_when_they_are_cut_off() -> None:
    """Django cancels what answers a request when the client hangs up."""
    secret, job = await in_thread(make_secret), await in_thread(make_job)
    started = [asyncio.Event() for _ in range(20)]

    async def read(event: asyncio.Event) -> None:
        async for _ in (await watch(secret, job)).streaming_content:
            event.set()

    readers = [asyncio.create_task(read(event)) for event in started]
    for event in started:
        await event.wait()
    hub = job_watch()
    looking = hub._looking
    assert (len(hub._watchers[job.id]), looking is None) == (20, False)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert hub._watchers == {}
    # With nobody left the look ends by itself.
    assert looking is not None
    await looking
    assert (hub._looking, hub._latest) == (looking, {})


async def test_a_watcher_whose_key_is_revoked_is_sent_away_and_others_watch_on() -> None:
    secret, other, job = await in_thread(make_secret), await in_thread(make_secret), await in_thread(make_job)
    async with aclosing(events(await watch(secret, job))) as seen, aclosing(events(await watch(other, job))) as others:
        await anext(seen)
        await anext(others)
        key = await in_thread(ApiKey.objects.get, prefix=prefix_of(secret))
        await in_thread(partial(revoke_api_key, key_id=key.id, now=timezone.now()))
        assert [event async for event in seen] == [("refused", {"code": "invalid_api_key"})]
        await in_thread(partial(change, job, done=1))
        assert (await anext(others))[1]["done"] == 1


async def test_a_watcher_whose_key_expires_is_sent_away() -> None:
    secret, job = await in_thread(make_secret), await in_thread(make_job)
    async with aclosing(events(await watch(secret, job))) as seen:
        await anext(seen)
        await in_thread(partial(ApiKey.objects.update, expires_at=timezone.now()))
        assert [name async for name, _ in seen] == ["refused"]


async def test_only_those_may_watch_who_may_look() -> None:
    stranger, job = await in_thread(make_secret, "others"), await in_thread(make_job)
    assert (await watch(stranger, job)).status_code == 404
    assert (await watch("aip-wrong", job)).status_code == 401
    assert (await watch(await in_thread(make_secret, "acme", Scope.CHAT), job)).status_code == 403
    posted = await AsyncClient().post(f"/api/jobs/{job.public_id}/events")
    assert (posted.status_code, posted.headers["Content-Type"]) == (405, "application/problem+json")
