"""TCP ports on loopback for servers that we start."""

import random
import socket
from collections.abc import Collection

# Outgoing connections take local ports from 32768 up; a server's port up there is sometimes taken already.
FIRST_PORT, LAST_PORT = 20_000, 32_767


def is_port_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """True when a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(*, preferred: int | None = None, taken: Collection[int] = ()) -> int:
    """A port nobody listens on: the preferred one when it is free, else one at random below the range of outgoing connections."""
    if preferred is not None and preferred not in taken and is_port_free(preferred):
        return preferred
    candidates = random.sample(range(FIRST_PORT, LAST_PORT), 200)
    for port in candidates:
        if port not in taken and is_port_free(port):
            return port
    msg = f"No free port between {FIRST_PORT} and {LAST_PORT} found in 200 tries."
    raise OSError(msg)
