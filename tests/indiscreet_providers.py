"""A provider that repeats the key it was sent, in every way in which a provider fails; a real HTTP server on loopback."""

import base64
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

# What each does, by the first part of its path; those in numbers answer with this status.
WAYS = ("400", "401", "403", "404", "429", "500", "503", "answer", "text", "cut", "hang", "redirect", "pieces", "broken")
# These stream: the key goes through many pieces, and the second breaks off.
STREAMED = ("pieces", "broken")
_PIECE = 7


def repeated(key: str) -> str:
    """A key as it is, in an address, in hex and in base64, alone and behind other words."""
    raw = key.encode()
    packed = [base64.b64encode(before + raw + b" is wrong").decode() for before in (b"", b"x", b"xy", b"Bearer ")]
    return " ".join([key, quote(key, safe=""), raw.hex(), raw.hex().upper(), *packed, base64.urlsafe_b64encode(raw).decode()])


def openai_events(pieces: Sequence[str]) -> list[bytes]:
    """With its tokens, as if the caller had asked for them."""
    events = []
    for number, piece in enumerate([*pieces, ""]):
        tokens = {"content": [{"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}]}
        choice = {"index": 0, "delta": {"content": piece}, "logprobs": tokens, "finish_reason": "stop" if number == len(pieces) else None}
        events.append({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice]})
    return [*(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events), b"data: [DONE]\n\n"]


def anthropic_events(pieces: Sequence[str]) -> list[bytes]:
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}}
    deltas = [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces]
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *deltas,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def read_together(events: Iterable[Any]) -> str:
    """The texts of many events, each put together from its pieces; one a line."""
    texts: dict[tuple[object, ...], list[str]] = {}

    def read(value: Any, *path: object) -> None:
        if isinstance(value, str):
            texts.setdefault(path, []).append(value)
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, inner in members:
            read(inner, *path, name)

    for event in events:
        read(event)
    return "\n".join("".join(pieces) for pieces in texts.values())


def events_of(body: bytes) -> list[Any]:
    """What stands as JSON in server-sent events, those without JSON left out."""
    found = []
    for line in body.split(b"\n"):
        with suppress(ValueError):
            found.append(json.loads(line.removeprefix(b"data:")))
    return found


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
        elif way in STREAMED:
            pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
            events = anthropic_events(pieces) if "x-api-key" in self.headers else openai_events(pieces)
            # Half an event is the last that comes.
            content = b"".join(events) if way == "pieces" else b"".join(events[:-3])[:-40]
            self.say_bytes(200, content, key, more=0 if way == "pieces" else 1000, kind="text/event-stream")
        elif way == "redirect":
            self.say(302, {"error": {"message": text}}, key)
        else:
            self.say_bytes(200, text.encode(), key, more=1000 if way == "cut" else 0)

    def say(self, status: int, content: object, key: str) -> None:
        self.say_bytes(status, json.dumps(content).encode(), key)

    def say_bytes(self, status: int, content: bytes, key: str, more: int = 0, kind: str = "application/json") -> None:
        self.send_response(status)
        for name in ("x-request-id", "x-ratelimit-remaining-requests", "request-id", "Location"):
            self.send_header(name, key)
        self.send_header("Content-Type", kind)
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
