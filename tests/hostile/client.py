"""Sends bytes as they are and reads what comes back: no client library would send what these cases are made of."""

import http.client
import socket
from dataclasses import dataclass, field

from tests.hostile.cases import Known, RequestCase

_PATIENCE_SECONDS = 40


@dataclass(frozen=True)
class Answer:
    """`status` None: the connection ended without one."""

    status: int | None
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def send(case: RequestCase, *, port: int, known: Known) -> Answer:
    method = case.head[0].split(b" ")[0].decode("latin-1")
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as connection:
        try:
            for piece in case.wire(known):
                connection.sendall(piece)
            if case.status is None:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has been answered already
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
            text = response.read().decode(errors="replace")
        except (http.client.HTTPException, ConnectionResetError, TimeoutError):
            return Answer(None)
        return Answer(response.status, text, {name.lower(): value for name, value in response.getheaders()})
