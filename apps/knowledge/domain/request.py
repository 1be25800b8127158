"""What is asked of a search, and the key by which a state knows the same question again."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MOST_RESULTS = 50
LONGEST_QUERY = 2000


class Mode(StrEnum):
    """By meaning and by words together, or by one of them alone."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """`as_of`: the collection's revision to search; None: the newest. Empty filters let everything through."""

    query: str
    top_k: int = 10
    mode: Mode = Mode.HYBRID
    document_ids: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    as_of: int | None = None

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        return told | {"document_ids": sorted(set(self.document_ids)), "mode": str(self.mode)}

    def key(self, collection_id: str) -> str:
        """The same for the same question to the same collection."""
        return digest({"collection": collection_id} | self.as_json())


def digest(value: dict[str, Any]) -> str:
    """SHA-256, in hex, over the value written in one way: names in order, no blanks."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
