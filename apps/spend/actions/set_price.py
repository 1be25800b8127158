"""Give a provider's model a price from a moment on. Rows are never changed: charges refer to them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from apps.spend.models import Price

_OPTIONAL = ("cached_input_usd_per_million", "cache_write_usd_per_million", "reasoning_usd_per_million")


class PriceTakenError(Exception):
    """Another price begins at that very moment, and prices are never changed."""


def set_price(*, provider_id: UUID, upstream_model: str, prices: Mapping[str, Decimal], starts_at: datetime | None, now: datetime) -> bool:
    """True when a row was added; False when the same prices hold already. `starts_at` None: from now on.

    Raises PriceTakenError when other prices begin at `starts_at`.
    """
    wanted = {"request_usd": Decimal(0), **dict.fromkeys(_OPTIONAL), **prices}
    rows = Price.objects.filter(provider_id=provider_id, upstream_model=upstream_model)
    if starts_at is not None:
        standing = rows.filter(effective_from=starts_at).first()
        if standing is not None and not _is_same(standing, wanted):
            raise PriceTakenError
    else:
        standing = rows.filter(Q(effective_from__lte=now)).order_by("-effective_from").first()
    if standing is not None and _is_same(standing, wanted):
        return False
    Price.objects.create(provider_id=provider_id, upstream_model=upstream_model, effective_from=starts_at or now, **wanted)
    return True


def _is_same(row: Price, wanted: Mapping[str, Decimal | None]) -> bool:
    return all(getattr(row, name) == value for name, value in wanted.items())
