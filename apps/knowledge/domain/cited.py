"""What stands behind a citation."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CitedPassage:
    """The passage behind a citation: [1] is the first of its snapshot. `start` and `end` count in the version's plain text."""

    number: int
    chunk_id: UUID
    document_id: UUID
    document: str
    version_id: UUID
    version: int
    anchor: str
    start: int
    end: int
    text: str
