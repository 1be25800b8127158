"""Forget something that is remembered of a person: what a model's tool does."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.actions.change_memory import Changed, Origin, change_memory
from apps.conversations.domain.memory import Change, Kind, Source
from apps.conversations.queries.memory import profiles_of
from apps.lib.http_errors import ApiError


@transaction.atomic
def forget(*, workspace_id: UUID, end_user: str, key: str, item_id: UUID, once_key: str, now: datetime) -> Changed:
    """`once_key` (at most 200 characters) names the call: made again it writes nothing. ApiError 404 when nothing is remembered there."""
    profile = profiles_of(workspace_id).filter(end_user=end_user).first() if end_user else None
    if profile is None:
        raise ApiError(404, "not_found", f"Nothing is remembered under {key[:100]!r}.", param="key")
    return change_memory(
        profile_id=profile.id, change=Change(Kind.FORGET, key), origin=Origin(Source.TOOL, item_id=item_id, once_key=once_key), now=now
    )
