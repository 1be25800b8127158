"""What dead items have in common: those that died of the same get the same fingerprint."""

import hashlib
import re
from uuid import UUID

# What differs between items that died of the same: ids, numbers, and what is quoted from the request or the answer.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_NUMBER = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b\w*\d[\w.,:]*\b")
_LOOKED_AT = 300
_HEX = 16


def normal_message(message: str) -> str:
    """The message without what is peculiar to one item."""
    text = _QUOTED.sub("*", message[:_LOOKED_AT].lower())
    return " ".join(_NUMBER.sub("#", text).split())


def fingerprint_of(*, outcome: str, code: str, status_code: int | None, provider_id: UUID | None, message: str) -> str:
    """16 hex digits; the same for items that died of the same at the same provider."""
    parts = (outcome, code, str(status_code), provider_id.hex if provider_id else "", normal_message(message))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HEX]
