"""Keep pace: write down what each hour's busiest minutes were, once it is over; and forget what is too old to say what is usual."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.lib.sql import server_cursor
from apps.spend.domain.runaway import WEEKS, Measure, Pace, Watched, begin_of_hour, busiest, watched_of
from apps.spend.models import Charge, HourlyPace, PacedHour

_HOUR = timedelta(hours=1)
# The weeks that are compared with, and a margin around the oldest.
_KEPT = timedelta(weeks=WEEKS, hours=6)
# No settling transaction lives that long, so what is older is complete.
_SETTLED = timedelta(minutes=2)
_AT_ONCE = 48
# Whoever names a feature anew with each call has no usual ones.
_MOST_NAMES = 1_000

_MINUTES = """
SELECT workspace_id, api_key_id, feature, floor(extract(epoch FROM created_at - %(begin)s) / 60)::int4 AS minute,
       count(*), sum(input_tokens + cached_input_tokens + cache_write_tokens + output_tokens + reasoning_tokens)::float8,
       sum(cost_usd)::float8
FROM spend_charge WHERE created_at >= %(begin)s AND created_at < %(end)s GROUP BY 1, 2, 3, 4
"""


def keep_pace(*, now: datetime) -> int:
    """How many hours were written down; after a long time away some at each call. Killed in the middle, an hour is there or not."""
    forgotten = begin_of_hour(now) - _KEPT
    HourlyPace.objects.filter(hour__lt=forgotten).delete()
    PacedHour.objects.filter(hour__lt=forgotten).delete()
    missing = _missing(now, forgotten)
    for hour in missing:
        _keep_hour(hour)
    return len(missing)


def _missing(now: datetime, oldest: datetime) -> list[datetime]:
    newest = PacedHour.objects.order_by("-hour").values_list("hour", flat=True).first()
    if newest is None:
        first = Charge.objects.order_by("created_at").values_list("created_at", flat=True).first()
        if first is None:
            return []
        newest = begin_of_hour(first) - _HOUR
    hour, end = max(newest + _HOUR, oldest), begin_of_hour(now - _SETTLED)
    return [hour + number * _HOUR for number in range(max(0, min(_AT_ONCE, int((end - hour) / _HOUR))))]


def _keep_hour(hour: datetime) -> None:
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("INSERT INTO spend_pacedhour (hour) VALUES (%s) ON CONFLICT DO NOTHING", (hour,))
        if not cursor.rowcount:
            # Another one writes it down at this moment.
            return
        cursor.execute(_MINUTES, {"begin": hour - _HOUR, "end": hour + _HOUR})
        paces = _paces(cursor)
        HourlyPace.objects.bulk_create(
            [
                HourlyPace(
                    hour=hour, workspace_id=watched.workspace_id, scope=watched.scope, name=watched.name, calls=list(pace[Measure.CALLS]),
                    tokens=list(pace[Measure.TOKENS]), usd=list(pace[Measure.USD]),
                )
                for watched, pace in paces
            ],
            batch_size=1_000,
        )  # fmt: skip


def _paces(rows: Iterable[tuple[UUID, UUID | None, str, int, int, float, float]]) -> list[tuple[Watched, Pace]]:
    """Of each that did something in the hour; the hour before it is what windows begin with. Of a workspace's names the busiest."""
    minutes: dict[Watched, list[list[float]]] = defaultdict(lambda: [[0.0] * 120 for _ in Measure])
    for workspace_id, api_key_id, feature, minute, *amounts in rows:
        for watched in watched_of(workspace_id, api_key_id, feature):
            for measured, amount in zip(minutes[watched], amounts, strict=True):
                measured[minute] += amount
    active = [(watched, counted) for watched, counted in minutes.items() if any(counted[0][60:])]
    names: Counter[tuple[UUID, str]] = Counter()
    paces: list[tuple[Watched, Pace]] = []
    for watched, counted in sorted(active, key=lambda one: -sum(one[1][0][60:])):
        names[watched.workspace_id, watched.scope] += 1
        if names[watched.workspace_id, watched.scope] <= _MOST_NAMES:
            paces.append((watched, {measure: busiest(counted[at]) for at, measure in enumerate(Measure)}))
    return paces
