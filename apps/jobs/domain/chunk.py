"""Pieces of a streamed answer on their way from the pump to whoever reads them.

An id is `<when the run began, in ms>-<which piece, from 1>`: ids of a later run are greater, so Redis itself refuses what a pump still
tells that has lost its item. The last one of a run has no data.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

STREAM_SECONDS = 3600
STREAM_LENGTH = 20_000
_PREFIX = "aiplatform:stream:"
# JSON begins otherwise.
_BEHIND = "+"


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece: `data` is a chunk of a chat completion as JSON; empty: the run has told all.

    `behind`: the run's pieces follow that one of an earlier run; `data` says again what had been said, for who has not read up to there.
    """

    run: int
    number: int
    data: str
    behind: str = ""

    @property
    def id(self) -> str:
        return f"{self.run}-{self.number}"

    @property
    def text(self) -> str:
        """As it is stored and told."""
        return f"{_BEHIND}{self.behind} {self.data}" if self.behind else self.data

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


def read_piece(place: str, text: str) -> Chunk | None:
    """A piece as it stands in Redis; None for what no pump of ours tells, which would break the lines of a stream."""
    found, behind, data = read_id(place), "", text
    if text.startswith(_BEHIND):
        behind, _, data = text[1:].partition(" ")
    if found is None or (data and not _is_object(data)) or (behind and read_id(behind) is None):
        return None
    return Chunk(*found, data, behind)


def _is_object(data: str) -> bool:
    """Whether it is one JSON object on one line."""
    try:
        return "\n" not in data and "\r" not in data and isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def write_message(item_id: UUID, chunk: Chunk) -> str:
    """As it is published to the process whose caller waits."""
    return f"{item_id.hex} {chunk.id} {chunk.text}"


def write_messages(told: Iterable[tuple[UUID, Chunk]]) -> str:
    """Several of them as one, a line for each."""
    return "\n".join([write_message(item_id, chunk) for item_id, chunk in told])


def read_message(text: str) -> tuple[UUID, Chunk | None]:
    """The item and the piece, or None when it tells of the item's end. ValueError for what is neither."""
    head, _, rest = text.partition(" ")
    item_id = UUID(hex=head)
    if not rest:
        return item_id, None
    told, _, data = rest.partition(" ")
    chunk = read_piece(told, data)
    if chunk is None:
        msg = "a piece that is none"
        raise ValueError(msg)
    return item_id, chunk
