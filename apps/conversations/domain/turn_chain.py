"""Whether what was said is what it was: turns whose hashes follow from each other, and one snapshot for one question in one state."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.conversations.domain.hash_chain import Link, walk_chain
from apps.conversations.domain.state import turn_hash

# What a look can find: hashes of turns, memory that isn't its events, another snapshot, a turn that nobody closed.
CHAIN, MEMORY, CONTEXT, LEFT_OPEN = KINDS = ("chain", "memory", "context", "unclosed")


@dataclass(frozen=True, slots=True)
class SaidAndHashed:
    """An answered turn with what its hash is of."""

    number: int
    input: str
    messages: Sequence[Any] | None
    answer: str
    tool_calls: Sequence[Any] | None
    previous_hash: bytes
    hash: bytes

    @property
    def expected_hash(self) -> bytes:
        return turn_hash(self.previous_hash, input=self.input, messages=self.messages, answer=self.answer, tool_calls=self.tool_calls)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a turn was answered from. `version` is that of the state it was asked in, `previous_hash` that state's tip."""

    turn_id: UUID
    workspace_id: UUID
    conversation_id: UUID
    version: int
    previous_hash: bytes
    query_key: str
    snapshot_id: str

    @property
    def pin(self) -> tuple[UUID, str, int, str]:
        """What its retrieval is pinned to: (workspace, scope, version of the state, key of the question)."""
        return self.workspace_id, self.previous_hash.hex(), self.version, self.query_key


def find_turn_breaks(turns: Iterable[SaidAndHashed], *, after: int, tip: bytes, version: int, tip_hash: bytes) -> Iterator[str]:
    """What is wrong with answered turns in their order, which follow the state (`after`, `tip`) and end in (`version`, `tip_hash`)."""
    links = (Link(turn.number, turn.previous_hash, turn.hash, turn.expected_hash) for turn in turns)
    last, previous = yield from walk_chain(links, after=after, tip=tip, name="turn", was="what was said")
    if last != version:
        yield f"the conversation is in version {version}, its last answered turn is {last}"
    elif previous != tip_hash:
        yield f"the conversation's tip isn't the hash of turn {last}"


def find_mixed(retrievals: Iterable[Retrieval], pinned: Mapping[tuple[UUID, str, int, str], str]) -> Iterator[tuple[Retrieval, str]]:
    """Turns that were answered from another snapshot than their state has: (the turn's retrieval, what is wrong)."""
    first: dict[tuple[UUID, str, int, str], Retrieval] = {}
    for one in sorted(retrievals, key=lambda retrieval: retrieval.turn_id):
        turn = f"turn {one.version + 1}"
        if one.snapshot_id != pinned.get(one.pin, one.snapshot_id):
            yield one, f"{turn} was answered from another snapshot than is pinned to its state"
        elif one.snapshot_id != first.setdefault(one.pin, one).snapshot_id:
            yield one, f"{turn} was answered from another snapshot than the same question in the same state"
