"""Read prices."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import redis
import structlog
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum

from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id, public_id
from apps.lib.redis_client import redis_client
from apps.lib.sql import server_cursor
from apps.spend.domain.budgets import OF_JOBS, PeriodKind, ScopeKind, period_bounds
from apps.spend.domain.pricing import PriceBook, PriceRow
from apps.spend.domain.remembered import ProviderUsage, Served, read_cost, read_usage, write_cost, write_usage
from apps.spend.models import BUDGET_PREFIX, Budget, BudgetPeriod, Charge, Price

log = structlog.get_logger(__name__)


def load_price_book() -> PriceBook:
    """All dated prices, in one query."""
    return PriceBook(PriceRow(*row) for row in Price.objects.values_list(*(field.name for field in fields(PriceRow))))


def list_priced(*, at: datetime) -> set[tuple[UUID, str]]:
    """The providers' models that have a price at that moment."""
    return set(Price.objects.filter(effective_from__lte=at).values_list("provider_id", "upstream_model").distinct())


def list_price_sources() -> dict[UUID, str]:
    """Where each price was taken from; empty for those that people set."""
    return dict(Price.objects.values_list("id", "source"))


def list_charges(*, item_id: UUID) -> list[dict[str, Any]]:
    """What an item's used answers cost, in the order of its paid calls."""
    return [dict(charge) for charge in Charge.objects.filter(item_id=item_id).order_by("seq").values()]


_PRICED = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "parts", "usage", "cost_usd")


def read_charges(*, since: datetime, until: datetime, bite: int) -> Iterator[dict[str, Any]]:
    """Charges in the order of time, with what they were computed from; so many at a time, so that any number takes little memory."""
    moment, last = since, UUID(int=0)
    while True:
        rows = Charge.objects.filter(created_at__gte=moment, created_at__lt=until).exclude(created_at=moment, id__lte=last)
        found = rows.order_by("created_at", "id").values("id", "created_at", "provider_id", "upstream_model", *_PRICED)[:bite]
        yield from found
        if len(found) < bite:
            return
        moment, last = found[len(found) - 1]["created_at"], found[len(found) - 1]["id"]


_SERVED_BY = """
SELECT wanted.id, last.provider_id, last.upstream_model FROM unnest(%b::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (SELECT provider_id, upstream_model FROM spend_charge WHERE item_id = wanted.id ORDER BY seq DESC LIMIT 1) AS last
"""


