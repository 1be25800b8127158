"""The server: a bare asyncio protocol, because it shares its two cores with what it measures."""

import asyncio
import json
from collections.abc import Callable
from random import Random

from apps.ops.domain.simulation import Script, SimulationInvalidError, find_script
from apps.ops.simulator import answers
from apps.ops.simulator.tally import Tally

_PLAIN = Script()
_HANGS_SECONDS = 3600.0
_DRIP_SECONDS = 0.2


class Simulator:
    """What all connections share."""

    def __init__(self, *, latency: Callable[[], float], failures: list[tuple[Script, float]], chance: Random) -> None:
        self.latency = latency
        self.failures = failures
        self.chance = chance
        self.tally = Tally()

    def choose(self, body: bytes) -> Script:
        """The prompt's own script, else by the shares of failures, else an ordinary answer."""
        if b"[[sim " in body and (script := find_script(body)):
            return script
        if self.failures:
            drawn = self.chance.random()
            for script, share in self.failures:
                drawn -= share
                if drawn < 0:
                    return script
        return _PLAIN


class Connection(asyncio.Protocol):
    """One client's connection; requests on it come one after another."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's transport
        self.loop = asyncio.get_running_loop()
        self.is_open = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        if self.is_open:
            self.simulator.tally.end(0)
            self.is_open = False

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.received) < end + 4 + length:
                return
            line = self.received[: self.received.find(b"\r\n")].decode("latin-1").split(" ")
            body = self.received[end + 4 : end + 4 + length]
            self.received = self.received[end + 4 + length :]
            self._request(line[0], line[1], body)

    def _request(self, method: str, path: str, body: bytes) -> None:
        tally = self.simulator.tally
        if path.startswith("/sim/"):
            if path == "/sim/reset":
                tally.reset()
            shown = tally.stats() if path == "/sim/stats" else tally.calls()
            self._send(200, json.dumps(shown).encode())
        elif path.endswith("/models") or method == "GET":
            self._send(200, answers.models())
        else:
            self._call(path, body)

    def _call(self, path: str, body: bytes) -> None:
        try:
            script = self.simulator.choose(body)
        except SimulationInvalidError as error:
            self._send(
                400, json.dumps({"error": {"message": str(error), "type": "invalid_request_error", "param": None, "code": None}}).encode()
            )
            return
        times = self.simulator.tally.begin(body)
        self.is_open = True
        if script.times and times > script.times:
            script = Script(delay=script.delay, tokens=script.tokens)
        seconds = _HANGS_SECONDS if script.hang else (script.delay or self.simulator.latency())
        self.loop.call_later(seconds, self._answer, path, script)

    def _answer(self, path: str, script: Script) -> None:
        if not self.is_open or self.transport.is_closing():
            return
        body = (
            answers.success(path, script.tokens, script.body_kilobytes * 1024) if script.status == 200 else answers.failure(script.status)
        )
        if script.malformed:
            body = b'{"choices": [' + b"\x00 this is not JSON"
        if script.cut:
            self._end(script.status)
            self.transport.write(answers.head(script.status, len(body), None) + body[: len(body) // 2])
            self.transport.close()
        elif script.drip:
            self._drip(answers.head(script.status, len(body), None) + body, script.status)
        else:
            self._end(script.status)
            self._send(script.status, body, script.retry_after)

    def _drip(self, rest: bytes, status: int) -> None:
        """A byte now and then: each comes within any read timeout, the whole never comes in time."""
        if self.transport.is_closing():
            return
        if not rest:
            self._end(status)
            return
        self.transport.write(rest[:1])
        self.loop.call_later(_DRIP_SECONDS, self._drip, rest[1:], status)

    def _end(self, status: int) -> None:
        self.is_open = False
        self.simulator.tally.end(status)

    def _send(self, status: int, body: bytes, retry_after: float | None = None) -> None:
        location = b"Location: /v1/elsewhere\r\n" if 300 <= status < 400 else b""
        head = answers.head(status, len(body), retry_after)
        self.transport.write((head[:-2] + location + b"\r\n" + body) if location else head + body)


async def serve(simulator: Simulator, *, port: int, listening: Callable[[], None]) -> None:
    """Serve on loopback until cancelled; calls `listening` once it does."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(simulator), "127.0.0.1", port, backlog=4096)
    listening()
    async with server:
        await server.serve_forever()
