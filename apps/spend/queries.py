"""Read prices."""

from dataclasses import fields

from apps.spend.domain.pricing import PriceBook, PriceRow
from apps.spend.models import Price


def load_price_book() -> PriceBook:
    """All dated prices, in one query."""
    return PriceBook(PriceRow(*row) for row in Price.objects.values_list(*(field.name for field in fields(PriceRow))))