def list_served_by(item_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Of each of these items what `find_served_by` finds of one; one query, one look into the index for each."""
    with server_cursor() as cursor:
        cursor.execute(_SERVED_BY, (list(item_ids),))
        return {item_id: (provider_id, upstream_model) for item_id, provider_id, upstream_model in cursor}


def find_served_by(*, item_id: UUID) -> tuple[UUID, str] | None:
    """The provider, and its name for the model, whose answer was used last; None when none was charged."""
    return Charge.objects.filter(item_id=item_id).order_by("-seq").values_list("provider_id", "upstream_model").first()


def sum_cost_since(moment: datetime, *, workspace_ids: Sequence[UUID] | None = None) -> Decimal:
    """Dollars charged since a moment, of these workspaces or of all."""
    charges = Charge.objects.filter(created_at__gte=moment)
    if workspace_ids is not None:
        charges = charges.filter(workspace_id__in=workspace_ids)
    return charges.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


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
        known, until = read_cost(_text(key), since=day_began_at, now=now) or (Decimal(0), day_began_at)
        settled_until = max(now - _SETTLED_AFTER, until)
        known += _sum_cost(until, settled_until, workspace_ids)
        redis_client().set(key, write_cost(known, settled_until), ex=_KEPT_SECONDS)
    except redis.RedisError as error:
        log.warning("cost_not_remembered", error=str(error))
        return sum_cost_since(day_began_at, workspace_ids=workspace_ids)
    return known + sum_cost_since(settled_until, workspace_ids=workspace_ids)


def _text(key: str) -> str:
    try:
        return str(redis_client().get(key) or "")
    except UnicodeDecodeError:
        return ""


def _sum_cost(start: datetime, end: datetime, workspace_ids: Sequence[UUID] | None) -> Decimal:
    charges = Charge.objects.filter(created_at__gte=start, created_at__lt=end)
    if workspace_ids is not None:
        charges = charges.filter(workspace_id__in=workspace_ids)
    return charges.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)


def _scope(workspace_ids: Sequence[UUID] | None) -> str:
    if workspace_ids is None:
        return "all"
    return sha256(b"".join(sorted(workspace_id.bytes for workspace_id in workspace_ids))).hexdigest()[:32]


_USAGE_KEY = "aiplatform:usage-by-target:{day}"


def read_usage_of_day(*, day_began_at: datetime, now: datetime) -> dict[Served, ProviderUsage]:
    """By who answered, since the day began; summed up once and remembered, as the day's cost is."""
    key = _USAGE_KEY.format(day=f"{day_began_at:%Y-%m-%d}")
    try:
        sums, until = read_usage(_text(key), since=day_began_at, now=now) or ({}, day_began_at)
        settled_until = max(now - _SETTLED_AFTER, until)
        sums = _added(sums, _sum_usage(until, settled_until))
        redis_client().set(key, write_usage(sums, settled_until), ex=_KEPT_SECONDS)
    except redis.RedisError as error:
        log.warning("usage_not_remembered", error=str(error))
        return _sum_usage(day_began_at, None)
    return _added(sums, _sum_usage(settled_until, None))


def _added(sums: dict[Served, ProviderUsage], more: dict[Served, ProviderUsage]) -> dict[Served, ProviderUsage]:
    return {name: sums.get(name, ProviderUsage()) + more.get(name, ProviderUsage()) for name in sums.keys() | more.keys()}


def _sum_usage(start: datetime, end: datetime | None) -> dict[Served, ProviderUsage]:
    charges = Charge.objects.filter(created_at__gte=start, **({"created_at__lt": end} if end else {}))
    sums = (Count("id"), Sum("input_tokens"), Sum("output_tokens"), Sum("cost_usd"))
    rows = charges.values_list("model_id", "provider_id", "upstream_model").annotate(*sums)
    return {Served(*row[:3]): ProviderUsage(*row[3:]) for row in rows}


def find_budget(budget_id: UUID) -> Budget | None:
    """The budget, with its workspace; None when it is gone."""
    return Budget.objects.select_related("workspace").filter(id=budget_id).first()


@dataclass(frozen=True, slots=True)
class ShownBudget:
    """A budget with its present period, for people and programs; amounts are texts of US dollars."""

    row: Budget
    id: str
    scope: str
    name: str
    period: str
    cap_usd: str
    hard: bool
    active: bool
    topped_up_usd: str
    reserved_usd: str
    spent_usd: str
    room_usd: str
    period_starts_at: datetime
    period_ends_at: datetime | None
    created_at: datetime
    paused_at: datetime | None
    lifted_at: datetime | None
    spent: Decimal
    reserved: Decimal
    topped_up: Decimal
    cap: Decimal

    @property
    def spent_percent(self) -> float:
        """Of the cap with its top-ups, at most 100."""
        if not self.cap:
            return 100.0
        return float(min(Decimal(100), self.spent * 100 / self.cap))


def budgets_of(workspace_id: UUID) -> QuerySet[Budget]:
    """A workspace's budgets, with those of its users, keys, features and jobs."""
    return Budget.objects.filter(workspace_id=workspace_id).select_related("workspace", "api_key")


def find_own_budget(*, workspace_id: UUID, public_id: str) -> Budget:
    """The workspace's budget; ApiError 404 when there is none, told no differently for another workspace's."""
    budget_id = parse_public_id(BUDGET_PREFIX, public_id)
    budget = budgets_of(workspace_id).filter(id=budget_id).first() if budget_id else None
    if budget is None:
        raise ApiError(404, "not_found", f"No such budget: {public_id[:100]!r}.")
    return budget


def show_budgets(budgets: Sequence[Budget], *, now: datetime) -> list[ShownBudget]:
    """Each with its present period, in one query."""
    bounds = {budget.id: period_bounds(budget.period, time_zone=budget.time_zone, at=now) for budget in budgets}
    rows = BudgetPeriod.objects.filter(budget_id__in=list(bounds), starts_at__in={begin for begin, _ in bounds.values()})
    periods = {row.budget_id: row for row in rows if row.starts_at == bounds[row.budget_id][0]}
    return [show_budget(budget, periods.get(budget.id), now=now) for budget in budgets]


_FRESH = {"reserved_usd": Decimal(0), "spent_usd": Decimal(0), "extra_usd": Decimal(0)}


def show_budget(budget: Budget, present: BudgetPeriod | None, *, now: datetime) -> ShownBudget:
    """The budget with the counter of its present period (None: nothing is counted yet)."""
    period = present or BudgetPeriod(**_FRESH)
    begin, end = period_bounds(budget.period, time_zone=budget.time_zone, at=now)
    cap = budget.cap_usd + period.extra_usd
    names = {ScopeKind.PLATFORM: "", ScopeKind.WORKSPACE: str(budget.workspace)}
    if budget.api_key_id:
        names[ScopeKind.API_KEY] = public_id("key_", budget.api_key_id)
    if budget.job_id:
        names[ScopeKind.JOB] = public_id("batch_", budget.job_id)
    return ShownBudget(
        row=budget,
        id=budget.public_id,
        scope=budget.scope,
        name=names.get(ScopeKind(budget.scope), budget.subject),
        period=budget.period,
        cap_usd=_dollars(budget.cap_usd),
        hard=budget.is_hard,
        active=budget.is_active,
        topped_up_usd=_dollars(period.extra_usd),
        reserved_usd=_dollars(period.reserved_usd),
        spent_usd=_dollars(period.spent_usd),
        room_usd=_dollars(max(Decimal(0), cap - period.spent_usd - period.reserved_usd)),
        period_starts_at=begin,
        period_ends_at=end,
        created_at=budget.created_at,
        paused_at=budget.paused_at,
        lifted_at=budget.lifted_at,
        spent=period.spent_usd,
        reserved=period.reserved_usd,
        topped_up=period.extra_usd,
        cap=cap,
    )


def _dollars(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def list_half_used(*, now: datetime) -> list[ShownBudget]:
    """The active budgets of which half or more is spent in their present period; those of single jobs, perhaps a million, are left out."""
    present = BudgetPeriod.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now, budget__is_active=True)
    shared = present.filter(budget__scope__in=[kind for kind in ScopeKind if kind is not ScopeKind.JOB])
    half = shared.filter(spent_usd__gt=0, spent_usd__gte=(F("budget__cap_usd") + F("extra_usd")) / 2)
    rows = half.select_related("budget__workspace", "budget__api_key").order_by("id")
    return [show_budget(row.budget, row, now=now) for row in rows]


def list_shared_by_jobs() -> list[UUID]:
    """The ids of the active budgets that hold whole jobs and are not one job's own."""
    scopes = [kind for kind in OF_JOBS if kind is not ScopeKind.JOB]
    return list(Budget.objects.filter(scope__in=scopes, is_active=True, is_hard=True).values_list("id", flat=True))


def list_active(budget_ids: Collection[UUID], *, now: datetime) -> list[ShownBudget]:
    """Those of these that are active, with their present periods; without pauses, which have no cap."""
    found = Budget.objects.filter(id__in=budget_ids, is_active=True).exclude(period=PeriodKind.PAUSE)
    return show_budgets(list(found.select_related("workspace", "api_key").order_by("id")), now=now)


def list_pauses() -> list[Budget]:
    """The pauses that nobody has lifted, of workspaces that are there."""
    pauses = Budget.objects.filter(period=PeriodKind.PAUSE, is_active=True, workspace__isnull=False)
    return list(pauses.select_related("workspace", "api_key").order_by("id"))


_COUNTERS_WRONG = """
WITH sums AS (
    SELECT period_id, sum(reservation.amount_usd) FILTER (WHERE resolution.reservation_id IS NULL) AS reserved,
           sum(resolution.amount_usd) FILTER (WHERE kind = 'charge') AS charged,
           sum(CASE kind WHEN 'waste' THEN resolution.amount_usd ELSE resolution.waste_usd END) AS wasted
    FROM spend_reservation AS reservation CROSS JOIN LATERAL unnest(period_ids) AS period_id
    LEFT JOIN spend_resolution AS resolution ON resolution.reservation_id = reservation.id
    GROUP BY period_id
), expected AS (
    SELECT period.*, coalesce(reserved, 0) AS reserved,
           coalesce(charged, 0) + CASE period.rank WHEN 0 THEN coalesce(wasted, 0) ELSE 0 END AS spent
    FROM spend_budgetperiod AS period LEFT JOIN sums ON sums.period_id = period.id
)
SELECT format('period %%s of budget %%s: reserved $%%s, its reservations are $%%s; spent $%%s, its ledger is $%%s',
              id, budget_id, reserved_usd, reserved, spent_usd, spent)
FROM expected WHERE (reserved_usd, spent_usd) IS DISTINCT FROM (reserved, spent)
"""
_LEDGER_WRONG = """
SELECT format('run %%s: resolved as a charge of $%%s, its charges are $%%s', resolution.reservation_id, resolution.amount_usd, sums.cost)
FROM spend_resolution AS resolution
LEFT JOIN LATERAL (SELECT sum(cost_usd) AS cost FROM spend_charge AS charge JOIN spend_reservation AS reservation
                   ON reservation.id = resolution.reservation_id AND charge.item_id = reservation.item_id
                   WHERE charge.run_id = resolution.reservation_id) AS sums ON true
WHERE resolution.kind = 'charge' AND resolution.created_at >= %b AND resolution.amount_usd IS DISTINCT FROM sums.cost
"""
# From the side of the waste, of which there is little. What an older release resolved tells nothing of it.
_WASTE_WRONG = """
SELECT format('run %%s: resolved with a waste of $%%s, its waste is $%%s', run_id, told, wasted)
FROM (
    SELECT waste.run_id, sum(waste.amount_usd) AS wasted,
           min(resolution.waste_usd + CASE kind WHEN 'waste' THEN resolution.amount_usd ELSE 0 END) AS told
    FROM spend_waste AS waste JOIN spend_resolution AS resolution ON resolution.reservation_id = waste.run_id
    WHERE waste.created_at >= %b AND resolution.waste_usd IS NOT NULL GROUP BY waste.run_id
) AS sums WHERE told <> wasted
"""


def check_counters() -> list[str]:
    """Every counter of a budget that is not the sum of its reservations and resolutions; reads all of them."""
    return _ask_long(_COUNTERS_WRONG, ())


def check_ledger(*, since: datetime) -> list[str]:
    """Every resolution since then whose charge, or waste, is not what its run was charged or wasted."""
    return _ask_long(_LEDGER_WRONG, (since,)) + _ask_long(_WASTE_WRONG, (since,))


def check_nothing_reserved() -> list[str]:
    """Every counter that holds money reserved: none, once nothing runs."""
    rows = BudgetPeriod.objects.exclude(reserved_usd=0).order_by("id")
    return [f"period {row.id} of budget {row.budget_id}: reserved ${row.reserved_usd}" for row in rows]


def _ask_long(query: str, values: Sequence[Any]) -> list[str]:
    with transaction.atomic(savepoint=False), server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(query, values)
        return [str(row[0]) for row in cursor]
