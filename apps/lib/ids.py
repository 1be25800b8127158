"""Primary keys (UUIDv7, time-ordered) and the public ids that callers see: a prefix and 32 hex digits."""

import os
import re
import time
from datetime import datetime
from uuid import UUID

_PASTED_ID = re.compile(r"(?:[a-z_-]+[_-])?(?P<key>[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)


def uuid7() -> UUID:
    """A new UUIDv7 (RFC 9562): 48 bits of milliseconds, then 12 bits below the millisecond, then chance."""
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    chance = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | chance)


def ids_in_order(number: int) -> list[UUID]:
    """New UUIDv7s, each bigger than the one before: rows that are written together can be read in their order."""
    return sorted(uuid7() for _ in range(number))


def first_uuid7(moment: datetime) -> UUID:
    """No UUIDv7 made at that moment or later is smaller: what is older is found by its id."""
    return UUID(int=(int(moment.timestamp() * 1000) & ((1 << 48) - 1)) << 80 | 7 << 76 | 2 << 62)


def public_id(prefix: str, key: UUID) -> str:
    """`public_id("batch_", key)` is what callers see: `batch_` and 32 hex digits."""
    return f"{prefix}{key.hex}"


def parse_public_id(prefix: str, text: str) -> UUID | None:
    """The key behind a public id; None when the text is not one."""
    digits = text.removeprefix(prefix)
    if len(digits) != 32 or digits == text:
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None


def new_request_id() -> str:
    """What a caller quotes when a request went wrong."""
    return f"req_{uuid7().hex}"


def find_uuid(text: str) -> UUID | None:
    """The key in what a person pasted: a UUID, or a public id of any kind; None when it is neither."""
    found = _PASTED_ID.fullmatch(text.strip())
    return UUID(found["key"]) if found else None
