"""Forget old task results; they are for watching, the work's record is elsewhere."""

from datetime import datetime, timedelta

from django_celery_results.models import TaskResult

_KEPT = timedelta(days=3)
_AT_ONCE = 5000


def forget_results(*, now: datetime) -> int:
    """Delete results older than three days, in bites that lock nothing for long; returns how many."""
    forgotten = 0
    while True:
        ids = list(TaskResult.objects.filter(date_done__lt=now - _KEPT).values_list("id", flat=True)[:_AT_ONCE])
        if not ids:
            return forgotten
        forgotten += TaskResult.objects.filter(id__in=ids).delete()[0]
