"""What is written down for one used answer."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """One paid call. `usage`, `parts` and `prices` are JSON texts; `price_id` is None when no price was known.

    The token counts are of all kinds; `parts` tells of them those with a price of their own (audio, images, long caches).
    """

    id: UUID
    workspace_id: UUID
    job_id: UUID
    item_id: UUID
    seq: int
    run_id: UUID
    model_id: UUID
    provider_id: UUID
    upstream_model: str
    price_id: UUID | None
    api_key_id: UUID | None
    end_user: str
    feature: str
    lane: str
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage: str | None
    parts: str | None
    prices: str | None
    cost_usd: Decimal
    created_at: datetime
    prompt_version: str = ""


@dataclass(frozen=True, slots=True)
class WasteRecord:
    """What one exchange, or one lost run, may have cost for nothing."""

    id: UUID
    workspace_id: UUID
    job_id: UUID
    item_id: UUID
    run_id: UUID
    seq: int
    reason: str
    provider_id: UUID | None
    upstream_model: str
    amount_usd: Decimal
    model_id: UUID | None
    api_key_id: UUID | None
    end_user: str
    feature: str
    lane: str
    prompt_version: str


@dataclass(frozen=True, slots=True)
class SavingRecord:
    """What a run did not cost; its id is the run's. `by_first_usd` is below nothing where a first model was paid for nothing."""

    id: UUID
    workspace_id: UUID
    job_id: UUID
    item_id: UUID
    model_id: UUID
    provider_id: UUID | None
    upstream_model: str
    api_key_id: UUID | None
    end_user: str
    feature: str
    lane: str
    by_cache_usd: Decimal
    by_first_usd: Decimal
    created_at: datetime
    prompt_version: str


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run whose worker was lost, and whose call it was. Which provider had it nobody knows any more."""

    run_id: UUID
    model_id: UUID | None = None
    api_key_id: UUID | None = None
    end_user: str = ""
    feature: str = ""
    lane: str = ""
    prompt_version: str = ""


class ResolutionKind(StrEnum):
    """What became of a reservation."""

    CHARGE = "charge"
    RELEASE = "release"
    WASTE = "waste"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run's reservation ends. `amount_usd`: what was charged or wasted; None: wasted as much as was reserved.

    `waste_usd`: what a run that is charged wasted besides, where one of its calls was answered and another one was not.
    """

    run_id: UUID
    kind: ResolutionKind
    amount_usd: Decimal | None = None
    waste_usd: Decimal = Decimal(0)
