"""What is said of a feature, a key or a workspace that runs away, and of one that is paused for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from apps.lib.ids import public_id
from apps.spend.domain.budgets import ScopeKind
from apps.spend.domain.runaway import Excess, Measure, Watched
from apps.spend.queries.runaways import Runaway
from apps.webhooks.domain.alerts import Alarm, Severity

if TYPE_CHECKING:
    from apps.spend.models import Budget
    from apps.webhooks.models import Alert

SPEND_RUNAWAY = "spend.runaway"
_UNTIL_LIFTED = (
    "It is paused: its jobs wait, its single calls are refused. Once the cause is mended, lift the pause (take away 'active'), and what "
    "waits goes on at once."
)
_NOT_STOPPED = (
    "It is not stopped. See what sends so much, and stop it there; a budget by the hour bounds what it may cost, and RUNAWAY_PAUSES says "
    "whether the platform pauses what runs away."
)


def fingerprint_of(watched: Watched) -> str:
    """One alert for each, in its workspace."""
    return f"{SPEND_RUNAWAY}:{watched.scope}:{watched.name}"


def describe_runaway(one: Runaway, *, name: str, pause: "Budget | None", before: "Alert | None") -> Alarm:
    """`before`: the alert that is open for it; since when it is, that one knows."""
    watched, worst = one.watched, one.excesses[0]
    since = before.data["since"] if before and "since" in before.data else f"{one.since:%Y-%m-%d %H:%M}"
    times = f", {worst.times:.0f} times the usual" if worst.times else ""
    return Alarm(
        kind=SPEND_RUNAWAY,
        fingerprint=fingerprint_of(watched),
        workspace_id=watched.workspace_id,
        severity=Severity.CRITICAL,
        title=f"{_whose(watched, name)} runs away: {_amount(worst.measure, worst.amount)} in {worst.minutes} minutes{times}",
        text=f"Since {since} UTC: {in_words(one.excesses)}. {_UNTIL_LIFTED if pause else _NOT_STOPPED}",
        path=_path(watched, pause),
        data=_data(watched, pause) | {"since": since, "excesses": [_told(excess) for excess in one.excesses]},
    )


def describe_pause(watched: Watched, *, name: str, pause: "Budget", before: "Alert | None") -> Alarm:
    """It is quiet since it is paused; what it did then stays in the alert."""
    kept: dict[str, Any] = dict(before.data) if before else {}
    since = f" since {pause.paused_at:%Y-%m-%d %H:%M} UTC" if pause.paused_at else ""
    first = before.text.split(". ", 1)[0] if before else "It ran away"
    return Alarm(
        kind=SPEND_RUNAWAY,
        fingerprint=fingerprint_of(watched),
        workspace_id=watched.workspace_id,
        severity=Severity.CRITICAL,
        title=f"{_whose(watched, name)} is paused{since}: it ran away",
        text=f"{first}. {_UNTIL_LIFTED}",
        path=_path(watched, pause),
        data=kept | _data(watched, pause),
    )


def in_words(excesses: Sequence[Excess]) -> str:
    """How much of what, and how much is usual."""
    return "; ".join(
        f"{_amount(one.measure, one.amount)} within {one.minutes} minutes"
        + (f" (usual at the busiest of this hour: {_amount(one.measure, one.usual)})" if one.usual else " (usual: none)")
        for one in excesses
    )


def _amount(measure: Measure, amount: float) -> str:
    return f"${amount:,.2f}" if measure is Measure.USD else f"{amount:,.0f} {measure}"


def _whose(watched: Watched, name: str) -> str:
    return {ScopeKind.FEATURE: f"The feature {name}", ScopeKind.API_KEY: f"The key {name}"}.get(ScopeKind(watched.scope), "The workspace")


def _path(watched: Watched, pause: "Budget | None") -> str:
    """Where it is lifted, or else what was spent on it today, by jobs."""
    if pause:
        return reverse("admin:spend_budget_change", args=[pause.id])
    named = {watched.scope: watched.name} if watched.name else {}
    query = {"period": "today", "workspace": str(watched.workspace_id), **named, "by": "job"}
    return f"{reverse('spend_charge_overview')}?{urlencode(query)}"


def _data(watched: Watched, pause: "Budget | None") -> dict[str, Any]:
    name = public_id("key_", UUID(watched.name)) if watched.scope == ScopeKind.API_KEY else watched.name
    return {"scope": watched.scope, "name": name, "paused_by": pause.public_id if pause else None}


def _told(one: Excess) -> dict[str, Any]:
    return {"measure": one.measure, "minutes": one.minutes, "amount": round(one.amount, 6), "usual": round(one.usual, 6)}
