"""Refuse bodies that are too long while they arrive, before Django spools them, and tell those that come in chunks how long they are."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from django.conf import settings

from apps.lib.http_errors import ApiError, error_content, error_response, find_shortage
from apps.lib.ids import new_request_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# A client that is still sending does not read our answer: what it sends after the limit is thrown away, up to this many times the limit.
_DRAINED_TIMES = 2
_DRAINED_OF_STRANGERS = 8 << 20
# One that sends nothing for so long is waiting for the answer.
_QUIET_SECONDS = 1.0
# Room for the multipart form around a file.
_FORM_BYTES = 65_536
_TWO_LENGTHS = ApiError(400, "invalid_request", "The request has Content-Length and Transfer-Encoding; send one of the two.")


async def _nobody_is_asked(_scope: Message) -> None:
    return None


class BodyLimit:
    """ASGI: `limit_of(path)` gives the most bytes that a body may have; longer ones are answered 413.

    `refusal_of(scope, declared length)` may refuse a request for another reason before its body is taken. `ask_sender(scope)` may
    refuse whoever sends more than `unasked_bytes`, once, before more of it is taken: shorter bodies cost no question, unless
    `is_written(scope)`: of a body that goes to the disk while it arrives the sender is asked before its first byte.
    """

    def __init__(
        self,
        application: Application,
        *,
        limit_of: Callable[[str], int],
        refusal_of: Callable[[Message, int], ApiError | None] = lambda _scope, _declared: None,
        ask_sender: Callable[[Message], Awaitable[ApiError | None]] = _nobody_is_asked,
        unasked_bytes: int = 0,
        is_written: Callable[[Message], bool] = lambda _scope: False,
    ) -> None:
        self.application = application
        self.limit_of = limit_of
        self.refusal_of = refusal_of
        self.ask_sender = ask_sender
        self.unasked_bytes = unasked_bytes
        self.is_written = is_written

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
        counted, refusal = _Counted(scope, receive, send, limit + _FORM_BYTES, self._ask), None
        try:
            await counted.look_at_sender(_declared(scope))
            refusal = self.refusal_of(scope, _declared(scope))
            if refusal is None:
                await self.application(scope, counted.receive, counted.send)
        except _TooLongError:
            refusal = _too_long(limit)
        except _StrangerError as stranger:
            await _refuse(scope, receive, send, stranger.refusal, drained=_DRAINED_OF_STRANGERS)
        except OSError as error:
            # Asking takes descriptors; and Django spools the body before it answers anything, errors included.
            refusal = None if counted.is_answered else find_shortage(error)
            if refusal is None:
                raise
        if refusal is not None:
            await _refuse(scope, receive, send, refusal, drained=-1 if counted.is_complete else limit * _DRAINED_TIMES - counted.received)

    async def _ask(self, scope: Message, length: int) -> bool:
        """Whether the question was due; _StrangerError when it was, and the answer is no."""
        if length <= (0 if self.is_written(scope) else self.unasked_bytes):
            return False
        if refusal := await self.ask_sender(scope):
            raise _StrangerError(refusal)
        return True


class _TooLongError(Exception):
    pass


class _StrangerError(Exception):
    def __init__(self, refusal: ApiError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Counted:
    def __init__(self, scope: Message, receive: Receive, send: Send, limit: int, ask: Callable[[Message, int], Awaitable[bool]]) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._ask = ask
        self._is_known = False
        self.received = 0
        self.is_complete = False
        self.is_answered = False

    async def send(self, message: Message) -> None:
        self.is_answered = True
        await self._send(message)

    async def look_at_sender(self, length: int) -> None:
        """_StrangerError when so long a body is not taken from whoever sends this one."""
        if not self._is_known:
            self._is_known = await self._ask(self._scope, length)

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if self.received > self._limit:
            raise _TooLongError
        await self.look_at_sender(self.received)
        self.is_complete = not message.get("more_body")
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
            async with asyncio.timeout(_QUIET_SECONDS):
                message = await receive()
        except TimeoutError:
            break  # the client waits for us, or is in no hurry
        drained -= len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    answer = error_response(scope["path"], error)
    body = answer.content if scope["path"].startswith(settings.ADMIN_PATH) else orjson.dumps(error_content(scope["path"], error))
    headers = [
        *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", new_request_id().encode()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
