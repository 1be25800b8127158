"""Gives memory back: for processes that now and then hold a big body."""

import ctypes
import sys

# From malloc.h. Left alone, glibc raises both limits to the largest block that was ever freed, and keeps what it could give back.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_BIG_BYTES = 256 * 1024
# Each thread's own heap keeps what it once needed.
_HEAPS = 2


def return_big_blocks() -> None:
    """Call it before threads are started. Big blocks go back to the system when they are freed; other C libraries do that by themselves."""
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, value in ((_M_MMAP_THRESHOLD, _BIG_BYTES), (_M_TRIM_THRESHOLD, _BIG_BYTES), (_M_ARENA_MAX, _HEAPS)):
            set_option(option, value)
