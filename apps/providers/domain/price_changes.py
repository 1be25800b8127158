"""What a price list would change: what is new, what differs, what it doesn't know."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from apps.providers.domain.listed_prices import ListedPrice, find_prices, find_provider
from apps.spend.domain.pricing import AMOUNTS, PriceBook, PriceRow, read_tiers

_NO_PROVIDER = "The list has no provider with this address; name one with --match."
_NO_MODEL = "The list knows no such model there, or no price by the token."


class Verdict(StrEnum):
    """What the list means for a target's price."""

    NEW = "new"
    CHANGED = "changed"
    OWN = "own"
    SAME = "same"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class PricedTarget:
    """One provider's model that is asked for something."""

    provider_id: UUID
    provider: str
    kind: str
    base_url: str
    upstream_model: str


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One target's price against the list. `fields`: what differs, as name, old, new (None: not priced apart).

    OWN: it differs, and people set it.
    """

    target: PricedTarget
    verdict: Verdict
    starts_at: datetime | None = None
    prices: Mapping[str, Any] | None = None
    fields: tuple[tuple[str, str | None, str | None], ...] = ()
    notes: tuple[str, ...] = ()
    listed_as: str = ""
    old_id: UUID | None = None

    @property
    def key(self) -> str:
        """The same as long as neither the price nor the list has changed: what somebody confirms is what they saw."""
        start = f"{self.starts_at:%Y%m%d}" if self.starts_at else ""
        seen = (self.target.provider_id.hex, self.target.upstream_model, self.old_id, start, self.fields)
        return sha256(repr(seen).encode()).hexdigest()

    @property
    def is_change(self) -> bool:
        return self.verdict in {Verdict.NEW, Verdict.CHANGED, Verdict.OWN}


def told_fields(change: PriceChange) -> str:
    """What differs, in one line."""
    return "; ".join(f"{name} {old if old is not None else '-'} -> {new if new is not None else '-'}" for name, old, new in change.fields)


def told_change(change: PriceChange) -> str:
    """The whole of it, in one line."""
    where = f"{change.target.upstream_model} at {change.target.provider}" + (f" ({change.listed_as})" if change.listed_as else "")
    start = f" from {change.starts_at:%Y-%m-%d}" if change.starts_at else ""
    told = ". ".join(part for part in (told_fields(change) if change.is_change else "", *change.notes) if part)
    return f"{change.verdict:8} {where}{start}: {told or 'as listed'}"


def compare_prices(
    targets: Sequence[PricedTarget], book: PriceBook, sources: Mapping[UUID, str], *, matches: Mapping[str, str], now: datetime
) -> list[PriceChange]:
    """For each target, by name. `sources`: where each price was taken from; `matches`: the list's name for a provider, by ours."""
    ordered = sorted(set(targets), key=lambda target: (target.provider, target.upstream_model))
    return [change for target in ordered for change in _compare(target, book, sources, matches, now)]


def _compare(
    target: PricedTarget, book: PriceBook, sources: Mapping[UUID, str], matches: Mapping[str, str], now: datetime
) -> Iterator[PriceChange]:
    name = find_provider(base_url=target.base_url, kind=target.kind, given=matches.get(target.provider))
    if name is None:
        yield PriceChange(target, Verdict.MISSING, notes=(_NO_PROVIDER,))
        return
    listed = find_prices(name, target.upstream_model, now=now)
    if not listed:
        yield PriceChange(target, Verdict.MISSING, notes=(_NO_MODEL,), listed_as=name)
    for one in listed:
        at = max(now, one.starts_at) if one.starts_at else now
        old = book.price(target.provider_id, target.upstream_model, at)
        is_listed = old is not None and bool(sources.get(old.id))
        yield _judge(target, name, one, old, is_listed=is_listed, starts_at=at if at > now else None)


def _judge(
    target: PricedTarget, name: str, listed: ListedPrice, old: PriceRow | None, *, is_listed: bool, starts_at: datetime | None
) -> PriceChange:
    fields = tuple(_differences(old, listed.prices))
    if old is None:
        verdict = Verdict.NEW
    elif not fields:
        verdict = Verdict.SAME
    else:
        verdict = Verdict.CHANGED if is_listed else Verdict.OWN
    return PriceChange(
        target, verdict, starts_at, listed.prices, fields, listed.notes, listed_as=name, old_id=old.id if old is not None else None
    )


def _differences(old: PriceRow | None, new: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    for name in AMOUNTS:
        was = getattr(old, name) if old is not None else None
        becomes = new.get(name, Decimal(0) if name == "request_usd" else None)
        if was != becomes and (was or becomes or name != "request_usd"):
            yield name, _told(was), _told(becomes)
    was_tiers, tiers = _tiers(old.tiers if old is not None else None), _tiers(new.get("tiers"))
    if was_tiers != tiers:
        yield "tiers", was_tiers, tiers


def _told(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def _tiers(tiers: Any) -> str | None:
    read = read_tiers(tiers)
    if read is None:
        return None
    return "; ".join(
        f"above {tier['above_input_tokens']:,}: " + ", ".join(f"{name} {value}" for name, value in tier.items() if name in AMOUNTS)
        for tier in read
    )
