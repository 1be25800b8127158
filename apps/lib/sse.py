"""Server-sent events: cut what comes in pieces into events, and write them."""

from collections.abc import Iterator

HEARTBEAT = b": still here\n\n"
REFUSED = b'event: refused\ndata: {"code": "invalid_api_key"}\n\n'


class EventReader:
    """Cuts bytes into events. Only their data is handed on: comments, names and ids are nothing that a provider's answer hangs on."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of each event that is whole by now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r")
            if text.startswith(b"data:"):
                self._data.append(text[5:].removeprefix(b" "))
            elif not text and self._data:
                data, self._data = b"\n".join(self._data), []
                yield data


def write_event(data: bytes, *, event_id: str = "", name: str = "") -> bytes:
    """One event of one line of data; the id and the name must not hold line ends."""
    head = (f"event: {name}\n" if name else "") + (f"id: {event_id}\n" if event_id else "")
    return head.encode() + b"data: " + data + b"\n\n"
