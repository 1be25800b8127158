"""Refuse bodies that are too long while they arrive, before Django spools them."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from apps.lib.http_errors import ApiError, error_content
from apps.lib.ids import new_request_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# A client that is still sending does not read our answer: what it sends after the limit is thrown away, up to this many times the limit.
_DRAINED_TIMES = 2
# Room for the multipart form around a file.
_FORM_BYTES = 65_536


class BodyLimit:
    """ASGI: `limit_of(path)` gives the most bytes that a body may have; longer ones are answered 413."""

    def __init__(self, application: Application, *, limit_of: Callable[[str], int]) -> None:
        self.application = application
        self.limit_of = limit_of

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        limit = self.limit_of(scope["path"])
        if _declared(scope) > limit + _FORM_BYTES:
            await _refuse(scope, receive, send, limit, received=0)
            return
        counted = _Counted(receive, limit + _FORM_BYTES)
        try:
            await self.application(scope, counted.receive, send)
        except _TooLongError:
            await _refuse(scope, receive, send, limit, received=counted.received)


class _TooLongError(Exception):
    pass


class _Counted:
    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self.received = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if self.received > self._limit:
            raise _TooLongError
        return message


def _declared(scope: MutableMapping[str, Any]) -> int:
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


async def _refuse(scope: MutableMapping[str, Any], receive: Receive, send: Send, limit: int, *, received: int) -> None:
    while received <= limit * _DRAINED_TIMES:
        message = await receive()
        received += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    megabytes = f"{limit / 1_048_576:.0f} MB"
    error = ApiError(413, "request_too_large", f"The body is longer than the {megabytes} that are taken here. Split it into several.")
    body = orjson.dumps(error_content(scope["path"], error))
    headers = [
        (b"content-type", b"application/json" if scope["path"].startswith("/v1") else b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", new_request_id().encode()),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
