"""Refuse bodies that are too long while they arrive, before Django spools them, and tell those that come in chunks how long they are."""

import asyncio
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
# One that sends nothing for so long is waiting for the answer.
_QUIET_SECONDS = 1.0
# Room for the multipart form around a file.
_FORM_BYTES = 65_536
_TWO_LENGTHS = ApiError(400, "invalid_request", "The request has Content-Length and Transfer-Encoding; send one of the two.")


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
        names = {name for name, _ in scope["headers"]}
        if names >= {b"transfer-encoding", b"content-length"}:
            # Whoever stands in front may have read it by the other one, and taken the rest for another request.
            await _refuse(scope, receive, send, _TWO_LENGTHS, drained=limit * _DRAINED_TIMES)
            return
        if _declared(scope) > limit + _FORM_BYTES:
            await _refuse(scope, receive, send, _too_long(limit), drained=limit * _DRAINED_TIMES)
            return
        counted = _Counted(scope, receive, limit + _FORM_BYTES)
        try:
            await self.application(scope, counted.receive, send)
        except _TooLongError:
            await _refuse(scope, receive, send, _too_long(limit), drained=limit * _DRAINED_TIMES - counted.received)


class _TooLongError(Exception):
    pass


class _Counted:
    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, limit: int) -> None:
        self._scope = scope
        self._receive = receive
        self._limit = limit
        self.received = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if self.received > self._limit:
            raise _TooLongError
        if not message.get("more_body") and any(name == b"transfer-encoding" for name, _ in self._scope["headers"]):
            # REST framework takes a body of unknown length for none. Django looks at the headers once all of the body is here.
            self._scope["headers"] = [*self._scope["headers"], (b"content-length", str(self.received).encode())]
        return message


def _declared(scope: MutableMapping[str, Any]) -> int:
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


def _too_long(limit: int) -> ApiError:
    megabytes = f"{limit / 1_048_576:.0f} MB"
    return ApiError(413, "request_too_large", f"The body is longer than the {megabytes} that are taken here. Split it into several.")


async def _refuse(scope: MutableMapping[str, Any], receive: Receive, send: Send, error: ApiError, *, drained: int) -> None:
    while drained >= 0:
        try:
            message = await asyncio.wait_for(receive(), _QUIET_SECONDS)
        except TimeoutError:
            break  # the client waits for us, or is in no hurry
        drained -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    body = orjson.dumps(error_content(scope["path"], error))
    headers = [
        (b"content-type", b"application/json" if scope["path"].startswith("/v1") else b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", new_request_id().encode()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
