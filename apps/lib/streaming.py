"""Bodies that are made while they are sent, under ASGI and WSGI alike."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from functools import partial
from typing import BinaryIO

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

_CHUNK_BYTES = 256 * 1024


def stream_response(request: HttpRequest, chunks: Iterator[bytes], *, content_type: str) -> StreamingHttpResponse:
    """Send `chunks` as they are made; under ASGI Django would otherwise collect a plain iterator in memory first."""
    content = _in_request_thread(chunks) if isinstance(request, ASGIRequest) else chunks
    return StreamingHttpResponse(content, content_type=content_type)


def stream_events(lines: AsyncIterable[bytes], headers: Mapping[str, str] | None = None) -> StreamingHttpResponse:
    """Server-sent events, each as it comes: proxies would otherwise keep the lines until there are many."""
    told = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})}
    return StreamingHttpResponse(lines, content_type="text/event-stream", headers=told)


def read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of `stream` in pieces; it is closed at the end."""
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


async def _in_request_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each chunk is made in the request's own thread, which holds its database connection."""
    pull = sync_to_async(partial(next, chunks, None))
    while (chunk := await pull()) is not None:
        yield chunk
