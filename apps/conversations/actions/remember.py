"""Remember something of a person, of whom perhaps nothing is remembered yet: what a model's tool does."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.actions.change_memory import Changed, Origin, change_memory
from apps.conversations.actions.create_profile import create_profile
from apps.conversations.domain.memory import Change, Kind, Source


@transaction.atomic
def remember(*, workspace_id: UUID, end_user: str, key: str, text: str, item_id: UUID, once_key: str, now: datetime) -> Changed:
    """`once_key` (at most 200 characters) names the call: made again it writes nothing. ApiError as `change_memory`'s."""
    profile, _ = create_profile(workspace_id=workspace_id, end_user=end_user, now=now)
    return change_memory(
        profile_id=profile.id, change=Change(Kind.SET, key, text), origin=Origin(Source.TOOL, item_id=item_id, once_key=once_key), now=now
    )
