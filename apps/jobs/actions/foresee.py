"""Foresee what an upload that was looked at would cost, which budgets it would touch, and when it would be over. Writes nothing."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import ceil
from uuid import UUID

from django.conf import settings
from django.db.models import F

from apps.jobs.actions.preview_upload import Preview
from apps.jobs.actions.ring import worker_set_of
from apps.jobs.domain.estimate import Estimate
from apps.jobs.domain.forecast import Forecast, Waiting, Workers, foresee_end
from apps.jobs.domain.foresight import NO, Foresight, TouchedBudget, judge
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job, Pump
from apps.lib.ids import uuid7
from apps.providers.actions import foresee_pace
from apps.providers.domain.pace import CallSize
from apps.spend.actions import look_at_purses
from apps.spend.domain.budgets import Purse, ScopeKind, Subject
from apps.spend.queries import ShownBudget, show_budgets
from apps.spend.queries.budgets_by_id import find_budgets

# Open jobs that are looked at for what stands in line; with more of them, the newest count.
_MOST_JOBS = 2000


@dataclass(frozen=True, slots=True)
class Intent:
    """How it would be submitted. `sees_amounts`: whoever asks may read what budgets have left, not only whether it fits."""

    workspace_id: UUID
    lane: str
    api_key_id: UUID | None = None
    max_cost_usd: Decimal | None = None
    sees_amounts: bool = True


def foresee(preview: Preview, intent: Intent, *, now: datetime) -> Foresight:
    """By what is known at this moment; of a file that was not read whole, its first part stands for all."""
    estimate, seen = preview.estimate, preview.seen
    is_priced = estimate is not None and estimate.high_cost_usd is not None
    return Foresight(
        estimate=estimate,
        ceiling_usd=preview.most_usd if is_priced else None,
        dearest_usd=seen.dearest_usd if is_priced else None,
        budgets=_budgets(preview, intent, now),
        finish=_finish(preview, intent.lane, estimate, now) if estimate is not None and preview.requests > 0 else None,
    )


# --- money ------------------------------------------------------------------------------------------------------


def _budgets(preview: Preview, intent: Intent, now: datetime) -> Sequence[TouchedBudget]:
    job_id, seen = uuid7(), preview.seen
    weights = {
        Subject(intent.workspace_id, job_id, intent.api_key_id, end_user, feature): most
        for (end_user, feature), most in seen.most_usd.items()
    }
    purses = look_at_purses(weights)
    shown = {one.row.id: one for one in show_budgets(find_budgets([purse.budget_id for purse in purses.purses]), now=now)}
    total = sum(weights.values(), Decimal(0))
    bounded: dict[UUID, Decimal] = defaultdict(Decimal)
    for subject, most in weights.items():
        for purse in purses.chain(subject):
            bounded[purse.period_id] += most
    touched = []
    for purse in sorted(purses.purses, key=lambda purse: purse.order):
        if purse.budget_id in shown and purse.period_id in bounded:
            share = bounded[purse.period_id] / total if total else Decimal(1)
            touched.append(_touched(purse, shown[purse.budget_id], share, preview, sees_amounts=intent.sees_amounts))
    return [*touched, *_of_job(intent.max_cost_usd, preview)]


def _touched(purse: Purse, shown: ShownBudget, share: Decimal, preview: Preview, *, sees_amounts: bool) -> TouchedBudget:
    likely, high = _share(preview.estimate, share)
    fits = judge(left_usd=purse.room_usd, likely_usd=likely, high_usd=high)
    # What all workspaces share is theirs to bump into, not to read.
    is_own = sees_amounts and (shown.row.workspace_id is not None or purse.scope == ScopeKind.API_KEY)
    return TouchedBudget(
        id=shown.id,
        scope=purse.scope,
        name=shown.name,
        period=shown.period,
        is_hard=purse.is_hard,
        cap_usd=purse.cap_usd if is_own else None,
        spent_usd=purse.spent_usd if is_own else None,
        reserved_usd=purse.reserved_usd if is_own else None,
        left_usd=max(Decimal(0), purse.room_usd) if is_own else None,
        needs_usd=likely,
        fits=fits,
        waits_until=purse.ends_at if purse.is_hard and fits == NO else None,
        waits_at_once=not purse.has_ever_room(preview.seen.dearest_usd),
    )


def _of_job(cap_usd: Decimal | None, preview: Preview) -> list[TouchedBudget]:
    """The one that `max_cost_usd` would make."""
    if cap_usd is None:
        return []
    likely, high = _share(preview.estimate, Decimal(1))
    nothing = Decimal(0)
    return [
        TouchedBudget(
            id="",
            scope=ScopeKind.JOB,
            name="max_cost_usd",
            period="total",
            is_hard=True,
            cap_usd=cap_usd,
            spent_usd=nothing,
            reserved_usd=nothing,
            left_usd=cap_usd,
            needs_usd=likely,
            fits=judge(left_usd=cap_usd, likely_usd=likely, high_usd=high),
            waits_until=None,
            waits_at_once=preview.seen.dearest_usd > cap_usd,
        )
    ]


def _share(estimate: Estimate | None, share: Decimal) -> tuple[Decimal | None, Decimal | None]:
    if estimate is None or estimate.likely_cost_usd is None or estimate.high_cost_usd is None:
        return None, None
    return estimate.likely_cost_usd * share, estimate.high_cost_usd * share


# --- time -------------------------------------------------------------------------------------------------------


def _finish(preview: Preview, lane: str, estimate: Estimate, now: datetime) -> Forecast | None:
    size = CallSize(estimate.input_tokens / estimate.requests, estimate.likely_output_tokens / estimate.requests)
    paces = {name: foresee_pace(model=name, size=size, now=now) for name in preview.seen.models}
    known = {name: pace for name, pace in paces.items() if pace is not None}
    if len(known) < len(paces):
        return None
    factor = preview.requests / preview.seen.requests
    return foresee_end(
        requests={name: max(1, round(model.requests * factor)) for name, model in preview.seen.models.items()},
        calls_each=(estimate.least_calls + estimate.most_calls) / 2 / estimate.requests or 1.0,
        paces=known,
        waiting=_waiting(),
        lane=lane,
        workers=_workers(lane, preview.requests),
    )


def _waiting() -> list[Waiting]:
    """What is left of the jobs that run, those that wait for a budget left out."""
    jobs = Job.objects.filter(ended_at=None, status=JobStatus.RUNNING, held_by_id=None).order_by("-id")
    rows = jobs.annotate(left=F("total") - F("done") - F("dead")).values_list("lane", "model_name", "left")[:_MOST_JOBS]
    return [Waiting(lane, model, left) for lane, model, left in rows if left > 0]


def _workers(lane: str, requests: int) -> Workers:
    """Pumps that live, or those that would be rung for."""
    live = list(Pump.objects.claiming(worker_set_of(lane)).values_list("hostname", "window"))
    hosts = max(1, len({hostname for hostname, _ in live}))
    rung = min(ceil(requests / settings.JOBS_MAX_IN_FLIGHT), settings.JOBS_PUMPS_PER_HOST * hosts)
    return Workers(pumps=max(len(live), rung), window=max(sum(window for _, window in live), rung * settings.JOBS_MAX_IN_FLIGHT))
