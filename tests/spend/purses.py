"""Budgets and items for tests of money: every item costs a known amount at most."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.jobs.actions.claim import claim_items
from apps.jobs.domain.claimed import ClaimedItem, Finished
from apps.lib.ids import uuid7
from apps.providers.domain.calls import Completion, Exchange
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.dearest import Quoter
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.pricing import PriceBook, PriceRow
from apps.spend.domain.usage import TokenUsage
from apps.spend.models import Budget, BudgetPeriod
from tests.factories.providers import make_route

MODEL = UUID(int=7)
ROUTE = make_route()
# A dollar a request and nothing for tokens: a run costs a dollar at most, and a used answer a dollar.
PRICE = PriceRow(
    id=UUID(int=4),
    provider_id=ROUTE.provider_id,
    upstream_model=ROUTE.upstream_model,
    effective_from=datetime(2026, 1, 1, tzinfo=UTC),
    input_usd_per_million=Decimal(0),
    output_usd_per_million=Decimal(0),
    request_usd=Decimal(1),
)
BOOK = PriceBook([PRICE])
QUOTER = Quoter(Catalogue(ids={"small": MODEL}, routes_by_model={MODEL: (ROUTE,)}), BOOK)
PUMP = UUID(int=1)


def make_budget(scope: str = "platform", cap: str = "10", *, period: str = "total", **values: Any) -> Budget:
    return Budget.objects.create(scope=scope, cap_usd=Decimal(cap), period=period, **values)


def claim(room: int = 100, *, lanes: Sequence[str] = ("interactive", "default", "bulk"), quoter: Quoter = QUOTER) -> list[ClaimedItem]:
    return claim_items(pump_id=PUMP, lanes=lanes, room=room, batch_room=room, turn=0, quoter=quoter)


def finished(item: ClaimedItem, outcome: Outcome = Outcome.OK) -> Finished:
    """A run that was asked of the one provider."""
    now = timezone.now()
    exchange = Exchange(
        target_id=ROUTE.target_id,
        provider_id=ROUTE.provider_id,
        upstream_model=ROUTE.upstream_model,
        path="/v1/chat/completions",
        outcome=outcome,
        sent_at=now,
        duration_seconds=0.1,
        answer=b'{"id": "%s"}' % uuid7().hex.encode(),
    )
    usage = TokenUsage(input_tokens=10, output_tokens=5) if outcome is Outcome.OK else None
    completion = Completion(outcome=outcome, exchanges=(exchange,), answer=exchange.answer, status_code=200, usage=usage)
    return Finished(item=item, completion=completion, ended_at=now)


def counters(budget: Budget) -> tuple[Decimal, Decimal]:
    """(reserved, spent) over all its periods."""
    rows = list(BudgetPeriod.objects.filter(budget=budget).values_list("reserved_usd", "spent_usd"))
    return sum((row[0] for row in rows), Decimal(0)), sum((row[1] for row in rows), Decimal(0))
