"""Reads streams over plain sockets, and tells by the kernel's clock when each one's first piece arrived, whatever the reader did then.

A first piece says when the provider sent it.
"""

import asyncio
import re
import socket
import struct
from urllib.parse import urlsplit

import orjson

# A socket that is asked for them says with each read when its last byte arrived (linux/socket.h).
_SO_TIMESTAMPNS = 35
_TIME = struct.Struct("qq")
_FIRST = re.compile(rb'"content":\s*"(\d{10}\.\d{6}) "')
# Until the first piece has come so little is read that what follows it isn't taken for it.
_SMALL, _BIG = 512, 65_536
_TAIL = 4_096


class StreamReader:
    """`late`: how far behind the provider's first piece each stream's arrived, in seconds; `begun`: how many have begun."""

    def __init__(self, url: str, model: str, secret: str = "") -> None:
        parts = urlsplit(url)
        self.address, self.path = (parts.hostname or "", parts.port or 80), f"{parts.path}/chat/completions"
        self.model, self.secret = model, secret
        self.late: list[float] = []
        self.begun = 0

    async def read(self, number: int, **plan: object) -> None:
        """One stream, to its end; RuntimeError when it doesn't end well."""
        told = {"role": "user", "content": f"Speak. {number} {orjson.dumps(plan).decode()}"}
        body = orjson.dumps({"model": self.model, "stream": True, "messages": [told]})
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.address[0]}:{self.address[1]}\r\nConnection: close\r\n"
            f"Authorization: Bearer {self.secret}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.settimeout(0)
            connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            await loop.sock_connect(connection, self.address)
            await loop.sock_sendall(connection, head.encode() + body)
            ended: asyncio.Future[bytes] = loop.create_future()
            loop.add_reader(connection, _Answer(self, connection, ended).hear)
            try:
                tail = await ended
            finally:
                loop.remove_reader(connection)
        if b"data: [DONE]" not in tail:
            message = f"a stream ended with {tail[-300:]!r}"
            raise RuntimeError(message)

    def begin(self, seconds: float) -> None:
        self.late.append(seconds)
        self.begun += 1


class _Answer:
    """The bytes of one stream as they come."""

    def __init__(self, reader: StreamReader, connection: socket.socket, ended: "asyncio.Future[bytes]") -> None:
        self.reader, self.connection, self.ended = reader, connection, ended
        self.tail, self.has_begun = b"", False

    def hear(self) -> None:
        if self.ended.done():
            return
        try:
            data, told, _, _ = self.connection.recvmsg(_BIG if self.has_begun else _SMALL, socket.CMSG_SPACE(_TIME.size))
        except BlockingIOError:
            return
        except OSError as error:
            self.ended.set_exception(error)
            return
        if not data:
            self.ended.set_result(self.tail)
            return
        self.tail = (self.tail + data)[-_TAIL:]
        if not self.has_begun and (found := _FIRST.search(self.tail)):
            self.has_begun = True
            self.reader.begin(_arrived(told) - float(found[1]))


def _arrived(told: list[tuple[int, int, bytes]]) -> float:
    seconds, nanoseconds = next(_TIME.unpack(data) for _, kind, data in told if kind == _SO_TIMESTAMPNS)
    return int(seconds) + int(nanoseconds) / 1e9
