"""Rows of the ledgers, as settling writes them."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.lib.ids import uuid7
from apps.spend.models import Charge, Saving, Waste

MODEL, PROVIDER, KEY = UUID(int=0xA1), UUID(int=0xB1), UUID(int=0xC1)


def make_charge(workspace_id: UUID, cost: str = "1", *, at: datetime, **values: Any) -> Charge:
    """One call of 100 tokens in and 10 out."""
    return Charge.objects.create(
        **{
            "workspace_id": workspace_id,
            "job_id": uuid7(),
            "item_id": uuid7(),
            "run_id": uuid7(),
            "model_id": MODEL,
            "provider_id": PROVIDER,
            "upstream_model": "gpt-x-mini",
            "api_key_id": KEY,
            "lane": "default",
            "input_tokens": 100,
            "output_tokens": 10,
            "cost_usd": Decimal(cost),
            "created_at": at,
        }
        | values
    )


def make_waste(workspace_id: UUID, amount: str = "1", *, at: datetime, **values: Any) -> Waste:
    return Waste.objects.create(
        **{
            "workspace_id": workspace_id,
            "job_id": uuid7(),
            "item_id": uuid7(),
            "run_id": uuid7(),
            "reason": "ambiguous",
            "amount_usd": Decimal(amount),
            "created_at": at,
        }
        | values
    )


def make_saving(workspace_id: UUID, *, by_cache: str = "0", by_first: str = "0", at: datetime, **values: Any) -> Saving:
    return Saving.objects.create(
        **{
            "id": uuid7(),
            "workspace_id": workspace_id,
            "job_id": uuid7(),
            "item_id": uuid7(),
            "by_cache_usd": Decimal(by_cache),
            "by_first_usd": Decimal(by_first),
            "created_at": at,
        }
        | values
    )
