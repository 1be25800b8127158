"""Answers as server-sent events: those of a call while it is made, and those of an item for whoever comes back for them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.permissions import require_scope
from apps.jobs.actions import KeyRefusedError, follow_item
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.chunk import Chunk, read_id
from apps.jobs.domain.stream_wish import stored_wish
from apps.jobs.domain.streamed_answer import DONE, NOTHING, StreamedAnswer
from apps.jobs.queries import find_item
from apps.jobs.queries.request import read_request
from apps.jobs.views.watching import admit_watcher, open_stream, require_get
from apps.lib.http_errors import ApiError
from apps.lib.sse import HEARTBEAT, REFUSED, write_event

_RESTART = write_event(b"{}", name="restart")


async def answered_lines(answer: CallAnswer, told: StreamedAnswer) -> AsyncGenerator[bytes, None]:
    """An answer that is there already, in chunks."""
    for data in told.end(answer):
        yield write_event(data)


def written(piece: Chunk | CallAnswer | None, told: StreamedAnswer) -> list[bytes]:
    """The events that a piece becomes."""
    if piece is None:
        return [HEARTBEAT]
    if isinstance(piece, Chunk):
        return [write_event(piece.data.encode(), event_id=piece.id)]
    return [write_event(data) for data in told.end(piece)]


@csrf_exempt
async def item_events(request: HttpRequest, item_id: str) -> StreamingHttpResponse:
    """A streamed answer from its begin, or from behind the piece that `Last-Event-ID` names; live while it is still being made.

    An event `restart` says that the pieces behind it are another run's: what was read before is to be thrown away. It ends with `refused`
    within a second after the key was revoked.
    """
    require_get(request)
    after = request.headers.get("Last-Event-ID", "").strip()
    if after and read_id(after) is None:
        raise ApiError(400, "invalid_value", "Last-Event-ID must be the id of an event of this item.", param="Last-Event-ID")
    found, key_id, is_usage_told = await in_thread(_admit, request, item_id)
    return open_stream(_followed(found, key_id, after, is_usage_told=is_usage_told), key_id=key_id)


def _admit(request: HttpRequest, item_id: str) -> tuple[UUID, UUID, bool]:
    key = admit_watcher(request)
    if "jobs" not in key.scopes:
        require_scope(key, "chat")
    item = find_item(workspace_id=key.workspace_id, public_id=item_id)
    # Of what it may make, a key may read the answers.
    require_scope(key, "chat" if item.job.kind == "single" else "jobs")
    body = read_request(item)
    return item.id, key.id, body is not None and stored_wish(body).is_usage_told


async def _followed(item_id: UUID, key_id: UUID, after: str, *, is_usage_told: bool) -> AsyncGenerator[bytes, None]:
    """Whatever of the answer its reader has missed: the pieces behind what it knows, or all of it anew."""
    told = StreamedAnswer(is_usage_told=is_usage_told, after=read_id(after))
    try:
        async with aclosing(follow_item(item_id=item_id, key_id=key_id, after=after)) as pieces:
            async for piece in pieces:
                if piece is None:
                    yield HEARTBEAT
                elif isinstance(piece, Chunk):
                    if told.is_of_another_run(piece):
                        yield _RESTART
                        told = StreamedAnswer(is_usage_told=is_usage_told)
                    is_known = told.goes_on(piece)
                    told.take(piece)
                    if piece.data and not is_known:
                        yield write_event(piece.data.encode(), event_id=piece.id)
                elif told.is_whole(piece):
                    yield write_event(DONE)
                else:
                    if told.last_id != NOTHING:
                        yield _RESTART
                    for data in StreamedAnswer(is_usage_told=is_usage_told).end(piece):
                        yield write_event(data)
    except KeyRefusedError:
        yield REFUSED
