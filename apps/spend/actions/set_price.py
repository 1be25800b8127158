"""Give a provider's model a price from a moment on. Rows are never changed: charges refer to them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.spend.domain.pricing import AMOUNTS, read_tiers
from apps.spend.models import Price

_REQUIRED = {"input_usd_per_million", "output_usd_per_million", "request_usd"}
_OPTIONAL = [name for name in AMOUNTS if name not in _REQUIRED]


class PriceTakenError(Exception):
    """Another price begins at that very moment, and prices are never changed."""


def set_price(
    *,
    provider_id: UUID,
    upstream_model: str,
    prices: Mapping[str, Any],
    starts_at: datetime | None,
    now: datetime,
    source: str = "",
) -> bool:
    """True when a row was added; False when the same prices hold already. `starts_at` None: from now on.

    `prices`: amounts by the names of `AMOUNTS`, and `tiers`; `source`: the list that they were taken from.
    Raises PriceTakenError when other prices begin at `starts_at`.
    """
    wanted = {"request_usd": Decimal(0), **dict.fromkeys(_OPTIONAL), **prices, "tiers": read_tiers(prices.get("tiers"))}
    rows = Price.objects.filter(provider_id=provider_id, upstream_model=upstream_model)
    if starts_at is not None:
        standing = rows.filter(effective_from=starts_at).first()
        if standing is not None and not _is_same(standing, wanted):
            raise PriceTakenError
    else:
        standing = rows.filter(Q(effective_from__lte=now)).order_by("-effective_from").first()
    if standing is not None and _is_same(standing, wanted):
        return False
    Price.objects.create(provider_id=provider_id, upstream_model=upstream_model, effective_from=starts_at or now, source=source, **wanted)
    return True


def _is_same(row: Price, wanted: Mapping[str, Any]) -> bool:
    return all(read_tiers(row.tiers) == value if name == "tiers" else getattr(row, name) == value for name, value in wanted.items())
