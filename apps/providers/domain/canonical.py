"""When two requests are the same: one key for all the ways to write it, and another one for everything that changes the answer."""

import hashlib
import json
from uuid import UUID

import orjson

from apps.providers.domain.policy import AnswerPolicy

# These say who asks, and how the provider is to keep it; the answer is the same.
_NO_MATTER = (
    "user", "safety_identifier", "metadata", "store", "service_tier", "prompt_cache_key", "prompt_cache_retention", "stream",
    "stream_options",
)  # fmt: skip


def _number(text: str) -> str:
    """As written: 1.0 and 1 may be told apart by a provider. No text of a request holds a NUL."""
    return f"\0{text}"


def answer_key(*, workspace_id: UUID, endpoint: str, body: bytes, policy: AnswerPolicy) -> bytes:
    """SHA-256 over the workspace, the endpoint and the body in canonical form; the policy counts as far as it changes answers."""
    values = json.loads(body, parse_int=_number, parse_float=_number)
    wanted = {name: value for name, value in values.items() if name not in _NO_MATTER}
    canonical = json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode()
    way = orjson.dumps([endpoint, policy.has_contract, policy.first_model, policy.accept_if])
    return hashlib.sha256(b"".join((workspace_id.bytes, len(way).to_bytes(4), way, canonical))).digest()
