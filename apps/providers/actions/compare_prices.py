"""Compare what we charge with the public price list; writes nothing."""

from collections.abc import Mapping
from datetime import datetime

from apps.providers.domain.price_changes import PriceChange, PricedTarget, compare_prices
from apps.providers.models import Target
from apps.spend.queries import list_price_sources, load_price_book


def compare_with_list(*, matches: Mapping[str, str], now: datetime) -> list[PriceChange]:
    """Each provider's model that answers for something, once. `matches`: the list's name for a provider, by ours."""
    rows = Target.objects.values_list("provider_id", "provider__name", "provider__kind", "provider__base_url", "upstream_model").distinct()
    return compare_prices([PricedTarget(*row) for row in rows], load_price_book(), list_price_sources(), matches=matches, now=now)
