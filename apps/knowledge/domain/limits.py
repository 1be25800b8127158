"""How much one document, or one archive of documents, may ask of us."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one reading. Memory and processor time are those of the process that reads; `wall_seconds` is what its caller waits at most."""

    max_bytes: int = 100 << 20
    max_pages: int = 5_000
    max_characters: int = 20_000_000
    memory_bytes: int = 1 << 30
    cpu_seconds: int = 60
    wall_seconds: float = 120
    # Of archives, and of documents that are archives inside (DOCX, PPTX, XLSX).
    max_members: int = 10_000
    max_unpacked_bytes: int = 1 << 30
    max_ratio: int = 100
