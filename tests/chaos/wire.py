"""A TCP proxy in front of a store: a cable that goes dead without a word, or is cut at the worst moment."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_BYTES = 1 << 16


class Wire:
    """Connections to `port` go on to the store at `upstream`."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.listener.getsockname()[1]
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self.dead: set[socket.socket] = set()
        self.muted: set[socket.socket] = set()
        self.cut_at = b""
        self.cuts_left = 0
        self.cuts = 0
        self.counting = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def go_dead(self) -> int:
        """Nothing comes through the connections of now any more, and nobody is told: half-open sockets. New ones work."""
        with self.counting:
            gone = [end for pair in self.pairs for end in pair]
            self.dead.update(gone)
            self.pairs = []
            return len(gone) // 2

    def cut(self, at: bytes, times: int) -> None:
        """The next `times` that a client sends `at`, the store gets it, and the connection is reset before its answer comes back."""
        with self.counting:
            self.cut_at, self.cuts_left = at, times

    def close(self) -> None:
        self.listener.close()
        for pair in self.pairs:
            _end(*pair)
        for end in self.dead:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    store = socket.create_connection(("127.0.0.1", self.upstream), timeout=5)
                except OSError:
                    _end(client)
                    continue
                store.settimeout(None)
                with self.counting:
                    self.pairs.append((client, store))
                threading.Thread(target=self._carry, args=(client, store), kwargs={"is_asking": True}, daemon=True).start()
                threading.Thread(target=self._carry, args=(store, client), kwargs={"is_asking": False}, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, *, is_asking: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_BYTES):
                if source in self.dead:
                    return
                if is_asking and self._is_cut(data):
                    self.muted.add(sink)
                if source in self.muted:
                    break
                sink.sendall(data)
        if source not in self.dead:
            _end(source, sink)

    def _is_cut(self, data: bytes) -> bool:
        with self.counting:
            if not self.cuts_left or self.cut_at not in data:
                return False
            self.cuts_left -= 1
            self.cuts += 1
            return True


def _end(*ends: socket.socket) -> None:
    """Shut down first: that wakes the thread that waits at the other end."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def wired(upstream: int) -> Iterator[Wire]:
    wire = Wire(upstream)
    try:
        yield wire
    finally:
        wire.close()
