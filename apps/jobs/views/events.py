"""A job's progress as it happens, as server-sent events. Async: while a watcher waits, neither a thread nor a connection is held."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

import orjson
from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.permissions import require_scope
from apps.jobs.actions import KeyRefusedError, job_watch
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.queries import find_job
from apps.jobs.serializers import JobSerializer
from apps.jobs.views.watching import admit_watcher, open_stream, require_get
from apps.lib.shutdown import is_stopping
from apps.lib.sse import HEARTBEAT, REFUSED, write_event

_END = b"event: end\ndata: {}\n\n"


@csrf_exempt
async def job_events(request: HttpRequest, job_id: str) -> StreamingHttpResponse:
    """`progress` now and on each change, at most once a second, and `end` once the job has ended.

    Comments keep the line open. It ends with `refused` within a second after the key was revoked, and without a word when the process is
    to stop: whoever connects again is told on by another one.
    """
    require_get(request)
    watched, key_id = await in_thread(_admit, request, job_id)
    return open_stream(_lines(watched, key_id), key_id=key_id)


def _admit(request: HttpRequest, job_id: str) -> tuple[UUID, UUID]:
    key = admit_watcher(request)
    require_scope(key, "jobs")
    return find_job(workspace_id=key.workspace_id, public_id=job_id).id, key.id


async def _lines(job_id: UUID, key_id: UUID) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(job_watch().follow(job_id, key_id=key_id)) as standings:
            async for job in standings:
                yield write_event(orjson.dumps(JobSerializer(job).data), name="progress") if job else HEARTBEAT
    except KeyRefusedError:
        yield REFUSED
        return
    if not is_stopping():
        yield _END
