"""What an API key looks like, what it may be for, and how it is recognised without being stored."""

import hashlib
import hmac
import secrets
from enum import StrEnum

KEY_PREFIX = "key_"
_START = "aip-"
_SHOWN = 12
_LONGEST = 200


class Scope(StrEnum):
    """What a key may be used for, within its workspace; with `platform` for what belongs to all workspaces, as superusers may."""

    FILES = "files"
    BATCHES = "batches"
    CHAT = "chat"
    JOBS = "jobs"
    PROMPTS = "prompts"
    DOCUMENTS = "documents"
    SPEND = "spend"
    ADMIN = "admin"
    PLATFORM = "platform"


# What owners give to keys of theirs, and what a key is given when nobody says otherwise.
WORKSPACE_SCOPES = tuple(scope for scope in Scope if scope is not Scope.PLATFORM)


def make_secret() -> str:
    """A new secret: 256 bits of chance behind a prefix that scanners for leaked keys can look for."""
    return _START + secrets.token_urlsafe(32)


def prefix_of(secret: str) -> str:
    """What may be shown for recognising a key."""
    return secret[:_SHOWN]


def hash_secret(secret: str, *, pepper: str) -> str:
    """What is stored. Keyed, so that the table alone doesn't let anybody test guesses; fast, because the secret is random."""
    return hmac.new(f"api-key:{pepper}".encode(), secret.encode(), hashlib.sha256).hexdigest()


def mark_pepper(pepper: str) -> str:
    """What tells later which pepper a hash was made with; too little to tell the pepper."""
    return hashlib.sha256(f"pepper:{pepper}".encode()).hexdigest()[:12]


def is_plausible(secret: str) -> bool:
    """False for what can't be a key of ours; saves a query."""
    return secret.startswith(_START) and len(secret) <= _LONGEST and secret.isascii()
