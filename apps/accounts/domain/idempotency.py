"""The same request sent twice: which header says so, and what makes two requests the same."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
# OpenAI's packages count their own silent retries in it, from 0; they send no key by themselves.
RETRY_HEADER = "X-Stainless-Retry-Count"
KEPT = timedelta(days=7)
# A retry of OpenAI's package follows seconds after its request was given up, and that may have taken ten minutes.
RETRY_WITHIN = timedelta(minutes=15)
_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


class IdempotencyKeyError(Exception):
    """The header can't be taken; the message says what it must be."""


@dataclass(frozen=True, slots=True)
class Once:
    """A request that must count once. `route` is its method and path; `is_guess` when no key came and its content stands for one."""

    workspace_id: UUID
    route: str
    key: str
    fingerprint: str
    is_guess: bool
    is_retry: bool

    @property
    def kept(self) -> timedelta:
        return RETRY_WITHIN if self.is_guess else KEPT

    @property
    def lock_number(self) -> int:
        """For an advisory lock: 64 bits with sign."""
        text = f"{self.workspace_id} {self.route} {self.key}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def concerns(headers: Mapping[str, str]) -> bool:
    """Whether a request says anything about being repeated."""
    return KEY_HEADER in headers or RETRY_HEADER in headers


def read_once(
    headers: Mapping[str, str], *, workspace_id: UUID, api_key_id: UUID, route: str, fingerprint: str, is_own: bool = False
) -> Once:
    """Call it when `concerns` says so; IdempotencyKeyError names a key that can't be taken.

    Names of a caller's choice hold in the whole workspace, or with `is_own` (the answer may hold a secret) for the same API key alone,
    as a guess always does.
    """
    text = headers.get(KEY_HEADER)
    is_retry = _count(headers.get(RETRY_HEADER, "")) > 0
    if text is None:
        return Once(workspace_id, route, f"content:{api_key_id.hex}:{fingerprint}", fingerprint, is_guess=True, is_retry=is_retry)
    key = text.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyError(f"{KEY_HEADER} must be 1 to 255 printable ASCII characters without spaces, for example a UUID.")
    name = f"own:{api_key_id.hex}:{key}" if is_own else f"key:{key}"
    return Once(workspace_id, route, name, fingerprint, is_guess=False, is_retry=is_retry)


def fingerprint_json(body: bytes) -> str:
    """The same for the same JSON, however its keys are ordered; for what is no JSON, of its bytes."""
    # What is no JSON is refused further on; what is too deep to be written again is the same if each byte is.
    with suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).hexdigest()


def fingerprint_form(fields: Iterable[tuple[str, list[str]]], files: Iterable[tuple[str, str, int, str]]) -> str:
    """Of a form's fields and of its files (field, name, bytes, SHA-256): the boundaries between them differ each time."""
    return hashlib.sha256(orjson.dumps([sorted(fields), sorted(files)])).hexdigest()


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else 0
