"""Keep what a look at conversations and memory found."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.conversations.models import Probe

_KEPT = timedelta(days=30)


@transaction.atomic
def record_probe(*, counts: Mapping[str, int], findings: Sequence[Mapping[str, Any]], checked_at: datetime, seconds: float) -> Probe:
    """One row for each look. Those that found something stay for ever, the others for a month."""
    Probe.objects.filter(checked_at__lt=checked_at - _KEPT, is_whole=True).delete()
    return Probe.objects.create(checked_at=checked_at, seconds=seconds, findings=list(findings), is_whole=not findings, **counts)
