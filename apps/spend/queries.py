"""Read prices."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Avg, Sum

from apps.spend.domain.pricing import PriceBook, PriceRow
from apps.spend.models import Charge, Price


def load_price_book() -> PriceBook:
    """All dated prices, in one query."""
    return PriceBook(PriceRow(*row) for row in Price.objects.values_list(*(field.name for field in fields(PriceRow))))


def list_charges(*, item_id: UUID) -> list[dict[str, Any]]:
    """What an item's used answers cost, in the order of its paid calls."""
    return [dict(charge) for charge in Charge.objects.filter(item_id=item_id).order_by("seq").values()]


def sum_cost_since(moment: datetime, *, workspace_ids: Sequence[UUID] | None = None) -> Decimal:
    """Dollars charged since a moment, of these workspaces or of all."""
    charges = Charge.objects.filter(created_at__gte=moment)
    if workspace_ids is not None:
        charges = charges.filter(workspace_id__in=workspace_ids)
    return charges.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


_LATEST_CHARGES = 5000


def find_usual_output_tokens(*, provider_id: UUID, upstream_model: str) -> int | None:
    """What an answer of this model came to on average, among the newest charges of all; None when there is none of it."""
    newest = Charge.objects.order_by("-id").values_list("id", flat=True)[:_LATEST_CHARGES]
    found = Charge.objects.filter(id__in=list(newest), provider_id=provider_id, upstream_model=upstream_model)
    average = found.aggregate(tokens=Avg("output_tokens"))["tokens"]
    return None if average is None else round(average)
