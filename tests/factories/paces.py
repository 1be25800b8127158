"""What things usually do, and calls as they come: so many at once, spread evenly over some minutes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.lib.ids import uuid7
from apps.spend.domain.runaway import WINDOWS, Watched, begin_of_hour
from apps.spend.models import Charge, HourlyPace, PacedHour
from tests.factories.spend import MODEL, PROVIDER


def make_weeks(watched: Sequence[Watched], *, now: datetime, calls_a_minute: float, weeks: int = 4) -> None:
    """Every hour of the last weeks alike, for each of them: 100 tokens and a tenth of a cent a call."""
    last = begin_of_hour(now)
    hours = [last - timedelta(hours=ago) for ago in range(1, weeks * 7 * 24 + 1)]
    PacedHour.objects.bulk_create(PacedHour(hour=hour) for hour in hours)
    calls = [calls_a_minute * minutes for minutes in WINDOWS]
    HourlyPace.objects.bulk_create(
        HourlyPace(
            hour=hour,
            workspace_id=one.workspace_id,
            scope=one.scope,
            name=one.name,
            calls=calls,
            tokens=[100 * number for number in calls],
            usd=[number / 1000 for number in calls],
        )
        for one in watched
        for hour in hours
    )


def make_calls(workspace_id: UUID, number: int, *, until: datetime, minutes: float, **values: Any) -> None:
    """Evenly within the minutes before `until`."""
    apart = timedelta(minutes=minutes) / number
    Charge.objects.bulk_create(
        Charge(
            **{
                "workspace_id": workspace_id, "job_id": UUID(int=1), "item_id": uuid7(), "run_id": uuid7(), "model_id": MODEL,
                "provider_id": PROVIDER, "upstream_model": "gpt-x-mini", "lane": "default", "input_tokens": 90, "output_tokens": 10,
                "cost_usd": Decimal("0.001"), "created_at": until - place * apart,
            }
            | values
        )
        for place in range(number)
    )  # fmt: skip
