"""What is asked of the cache, and what it is given."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key that a workspace asks for, and how old the answer may be."""

    key: bytes
    workspace_id: UUID
    seconds: int


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A good answer that is to be kept."""

    key: bytes
    workspace_id: UUID
    answer_body_id: bytes
    status_code: int
    cost_usd: Decimal
    run_id: UUID
    seconds: int
