"""Read prices."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
import redis
import structlog
from django.db.models import Avg, Count, Sum

from apps.lib.redis_client import redis_client
from apps.spend.domain.pricing import PriceBook, PriceRow
from apps.spend.models import Charge, Price

log = structlog.get_logger(__name__)


def load_price_book() -> PriceBook:
    """All dated prices, in one query."""
    return PriceBook(PriceRow(*row) for row in Price.objects.values_list(*(field.name for field in fields(PriceRow))))


def list_charges(*, item_id: UUID) -> list[dict[str, Any]]:
    """What an item's used answers cost, in the order of its paid calls."""
    return [dict(charge) for charge in Charge.objects.filter(item_id=item_id).order_by("seq").values()]


def find_served_by(*, item_id: UUID) -> tuple[UUID, str] | None:
    """The provider, and its name for the model, whose answer was used last; None when none was charged."""
    return Charge.objects.filter(item_id=item_id).order_by("-seq").values_list("provider_id", "upstream_model").first()


def sum_cost_since(moment: datetime, *, workspace_ids: Sequence[UUID] | None = None) -> Decimal:
    """Dollars charged since a moment, of these workspaces or of all."""
    charges = Charge.objects.filter(created_at__gte=moment)
    if workspace_ids is not None:
        charges = charges.filter(workspace_id__in=workspace_ids)
    return charges.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


_LATEST_CHARGES = 5000


def find_usual_output_tokens(*, provider_id: UUID, upstream_model: str) -> int | None:
    """What an answer of this model came to on average, among the newest charges of all; None when there is none of it."""
    newest = Charge.objects.order_by("-id").values_list("id", flat=True)[:_LATEST_CHARGES]
    found = Charge.objects.filter(id__in=list(newest), provider_id=provider_id, upstream_model=upstream_model)
    average = found.aggregate(tokens=Avg("output_tokens"))["tokens"]
    return None if average is None else round(average)


_COST_KEY = "aiplatform:cost:{day}:{scope}"
# No settling transaction lives that long (Postgres ends it after ten seconds of idleness), so what is older is complete.
_SETTLED_AFTER = timedelta(seconds=60)
_KEPT_SECONDS = 2 * 86_400


def read_cost_of_day(*, day_began_at: datetime, now: datetime, workspace_ids: Sequence[UUID] | None) -> Decimal:
    """Dollars charged since the day began: what is settled is summed up once and remembered, the last minute is read anew.

    So a page that renews itself every few seconds never adds up a day of a million charges again. Without Redis it does.
    """
    key = _COST_KEY.format(day=f"{day_began_at:%Y-%m-%d}", scope=_scope(workspace_ids))
    try:
        known, until = _remembered(key, day_began_at)
        settled_until = max(now - _SETTLED_AFTER, until)
        known += _sum_cost(until, settled_until, workspace_ids)
        redis_client().set(key, f"{settled_until.isoformat()} {known}", ex=_KEPT_SECONDS)
    except redis.RedisError as error:
        log.warning("cost_not_remembered", error=str(error))
        return sum_cost_since(day_began_at, workspace_ids=workspace_ids)
    return known + sum_cost_since(settled_until, workspace_ids=workspace_ids)


def _remembered(key: str, day_began_at: datetime) -> tuple[Decimal, datetime]:
    text = redis_client().get(key)
    if not text:
        return Decimal(0), day_began_at
    until, known = str(text).split()
    return Decimal(known), datetime.fromisoformat(until)


def _sum_cost(start: datetime, end: datetime, workspace_ids: Sequence[UUID] | None) -> Decimal:
    charges = Charge.objects.filter(created_at__gte=start, created_at__lt=end)
    if workspace_ids is not None:
        charges = charges.filter(workspace_id__in=workspace_ids)
    return charges.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


def _scope(workspace_ids: Sequence[UUID] | None) -> str:
    if workspace_ids is None:
        return "all"
    return sha256(b"".join(sorted(workspace_id.bytes for workspace_id in workspace_ids))).hexdigest()[:32]


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


_USAGE_KEY = "aiplatform:usage:{day}"


def read_usage_of_day(*, day_began_at: datetime, now: datetime) -> dict[UUID, ProviderUsage]:
    """By provider, since the day began; summed up once and remembered, as the day's cost is."""
    key = _USAGE_KEY.format(day=f"{day_began_at:%Y-%m-%d}")
    try:
        text = redis_client().get(key)
        known: dict[str, Any] = orjson.loads(text) if text else {"until": day_began_at.isoformat(), "sums": {}}
        sums = {
            UUID(name): ProviderUsage(calls, tokens_in, tokens_out, Decimal(cost))
            for name, (calls, tokens_in, tokens_out, cost) in known["sums"].items()
        }
        until = datetime.fromisoformat(known["until"])
        settled_until = max(now - _SETTLED_AFTER, until)
        sums = _added(sums, _sum_usage(until, settled_until))
        rows = {str(name): [usage.calls, usage.input_tokens, usage.output_tokens, str(usage.cost_usd)] for name, usage in sums.items()}
        redis_client().set(key, orjson.dumps({"until": settled_until.isoformat(), "sums": rows}), ex=_KEPT_SECONDS)
    except redis.RedisError as error:
        log.warning("usage_not_remembered", error=str(error))
        return _sum_usage(day_began_at, None)
    return _added(sums, _sum_usage(settled_until, None))


def _added(sums: dict[UUID, ProviderUsage], more: dict[UUID, ProviderUsage]) -> dict[UUID, ProviderUsage]:
    return {name: sums.get(name, ProviderUsage()) + more.get(name, ProviderUsage()) for name in sums.keys() | more.keys()}


def _sum_usage(start: datetime, end: datetime | None) -> dict[UUID, ProviderUsage]:
    charges = Charge.objects.filter(created_at__gte=start, **({"created_at__lt": end} if end else {}))
    rows = charges.values_list("provider_id").annotate(Count("id"), Sum("input_tokens"), Sum("output_tokens"), Sum("cost_usd"))
    return {row[0]: ProviderUsage(*row[1:]) for row in rows}
