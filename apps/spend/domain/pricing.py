"""Which price holds, and what a call costs by it; in decimals, never rounded."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from uuid import UUID

import orjson

from apps.spend.domain.usage import TokenUsage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class PriceRow:
    """The prices of a provider's model from a moment on: US dollars per million tokens, and per request."""

    id: UUID
    provider_id: UUID
    upstream_model: str
    effective_from: datetime
    input_usd_per_million: Decimal
    output_usd_per_million: Decimal
    cached_input_usd_per_million: Decimal | None = None
    cache_write_usd_per_million: Decimal | None = None
    reasoning_usd_per_million: Decimal | None = None
    request_usd: Decimal = Decimal(0)

    @cached_property
    def unit_prices(self) -> dict[str, Decimal]:
        """The price of each token bucket; one that isn't given costs what its kind costs."""
        cached, written, reasoning = self.cached_input_usd_per_million, self.cache_write_usd_per_million, self.reasoning_usd_per_million
        return {
            "input": self.input_usd_per_million,
            "cached_input": self.input_usd_per_million if cached is None else cached,
            "cache_write": self.input_usd_per_million if written is None else written,
            "output": self.output_usd_per_million,
            "reasoning": self.output_usd_per_million if reasoning is None else reasoning,
            "request": self.request_usd,
        }

    @cached_property
    def json(self) -> str:
        """The unit prices as a charge keeps them."""
        return orjson.dumps({name: str(price) for name, price in self.unit_prices.items()}).decode()


class PriceBook:
    """All dated prices, for looking up thousands of times a second."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        self._rows: dict[tuple[UUID, str], list[PriceRow]] = defaultdict(list)
        for row in sorted(rows, key=attrgetter("effective_from"), reverse=True):
            self._rows[row.provider_id, row.upstream_model].append(row)

    def price(self, provider_id: UUID, upstream_model: str, at: datetime) -> PriceRow | None:
        """The newest price that held at that moment; None when none is known."""
        for row in self._rows.get((provider_id, upstream_model), ()):
            if row.effective_from <= at:
                return row
        return None


def cost_of(usage: TokenUsage, price: PriceRow) -> Decimal:
    """The cost in dollars: each bucket by its own price, plus the price of the request."""
    prices = price.unit_prices
    tokens = (
        usage.input_tokens * prices["input"]
        + usage.cached_input_tokens * prices["cached_input"]
        + usage.cache_write_tokens * prices["cache_write"]
        + usage.output_tokens * prices["output"]
        + usage.reasoning_tokens * prices["reasoning"]
    )
    return tokens / _MILLION + prices["request"]
