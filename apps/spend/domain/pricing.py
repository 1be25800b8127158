"""Which price holds, and what a call costs by it; in decimals, never rounded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

import orjson

from apps.spend.domain.usage import PARTS, TokenUsage

_MILLION = Decimal(1_000_000)
# As the columns of money hold it: rows and counters round nothing, so that the sum of amounts is the amount of the sum.
_SMALLEST = Decimal(1).scaleb(-12)


# What each bucket costs: its own price, or else that of the first of these that has one.
_INSTEAD: dict[str, tuple[str, ...]] = {
    "cached_input": ("input",),
    "cache_write": ("input",),
    "cache_write_1h": ("cache_write", "input"),
    "audio_input": ("input",),
    "image_input": ("input",),
    "reasoning": ("output",),
    "audio_output": ("output",),
    "image_output": ("output",),
}
_KINDS = {"audio_input": "input", "image_input": "input", "audio_output": "output", "image_output": "output"}
_ABOVE = "above_input_tokens"
_UNIT = "_usd_per_million"
BUCKETS = ("input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "image_input",
           "output", "reasoning", "audio_output", "image_output")  # fmt: skip
OUTPUT = ("output", "reasoning", "audio_output", "image_output")
INPUT = tuple(bucket for bucket in BUCKETS if bucket not in OUTPUT)
AMOUNTS = (*(bucket + _UNIT for bucket in BUCKETS), "request_usd")
# 8 digits before the point and 12 behind it, as the columns hold.
_MOST_USD, _PLACES = Decimal(10**8), 12


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """The price of each bucket, and of the request, for calls with more input tokens than `above`; the dearest of each side beside."""

    above: int
    values: Mapping[str, Decimal]
    json: str
    dearest_input: Decimal
    dearest_output: Decimal


@dataclass(frozen=True)
class PriceRow:
    """The prices of a provider's model from a moment on: US dollars per million tokens, and per request.

    `tiers`: other prices for long contexts, which then hold for all tokens of the call.
    """

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
    cache_write_1h_usd_per_million: Decimal | None = None
    audio_input_usd_per_million: Decimal | None = None
    image_input_usd_per_million: Decimal | None = None
    audio_output_usd_per_million: Decimal | None = None
    image_output_usd_per_million: Decimal | None = None
    tiers: Sequence[Mapping[str, Any]] | None = None

    @cached_property
    def levels(self) -> tuple[UnitPrices, ...]:
        """The dearest context first, the usual prices last."""
        own = {name: getattr(self, name) for name in AMOUNTS}
        tiers = [(tier[_ABOVE], own | {name: Decimal(text) for name, text in tier.items() if name != _ABOVE}) for tier in self.tiers or ()]
        return tuple(_unit_prices(above, amounts) for above, amounts in [*sorted(tiers, key=itemgetter(0), reverse=True), (-1, own)])

    def level(self, input_tokens: int) -> UnitPrices:
        """What holds for a call with that much input, cached or not."""
        return next(level for level in self.levels if input_tokens > level.above)

    @cached_property
    def tells_kinds_apart(self) -> bool:
        """Heard, seen, spoken or drawn tokens have prices of their own."""
        return any(level.values[name] != level.values[kind] for level in self.levels for name, kind in _KINDS.items())

    @property
    def unit_prices(self) -> Mapping[str, Decimal]:
        """The usual price of each token bucket; one that isn't given costs what its kind costs."""
        return self.levels[-1].values

    @property
    def json(self) -> str:
        """The usual unit prices as a charge keeps them."""
        return self.levels[-1].json


def _unit_prices(above: int, amounts: Mapping[str, Decimal | None]) -> UnitPrices:
    values: dict[str, Decimal] = {}
    for bucket in BUCKETS:
        found = (amounts[name + _UNIT] for name in (bucket, *_INSTEAD.get(bucket, ())))
        values[bucket] = next(amount for amount in found if amount is not None)
    values["request"] = amounts["request_usd"] or Decimal(0)
    told = {name: str(price) for name, price in values.items() if name not in PARTS or amounts[name + _UNIT] is not None}
    return UnitPrices(above, values, orjson.dumps(told).decode(), max(values[name] for name in INPUT), max(values[name] for name in OUTPUT))


