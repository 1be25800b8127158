"""The server: a bare asyncio protocol, because it shares its two cores with what it measures."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from urllib.parse import parse_qs, urlsplit

from apps.ops.domain.simulation import Script, SimulationInvalidError, find_script
from apps.ops.simulator import answers
from apps.ops.simulator.tally import Tally

_PLAIN = Script()
_HANGS_SECONDS = 3600.0
_DRIP_SECONDS = 0.2
_SHOWN_PROMPTS = 10


class Simulator:
    """What all connections share."""

    def __init__(self, *, latency: Callable[[], float], failures: list[tuple[Script, float]], chance: Random) -> None:
        self.latency = latency
        self.failures = failures
        self.chance = chance
        self.tally = Tally()

    def choose(self, body: bytes) -> Script:
        """The prompt's own script, else by the shares of failures, else an ordinary answer. SimulationInvalidError for a bad script."""
        if b"[[sim " in body and (script := find_script(body)):
            return script
        if self.failures:
            drawn = self.chance.random()
            for script, share in self.failures:
                drawn -= share
                if drawn < 0:
                    return script
        return _PLAIN

    def show(self, method: str, path: str, query: str) -> bytes | None:
        """What `/sim/...` answers; None when there is no such page."""
        if (method, path) == ("get", "/sim/stats"):
            return json.dumps(self.tally.stats()).encode()
        if (method, path) == ("get", "/sim/calls"):
            top = parse_qs(query).get("top", [""])[0]
            return json.dumps(self.tally.calls(top=int(top) if top.isdecimal() else _SHOWN_PROMPTS)).encode()
        if (method, path) == ("post", "/sim/reset"):
            self.tally.reset()
            return b"{}"
        return None


class Connection(asyncio.Protocol):
    """One client's connection; requests on it come one after another."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.received = bytearray()
        self.timer: asyncio.TimerHandle | None = None
        self.is_open = False

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
        url = urlsplit(target)
        if url.path.startswith("/sim/"):
            shown = self.simulator.show(method, url.path, url.query)
        elif method == "post" and url.path.endswith(answers.CALLS):
            self._call(url.path, body, _header(head, b"x-client-request-id"))
            return
        else:
            shown = answers.models() if (method, url.path[-7:]) == ("get", "/models") else None
        if shown is None:
            self._send(404, answers.error(f"There is no {method.upper()} {url.path} here."))
        else:
            self._send(200, shown)

    def _call(self, path: str, body: bytes, request_id: bytes) -> None:
        try:
            script = self.simulator.choose(body)
        except SimulationInvalidError as error:
            self._send(400, answers.error(str(error)))
            return
        times = self.simulator.tally.begin(body, request_id)
        self.is_open = True
        if script.times and times > script.times:
            script = replace(_PLAIN, delay=script.delay, tokens=script.tokens)
        seconds = self.simulator.latency() if script.delay is None else script.delay
        self.timer = self.loop.call_later(_HANGS_SECONDS if script.hang else seconds, self._answer, path, script, body)

    def _answer(self, path: str, script: Script, request: bytes) -> None:
        if script.malformed:
            body = b'{"choices": [\x00 this is not JSON'
        elif script.status != 200:
            body = answers.failure(script.status)
        elif path.endswith("/embeddings"):
            body = answers.embeddings(request)
        else:
            body = answers.success(path, script.tokens, script.body_kilobytes * 1024)
        if script.drip:
            self._drip(answers.head(script.status, len(body), script.retry_after) + body, script.status)
            return
        self._end(script.status)
        self._send(script.status, body[: len(body) // 2] if script.cut else body, script.retry_after, length=len(body))
        if script.cut:
            self.transport.close()

    def _drip(self, rest: bytes, status: int) -> None:
        """A byte now and then: each comes within any read timeout, the whole never comes in time."""
        if not rest:
            self._end(status)
            return
        self.transport.write(rest[:1])
        self.timer = self.loop.call_later(_DRIP_SECONDS, self._drip, rest[1:], status)

    def _end(self, status: int) -> None:
        self.is_open, self.timer = False, None
        self.simulator.tally.end(status)

    def _send(self, status: int, body: bytes, retry_after: float | None = None, *, length: int | None = None) -> None:
        self.transport.write(answers.head(status, len(body) if length is None else length, retry_after) + body)


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
