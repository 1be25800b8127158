"""What a pump holds: an item it has claimed, and what its run came to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.jobs.domain.retry import Tries
from apps.providers.domain.calls import Completion, Kept, Stage
from apps.providers.domain.policy import PLAIN, AnswerPolicy


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """One claimed item with everything its run needs, so that no further query is made for it.

    `draft`: an answer that is to be repaired; `kept`: the answer that the cache has for it.
    """

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
    policy: AnswerPolicy = PLAIN
    stage: Stage = Stage.START
    paid_calls: int = 0
    draft: bytes | None = None
    answer_key: bytes | None = None
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended and waits to be settled."""

    item: ClaimedItem
    completion: Completion
    ended_at: datetime
