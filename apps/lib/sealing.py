"""Secrets at rest: AES-256-GCM with a key id in front and the owner's identity as associated data."""

import base64
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.exceptions import ImproperlyConfigured

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealInvalidError(Exception):
    """A sealed secret can't be opened: its key is gone, or it was altered or moved."""


def read_keys(pairs: list[str]) -> dict[str, bytes]:
    """`["2026a:<base64 of 32 bytes>", ...]` as a mapping; the first is the one that seals."""
    keys: dict[str, bytes] = {}
    for pair in pairs:
        key_id, _, encoded = pair.partition(":")
        key = _decode(encoded)
        if not key_id or len(key) != _KEY_BYTES:
            msg = "AIPLATFORM_ENCRYPTION_KEYS must be 'id:base64 of 32 bytes', several separated by commas."
            raise ValueError(msg)
        keys[key_id] = key
    return keys


def seal(secret: str, *, keys: Mapping[str, bytes], owner: str) -> str:
    """Encrypt `secret` so that it opens only for the same `owner` (for example `provider:<id>`)."""
    if not keys:
        msg = "AIPLATFORM_ENCRYPTION_KEYS is not set, so no secret can be kept. .env.example says how to make one."
        raise ImproperlyConfigured(msg)
    key_id = next(iter(keys))
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(keys[key_id]).encrypt(nonce, secret.encode(), owner.encode())
    return f"{key_id}:{base64.b64encode(nonce + sealed).decode()}"


def unseal(sealed: str, *, keys: Mapping[str, bytes], owner: str) -> str:
    """The secret behind `seal`; SealInvalidError when it doesn't open."""
    key_id, _, encoded = sealed.partition(":")
    if key_id not in keys:
        msg = f"The key {key_id!r} is not in AIPLATFORM_ENCRYPTION_KEYS; put it back, or enter the secret anew."
        raise SealInvalidError(msg)
    raw = _decode(encoded)
    try:
        return AESGCM(keys[key_id]).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode()).decode()
    except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
        msg = f"A sealed secret of {owner} does not open; enter it anew."
        raise SealInvalidError(msg) from error


def _decode(encoded: str) -> bytes:
    """The bytes, or none at all when this is no base64."""
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""