class TiersInvalidError(Exception):
    """The text says which tier is wrong, and how."""


def read_tiers(tiers: Any) -> list[dict[str, Any]] | None:
    """Tiers as rows keep them: the lowest first, amounts as texts in one form. None when there is none."""
    if tiers is None or tiers == []:
        return None
    if not isinstance(tiers, list) or not all(isinstance(tier, Mapping) for tier in tiers):
        raise TiersInvalidError(f"Give a list of tiers, each an object with {_ABOVE} and prices.")
    read = sorted((_read_tier(tier, number) for number, tier in enumerate(tiers, start=1)), key=itemgetter(_ABOVE))
    if any(low[_ABOVE] == high[_ABOVE] for low, high in pairwise(read)):
        raise TiersInvalidError(f"Two tiers begin at the same {_ABOVE}; keep one.")
    return read


def _read_tier(tier: Mapping[str, Any], number: int) -> dict[str, Any]:
    above = tier.get(_ABOVE)
    if type(above) is not int or above < 1:
        raise TiersInvalidError(f"Tier {number}: {_ABOVE} must be a whole number of tokens, at least 1.")
    amounts = {name: value for name, value in tier.items() if name != _ABOVE}
    if unknown := sorted(set(amounts) - set(AMOUNTS)):
        raise TiersInvalidError(f"Tier {number}: {unknown[0]!r} is no price; there are {', '.join(AMOUNTS)}.")
    if not amounts:
        raise TiersInvalidError(f"Tier {number}: give it at least one price, for example input_usd_per_million.")
    return {_ABOVE: above} | {name: _amount(value, f"Tier {number}: {name}") for name, value in amounts.items()}


def _amount(value: Any, where: str) -> str:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount < _MOST_USD or -int(amount.as_tuple().exponent) > _PLACES:
        raise TiersInvalidError(f'{where} must be an amount in dollars, as a text: "0.15".')
    return f"{amount.normalize():f}"


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


def cost_of(usage: TokenUsage, price: PriceRow, *, context_tokens: int | None = None) -> Decimal:
    """The cost in dollars: each bucket by its own price, plus the price of the request.

    `context_tokens`: the input of one call, where `usage` is the sum of several.
    """
    prices = price.level(usage.total_input_tokens if context_tokens is None else context_tokens).values
    tokens = (
        usage.input_tokens * prices["input"]
        + usage.cached_input_tokens * prices["cached_input"]
        + usage.cache_write_tokens * prices["cache_write"]
        + usage.output_tokens * prices["output"]
        + usage.reasoning_tokens * prices["reasoning"]
    )
    for name, count in usage.parts().items():
        tokens += count * prices[name]
    return (tokens / _MILLION + prices["request"]).quantize(_SMALLEST, ROUND_HALF_UP)


def most_cost_of(*, input_tokens: int, output_tokens: int, price: PriceRow, without: frozenset[str] = frozenset()) -> Decimal:
    """The most that a call of this size can cost: every token in the dearest bucket that it could fall into, in any tier it may reach.

    `without`: buckets that it can't fall into.
    """
    return max(_most(input_tokens, output_tokens, level, without) for level in price.levels if input_tokens > level.above)


def _most(input_tokens: int, output_tokens: int, level: UnitPrices, without: frozenset[str]) -> Decimal:
    dearest_input, dearest_output = level.dearest_input, level.dearest_output
    if without:
        dearest_input = max(level.values[name] for name in INPUT if name not in without)
        dearest_output = max(level.values[name] for name in OUTPUT if name not in without)
    most = (input_tokens * dearest_input + output_tokens * dearest_output) / _MILLION + level.values["request"]
    return most.quantize(_SMALLEST, ROUND_CEILING)
