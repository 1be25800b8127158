"""Alerts, raised as other apps raise them."""

from typing import Any

from django.utils import timezone

from apps.accounts.models import Workspace
from apps.webhooks.actions import raise_alert
from apps.webhooks.domain.alerts import Alarm, Severity
from apps.webhooks.models import Alert
from tests.factories.accounts import make_workspace

PLATFORM: Any = object()


def make_alarm(workspace: Workspace | None = None, **values: Any) -> Alarm:
    """Of a workspace, `acme` unless another is named; of the platform for PLATFORM."""
    workspace_id = None if workspace is PLATFORM else (workspace or make_workspace()).id
    given: dict[str, Any] = {
        "kind": "dead.share",
        "fingerprint": "job:1",
        "severity": Severity.WARNING,
        "title": "12 of 300 items of questions.jsonl are dead",
        "text": "More than one in a hundred was given up.\nLook at what they died of, then run them again or discard them.",
        "path": "/admin/jobs/item/dead/",
        "data": {"dead": 12},
    }
    return Alarm(workspace_id=workspace_id, **given | values)


def make_alert(workspace: Workspace | None = None, **values: Any) -> Alert:
    return raise_alert(make_alarm(workspace, **values), now=timezone.now())
