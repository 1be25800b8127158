"""Acknowledge an alert: somebody has taken it on, and the banner goes."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import current_actor, record_audit
from apps.webhooks.models import Alert
from apps.webhooks.queries import no_such_alert


@transaction.atomic
def acknowledge_alert(*, alert_id: UUID, now: datetime, reason: str = "") -> Alert:
    """Acknowledged or resolved already: it stays as it is. ApiError 404 when it is gone."""
    alert = Alert.objects.select_for_update().filter(id=alert_id).first()
    if alert is None:
        raise no_such_alert(str(alert_id))
    if alert.acknowledged_at or alert.resolved_at:
        return alert
    alert.acknowledged_at, alert.acknowledged_by = now, current_actor().label[:200]
    alert.save(update_fields=["acknowledged_at", "acknowledged_by"])
    record_audit(
        verb="acknowledged",
        object_type="alert",
        object_id=alert.id,
        object_label=alert.title,
        workspace_id=alert.workspace_id,
        reason=reason,
    )
    return alert
