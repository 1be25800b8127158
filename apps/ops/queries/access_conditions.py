"""Who tries to come in with keys that are none."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from apps.accounts.queries import read_refusals
from apps.ops.domain.conditions import SLOWED_TIME
from apps.webhooks.domain.alerts import Alarm, Severity

KEYS_REFUSED = "keys.refused"
_NAMED = 10


def find_refused_keys(*, now: datetime) -> Iterator[Alarm]:
    """One for all addresses from which too many keys were refused in the last minutes: an attack may come from many."""
    origins = read_refusals(since=now - SLOWED_TIME).origins
    if not origins:
        return
    others = f" and {len(origins) - _NAMED} others" if len(origins) > _NAMED else ""
    where = ", ".join(origins[:_NAMED]) + others
    yield Alarm(
        kind=KEYS_REFUSED,
        fingerprint=KEYS_REFUSED,
        severity=Severity.WARNING,
        title=f"Too many requests with refused API keys from {where}",
        text="They get 429 with Retry-After; good keys from the same address go on working. Mostly this is a program whose key has expired "
        "or was revoked: give it a new one. If nobody knows it, somebody tries keys: block the address in front of the platform.",
        path=reverse("admin:accounts_apikey_changelist"),
        data={"origins": list(origins)},
    )
