"""Send one POST and bring back whatever came, bounded in bytes and time: no redirects, no retries, no exceptions for trouble."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from time import monotonic

import aiohttp
from yarl import URL

from apps.lib.sse import EventReader
from apps.providers.adapters.adapter import AnswerStream
from apps.providers.domain.answers import Request, WireAnswer, WireFailure
from apps.providers.domain.chat_stream import StreamBrokenError

_EVENTS = "text/event-stream"
_KEPT_HEADERS = frozenset({b"retry-after", b"retry-after-ms", b"x-request-id", b"request-id"})
_KEPT_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-")

# What a machine says that can open no further connection, to anybody.
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much: seconds for connecting, between two pieces, and in all; bytes of the decoded answer."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Reads a streamed answer as it comes, and tells of each chunk."""

    stream: AnswerStream
    tell: Callable[[bytes], None]


class _TooLongError(Exception):
    pass


class _UnwritableError(Exception):
    """An address that HTTP has no form for."""


async def send(
    session: aiohttp.ClientSession, request: Request, limits: Limits, *, clock: Callable[[], datetime], listener: Listener | None = None
) -> WireAnswer:
    """POST and read the answer. The total deadline is ours: per-phase timeouts never end an answer that drips.

    What is streamed to a `listener` is an answer only once it is whole; then it is the one that it would have been in one piece.
    """
    sent_at, started = clock(), monotonic()
    answer = _Partial()

    def outcome(failure: WireFailure | None = None, error: str = "") -> WireAnswer:
        return WireAnswer(
            sent_at=sent_at,
            duration_seconds=monotonic() - started,
            status=answer.status,
            headers=answer.headers,
            body=bytes(answer.body),
            first_byte_seconds=answer.first_byte_at - started if answer.first_byte_at else None,
            failure=failure,
            error=error,
            is_events=answer.is_streamed and failure is not None,
        )

    try:
        async with asyncio.timeout(limits.total_seconds):
            await _exchange(session, request, limits, answer, listener)
    except _TooLongError:
        return outcome(WireFailure.TOO_LONG, f"The answer is longer than {limits.answer_bytes} bytes.")
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        is_ours = isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno in _OURS
        return outcome(WireFailure.OURS if is_ours else WireFailure.NOT_SENT, f"No connection: {error}")
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, _UnwritableError) as error:
        return outcome(WireFailure.NOT_SENT, f"The provider's base URL can't be used: {error}")
    except TimeoutError:
        return outcome(WireFailure.TIMED_OUT, "The provider did not answer in time.")
    except (StreamBrokenError, aiohttp.ClientError, OSError, ValueError) as error:
        is_told = isinstance(error, StreamBrokenError)
        return outcome(WireFailure.CUT, str(error) if is_told else f"The connection broke: {type(error).__name__}: {error}")
    return outcome()


class _Partial:
    """What has come so far, kept when the rest doesn't come."""

    __slots__ = ("body", "first_byte_at", "headers", "is_streamed", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.body = bytearray()
        self.first_byte_at: float | None = None
        self.is_streamed = False


# Parsed once for each address and set of timeouts, not once for each of thousands of calls a second.
@lru_cache(maxsize=1024)
def _parsed(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise _UnwritableError(str(error)) from error


@lru_cache(maxsize=1024)
def _phase_timeouts(limits: Limits) -> aiohttp.ClientTimeout:
    """`connect` covers names and handshakes too, and ends before the total does: what was not sent must not look as if it had been."""
    connect_seconds = min(limits.connect_seconds, 0.9 * limits.total_seconds)
    return aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_connect=connect_seconds, sock_read=limits.read_seconds)


def _kept(raw_headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    kept = {}
    for raw_name, value in raw_headers:
        name = raw_name.lower()
        if name in _KEPT_HEADERS or name.startswith(_KEPT_PREFIXES):
            kept[name.decode("latin-1")] = value.decode("latin-1")
    return kept


async def _exchange(session: aiohttp.ClientSession, request: Request, limits: Limits, answer: _Partial, listener: Listener | None) -> None:
    timeout = _phase_timeouts(limits)
    async with session.post(
        _parsed(request.url), data=request.body, headers=request.headers, allow_redirects=False, timeout=timeout
    ) as response:
        answer.status, answer.first_byte_at = response.status, monotonic()
        answer.headers = _kept(response.raw_headers)
        answer.is_streamed = listener is not None and response.status == 200 and response.content_type == _EVENTS
        events = EventReader()
        async for chunk in response.content.iter_any():
            answer.body += chunk
            if len(answer.body) > limits.answer_bytes:
                del answer.body[limits.answer_bytes :]
                raise _TooLongError
            if listener is not None and answer.is_streamed:
                _tell(listener, events.feed(chunk))
        if listener is not None and answer.is_streamed:
            answer.body = _whole(listener)


def _tell(listener: Listener, events: Iterable[bytes]) -> None:
    for data in events:
        for chunk in listener.stream.feed(data):
            listener.tell(chunk)


def _whole(listener: Listener) -> bytearray:
    whole = listener.stream.whole()
    if whole is None:
        raise StreamBrokenError("The streamed answer ended before it was whole.")
    return bytearray(whole)
