"""Erase what is remembered of a person, as the law may ask for: the texts, the events that led to them, and the name."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.actions.change_memory import lock_profile, record_memory_change
from apps.conversations.queries.memory import events_of
from apps.lib.http_errors import ApiError


@transaction.atomic
def erase_profile(*, profile_id: UUID, end_user: str, now: datetime, reason: str = "") -> int:
    """How many events went with it. The audit log keeps that it happened, by the profile's id alone.

    `end_user`: as whoever erases it has written it; ApiError 400 when that is another one's, 404 when the profile is gone already.
    """
    profile = lock_profile(profile_id)
    if end_user != profile.end_user:
        message = f"To erase all that is remembered of this person, write their name: {profile.end_user}."
        raise ApiError(400, "not_confirmed", message, param="end_user")
    things = len(profile.memory)
    events, _ = events_of(profile.id).delete()
    record_memory_change(
        profile,
        "erased",
        before={"events": events, "remembered": things, "erased_at": None},
        after={"events": 0, "remembered": 0, "erased_at": now},
        reason=reason,
    )
    profile.delete()
    return events
