"""How a document is read: how long its pieces are, how often it may cost a process its life, and how its sections are kept."""

import json
from collections.abc import Sequence

import zstandard

from apps.knowledge.domain.sections import Section

# Small enough that a piece is about one thing, big enough that it says it.
PIECE_TOKENS = 256
OVERLAP_TOKENS = 32
# A document whose readers were lost so often is not read again.
MOST_LOSSES = 3
POISON = "poison"
FILE_GONE = "file_gone"


def pack_sections(sections: Sequence[Section]) -> bytes:
    """For the table."""
    rows = [[section.text, section.kind, section.level, section.anchor] for section in sections]
    return zstandard.ZstdCompressor(level=3).compress(json.dumps(rows, ensure_ascii=False).encode())


def unpack_sections(content: bytes) -> list[Section]:
    """As they were read."""
    return [Section(*row) for row in json.loads(zstandard.ZstdDecompressor().decompress(content))]
