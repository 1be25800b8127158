"""Foresee how fast calls to a model go: by the limits of the target that is asked first, and by how long its calls took lately."""

from datetime import datetime, timedelta

import redis
import structlog

from apps.providers.domain.bucket_state import BucketState, most_in_flight
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.pace import CallSize, Pace, find_pace
from apps.providers.limits.look import look
from apps.providers.models import Provider, Target
from apps.traces.queries import read_calls

log = structlog.get_logger(__name__)

_LATELY = timedelta(hours=1)
_KINDS = ("requests", "tokens", "input_tokens", "output_tokens")


def foresee_pace(*, model: str, size: CallSize, now: datetime) -> Pace | None:
    """None when nobody answers for the model. Others than the first target are asked when that one fails, so they make nothing faster."""
    targets = Target.objects.filter(model__name=model, is_enabled=True, provider__is_enabled=True).select_related("provider")
    in_order = list(targets.order_by("position", "id"))
    if not in_order:
        return None
    target = next((one for one in in_order if one.paused_at is None and one.provider.paused_at is None), None)
    first, stopped = (target, "") if target else (in_order[0], "paused")
    buckets = _look(first)
    rows: tuple[Target | Provider, ...] = (first, first.provider)
    per_minute = {kind: _narrowest(*(getattr(row, f"{kind}_per_minute") for row in rows)) for kind in _KINDS}
    calls = read_calls(since=now - _LATELY, until=now).get(first.id)
    return find_pace(
        per_minute=per_minute,
        most_in_flight=_narrowest(
            most_in_flight(BucketLimits(), buckets[0]),
            most_in_flight(BucketLimits(max_concurrency=first.provider.max_concurrency), buckets[1]),
        ),
        size=size,
        usual_seconds=calls.p50_seconds if calls else None,
        stopped=stopped,
    )


def _look(target: Target) -> tuple[BucketState, BucketState]:
    """The target's bucket and its provider's; nothing is known of them while Redis is away."""
    keys = [f"target:{target.id.hex}", f"provider:{target.provider_id.hex}"]
    try:
        found = look(keys)
    except redis.RedisError as error:
        log.warning("buckets_not_read", error=str(error))
        return BucketState(), BucketState()
    return found[keys[0]], found[keys[1]]


def _narrowest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit), default=None)
