"""Forget what repeated requests came to, once they are too old to be repeated."""

from datetime import datetime

from apps.accounts.models import IdempotencyRecord

_BATCH = 5_000


def forget_records(*, now: datetime) -> int:
    """How many were forgotten; in batches, so that no statement is long."""
    forgotten = 0
    while True:
        oldest = IdempotencyRecord.objects.filter(expires_at__lte=now).order_by("expires_at").values("id")[:_BATCH]
        count, _ = IdempotencyRecord.objects.filter(id__in=oldest).delete()
        forgotten += count
        if count < _BATCH:
            return forgotten
