"""Pieces of a streamed answer on their way from the pump to whoever reads them.

An id is `<when the run began, in ms>-<which piece, from 1>`: ids of a later run are greater, so Redis itself refuses what a pump still
tells that has lost its item. The last one of a run has no data.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

STREAM_SECONDS = 3600
STREAM_LENGTH = 20_000
_PREFIX = "aiplatform:stream:"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece: `data` is a chunk of a chat completion as JSON; empty: the run has told all."""

    run: int
    number: int
    data: str

    @property
    def id(self) -> str:
        return f"{self.run}-{self.number}"

    @property
    def is_last(self) -> bool:
        return not self.data


def stream_key(item_id: UUID) -> str:
    """Where the pieces of an item's answer stand in Redis, for an hour."""
    return _PREFIX + item_id.hex


def run_number(claimed_at: datetime) -> int:
    return int(claimed_at.timestamp() * 1000)


def read_id(text: str) -> tuple[int, int] | None:
    """(run, number) of an id; None for what is none."""
    run, sign, number = text.partition("-")
    is_number = all(part.isascii() and part.isdecimal() and len(part) < 16 for part in (run, number))
    return (int(run), int(number)) if sign and is_number else None


def write_message(item_id: UUID, chunk: Chunk) -> str:
    """As it is published to the process whose caller waits."""
    return f"{item_id.hex} {chunk.id} {chunk.data}"


def read_message(text: str) -> tuple[UUID, Chunk | None]:
    """The item and the piece, or None when it tells of the item's end. ValueError for what is neither."""
    head, _, rest = text.partition(" ")
    item_id = UUID(hex=head)
    if not rest:
        return item_id, None
    told, _, data = rest.partition(" ")
    found = read_id(told)
    if found is None:
        msg = "a piece without an id"
        raise ValueError(msg)
    return item_id, Chunk(*found, data)
