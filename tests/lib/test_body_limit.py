"""Bodies that are too long are refused while they arrive, declared or not."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from apps.lib.body_limit import BodyLimit
from apps.lib.http_errors import ApiError

LIMIT = 1_000_000
FORM = 65_536


class Exchange:
    """One request: what the client sends piece by piece, and what it gets."""

    def __init__(
        self,
        pieces: list[bytes],
        *,
        declared: int | None = None,
        path: str = "/v1/files",
        is_chunked: bool = False,
        is_patient: bool = False,
    ) -> None:
        headers = [] if declared is None else [(b"content-length", str(declared).encode())]
        headers += [(b"transfer-encoding", b"chunked")] if is_chunked else []
        self.is_patient = is_patient
        self.scope: MutableMapping[str, Any] = {"type": "http", "path": path, "headers": headers}
        self.pieces = list(pieces)
        self.sent: list[MutableMapping[str, Any]] = []
        self.read_by_application = 0

    async def receive(self) -> MutableMapping[str, Any]:
        if not self.pieces:
            if self.is_patient:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": bool(self.pieces) or self.is_patient}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)

    async def application(self, _scope: object, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            self.read_by_application += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def run(self) -> int:
        await BodyLimit(self.application, limit_of=lambda _path: LIMIT)(self.scope, self.receive, self.send)
        return int(self.sent[0]["status"])


async def test_a_body_within_the_limit_goes_through_whole() -> None:
    exchange = Exchange([b"x" * LIMIT, b"y" * FORM], declared=LIMIT + FORM)
    assert await exchange.run() == 200
    assert exchange.read_by_application == LIMIT + FORM


async def test_a_longer_one_that_says_so_never_reaches_the_application() -> None:
    exchange = Exchange([b"x" * 1_200_000], declared=1_200_000)
    assert await exchange.run() == 413
    assert exchange.read_by_application == 0


async def test_a_longer_one_that_says_nothing_is_cut_while_it_arrives() -> None:
    exchange = Exchange([b"x" * 100_000] * 15)
    assert await exchange.run() == 413
    assert exchange.read_by_application <= LIMIT + FORM


async def test_the_client_can_finish_sending_before_it_is_answered_but_not_for_ever() -> None:
    modest, endless = Exchange([b"x" * 100_000] * 15), Exchange([b"x" * 100_000] * 1000)
    assert await modest.run() == await endless.run() == 413
    assert modest.pieces == []
    assert len(endless.pieces) > 900


@pytest.mark.parametrize("path", ["/v1/files", "/api/jobs"])
async def test_the_refusal_is_told_like_any_other(path: str) -> None:
    exchange = Exchange([b"x" * 1_200_000], declared=1_200_000, path=path)
    await exchange.run()
    headers = dict(exchange.sent[0]["headers"])
    answer = json.loads(exchange.sent[1]["body"])
    assert headers[b"x-request-id"].startswith(b"req_")
    assert (headers[b"connection"], headers[b"x-should-retry"]) == (b"close", b"false")
    assert "1 MB" in (answer["error"]["message"] if path.startswith("/v1") else answer["detail"])
    assert headers[b"content-type"] == (b"application/json" if path.startswith("/v1") else b"application/problem+json")


async def test_a_body_in_chunks_is_told_how_long_it_is() -> None:
    """Else REST framework would take it for an empty one."""
    exchange = Exchange([b"x" * 100, b"y" * 23], is_chunked=True)
    assert await exchange.run() == 200
    assert dict(exchange.scope["headers"])[b"content-length"] == b"123"


async def test_two_ways_of_telling_the_length_are_refused() -> None:
    exchange = Exchange([b"x" * 100], declared=4, is_chunked=True)
    assert await exchange.run() == 400
    assert exchange.read_by_application == 0
    assert b"Content-Length and Transfer-Encoding" in exchange.sent[1]["body"]


async def test_a_client_that_waits_for_the_answer_gets_it_before_it_has_sent_everything() -> None:
    exchange = Exchange([b"x"], declared=1_200_000, is_patient=True)
    assert await asyncio.wait_for(exchange.run(), 120) == 413


@pytest.mark.parametrize("declared", [900_000, None])
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_long_body_is_taken_from_somebody_known(declared: int | None, *, is_known: bool) -> None:
    asked = []

    async def ask(scope: MutableMapping[str, Any]) -> ApiError | None:
        asked.append(scope["path"])
        return None if is_known else ApiError(401, "invalid_api_key", "No.")

    exchange = Exchange([b"x" * 100_000] * 9, declared=declared, is_chunked=declared is None)
    await BodyLimit(exchange.application, limit_of=lambda _path: LIMIT, ask_sender=ask, unasked_bytes=300_000)(
        exchange.scope, exchange.receive, exchange.send
    )
    assert asked == ["/v1/files"]
    if is_known:
        assert (exchange.sent[0]["status"], exchange.read_by_application) == (200, 900_000)
    else:
        assert exchange.sent[0]["status"] == 401
        assert exchange.read_by_application <= (0 if declared else 300_000)


async def test_nobody_is_asked_for_a_short_body() -> None:
    async def ask(_scope: MutableMapping[str, Any]) -> ApiError | None:
        raise AssertionError

    exchange = Exchange([b"x" * 100_000] * 3, is_chunked=True)
    await BodyLimit(exchange.application, limit_of=lambda _path: LIMIT, ask_sender=ask, unasked_bytes=300_000)(
        exchange.scope, exchange.receive, exchange.send
    )
    assert exchange.sent[0]["status"] == 200


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("declared", [None, 1])
async def test_of_what_is_written_down_the_first_byte_needs_a_sender(declared: int | None, *, is_known: bool) -> None:
    async def ask(_scope: MutableMapping[str, Any]) -> ApiError | None:
        return None if is_known else ApiError(401, "invalid_api_key", "No.")

    exchange = Exchange([b"x"], declared=declared, is_chunked=declared is None)
    limit = BodyLimit(
        exchange.application,
        limit_of=lambda _path: LIMIT,
        ask_sender=ask,
        unasked_bytes=300_000,
        is_written=lambda scope: bool(scope["path"] == "/v1/files"),
    )
    await limit(exchange.scope, exchange.receive, exchange.send)
    assert (exchange.sent[0]["status"], exchange.read_by_application) == ((200, 1) if is_known else (401, 0))


async def test_other_kinds_of_connection_pass() -> None:
    seen = []

    async def application(scope: MutableMapping[str, Any], _receive: object, _send: object) -> None:
        seen.append(scope["type"])

    exchange = Exchange([])
    await BodyLimit(application, limit_of=lambda _path: 0)({"type": "lifespan"}, exchange.receive, exchange.send)
    assert seen == ["lifespan"]
