"""What dead items have in common: those that died of the same get the same fingerprint."""

import hashlib
import re
from uuid import UUID

# What differs between items that died of the same: ids, numbers, and what is quoted from the request or the answer.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_NUMBER = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b\w*\d[\w.,:]*\b")
_LOOKED_AT = 300
_HEX = 16
# Of an item that killed its worker while it ran alone; all of them are one group.
POISON_MESSAGE = "The worker died while it ran this item alone; it is not tried again by itself."


def normal_message(message: str) -> str:
    """The message without what is peculiar to one item."""
    text = _QUOTED.sub("*", message[:_LOOKED_AT].lower())
    return " ".join(_NUMBER.sub("#", text).split())


def fingerprint_of(
    *, outcome: str, code: str, status_code: int | None, provider_id: UUID | None, message: str, prompt_version: str = ""
) -> str:
    """16 hex digits; the same for items of one prompt version that died of the same at the same provider."""
    parts = [outcome, code, str(status_code), provider_id.hex if provider_id else "", normal_message(message)]
    # Left out where there is none, so that what died before prompts had versions stays with its group.
    if prompt_version:
        parts.append(prompt_version)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HEX]


POISON_FINGERPRINT = fingerprint_of(outcome="lost", code="poison", status_code=None, provider_id=None, message=POISON_MESSAGE)
