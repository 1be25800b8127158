"""A provider that repeats the key it was sent, in every way in which a provider fails; a real HTTP server on loopback."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

# What each does, by the first part of its path; those in numbers answer with this status.
WAYS = ("400", "401", "403", "404", "429", "500", "503", "answer", "text", "cut", "hang", "redirect")


def repeated(key: str) -> str:
    """A key as it is, in an address, in hex and in base64, alone and behind other words."""
    raw = key.encode()
    packed = [base64.b64encode(before + raw + b" is wrong").decode() for before in (b"", b"x", b"xy", b"Bearer ")]
    return " ".join([key, quote(key, safe=""), raw.hex(), raw.hex().upper(), *packed, base64.urlsafe_b64encode(raw).decode()])


class _Handler(BaseHTTPRequestHandler):
    ended: threading.Event
    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers.get("x-api-key") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        way = self.path.split("/")[1]
        self.seen.append(way)
        text = f"You sent {repeated(key)}"
        if way == "hang":
            self.ended.wait(600)
        elif way == "answer":
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            self.say(200, {"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice]}, key)
        elif way.isdecimal():
            self.say(int(way), {"error": {"message": text, "type": text, "code": text, "param": key}}, key)
        elif way == "redirect":
            self.say(302, {"error": {"message": text}}, key)
        else:
            self.say_bytes(200, text.encode(), key, more=1000 if way == "cut" else 0)

    def say(self, status: int, content: object, key: str) -> None:
        self.say_bytes(status, json.dumps(content).encode(), key)

    def say_bytes(self, status: int, content: bytes, key: str, more: int = 0) -> None:
        self.send_response(status)
        for name in ("x-request-id", "x-ratelimit-remaining-requests", "request-id", "Location"):
            self.send_header(name, key)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) + more))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """The key would stand in our own output."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that go are part of the tests."""


@contextmanager
def indiscreet_provider() -> Iterator[tuple[str, list[str]]]:
    """Its address (put a way and /v1 behind it), and the ways in which it was asked."""
    ended, seen = threading.Event(), list[str]()
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"ended": ended, "seen": seen})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", seen
        finally:
            ended.set()
            server.shutdown()
            thread.join()
