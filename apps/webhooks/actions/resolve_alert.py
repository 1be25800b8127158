"""Resolve an alert: what it told of holds no longer."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.webhooks.actions.tell_alert import tell_resolved
from apps.webhooks.models import Alert


@transaction.atomic
def resolve_alert(*, workspace_id: UUID | None, fingerprint: str, now: datetime) -> bool:
    """False when none is open. The next time that it is raised it is a new alert."""
    alert = Alert.objects.standing(workspace_id=workspace_id, fingerprint=fingerprint).select_for_update().first()
    if alert is None:
        return False
    alert.resolved_at = now
    alert.tellings += 1
    alert.save(update_fields=["resolved_at", "tellings"])
    tell_resolved(alert, now=now)
    return True
