"""The public price list that comes with the package genai-prices: which of its models ours is, and what that costs by it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from typing import Any

# By the package's names. What it lists per thousand requests is ours per request.
_AMOUNTS = {
    "input_mtok": "input_usd_per_million",
    "cache_read_mtok": "cached_input_usd_per_million",
    "cache_write_mtok": "cache_write_usd_per_million",
    "cache_write_1h_mtok": "cache_write_1h_usd_per_million",
    "output_mtok": "output_usd_per_million",
    "output_reasoning_mtok": "reasoning_usd_per_million",
    "input_audio_mtok": "audio_input_usd_per_million",
    "output_audio_mtok": "audio_output_usd_per_million",
    "input_image_mtok": "image_input_usd_per_million",
    "output_image_mtok": "image_output_usd_per_million",
}
_REQUESTS = "requests_kcount"
_BY_KIND = {"anthropic": "anthropic"}
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """What the list says of a model from a moment on (None: from of old), by our names; `notes` tell what has no place here."""

    starts_at: datetime | None
    prices: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def source() -> str:
    """The list and its version, as a price that was taken from it tells."""
    return f"genai-prices {version('genai-prices')}"


def list_names() -> list[str]:
    """The providers that the list knows, by its names."""
    return sorted(provider.id for provider in _providers())


def find_provider(*, base_url: str, kind: str, given: str | None = None) -> str | None:
    """The list's name for a provider: the one given, or the one whose address it has, or of its kind. None: it is not in the list."""
    providers = _providers()
    if given is not None:
        return next((provider.id for provider in providers if provider.id == given), None)
    found = next((provider.id for provider in providers if re.match(provider.api_pattern, base_url)), None)
    return found or _BY_KIND.get(kind)


def find_prices(provider_name: str, upstream_model: str, *, now: datetime) -> list[ListedPrice]:
    """The price that holds, and those that are announced; empty where the list doesn't know the model, or no price by the token."""
    providers = _providers()
    provider = next(provider for provider in providers if provider.id == provider_name)
    model = provider.find_model(upstream_model, all_providers=list(providers))
    if model is None:
        return []
    entries = list(_dated(model))
    begun = [entry for entry in entries if entry[0] is None or entry[0] <= now]
    coming = [entry for entry in entries if entry[0] is not None and entry[0] > now]
    hourly = [entry.prices for entry in model.prices if hasattr(entry.constraint, "start_time")] if isinstance(model.prices, list) else []
    extra = ("the dearest price of the day, of several",) if hourly else ()
    return [
        ListedPrice(starts_at, prices, (*notes, *extra))
        for starts_at, listed in [*begun[-1:], *coming]
        for prices, notes in _translate(max([listed, *hourly], key=_dearness))
    ]


def _dearness(listed: Any) -> Decimal:
    return Decimal(getattr(listed.input_mtok, "base", listed.input_mtok) or 0)


@cache
def _providers() -> Sequence[Any]:
    """Loaded when first wanted: the list is a megabyte and a half."""
    from genai_prices.data import providers  # noqa: PLC0415 -- see above

    return tuple(providers)


def _dated(model: Any) -> Iterator[tuple[datetime | None, Any]]:
    """The list's prices in the order in which they take over; those for hours of the day are left out."""
    if not isinstance(model.prices, list):
        yield None, model.prices
        return
    for entry in model.prices:
        if entry.constraint is None:
            yield None, entry.prices
        elif hasattr(entry.constraint, "start_date"):
            yield datetime.combine(entry.constraint.start_date, time(), UTC), entry.prices


def _translate(listed: Any) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """In our words; nothing where the list has no price for input by the token."""
    amounts = {name: amount for name, amount in vars(listed).items() if amount is not None}
    if "input_mtok" not in amounts:
        return
    prices: dict[str, Any] = {"output_usd_per_million": _NOTHING}
    prices |= {_AMOUNTS[name]: getattr(amount, "base", amount) for name, amount in amounts.items() if name in _AMOUNTS}
    if _REQUESTS in amounts:
        prices["request_usd"] = amounts[_REQUESTS] / 1000
    if tiers := _tiers(amounts):
        prices["tiers"] = tiers
    unknown = sorted(name for name in amounts if name not in _AMOUNTS and name != _REQUESTS)
    yield prices, tuple(f"not taken over: {name}" for name in unknown)


def _tiers(amounts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The list has tiers for each bucket by itself; ours stand together. A bucket keeps its last price in a tier that only others have."""
    tiered = {_AMOUNTS[name]: amount.tiers for name, amount in amounts.items() if name in _AMOUNTS and hasattr(amount, "tiers")}
    starts = sorted({tier.start for tiers in tiered.values() for tier in tiers})
    found = []
    for start in starts:
        held = {name: [tier.price for tier in tiers if tier.start <= start] for name, tiers in tiered.items()}
        found.append({"above_input_tokens": start} | {name: str(reached[-1]) for name, reached in held.items() if reached})
    return found
