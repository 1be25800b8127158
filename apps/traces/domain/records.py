"""What is kept of an attempt: one RunRecord, one ExchangeRecord for each HTTP request it made, one EffectRecord for each tool it called."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One attempt at one item and what was decided about it."""

    id: UUID
    workspace_id: UUID
    job_id: UUID
    item_id: UUID
    pump_id: UUID | None
    attempt: int
    outcome: str
    decision: str
    error_code: str
    error_message: str
    claimed_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One HTTP request to a provider; `headers` is a JSON object as text."""

    id: UUID
    workspace_id: UUID
    run_id: UUID
    provider_id: UUID
    target_id: UUID
    upstream_model: str
    path: str
    outcome: str
    status_code: int | None
    error: str
    provider_request_id: str
    headers: str
    sent_at: datetime
    first_byte_seconds: float | None
    duration_seconds: float
    answer_body_id: bytes | None


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """A tool that is about to be called; the item, `seq` and `place` name the call for ever, whichever run makes it.

    `state`: that of the conversation which the model was asked in; empty where it was asked in none.
    """

    workspace_id: UUID
    item_id: UUID
    run_id: UUID
    seq: int
    place: int
    tool: str
    side_effect: str
    arguments: bytes
    state: str = ""


@dataclass(frozen=True, slots=True)
class EffectEnd:
    """What it came to: `ok`, `failed`, `refused`, `timeout` or `unknown`, and the text that the model is told."""

    outcome: str
    result: bytes
    snapshot_id: str = ""


@dataclass(frozen=True, slots=True)
class EffectState:
    """How a call stands: `is_new`: this is who begins it; `end` is None while it has none."""

    is_new: bool
    end: EffectEnd | None
