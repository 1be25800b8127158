"""Who tries to come in with keys that are none, or with passwords."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.urls import reverse

from apps.accounts.domain.guesses import PASSWORDS
from apps.accounts.queries import read_refusals
from apps.ops.domain.conditions import SLOWED_TIME
from apps.webhooks.domain.alerts import Alarm, Severity

KEYS_REFUSED = "keys.refused"
SIGN_INS_SLOWED = "sign_ins.slowed"
_NAMED = 10


def find_refused_keys(*, now: datetime) -> Iterator[Alarm]:
    """One for all addresses from which too many keys were refused in the last minutes: an attack may come from many."""
    origins = read_refusals(since=now - SLOWED_TIME).origins
    if not origins:
        return
    yield Alarm(
        kind=KEYS_REFUSED,
        fingerprint=KEYS_REFUSED,
        severity=Severity.WARNING,
        title=f"Too many requests with refused API keys from {_named(origins)}",
        text="They get 429 with Retry-After; good keys from the same address go on working. Mostly this is a program whose key has expired "
        "or was revoked: give it a new one. If nobody knows it, somebody tries keys: block the address in front of the platform.",
        path=reverse("admin:accounts_apikey_changelist"),
        data={"origins": list(origins)},
    )


def find_slowed_sign_ins(*, now: datetime) -> Iterator[Alarm]:
    """One for all addresses that sent too many wrong passwords: who tries one password under many names locks none of them."""
    origins = read_refusals(PASSWORDS, since=now - SLOWED_TIME).origins
    if not origins:
        return
    yield Alarm(
        kind=SIGN_INS_SLOWED,
        fingerprint=SIGN_INS_SLOWED,
        severity=Severity.WARNING,
        title=f"Too many wrong passwords from {_named(origins)}",
        text="Their page of signing in answers 429; whoever is signed in there goes on working. Names that were locked stand in the audit "
        "log. If nobody knows the address, somebody tries passwords: block it in front of the platform. If it is an office of yours, "
        "look for what tries there; a larger office may need a higher AIPLATFORM_WRONG_PASSWORDS_PER_HOUR.",
        path=reverse("admin:accounts_auditentry_changelist"),
        data={"origins": list(origins)},
    )


def _named(origins: Sequence[str]) -> str:
    others = f" and {len(origins) - _NAMED} others" if len(origins) > _NAMED else ""
    return ", ".join(origins[:_NAMED]) + others
