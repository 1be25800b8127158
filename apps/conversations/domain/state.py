"""The state that a turn begins from: which version, which turns lead to it, and which memory."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

CONVERSATION_PREFIX = "conv_"
_HASH_SHOWN = 16
_TOKEN = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.([0-9a-f]{16})\.(0|[1-9][0-9]{0,17}))?")


@dataclass(frozen=True, slots=True)
class State:
    """`version`: how many turns were answered; `tip_hash`: of the last one and all before it; `memory_seq`: the last event of memory."""

    version: int
    tip_hash: bytes
    memory_seq: int

    @property
    def token(self) -> str:
        """As callers know it: `7.0c1d2e3f4a5b6c7d.3`."""
        return f"{self.version}.{self.tip_hash.hex()[:_HASH_SHOWN]}.{self.memory_seq}"

    @property
    def scope(self) -> str:
        """What a retrieval is pinned to, together with the version: the same in all conversations that came the same way."""
        return self.tip_hash.hex()


@dataclass(frozen=True, slots=True)
class ReadState:
    """What a caller says that it had read: a version, and by the token's hash which turns led to it."""

    version: int
    hash_start: str = ""
    memory_seq: int | None = None

    def fits(self, version: int, tip_hash: bytes) -> bool:
        """Whether nothing was said since. Memory may have changed: that is told in the next turn, and no conflict."""
        return self.version == version and tip_hash.hex().startswith(self.hash_start)


class StateUnreadableError(ValueError):
    """It is neither a token nor a version."""


def read_state(value: object) -> ReadState:
    """Of a token, or of a version alone, as a number or a text."""
    found = _TOKEN.fullmatch(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if found is None:
        msg = 'must be the state of a conversation as it was told, like "7.0c1d2e3f4a5b6c7d.3", or its version, like 7.'
        raise StateUnreadableError(msg)
    return ReadState(int(found[1]), found[2] or "", int(found[3]) if found[3] else None)


def first_hash(root_id: UUID) -> bytes:
    """The tip of a conversation in which nothing has been said; those that are forked from it have the same."""
    return hashlib.sha256(root_id.bytes).digest()


def turn_hash(
    previous: bytes,
    *,
    input: str,  # noqa: A002 -- the column's name
    messages: Sequence[Any] | None,
    answer: str,
    tool_calls: Sequence[Any] | None,
) -> bytes:
    """SHA-256 over the state before and what was said in the turn."""
    said = {"input": input, "messages": messages, "answer": answer, "tool_calls": tool_calls}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + text.encode("utf-8", "surrogatepass")).digest()
