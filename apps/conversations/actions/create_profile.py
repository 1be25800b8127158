"""Make the profile of a person, of whom nothing is remembered yet."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.domain.memory import start_hash
from apps.conversations.models import Profile
from apps.conversations.queries.memory import profiles_of
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.lib.json_text import is_storable

LONGEST_END_USER = 255


@transaction.atomic
def create_profile(*, workspace_id: UUID, end_user: str, now: datetime) -> tuple[Profile, bool]:
    """(the person's profile, whether it is new): there is one for each name. ApiError 400 for what is no name."""
    if not end_user or len(end_user) > LONGEST_END_USER or not is_storable(end_user):
        message = f"'end_user' must be the person's name for your program: 1 to {LONGEST_END_USER} characters."
        raise ApiError(400, "invalid_value", message, param="end_user")
    key = uuid7()
    made = Profile(
        id=key, workspace_id=workspace_id, end_user=end_user, memory={}, tip_hash=start_hash(key), created_at=now, updated_at=now
    )
    # Whoever makes the same one at this moment is waited for.
    Profile.objects.bulk_create([made], ignore_conflicts=True)
    profile = profiles_of(workspace_id).get(end_user=end_user)
    return profile, profile.id == key
