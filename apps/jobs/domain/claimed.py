"""What a pump holds: an item it has claimed, and what its run came to."""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from uuid import UUID

from apps.jobs.domain.retry import Tries
from apps.providers.domain.calls import Completion, Kept, Stage
from apps.providers.domain.policy import PLAIN, AnswerPolicy
from apps.spend.domain.budgets import Subject


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """One claimed item with everything its run needs, so that no further query is made for it.

    `draft`: an answer that is to be repaired, or the steps so far of one that calls tools; `kept`: the answer that the cache has for it.
    `reserved_usd`: what is set aside for it (None: no budget bounds it); `must_be_bounded`: its answer may be no longer than the model's
    bound; `refusal`: why it is not asked at all.
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
    reserved_usd: Decimal | None = None
    must_be_bounded: bool = False
    refusal: str = ""
    prompt_version: str = ""

    @property
    def subject(self) -> Subject:
        """Whose money it costs."""
        return Subject(self.workspace_id, self.job_id, self.api_key_id, self.end_user, self.feature)

    def with_money(self, reserved_usd: Decimal, *, must_be_bounded: bool) -> "ClaimedItem":
        """The same item, with what is set aside for it. Every bounded item comes through here; `replace` takes half as long again."""
        values = list(_VALUES(self))
        values[_RESERVED], values[_BOUNDED] = reserved_usd, must_be_bounded
        return ClaimedItem(*values)


_NAMES = [field.name for field in fields(ClaimedItem)]
_VALUES = attrgetter(*_NAMES)
_RESERVED, _BOUNDED = _NAMES.index("reserved_usd"), _NAMES.index("must_be_bounded")


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended and waits to be settled."""

    item: ClaimedItem
    completion: Completion
    ended_at: datetime
