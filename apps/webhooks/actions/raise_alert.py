"""Raise an alert: one row is open for a fingerprint, and it is told of once, and once more when it gets worse."""

from datetime import datetime
from typing import Any

from django.db import transaction

from apps.webhooks.actions.tell_alert import tell_raised
from apps.webhooks.domain.alerts import LONGEST_TEXT, LONGEST_TITLE, Alarm, Severity, is_worse
from apps.webhooks.models import Alert


@transaction.atomic
def raise_alert(alarm: Alarm, *, now: datetime) -> Alert:
    """Any number of times, from anywhere: what is open already is brought up to date. In the caller's transaction when there is one.

    It gets no milder while it is open; when it gets worse it is told of again, and whoever had acknowledged it is asked anew.
    """
    while True:
        alert = Alert.objects.standing(workspace_id=alarm.workspace_id, fingerprint=alarm.fingerprint).select_for_update().first()
        if alert is not None:
            return _note_again(alert, alarm, now)
        # Another one who raises it at this moment is waited for, and then found.
        alert = Alert(workspace_id=alarm.workspace_id, fingerprint=alarm.fingerprint, first_seen_at=now, last_seen_at=now, **_said(alarm))
        alert.severity = alarm.severity.value
        Alert.objects.bulk_create([alert], ignore_conflicts=True)
        if Alert.objects.filter(id=alert.id).exists():
            tell_raised(alert, now=now)
            return alert


def _note_again(alert: Alert, alarm: Alarm, now: datetime) -> Alert:
    alert.count += 1
    alert.last_seen_at = max(alert.last_seen_at, now)
    for name, value in _said(alarm).items():
        setattr(alert, name, value)
    if is_worse(alarm.severity, Severity(alert.severity)):
        alert.severity = alarm.severity.value
        alert.acknowledged_at, alert.acknowledged_by = None, ""
        alert.tellings += 1
        alert.save()
        tell_raised(alert, now=now)
        return alert
    alert.save()
    return alert


def _said(alarm: Alarm) -> dict[str, Any]:
    return {
        "kind": alarm.kind,
        "title": " ".join(alarm.title.split())[:LONGEST_TITLE],
        "text": alarm.text[:LONGEST_TEXT],
        "path": alarm.path,
        "data": dict(alarm.data),
    }
