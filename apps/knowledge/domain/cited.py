"""What stands behind a citation."""

from dataclasses import dataclass
from uuid import UUID


def place_of(document: str, anchor: str) -> str:
    """Where a passage is from, in words."""
    return ", ".join(filter(None, (document, anchor)))


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

    @property
    def place(self) -> str:
        return place_of(self.document, self.anchor)
