"""A job's progress as it happens, as server-sent events. Async: while a watcher waits, neither a thread nor a connection is held."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

import orjson
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.actions import authenticate_key
from apps.accounts.permissions import require_scope
from apps.jobs.actions import job_watch
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.queries import find_job
from apps.jobs.serializers import JobSerializer
from apps.lib.http_errors import ApiError

_HEARTBEAT = b": still here\n\n"
_END = b"event: end\ndata: {}\n\n"


@csrf_exempt
async def job_events(request: HttpRequest, job_id: str) -> StreamingHttpResponse:
    """`progress` now and on each change, at most once a second, and `end` once the job has ended; comments keep the line open."""
    if request.method != "GET":
        raise ApiError(405, "method_not_allowed", f"Events are read by GET, not {request.method}.", headers={"Allow": "GET"})
    watched = await in_thread(_admit, request, job_id)
    # Proxies would otherwise keep the lines until there are many.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(_lines(watched), content_type="text/event-stream", headers=headers)


def _admit(request: HttpRequest, job_id: str) -> UUID:
    key = authenticate_key(request.headers.get("Authorization"), now=timezone.now())
    require_scope(key, "jobs")
    return find_job(workspace_id=key.workspace_id, public_id=job_id).id


async def _lines(job_id: UUID) -> AsyncIterator[bytes]:
    async with aclosing(job_watch().follow(job_id)) as standings:
        async for job in standings:
            yield b"event: progress\ndata: " + orjson.dumps(JobSerializer(job).data) + b"\n\n" if job else _HEARTBEAT
    yield _END
