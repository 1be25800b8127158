"""A process that reads what strangers made takes away from itself what reading doesn't need. There is no way back."""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# Beginnings of what Python tells its audit hooks.
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.", "os.remove", "os.rename")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def die_with(parent: int) -> None:
    """Nobody waits for us when the process that started us is gone."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def bound(*, memory_bytes: int, cpu_seconds: int, grace_seconds: int = 0, descriptors: int | None = None) -> None:
    """Memory, processor time, descriptors, and not one byte in any file.

    `grace_seconds`: how long after the signal that says what it was the process is ended that doesn't heed it.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + grace_seconds))
    bounds = {resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: descriptors}
    for what, most in bounds.items():
        if most is not None:
            resource.setrlimit(what, (most, most))


def shut_in(reader: str) -> None:
    """From here on this process opens no socket, writes no file and starts no other process, whatever a file makes the libraries do.

    `reader`: what it is called where it is refused something, as in "A reader of tables".
    """

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        flags = arguments[2] if event == "open" else 0
        if event.startswith(_FORBIDDEN) or (isinstance(flags, int) and flags & _WRITING):
            message = f"{reader} does not do this: {event}."
            raise PermissionError(message)

    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    sys.addaudithook(refuse)
