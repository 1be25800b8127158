"""Watch jobs without holding a thread or a connection each: one shared look per second and process at all jobs and keys concerned."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import suppress
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog

from apps.accounts.queries import find_live_keys
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.models import Job
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.shutdown import is_stopping

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
# What a watcher is told of; anything else of a job does not change by its progress.
_TOLD = ("status", "revision", "lane", "total", "done", "dead", "input_tokens", "output_tokens", "cost_usd", "ended_at")


class KeyRefusedError(Exception):
    """The key that a watcher came with opens no door any more."""


class _Watcher:
    """Somebody who waits for news, and the key he came with."""

    def __init__(self, key_id: UUID) -> None:
        self.key_id = key_id
        self.is_refused = False
        self.news = asyncio.Event()


class JobWatch:
    """The watchers of one event loop; the look goes on for as long as there is one."""

    def __init__(self) -> None:
        self._latest: dict[UUID, Job | None] = {}
        self._watchers: dict[UUID, set[_Watcher]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def follow(self, job_id: UUID, *, key_id: UUID) -> AsyncGenerator[Job | None, None]:
        """The job as it stands, then each time that it stands otherwise; None when nothing has changed for a while.

        Ends after the job has ended, is gone, or this process is to stop; KeyRefusedError at the next look after the key was revoked or
        has expired.
        Close it, and nothing of it stays.
        """
        watcher = _Watcher(key_id)
        self._watchers.setdefault(job_id, set()).add(watcher)
        try:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look_for_ever())
            job = (await in_thread(_read, [job_id])).get(job_id)
            self._latest.setdefault(job_id, job)
            told = None
            while job is not None and not is_stopping():
                if _facts(job) != told:
                    told = _facts(job)
                    yield job
                    if job.ended_at is not None:
                        return
                else:
                    yield None
                await _wait(watcher.news)
                watcher.news.clear()
                if watcher.is_refused:
                    raise KeyRefusedError
                job = self._latest.get(job_id, job)
        finally:
            self._leave(job_id, watcher)

    def _leave(self, job_id: UUID, watcher: _Watcher) -> None:
        watchers = self._watchers[job_id]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[job_id]
            self._latest.pop(job_id, None)

    async def _look_for_ever(self) -> None:
        while self._watchers:
            await asyncio.sleep(_LOOK_SECONDS)
            if is_stopping():
                self._wake_all()
            ids = list(self._watchers)
            keys = {watcher.key_id for watchers in self._watchers.values() for watcher in watchers}
            try:
                found, live = await in_thread(_look, ids, keys)
            except INFRASTRUCTURE_ERRORS as error:
                log.warning("jobs_not_watched", watched=len(ids), error=str(error))
                continue
            self._refuse(keys - live)
            for job_id in ids:
                self._tell(job_id, found.get(job_id))

    def _wake_all(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.news.set()

    def _refuse(self, key_ids: Collection[UUID]) -> None:
        for watchers in self._watchers.values() if key_ids else ():
            for watcher in watchers:
                if watcher.key_id in key_ids:
                    watcher.is_refused = True
                    watcher.news.set()

    def _tell(self, job_id: UUID, job: Job | None) -> None:
        before = self._latest.get(job_id)
        if job_id in self._watchers:
            self._latest[job_id] = job
            if before is None or job is None or _facts(before) != _facts(job):
                for watcher in self._watchers[job_id]:
                    watcher.news.set()


_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, JobWatch]" = WeakKeyDictionary()


def job_watch() -> JobWatch:
    """The watch of the running event loop; a web process has one."""
    return _watches.setdefault(asyncio.get_running_loop(), JobWatch())


async def _wait(news: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            await news.wait()


def _facts(job: Job) -> tuple[object, ...]:
    return tuple(getattr(job, name) for name in _TOLD)


def _read(ids: Sequence[UUID]) -> dict[UUID, Job]:
    return Job.objects.in_bulk(ids)


def _look(job_ids: Sequence[UUID], key_ids: Collection[UUID]) -> tuple[dict[UUID, Job], set[UUID]]:
    return _read(job_ids), find_live_keys(key_ids)
