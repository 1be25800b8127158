"""What is known of a turn when it begins, and what is said when it ends."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.conversations.domain.state import ReadState, State


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStart:
    """A turn that is ready to be asked in `state`.

    `read`: what its sender had read, where it said so; `resolution`: how a conflict was resolved; `fork_to`: the id of the conversation
    that it begins, as a copy of this one up to its state. `asked_as_of`: when the conversation was changed last, as it was composed.
    """

    conversation_id: UUID
    state: State
    input: str
    messages: list[Any] | None = None
    input_tokens: int = 0
    query_key: str = ""
    snapshot_id: str = ""
    summary_id: UUID | None = None
    report: dict[str, Any] | None = None
    read: ReadState | None = None
    resolution: str = ""
    fork_to: UUID | None = None
    created_by_id: UUID | None = None
    asked_as_of: datetime | None = None

    @property
    def in_conversation_id(self) -> UUID:
        return self.fork_to or self.conversation_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """What a turn came to. `error_code`: why there is no answer; then the conversation stays as it was."""

    answer: str = ""
    answer_tokens: int = 0
    tool_calls: list[Any] | None = None
    error_code: str = ""
    cost_usd: Decimal = Decimal(0)


class TurnTakenError(Exception):
    """Another turn has been begun in this state, or the conversation has moved on."""
