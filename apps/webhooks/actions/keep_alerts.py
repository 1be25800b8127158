"""Keep the alerts of a kind as things stand: raise what holds, resolve what no longer does."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from apps.webhooks.actions.raise_alert import raise_alert
from apps.webhooks.actions.resolve_alert import resolve_alert
from apps.webhooks.domain.alerts import Alarm
from apps.webhooks.models import Alert


def keep_alerts(*, kind: str, found: Iterable[Alarm], now: datetime, quiet: timedelta) -> int:
    """How many hold. `found` is all of the kind that holds now; what was not seen for `quiet` is over, so flapping is told once."""
    standing = set()
    for alarm in found:
        raise_alert(alarm, now=now)
        standing.add((alarm.workspace_id, alarm.fingerprint))
    silent = Alert.objects.open().filter(kind=kind, last_seen_at__lte=now - quiet)
    for workspace_id, fingerprint in list(silent.values_list("workspace_id", "fingerprint")):
        if (workspace_id, fingerprint) not in standing:
            resolve_alert(workspace_id=workspace_id, fingerprint=fingerprint, now=now)
    return len(standing)
