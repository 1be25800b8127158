"""What concerns the whole platform: a provider that stays down, work that waits too long, work that nobody serves."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from apps.jobs.actions import find_shortages
from apps.jobs.queries import read_lanes
from apps.ops.domain import conditions
from apps.ops.queries.health import check_readiness
from apps.providers.queries import list_open_breakers, list_overstated
from apps.webhooks.domain.alerts import Alarm, Severity

USE_OVERSTATED = "provider.usage"
BREAKER_OPEN, WORK_OLD, WORK_UNSERVED, WORK_REFUSED = "provider.breaker", "work.old", "work.unserved", "work.refused"
_BREAKERS_LOOKED_BACK = timedelta(days=7)


def find_open_breakers(*, now: datetime) -> Iterator[Alarm]:
    """Targets whose breaker has not closed for five minutes."""
    for one in list_open_breakers(before=now - conditions.BREAKER_TIME, since=now - _BREAKERS_LOOKED_BACK):
        yield Alarm(
            kind=BREAKER_OPEN,
            fingerprint=f"{BREAKER_OPEN}:{one.target_id}",
            severity=Severity.WARNING,
            title=f"{one.provider} has not answered for {one.model} for {conditions.say_seconds((now - one.since).total_seconds())}",
            text=f"Its breaker for {one.upstream_model} is open: calls go to the model's next target, or wait when it has none. See what "
            "it answers; pause it if it stays away, or give the model another target.",
            path=reverse("admin:providers_provider_desk"),
            data={"provider": one.provider, "model": one.model, "upstream_model": one.upstream_model},
        )


def find_overstated_use(*, now: datetime) -> Iterator[Alarm]:
    """Targets that have told within the hour of far more tokens than their answers can have used."""
    for one in list_overstated(since=now - conditions.OVERSTATED_TIME):
        model, upstream = (one.target.model.name, one.target.upstream_model) if one.target else ("", "")
        yield Alarm(
            kind=USE_OVERSTATED,
            fingerprint=f"{USE_OVERSTATED}:{one.target_id}",
            severity=Severity.WARNING,
            title=f"{one.provider.name} reports far more tokens for {model} than its calls can have used",
            text=f"More than three times what we estimate for calls of {upstream}. They are charged as reported; their exchanges say which "
            "they are. Compare with the provider's invoice ('manage.py reconcile').",
            path=reverse("admin:providers_provider_desk"),
            data={"provider": one.provider.name, "model": model, "upstream_model": upstream},
        )


def find_old_work(*, now: datetime) -> Iterator[Alarm]:  # noqa: ARG001 -- as the others; Postgres' clock counts here
    """Lanes whose oldest ready item has waited for half of the time after which new work is refused."""
    for lane in read_lanes(workspace_ids=None):
        limit = settings.INTAKE_OLDEST_SECONDS[lane.lane]
        seconds = lane.oldest_seconds or 0
        if seconds * 2 > limit:
            yield Alarm(
                kind=WORK_OLD,
                fingerprint=f"{WORK_OLD}:{lane.lane}",
                severity=Severity.CRITICAL if seconds > limit else Severity.WARNING,
                title=f"The oldest item of the lane {lane.lane} has waited for {conditions.say_seconds(seconds)}",
                text=f"{lane.waiting:,} items wait there. After {conditions.say_seconds(limit)} new work for it is refused. See whether "
                "workers run, whether a provider throttles or is down, and whether limits are lower than they need be.",
                path=reverse("admin:index"),
                data={"lane": lane.lane, "oldest_seconds": int(seconds), "waiting": lane.waiting},
            )


def find_unserved_work(*, now: datetime) -> Iterator[Alarm]:  # noqa: ARG001 -- as the others
    """Lanes in which something is ready while no worker takes messages from their queue."""
    failing = {check.name.removeprefix("queue ") for check in check_readiness() if not check.is_ok}
    for lane in read_lanes(workspace_ids=None):
        if lane.lane in failing and (lane.oldest_seconds or 0) > conditions.UNSERVED_SECONDS:
            yield Alarm(
                kind=WORK_UNSERVED,
                fingerprint=f"{WORK_UNSERVED}:{lane.lane}",
                severity=Severity.CRITICAL,
                title=f"No worker serves the lane {lane.lane}; items that wait there: {lane.waiting:,}",
                text="What was accepted is safe and goes on when a worker is back. See whether the lane's workers run ('manage.py status', "
                "Flower), and what their logs say.",
                path=reverse("admin:index"),
                data={"lane": lane.lane, "waiting": lane.waiting},
            )


def find_refused_work(*, now: datetime) -> Iterator[Alarm]:  # noqa: ARG001 -- as the others
    """Lanes for which new work is refused."""
    for lane, shortage in find_shortages().items():
        if shortage is not None:
            yield Alarm(
                kind=WORK_REFUSED,
                fingerprint=f"{WORK_REFUSED}:{lane}",
                severity=Severity.CRITICAL,
                title=f"New work for the lane {lane} is refused: {shortage.reason}",
                text="Callers get 503 with Retry-After; what was accepted is safe and still runs. See 'Backpressure' in docs/operating.md: "
                "make room (disk, memory, workers, provider limits), or raise the limit when the machine can bear it.",
                path=reverse("admin:index"),
                data={"lane": lane},
            )
