"""Whoever follows events: let in by key, as often as other reads are, and with so many streams at once."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse

from apps.accounts.actions import authenticate_key
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.open_streams import OpenStreams
from apps.lib.streaming import stream_events
from apps.lib.throttling import require_turn

if TYPE_CHECKING:
    from apps.accounts.models import ApiKey

open_streams = OpenStreams()


def require_get(request: HttpRequest) -> None:
    """ApiError 405 for any other method."""
    if request.method != "GET":
        raise ApiError(405, "method_not_allowed", f"Events are read by GET, not {request.method}.", headers={"Allow": "GET"})


def admit_watcher(request: HttpRequest) -> "ApiKey":
    """The key of the request; what it may see is asked by whoever knows what is followed. ApiError 401, or 429 when it asks too often."""
    key = authenticate_key(request.headers.get("Authorization"), now=current_time(), address=request.META.get("REMOTE_ADDR", ""))
    require_turn(key.id)
    return key


def open_stream(lines: AsyncGenerator[bytes, None], *, key_id: UUID) -> StreamingHttpResponse:
    """The events as a response. ApiError 429 while the key has `API_OPEN_STREAMS` of them open at this process."""
    return stream_events(open_streams.open(lines, key_id=key_id, most=settings.API_OPEN_STREAMS))
