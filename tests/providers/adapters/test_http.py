"""One POST over real connections: whatever comes back, or doesn't, is brought home within its bounds."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import ANY

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.lib.ports import free_port
from apps.providers.actions import open_session
from apps.providers.adapters.http import Limits, send
from apps.providers.domain.answers import Request, WireAnswer, WireFailure
from tests.factories.providers import clock
from tests.lib.descriptors import no_descriptors
from tests.providers.adapters.raw_server import Say, drips, raw_server, says, self_signed, stays_silent

PATIENT = Limits(connect_seconds=60, read_seconds=120, total_seconds=120, answer_bytes=1_000_000)
HASTY = Limits(connect_seconds=60, read_seconds=20, total_seconds=1.5, answer_bytes=1_000_000)
QUIET = Limits(connect_seconds=60, read_seconds=0.5, total_seconds=120, answer_bytes=1_000_000)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(max_connections=10) as opened:
        yield opened


async def ask(session: aiohttp.ClientSession, url: str, limits: Limits = PATIENT) -> WireAnswer:
    return await send(session, Request(url=url, body=b"{}"), limits, clock=clock)


async def ask_raw(session: aiohttp.ClientSession, say: Say, limits: Limits = PATIENT) -> WireAnswer:
    async with raw_server(say) as base_url:
        return await ask(session, base_url, limits)


def whole(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def test_a_whole_answer_comes_with_its_times_and_the_headers_that_matter(session: aiohttp.ClientSession) -> None:
    headers = ["X-Request-Id: req_1", "x-ratelimit-remaining-requests: 9", "Retry-After: 3", "Set-Cookie: a=b", "Server: x"]
    answer = await ask_raw(session, says(whole(b'{"id": 1}', *headers, status=429)))
    assert (answer.status, answer.body, answer.failure, answer.error) == (429, b'{"id": 1}', None, "")
    assert answer.headers == {"x-request-id": "req_1", "x-ratelimit-remaining-requests": "9", "retry-after": "3"}
    assert answer.first_byte_seconds is not None
    assert 0 < answer.first_byte_seconds <= answer.duration_seconds


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession) -> None:
    async with raw_server(says(whole(b"{}"))) as elsewhere:
        answer = await ask_raw(session, says(whole(b"", f"Location: {elsewhere}", status=302)))
    assert (answer.status, answer.failure) == (302, None)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/v1",
        "http://no-such-host.invalid/v1",
        "ftp://127.0.0.1/v1",
        "http://127.0.0.1:99999/v1",
        "http:///v1",
        "http://[::1/v1",
        "nonsense",
    ],
)
async def test_what_could_not_be_sent_is_not_sent(session: aiohttp.ClientSession, url: str) -> None:
    answer = await ask(session, url.format(port=free_port()))
    assert (answer.status, answer.failure, answer.error) == (None, WireFailure.NOT_SENT, ANY)
    assert answer.error


async def test_without_descriptors_of_our_own_it_is_not_sent_and_said_to_be_ours(session: aiohttp.ClientSession) -> None:
    async with raw_server(says(whole(b"{}"))) as base_url:
        with no_descriptors():
            answer = await ask(session, base_url)
        assert (answer.failure, answer.status) == (WireFailure.OURS, None)
        assert (await ask(session, base_url)).status == 200


async def test_a_failed_tls_handshake_is_not_sent(session: aiohttp.ClientSession) -> None:
    async with raw_server(says(b"plain text")) as base_url:
        answer = await ask(session, base_url.replace("http:", "https:"), Limits(1, 1, 5, 1000))
    assert answer.failure is WireFailure.NOT_SENT


async def test_a_certificate_that_nobody_vouches_for_is_not_sent(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with raw_server(says(whole(b"{}")), tls=self_signed(tmp_path)) as base_url:
        answer = await ask(session, base_url.replace("http:", "https:"))
    assert answer.failure is WireFailure.NOT_SENT
    assert "certificate" in answer.error.lower()


async def test_a_handshake_that_outlasts_the_total_deadline_is_not_sent(session: aiohttp.ClientSession) -> None:
    async with raw_server(stays_silent) as base_url:
        answer = await ask(session, base_url.replace("http:", "https:"), Limits(10, 10, 0.3, 1000))
    assert answer.failure is WireFailure.NOT_SENT


async def test_waiting_for_a_free_connection_is_not_sent() -> None:
    arrived = asyncio.Event()

    async def takes_its_time(_writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with open_session(max_connections=1) as session, raw_server(takes_its_time) as base_url:
        first = asyncio.create_task(ask(session, base_url, Limits(30, 60, 4, 1000)))
        await arrived.wait()
        second = await ask(session, base_url, Limits(0.2, 60, 60, 1000))
        assert second.failure is WireFailure.NOT_SENT
        assert (await first).failure is WireFailure.TIMED_OUT


async def test_silence_ends_at_the_read_timeout(session: aiohttp.ClientSession) -> None:
    answer = await ask_raw(session, stays_silent, QUIET)
    assert (answer.status, answer.failure) == (None, WireFailure.TIMED_OUT)


@pytest.mark.parametrize("say", [stays_silent, drips])
async def test_the_total_deadline_holds_whatever_drips(session: aiohttp.ClientSession, say: Say) -> None:
    answer = await ask_raw(session, say, HASTY)
    assert answer.failure is WireFailure.TIMED_OUT
    assert answer.duration_seconds < HASTY.read_seconds


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 50,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x00\x01\x02\x03" * 100,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n{}",
    ],
    ids=[
        "nothing",
        "half a head",
        "half a body",
        "chunks without end",
        "no chunks",
        "no length",
        "no gzip",
        "no status",
        "ssh",
        "noise",
        "fat",
    ],
)
async def test_a_broken_answer_is_cut(session: aiohttp.ClientSession, content: bytes) -> None:
    answer = await ask_raw(session, says(content))
    assert answer.failure is WireFailure.CUT
    assert answer.error


async def test_what_came_before_the_cut_is_kept(session: aiohttp.ClientSession) -> None:
    answer = await ask_raw(session, says(b"HTTP/1.1 200 OK\r\nx-request-id: r1\r\nContent-Length: 100\r\n\r\nhalf"))
    assert (answer.status, answer.headers, answer.body) == (200, {"x-request-id": "r1"}, b"half")


@pytest.mark.parametrize("is_packed", [False, True])
async def test_an_answer_beyond_the_limit_is_left(session: aiohttp.ClientSession, is_packed: bool) -> None:  # noqa: FBT001 -- a parameter
    body = b"x" * 10_000_000
    content = whole(gzip.compress(body), "Content-Encoding: gzip") if is_packed else whole(body)
    answer = await ask_raw(session, says(content))
    assert (answer.status, answer.failure, len(answer.body)) == (200, WireFailure.TOO_LONG, PATIENT.answer_bytes)


async def test_an_answer_of_just_the_limit_is_whole(session: aiohttp.ClientSession) -> None:
    answer = await ask_raw(session, says(whole(b"x" * PATIENT.answer_bytes)))
    assert (answer.failure, len(answer.body)) == (None, PATIENT.answer_bytes)


async def test_a_packed_answer_is_unpacked(session: aiohttp.ClientSession) -> None:
    answer = await ask_raw(session, says(whole(gzip.compress(b'{"id": 1}'), "Content-Encoding: gzip")))
    assert (answer.failure, answer.body) == (None, b'{"id": 1}')


async def test_a_connection_is_used_again(session: aiohttp.ClientSession) -> None:
    ports: set[int] = set()

    async def say(writer: asyncio.StreamWriter) -> None:
        ports.add(writer.get_extra_info("peername")[1])
        writer.write(whole(b"{}"))
        await asyncio.Event().wait()

    async with raw_server(say) as base_url:
        await ask(session, base_url)
        assert len(session.connector._conns) == 1  # type: ignore[union-attr]  # an open session has one
    assert len(ports) == 1


async def test_cookies_are_neither_kept_nor_sent(session: aiohttp.ClientSession) -> None:
    await ask_raw(session, says(whole(b"{}", "Set-Cookie: a=b; Path=/")))
    assert list(session.cookie_jar) == []


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"]))
def test_no_bytes_from_a_server_raise(tail: bytes, head: bytes) -> None:
    async def once() -> WireAnswer:
        async with open_session(max_connections=1) as session:
            return await ask_raw(session, says(head + tail), Limits(60, 60, 60, 1000))

    answer = asyncio.run(once())
    assert answer.failure in {None, WireFailure.CUT}
    assert answer.status is not None or answer.failure
