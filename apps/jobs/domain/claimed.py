"""What a pump holds: an item it has claimed, and what its run came to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.jobs.domain.retry import Tries
from apps.providers.domain.calls import Completion


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """One claimed item with everything its run needs, so that no further query is made for it."""

    item_id: UUID
    run_id: UUID
    job_id: UUID
    workspace_id: UUID
    api_key_id: UUID | None
    model_id: UUID
    kind: str
    lane: str
    endpoint: str
    end_user: str
    feature: str
    reply_to: str
    tries: Tries
    claimed_at: datetime
    ready_at: datetime
    request: bytes | None


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended and waits to be settled."""

    item: ClaimedItem
    completion: Completion
    ended_at: datetime
