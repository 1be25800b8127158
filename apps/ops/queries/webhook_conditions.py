"""Webhook endpoints that were switched off because nothing arrived there."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.urls import reverse

from apps.webhooks.domain.alerts import Alarm, Severity
from apps.webhooks.queries import list_switched_off

WEBHOOK_OFF = "webhook.off"
# Who has not switched it on again for so long wants it off.
_TOLD_FOR = timedelta(days=7)


def find_switched_off(*, now: datetime) -> Iterator[Alarm]:
    """Those of the last seven days that nobody has switched on again or deleted."""
    for endpoint in list_switched_off(since=now - _TOLD_FOR):
        yield Alarm(
            kind=WEBHOOK_OFF,
            fingerprint=f"{WEBHOOK_OFF}:{endpoint.id}",
            workspace_id=endpoint.workspace_id,
            severity=Severity.WARNING,
            title=f"The webhook endpoint {endpoint.name} was switched off",
            text=f"{endpoint.switched_off_because} Mend the receiver, switch the endpoint on again, and send again what it missed from its "
            "deliveries; or delete it.",
            path=reverse("admin:webhooks_endpoint_change", args=[endpoint.id]),
            data={"webhook_id": endpoint.public_id},
        )
