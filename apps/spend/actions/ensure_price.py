"""Give a provider's model a first price, when it has none. Later prices are people's own."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from apps.spend.models import Price


def ensure_price(
    *, provider_id: UUID, upstream_model: str, input_usd_per_million: Decimal, output_usd_per_million: Decimal, effective_from: datetime
) -> None:
    """US dollars per million tokens, valid from `effective_from` on."""
    if Price.objects.filter(provider_id=provider_id, upstream_model=upstream_model).exists():
        return
    Price.objects.create(
        provider_id=provider_id,
        upstream_model=upstream_model,
        effective_from=effective_from,
        input_usd_per_million=input_usd_per_million,
        output_usd_per_million=output_usd_per_million,
    )
