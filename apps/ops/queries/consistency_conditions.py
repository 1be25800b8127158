"""What the last look at conversations and memory found."""

from collections.abc import Iterator
from typing import Any

from django.urls import reverse

from apps.conversations.queries.consistency import read_newest_probe
from apps.webhooks.domain.alerts import Alarm, Severity

CONVERSATION_INCONSISTENT = "conversation.inconsistent"
_MOST = 20


def find_inconsistencies() -> Iterator[Alarm]:
    """One for each conversation or person and kind of finding. It holds until a later look finds nothing there: looks come back to it."""
    probe = read_newest_probe()
    by_fingerprint: dict[str, list[dict[str, Any]]] = {}
    for one in probe.findings if probe else ():
        by_fingerprint.setdefault(f"{CONVERSATION_INCONSISTENT}:{one['kind']}:{one['id']}", []).append(one)
    for fingerprint, found in list(by_fingerprint.items())[:_MOST]:
        first = found[0]
        yield Alarm(
            kind=CONVERSATION_INCONSISTENT,
            fingerprint=fingerprint,
            severity=Severity.CRITICAL,
            title=f"A {first['on']} doesn't agree with itself: {first['text']}",
            text="Somebody wrote to the database behind the platform's back, or the platform has a defect. The page of consistency has "
            "every finding; a person's memory can be rebuilt from its events on the person's page.",
            path=reverse("admin:conversations_probe_changelist"),
            data={"kind": first["kind"], "on": first["on"], "id": first["id"], "workspace": first["workspace"], "findings": len(found)},
        )
