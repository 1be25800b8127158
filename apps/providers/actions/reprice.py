"""Reprice: what past calls would have cost by other prices, or by what is read of their usage today. A dry run: no charge ever changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.providers.adapters import ADAPTERS
from apps.providers.models import Provider
from apps.spend.domain.pricing import cost_of
from apps.spend.domain.usage import TokenUsage
from apps.spend.queries import load_price_book, read_charges

_BITE = 5000
_COUNTS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "parts")


@dataclass(slots=True)
class Repriced:
    """A provider's model: its calls, what they were charged, and what they would be. `unpriced`: calls without a price now."""

    provider: str
    upstream_model: str
    calls: int = 0
    unpriced: int = 0
    charged_usd: Decimal = Decimal(0)
    would_be_usd: Decimal = Decimal(0)


def reprice(*, since: datetime, until: datetime, prices_of: datetime | None = None) -> Sequence[Repriced]:
    """By provider and model. `prices_of`: the prices of that moment; None: for each call those of its own."""
    book, providers = load_price_book(), {row.id: (row.name, row.kind) for row in Provider.objects.all()}
    sums: dict[tuple[str, str], Repriced] = {}
    for charge in read_charges(since=since, until=until, bite=_BITE):
        name, kind = providers.get(charge["provider_id"], (str(charge["provider_id"]), ""))
        entry = sums.setdefault((name, charge["upstream_model"]), Repriced(name, charge["upstream_model"]))
        price = book.price(charge["provider_id"], charge["upstream_model"], prices_of or charge["created_at"])
        entry.calls += 1
        entry.unpriced += price is None
        entry.charged_usd += charge["cost_usd"]
        entry.would_be_usd += cost_of(_usage(charge, kind), price) if price is not None else 0
    return [sums[key] for key in sorted(sums)]


def _usage(charge: dict[str, Any], kind: str) -> TokenUsage:
    """The provider's own report, read anew; what was charged, where that said less, because it had been estimated."""
    kept = TokenUsage.from_charge(**{name: charge[name] for name in _COUNTS})
    adapter = ADAPTERS.get(kind)
    anew = adapter.read_usage(charge["usage"]) if adapter is not None else None
    if anew is None or anew.total_input_tokens < kept.total_input_tokens or anew.total_output_tokens < kept.total_output_tokens:
        return kept
    return anew
