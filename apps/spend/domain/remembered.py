"""What is remembered in Redis of a day's sums. What can't be read, or can't be so, counts as absent: it is summed up anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """What one provider was used for; the cost in US dollars."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def __add__(self, other: "ProviderUsage") -> "ProviderUsage":
        return ProviderUsage(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """Who answered: our model, by which provider, under which name of its own."""

    model_id: UUID
    provider_id: UUID
    upstream_model: str


def write_cost(cost: Decimal, until: datetime) -> str:
    """Dollars until a moment."""
    return f"{until.isoformat()} {cost}"


def read_cost(text: str, *, since: datetime, now: datetime) -> tuple[Decimal, datetime] | None:
    """(dollars, until when they are summed up); None when that is no moment of the day so far, or no amount."""
    try:
        until, cost = text.split()
        return _amount(cost), _moment(until, since, now)
    except (ValueError, ArithmeticError):
        return None


def write_usage(sums: Mapping[Served, ProviderUsage], until: datetime) -> bytes:
    """Sums until a moment, by who answered."""
    rows = [
        [
            served.model_id.hex, served.provider_id.hex, served.upstream_model,
            usage.calls, usage.input_tokens, usage.output_tokens, str(usage.cost_usd),
        ]
        for served, usage in sums.items()
    ]  # fmt: skip
    return orjson.dumps({"until": until.isoformat(), "rows": rows})


def read_usage(text: str, *, since: datetime, now: datetime) -> tuple[dict[Served, ProviderUsage], datetime] | None:
    """(sums by who answered, until when); None as `read_cost` says it."""
    try:
        known = orjson.loads(text)
        return dict(map(_row, known["rows"])), _moment(known["until"], since, now)
    except (ValueError, ArithmeticError, TypeError, LookupError, AttributeError):
        return None


def _row(row: Any) -> tuple[Served, ProviderUsage]:
    model, provider, upstream_model, *counts, cost = row
    calls, input_tokens, output_tokens = map(_count, counts)
    usage = ProviderUsage(calls, input_tokens, output_tokens, _amount(cost))
    return Served(UUID(hex=model), UUID(hex=provider), str(upstream_model)), usage


def _count(number: Any) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError(number)
    return number


def _amount(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite() or amount < 0:
        raise ValueError(text)
    return amount


def _moment(text: str, since: datetime, now: datetime) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not since <= moment <= now:
        raise ValueError(text)
    return moment
