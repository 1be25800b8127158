"""Opaque cursors: where a list goes on, as a text that clients hand back unread. One that was not made here is told from one that was."""

import base64
import binascii
import zlib
from collections.abc import Sequence

import orjson

_MARK_BYTES = 4
_LONGEST = 2000


class CursorInvalidError(ValueError):
    """The text is no cursor of this list."""


def write_cursor(list_name: str, values: Sequence[str]) -> str:
    """The position behind the row with these values, for the list of that name alone."""
    content = orjson.dumps(list(values))
    return base64.urlsafe_b64encode(_mark(list_name, content) + content).rstrip(b"=").decode()


def read_cursor(list_name: str, text: str) -> list[str]:
    """The values behind a cursor; CursorInvalidError for anything that `write_cursor` did not make for this list."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise CursorInvalidError(text[:100]) from error
    mark, content = raw[:_MARK_BYTES], raw[_MARK_BYTES:]
    if len(text) > _LONGEST or mark != _mark(list_name, content):
        raise CursorInvalidError(text[:100])
    values: list[str] = orjson.loads(content)
    return values


def _mark(list_name: str, content: bytes) -> bytes:
    """Against mistakes, not against malice: a cursor opens nothing that its list doesn't show."""
    return zlib.crc32(list_name.encode() + b"\0" + content).to_bytes(_MARK_BYTES, "big")
