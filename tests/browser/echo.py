"""A provider that says back what it is told: in its answers, its errors, its ids and its headers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

REFUSE = "refuse: "


class _Echo(BaseHTTPRequestHandler):
    """The last message comes back; one that begins with `refuse: ` comes back as an error."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said: str = asked["messages"][-1]["content"]
        is_refused = said.startswith(REFUSE)
        text = said.removeprefix(REFUSE)
        refusal = {"error": {"message": text, "type": text, "code": text, "param": text}}
        self._answer(400 if is_refused else 200, refusal if is_refused else _completion(text), text)

    def _answer(self, status: int, content: dict[str, Any], text: str) -> None:
        body = json.dumps(content).encode()
        # Latin-1 is what a header can carry.
        name = text.splitlines()[0].encode("latin-1", "replace").decode("latin-1")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", name)
        self.send_header("x-ratelimit-remaining-requests", name)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 -- the library's name for it
        """Nothing: the test's own output is to be read."""


def _completion(text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": text, "message": {"role": text, "content": text, "refusal": text}}
    usage = {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50}
    return {"id": text, "object": "chat.completion", "created": 1, "model": text, "choices": [choice], "usage": usage}


class _Server(ThreadingHTTPServer):
    # A pump opens hundreds of connections at once.
    request_queue_size = 512


@contextmanager
def echoing_provider() -> Iterator[str]:
    """The base URL of one that runs meanwhile."""
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()
