"""Mail servers: real SMTP on loopback, which answer as they are told and remember what came."""

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from django.test import override_settings

from apps.lib.mail_server import read_mail_server


@dataclass
class Post:
    """What a server has taken, and how it answers: `recipient` and `data` are its answers to RCPT TO and to the text's end."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
    recipient: Callable[[str], str] = lambda _address: "250 ok"
    data: str = "250 taken"
    refuses: str = ""
    hangs_up_after_data: bool = False
    password: str = ""
    wrong: Callable[[str], str] = lambda _login: "no"
    tls: ssl.SSLContext | None = None


class _Handler(socketserver.StreamRequestHandler):
    post: Post

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        self.post.connections += 1
        self.say("220 here")
        is_in = not self.post.password
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO" | "HELO":
                    offers = ["here", *(["AUTH PLAIN"] if self.post.password else []), *(["STARTTLS"] if self.post.tls else []), "8BITMIME"]
                    for offer in offers[:-1]:
                        self.say(f"250-{offer}")
                    self.say(f"250 {offers[-1]}")
                case "STARTTLS" if self.post.tls:
                    self.say("220 go on")
                    self.connection = self.post.tls.wrap_socket(self.connection, server_side=True)
                    self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split(" ")[1]).decode().split("\0")
                    self.post.logins.append((user, password))
                    is_in = password == self.post.password
                    self.say("235 welcome" if is_in else f"535 {self.post.wrong(rest)}")
                case "RCPT":
                    self.say(self.post.recipient(rest) if is_in else "530 log in first")
                case "DATA":
                    is_taken = self.take()
                    if self.post.hangs_up_after_data:
                        return
                    self.say(self.post.data if is_taken else "554 not with these words")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def take(self) -> bool:
        """False for a text with the word that is refused."""
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        text = b"".join(lines)
        if self.post.refuses and self.post.refuses.encode() in text:
            return False
        if self.post.data.startswith("2"):
            self.post.got.append(email.message_from_bytes(text, policy=email.policy.default))
        return True


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """Clients that go are part of the tests."""


@contextmanager
def receiving_mail(*, scheme: str = "smtp", login: str = "", **values: Any) -> Iterator[Post]:
    """A server, and the platform set up to hand its mails over to it."""
    post = Post(**values)
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"post": post})) as server:
        post.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"{scheme}://{login}127.0.0.1:{post.port}"
            with override_settings(MAIL_SERVER=read_mail_server(url), MAIL_FROM="aiplatform <alerts@example.com>"):
                yield post
        finally:
            server.shutdown()
            thread.join()
