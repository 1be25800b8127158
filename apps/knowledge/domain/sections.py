"""What is read of a document: its sections in order, each with the place where a reader finds it."""

from collections.abc import Sequence
from dataclasses import dataclass

KINDS = frozenset({"heading", "text", "table", "list", "code"})
BETWEEN_SECTIONS = "\n\n"


@dataclass(frozen=True, slots=True)
class Section:
    """One piece of one kind. The first line of a table is its header; its cells are parted by ` | `.

    `level` is that of a heading (1 the highest). `anchor` tells where it stands: "page 3", "sheet Prices, rows 2-40", "slide 4",
    "Chapter 2 > Limits" (the headings above it), "message body".
    """

    text: str
    kind: str = "text"
    level: int = 0
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A document as it was read. `language` is what the document says of itself; `pages` are pages, slides or sheets, else 1."""

    media_type: str
    title: str
    pages: int
    sections: tuple[Section, ...]
    language: str = ""


def join_text(sections: Sequence[Section]) -> str:
    """The document's plain text: what offsets of its pieces count in."""
    return BETWEEN_SECTIONS.join(section.text for section in sections)
