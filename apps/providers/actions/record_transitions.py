"""Record what happened to providers and targets, and forget it after a month."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from apps.providers.domain.transitions import Transition
from apps.providers.models import Provider, Target, TransitionRecord

_KEPT = timedelta(days=30)
_AT_ONCE = 5_000


def record_transitions(transitions: Sequence[Transition]) -> None:
    """One statement; those of targets and providers that are gone meanwhile are left out."""
    owners = dict(Target.objects.filter(id__in=[one.target_id for one in transitions if one.target_id]).values_list("id", "provider_id"))
    providers = set(
        Provider.objects.filter(id__in=[one.provider_id for one in transitions if one.provider_id]).values_list("id", flat=True)
    )
    rows = [
        TransitionRecord(
            provider_id=one.provider_id or owners[one.target_id],  # type: ignore[index]  # either is set
            target_id=one.target_id,
            what=one.what,
            at=one.at,
            seconds=one.seconds,
            note=one.note,
        )
        for one in transitions
        if (one.provider_id in providers if one.provider_id else one.target_id in owners)
    ]
    TransitionRecord.objects.bulk_create(rows)


def forget_transitions(*, now: datetime) -> int:
    """How many were older than a month."""
    forgotten = 0
    while True:
        old = TransitionRecord.objects.filter(at__lt=now - _KEPT).order_by("at").values("id")[:_AT_ONCE]
        count, _ = TransitionRecord.objects.filter(id__in=old).delete()
        forgotten += count
        if count < _AT_ONCE:
            return forgotten
