"""What encoding a text is in."""

import codecs

from apps.knowledge.domain.refusals import Refused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED_BYTES = 1 << 17
_TEXT_CONTROLS = frozenset(b"\b\t\n\r\f\x1b")
# Text has next to no control characters, random bytes have 11 %.
_MOST_CONTROLS = 0.02
_HEAD_BYTES = 1 << 16


def decode(content: bytes, declared: str = "") -> str:
    """By its mark, as UTF-8, as it says itself, or by how its words look; Refused when it is no text."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _strictly(content, encoding)
    if looks_binary(content):
        raise Refused("unsupported_format", "This is binary data, or text in an encoding without a mark. Save it as UTF-8.")
    for encoding in filter(None, ("utf-8", declared)):
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return _guessed(content)


def looks_binary(content: bytes) -> bool:
    """True when it has more control characters than any text."""
    if content.startswith(tuple(mark for mark, _ in _MARKS)):
        return False
    head = content[:_HEAD_BYTES]
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    return b"\0" in head or controls > max(4, len(head) * _MOST_CONTROLS)


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"byte {error.start:,}"
        message = f"It begins like {encoding.upper().removesuffix('-SIG')} and is not ({place}). Save it as UTF-8."
        raise Refused("unreadable_encoding", message) from error


def _guessed(content: bytes) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415 -- few texts need it, and it takes its time

    head = content[:_GUESSED_BYTES]
    found = from_bytes(head).best()
    for encoding in (found.encoding if found else "utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Refused("unreadable_encoding", "The encoding of this text can't be told. Save it as UTF-8.")
