"""What is written down for one used answer."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """One paid call. `usage` and `prices` are JSON texts; `price_id` is None when no price was known."""

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
    prices: str | None
    cost_usd: Decimal
    created_at: datetime
