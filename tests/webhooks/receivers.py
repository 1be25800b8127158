"""Receivers of webhooks: real HTTP servers on loopback, which answer as they are told and remember what came."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

from django.test import override_settings
from django.utils import timezone


@dataclass(frozen=True)
class Delivered:
    """One POST as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers `status` to everything; while `gate` is closed it answers nothing."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    got: list[Delivered] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    in_hand: int = 0
    most_in_hand: int = 0
    port: int = 0
    before_answer: Callable[[], object] = lambda: None
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self, delivered: Delivered) -> None:
        with self._counting:
            self.got.append(delivered)
            self.in_hand += 1
            self.most_in_hand = max(self.most_in_hand, self.in_hand)
        self.arrived.release()
        self.before_answer()
        self.gate.wait(240)
        with self._counting:
            self.in_hand -= 1


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.take(Delivered({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.receiver.status)
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.receiver.content)))
        self.end_headers()
        self.wfile.write(self.receiver.content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Whoever sent it has gone: tests that kill senders see to it themselves."""


@contextmanager
def receiving(**values: Any) -> Iterator[Receiver]:
    """A receiver that runs while inside; its gate is open."""
    receiver = Receiver(**values)
    receiver.gate.set()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with _Server(("127.0.0.1", receiver.port), handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.gate.set()
            server.shutdown()
            thread.join()


def opened(*receivers: Receiver) -> Any:
    """Settings under which these receivers may be asked."""
    return override_settings(
        WEBHOOKS_PORTS=[receiver.port for receiver in receivers],
        WEBHOOKS_PRIVATE_NETWORKS=(ip_network("127.0.0.1/32"),),
        WEBHOOKS_HTTP=True,
    )


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)
