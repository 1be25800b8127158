"""Budgets that are half used, nearly used up, used up (told at each of the three), or will be used up before their period ends."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.urls import reverse

from apps.jobs.queries.holding import list_holding_budgets
from apps.ops.domain.conditions import NotKnownNowError
from apps.spend.domain.budgets import ScopeKind
from apps.spend.domain.forecasts import is_told
from apps.spend.queries import ShownBudget, list_active, list_half_used, list_shared_by_jobs
from apps.spend.queries.forecasts import list_forecasts
from apps.spend.queries.spending import has_all_history
from apps.webhooks.domain.alerts import Alarm, Severity
from apps.webhooks.queries import list_told

BUDGET_USED, BUDGET_FORECAST = "budget.used", "budget.forecast"
# The longest period.
_A_MONTH = timedelta(days=32)
_NEARLY_PERCENT, _ALL_PERCENT = 80, 100
# Of single jobs, and of end users and features of which less than half is spent, so many that hold work back are told of at once.
_MOST_HOLDING = 100


def find_used_budgets(*, now: datetime) -> Iterator[Alarm]:
    """It gets worse from one threshold to the next, so each is told once for each period and cap.

    Of a cap that was raised, or topped up, the thresholds are others. What holds work back is used up, whatever is left of it.
    """
    half_used = list_half_used(now=now)
    holding = _holding(half_used, now)
    more = list_active(holding - {one.row.id for one in half_used}, now=now)
    for one in (*half_used, *more):
        is_holding = one.row.id in holding
        yield Alarm(
            kind=BUDGET_USED,
            fingerprint=_fingerprint(BUDGET_USED, one),
            severity=_severity(one, is_holding=is_holding),
            title=f"{one.row.whose}: {one.spent_percent:.0f} % of its budget is spent (${one.spent_usd} of ${one.cap.normalize():f})",
            text=_text(one, is_holding=is_holding),
            workspace_id=one.row.workspace_id,
            path=reverse("admin:spend_budget_change", args=[one.row.id]),
            data={
                "budget": one.id, "budget_uuid": str(one.row.id), "spent_usd": one.spent_usd, "cap_usd": f"{one.cap.normalize():f}",
                "percent": round(one.spent_percent), "is_holding": is_holding,
            },
        )  # fmt: skip


def _holding(half_used: Sequence[ShownBudget], now: datetime) -> set[UUID]:
    """Those that were told of come first, so that none of them is taken for over because others came."""
    told = [alert.data for alert in list_told(BUDGET_USED, since=now).values() if alert.data.get("is_holding")]
    standing = {UUID(data["budget_uuid"]) for data in told}
    known = standing.union(list_shared_by_jobs(), (one.row.id for one in half_used))
    return list_holding_budgets(now=now, known=known, newest=max(0, _MOST_HOLDING - len(standing)))


def _fingerprint(kind: str, one: ShownBudget) -> str:
    return f"{kind}:{one.row.id}:{one.period_starts_at:%Y-%m-%dT%H}:{one.cap.normalize():f}"


def _severity(one: ShownBudget, *, is_holding: bool) -> Severity:
    if is_holding or one.spent_percent >= _ALL_PERCENT:
        return Severity.CRITICAL
    return Severity.WARNING if one.spent_percent >= _NEARLY_PERCENT else Severity.INFO


def _text(one: ShownBudget, *, is_holding: bool) -> str:
    anew = f" It begins anew at {one.period_ends_at:%Y-%m-%d %H:%M} UTC." if one.period_ends_at else ""
    if is_holding and one.scope == ScopeKind.JOB:
        return "The job waits for it: it may cost no more. Raise it, or top it up, and it goes on at once; else cancel what is left of it."
    if is_holding:
        return f"Jobs wait for it. Raise it, or top it up for this period, and they go on at once.{anew}"
    if one.hard:
        return f"When it is used up, jobs wait and single calls are refused. Raise it, or top it up, if that should not be.{anew}"
    return f"It is soft: it stops nobody.{anew}"


def find_forecasts(*, now: datetime) -> Iterator[Alarm]:
    """Once for each period and cap: when it was told of and fell well below the cap, it is not told of again until the cap changes.

    NotKnownNowError after an upgrade, while sums are made anew: they would tell of less than was spent.
    """
    if not has_all_history():
        raise NotKnownNowError("Sums of spend are made anew.")
    told = list_told(BUDGET_FORECAST, since=now - _A_MONTH)
    standing = {alert.data.get("budget_uuid") for alert in told.values() if alert.resolved_at is None}
    for one, forecast in list_forecasts(now=now, told={UUID(text) for text in standing if text}):
        fingerprint = _fingerprint(BUDGET_FORECAST, one)
        before = told.get((one.row.workspace_id, fingerprint))
        is_open = before is not None and before.resolved_at is None
        if (before is None or is_open) and is_told(forecast, spent_usd=one.spent, cap_usd=one.cap, is_open=is_open):
            yield _forecast_alarm(one, forecast, fingerprint)


def _forecast_alarm(one: ShownBudget, forecast: Decimal, fingerprint: str) -> Alarm:
    ends = f"{one.period_ends_at:%Y-%m-%d %H:%M} UTC"
    stops = "Then jobs wait and single calls are refused, until it begins anew" if one.hard else "It is soft: it stops nobody"
    return Alarm(
        kind=BUDGET_FORECAST,
        fingerprint=fingerprint,
        severity=Severity.WARNING,
        title=f"{one.row.whose}: as it goes on, ${forecast:,.2f} will be spent by the end of its {one.period}, of ${one.cap:,.2f}",
        text=f"${one.spent:,.2f} is spent, and the {one.period} lasts until {ends}. {stops}. See what it is spent on; spend less, raise "
        "the cap, or top it up for this period.",
        workspace_id=one.row.workspace_id,
        path=reverse("admin:spend_budget_change", args=[one.row.id]),
        data={
            "budget": one.id, "budget_uuid": str(one.row.id), "spent_usd": one.spent_usd, "cap_usd": f"{one.cap.normalize():f}",
            "forecast_usd": f"{forecast:.2f}",
        },
    )  # fmt: skip
