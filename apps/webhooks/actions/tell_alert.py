"""Tell of an alert, inside the transaction that changes it: an event for the workspace's endpoints, and mails; others send both."""

from datetime import datetime

from django.conf import settings

from apps.accounts.queries import list_addresses
from apps.lib.enqueue import enqueue
from apps.webhooks.actions.publish_event import publish_event
from apps.webhooks.domain.events import EventType
from apps.webhooks.models import Alert, Mail

# The rest stands in the alert: an event is a hint where to look.
_TOLD_CHARACTERS = 1_000


def tell_raised(alert: Alert, *, now: datetime) -> None:
    """It is new, or worse than what was told before."""
    _tell(alert, EventType.ALERT_RAISED, now=now)


def tell_resolved(alert: Alert, *, now: datetime) -> None:
    """It is over."""
    _tell(alert, EventType.ALERT_RESOLVED, now=now)


def _tell(alert: Alert, event_type: EventType, *, now: datetime) -> None:
    _write_mails(alert, is_over=event_type == EventType.ALERT_RESOLVED, now=now)
    if alert.workspace_id is None:
        # Endpoints belong to workspaces; what concerns the platform is not theirs.
        return
    publish_event(
        workspace_id=alert.workspace_id,
        event_type=event_type,
        subject_id=alert.id,
        occurrence=alert.tellings,
        data={
            "id": alert.public_id,
            "kind": alert.kind,
            "severity": alert.severity,
            "title": alert.title,
            "text": alert.text[:_TOLD_CHARACTERS],
            "path": alert.path,
        },
        now=now,
    )


def _write_mails(alert: Alert, *, is_over: bool, now: datetime) -> None:
    if settings.MAIL_SERVER is None:
        return
    recipients = list_addresses(alert.workspace_id)
    said = {"telling": alert.tellings, "is_over": is_over, "severity": alert.severity, "title": alert.title, "text": alert.text}
    Mail.objects.bulk_create(Mail(alert=alert, recipient=recipient, due_at=now, created_at=now, **said) for recipient in recipients)
    if recipients:
        enqueue("webhooks.send_mails", queue="control")
