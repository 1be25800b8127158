"""The server: a bare asyncio protocol, because it shares its two cores with what it measures."""

import asyncio
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from math import ceil

from apps.ops.domain.simulation import Script, SimulationInvalidError
from apps.ops.simulator import answers, heads, streams
from apps.ops.simulator.simulator import Lane, Simulator
from apps.ops.simulator.tally import Delivered

_HANGS_SECONDS = 3600.0
_DRIP_SECONDS = 0.2
_FLUSH_SECONDS = 0.05
_MODEL = re.compile(rb'"model":\s*"([^"\\]{1,200})"')
# Close with a reset, not with a goodbye.
_LINGER = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """One client's connection; requests on it come one after another."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.received = bytearray()
        self.timer: asyncio.TimerHandle | None = None
        self.is_open = False
        self.key = ""
        self.request_id = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's transport
        self.loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        if self.timer:
            self.timer.cancel()
        if self.is_open:
            self._end(0)

    def data_received(self, data: bytes) -> None:
        """Heads are read in lower case: nothing here tells cases apart."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.received[:end]).lower()
            length = _header(head, b"content-length") or b"0"
            if not length.isdigit() or _header(head, b"transfer-encoding"):
                self._send(411, answers.error("The simulator needs a Content-Length."))
                self.transport.close()
                return
            start, stop = end + 4, end + 4 + int(length)
            if len(self.received) < stop:
                return
            body = bytes(self.received[start:stop])
            del self.received[:stop]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        method, target, _ = (head.split(b"\r\n", 1)[0].decode("latin-1") + "  ").split(" ", 2)
        path, _, query = target.partition("?")
        if path.startswith("/sim/"):
            try:
                shown = self.simulator.show(method, path, query, body)
            except SimulationInvalidError as error:
                self._send(400, answers.error(str(error)))
                return
        elif method == "post" and path.endswith(answers.CALLS):
            self._call(path, head, body)
            return
        else:
            shown = answers.models() if (method, path[-7:]) == ("get", "/models") else None
        if shown is None:
            self._send(404, answers.error(f"There is no {method.upper()} {path} here."))
        else:
            self._send(200, shown)

    def _call(self, path: str, head: bytes, body: bytes) -> None:
        api_key = (_header(head, b"x-api-key") or _header(head, b"authorization").removeprefix(b"bearer ")).decode("latin-1")
        lane, self.key = self.simulator.lane(api_key), api_key[-4:]
        try:
            script = lane.choose(body, self.simulator.chance)
        except SimulationInvalidError as error:
            self._send(400, answers.error(str(error)))
            return
        self.request_id = _header(head, b"x-client-request-id")
        times = self.simulator.tally.begin(body, self.request_id)
        self.is_open = True
        if script.times and times > script.times:
            script = replace(script, **_WELL)
        wait = lane.take(script.tokens)
        if wait:
            self._end(429)
            extra = heads.retry_after(ceil(wait), script.retry_after_form)
            self._send(429, answers.failure(path, 429), [*extra, *self._limits(path, lane, wait)], is_throttled=True)
            return
        seconds = lane.latency() if script.delay is None else script.delay
        self.timer = self.loop.call_later(_HANGS_SECONDS if script.hang else seconds, self._answer, path, script, body, lane)

    def _answer(self, path: str, script: Script, request: bytes, lane: Lane) -> None:
        if script.reset:
            self._reset()
            return
        extra = self._limits(path, lane)
        if script.status == 429 or script.retry_after is not None:
            extra += heads.retry_after(1.0 if script.retry_after is None else script.retry_after, script.retry_after_form)
        body = _body(path, script, request)
        if script.gzip_bomb:
            extra.append("Content-Encoding: gzip")
        if script.drip:
            self._drip(_whole(heads.head(script.status, len(body)), extra) + body, script, _delivered(path, script, request))
            return
        is_half = script.cut or script.reset_body
        if script.status == 200 and not script.malformed and streams.is_wanted(path, request):
            pieces = streams.pieces_of(path, body, request, number=script.pieces)
            self.transport.write(_whole(streams.head(), extra))
            delivered = None if is_half else _delivered(path, script, request)
            self._stream(pieces[: len(pieces) // 2] if is_half else pieces, script, delivered)
            return
        delivered = None if is_half else _delivered(path, script, request)
        self._end(script.status, tokens=script.tokens if script.status == 200 else 0, delivered=delivered)
        self._send(script.status, body[: len(body) // 2] if is_half else body, extra, length=len(body), is_throttled=_shown(lane, script))
        if script.reset_body:
            # What was written goes out first: a reset drops what has not.
            self.loop.call_later(_FLUSH_SECONDS, self._reset)
        elif script.cut:
            self.transport.close()

    def _limits(self, path: str, lane: Lane, wait: float = 0.0) -> list[str]:
        return heads.limits(lane.room(wait), is_anthropic=path.endswith(answers.MESSAGES)) if lane.is_limited else []

    def _reset(self) -> None:
        """As a cable that is pulled: no end of the answer, no goodbye."""
        peer: socket.socket | None = self.transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        self.transport.abort()

    def _drip(self, rest: bytes, script: Script, delivered: Delivered | None) -> None:
        """A byte now and then: each comes within any read timeout, the whole never comes in time."""
        if not rest:
            self._end(script.status, tokens=script.tokens, delivered=delivered)
            return
        self.transport.write(rest[:1])
        self.timer = self.loop.call_later(_DRIP_SECONDS, self._drip, rest[1:], script, delivered)

    def _stream(self, pieces: list[bytes], script: Script, delivered: Delivered | None) -> None:
        """One event after another; those that come without a gap go out together."""
        if pieces:
            count = 1 if script.gap else len(pieces)
            self.transport.write(b"".join(streams.chunked(piece) for piece in pieces[:count]))
            self.timer = self.loop.call_later(script.gap, self._stream, pieces[count:], script, delivered)
            return
        self._end(200, tokens=script.tokens, delivered=delivered)
        if script.reset_body:
            self.loop.call_later(_FLUSH_SECONDS, self._reset)
        elif script.cut:
            self.transport.close()
        else:
            self.transport.write(streams.END)

    def _end(self, status: int, *, tokens: int = 0, delivered: Delivered | None = None) -> None:
        self.is_open, self.timer = False, None
        tokens = tokens and tokens + answers.PROMPT_TOKENS
        self.simulator.tally.end(status, key=self.key, tokens=tokens, request_id=self.request_id, delivered=delivered)

    def _send(
        self, status: int, body: bytes, extra: list[str] | None = None, *, length: int | None = None, is_throttled: bool | None = None
    ) -> None:
        head = heads.head(status, len(body) if length is None else length, is_throttled=is_throttled)
        self.transport.write(_whole(head, extra or []) + body)


# What a script's troubles become when it has had its times; its delay and its tokens stay.
_WELL = {
    field: getattr(Script(), field)
    for field in ("status", "hang", "cut", "malformed", "drip", "reset", "reset_body", "empty", "gzip_bomb", "retry_after", "usage")
}


def _shown(lane: Lane, script: Script) -> bool | None:
    """None where no limits are kept: then plenty is shown, or none with a 429."""
    return script.status == 429 if lane.is_limited else None


def _body(path: str, script: Script, request: bytes) -> bytes:
    if script.gzip_bomb:
        return answers.gzip_bomb()
    if script.malformed:
        return b'{"choices": [\x00 this is not JSON'
    if script.status != 200:
        return answers.failure(path, script.status)
    if path.endswith("/embeddings"):
        return answers.embeddings(request)
    return answers.success(path, script.said_to(request), script.turn_of(request))


def _delivered(path: str, script: Script, request: bytes) -> Delivered | None:
    """None where nothing came that a caller could use."""
    if script.status != 200 or script.malformed or script.empty or script.gzip_bomb:
        return None
    model = _MODEL.search(request)
    return Delivered(model[1].decode("utf-8", "replace") if model else "", *answers.used(path, request, script.tokens))


def _whole(head: bytes, extra: list[str]) -> bytes:
    return head + ("\r\n".join(extra) + "\r\n\r\n").encode() if extra else head + b"\r\n"


def _header(head: bytes, name: bytes) -> bytes:
    """A header's value, in a head in lower case; empty when it has none of that name."""
    at = head.find(b"\r\n" + name + b":")
    return head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip() if at >= 0 else b""


async def serve(simulator: Simulator, *, port: int, listening: Callable[[], None]) -> None:
    """Serve on loopback until cancelled; calls `listening` once it does. OSError when the port can't be had."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(simulator), "127.0.0.1", port, backlog=4096)
    listening()
    async with server:
        await server.serve_forever()
