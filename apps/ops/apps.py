"""The app's name for Django, and what `check --deploy` asks about the platform itself."""

import os
from collections.abc import Collection
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.db import ProgrammingError
from django.utils import timezone

from apps.lib.failpoints import VARIABLE

_NAMED = 10


class OpsConfig(AppConfig):
    """Registers apps.ops."""

    name = "apps.ops"

    def ready(self) -> None:
        checks.register(refuse_failpoints, deploy=True)
        checks.register(require_encryption_keys, deploy=True)
        checks.register(tell_lost_keys, checks.Tags.database)
        checks.register(tell_needed_fallbacks, checks.Tags.database)
        checks.register(look_at_message_store, checks.Tags.database)


def refuse_failpoints(**_: Any) -> list[checks.CheckMessage]:
    """Failpoints are for tests: with them a file can kill a worker."""
    if VARIABLE not in os.environ:
        return []
    return [checks.Error(f"{VARIABLE} is set: any file in that folder can stop a process.", hint="Unset it.", id="aiplatform.E001")]


def require_encryption_keys(**_: Any) -> list[checks.CheckMessage]:
    """Without one neither a provider's key nor a webhook's secret nor a second factor can be kept."""
    if settings.ENCRYPTION_KEYS:
        return []
    hint = "Make one as .env.example says, and keep it: what it seals opens with nothing else."
    return [checks.Error("AIPLATFORM_ENCRYPTION_KEYS is not set: no secret can be kept.", hint=hint, id="aiplatform.E002")]


def look_at_message_store(*, databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """With `--database default`, and before anything is started: what REDIS_URL leads to is new enough, and keeps what it is given."""
    if not databases:
        return []
    from apps.ops.queries.message_store import read_store_faults  # noqa: PLC0415 -- the tables must be ready

    return [
        checks.Error(fault.what, hint=fault.remedy, id="aiplatform.E003")
        if fault.stops
        else checks.Warning(fault.what, hint=fault.remedy, id="aiplatform.W004")
        for fault in read_store_faults()
    ]


def tell_lost_keys(*, databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """With `--database default`, and before each migration: a key that still seals something was taken out of the environment."""
    if not databases:
        return []
    # The tables know their apps, which must be ready first.
    from apps.ops.queries.seals import find_lost_keys  # noqa: PLC0415 -- the tables must be ready

    try:
        lost = find_lost_keys(tuple(settings.ENCRYPTION_KEYS))
    except ProgrammingError:  # there are no tables yet
        return []
    hint = "Put it back. 'manage.py reseal_secrets' says when a key can go; what it sealed opens with nothing else."
    return [
        checks.Warning(
            f"{number} secrets are sealed with {key_id!r}, which is not in AIPLATFORM_ENCRYPTION_KEYS.", hint=hint, id="aiplatform.W001"
        )
        for key_id, number in sorted(lost.items())
    ]


def tell_needed_fallbacks(*, databases: Collection[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """With `--database default`: whom it would shut out to take SECRET_KEY_FALLBACKS away now. Nothing while there are none."""
    if not databases or not settings.SECRET_KEY_FALLBACKS:
        return []
    from apps.accounts.domain.keys import mark_pepper  # noqa: PLC0415 -- as above
    from apps.accounts.queries import list_earlier_keys, list_earlier_recovery_codes  # noqa: PLC0415 -- as above

    mark = mark_pepper(settings.SECRET_KEY)
    try:
        keys, people = list_earlier_keys(mark, now=timezone.now()), list_earlier_recovery_codes(mark)
    except ProgrammingError:  # the tables are not there yet, or older
        return []
    found: list[checks.CheckMessage] = []
    if keys:
        hint = f"Each goes over to the present SECRET_KEY when it is used next; revoke those that nobody uses: {_some(keys)}."
        found.append(checks.Warning(f"{len(keys)} API keys still need SECRET_KEY_FALLBACKS.", hint=hint, id="aiplatform.W002"))
    if people:
        hint = f"They renew them on the page of their second factor: {_some(people)}."
        message = f"The recovery codes of {len(people)} people still need SECRET_KEY_FALLBACKS."
        found.append(checks.Warning(message, hint=hint, id="aiplatform.W003"))
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
