"""Forget events that are a month old, with their deliveries; alerts that were over half a year ago; and secrets that sign no more."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.webhooks.models import Alert, Attempt, Delivery, Endpoint, Event, Mail

_KEPT = timedelta(days=30)
_ALERTS_KEPT = timedelta(days=180)
_AT_ONCE = 1000


def forget_events(*, now: datetime) -> int:
    """How many events were forgotten; in batches, so that no statement is long."""
    Endpoint.objects.filter(previous_secret_until__lte=now).update(previous_secret_sealed="", previous_secret_until=None)
    _forget_alerts(now)
    forgotten = 0
    while True:
        oldest = list(Event.objects.filter(created_at__lte=now - _KEPT).order_by("created_at").values_list("id", flat=True)[:_AT_ONCE])
        if not oldest:
            return forgotten
        with transaction.atomic():
            Attempt.objects.filter(delivery__event_id__in=oldest).delete()
            Delivery.objects.filter(event_id__in=oldest).delete()
            Event.objects.filter(id__in=oldest).delete()
        forgotten += len(oldest)


def _forget_alerts(now: datetime) -> None:
    while oldest := list(
        Alert.objects.filter(resolved_at__lte=now - _ALERTS_KEPT).order_by("resolved_at").values_list("id", flat=True)[:_AT_ONCE]
    ):
        with transaction.atomic():
            Mail.objects.filter(alert_id__in=oldest).delete()
            Alert.objects.filter(id__in=oldest).delete()
