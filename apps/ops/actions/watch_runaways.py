"""Watch what runs away: keep in mind what is usual, tell of what is far beyond it, and pause it where the operator wants that."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from apps.accounts.queries import key_names
from apps.ops.queries.runaway_conditions import SPEND_RUNAWAY, describe_pause, describe_runaway, fingerprint_of, in_words
from apps.spend.actions import keep_pace, pause_spending
from apps.spend.domain.budgets import Owner, ScopeKind
from apps.spend.domain.runaway import Sensitivity, Watched
from apps.spend.queries import list_pauses
from apps.spend.queries.runaways import find_runaways
from apps.webhooks.domain.alerts import Alarm
from apps.webhooks.queries import list_told

if TYPE_CHECKING:
    from apps.spend.models import Budget

__all__ = ["SPEND_RUNAWAY", "watch_runaways"]


def watch_runaways(*, now: datetime) -> Iterator[Alarm]:
    """All that run away now, and all that are paused: what is stopped by the platform is told until a person has lifted it."""
    keep_pace(now=now)
    runaways = {one.watched: one for one in find_runaways(now=now, sensitivity=Sensitivity(**settings.RUNAWAY))}
    for watched, one in runaways.items():
        if watched.scope in settings.RUNAWAY_PAUSES:
            pause_spending(owner=_owner(watched), reason=in_words(one.excesses), now=now)
    pauses = {_paused(pause, pause.workspace_id): pause for pause in list_pauses() if pause.workspace_id}
    told = list_told(SPEND_RUNAWAY, since=now)
    names = key_names([UUID(one.name) for one in {*runaways, *pauses} if one.scope == ScopeKind.API_KEY], workspace_ids=None)
    for watched in {**runaways, **pauses}:
        name = names.get(UUID(watched.name), watched.name) if watched.scope == ScopeKind.API_KEY else watched.name
        before = told.get((watched.workspace_id, fingerprint_of(watched)))
        if watched in runaways:
            yield describe_runaway(runaways[watched], name=name, pause=pauses.get(watched), before=before)
        else:
            yield describe_pause(watched, name=name, pause=pauses[watched], before=before)


def _owner(watched: Watched) -> Owner:
    if watched.scope == ScopeKind.API_KEY:
        return Owner(watched.scope, workspace_id=watched.workspace_id, api_key_id=UUID(watched.name))
    return Owner(watched.scope, workspace_id=watched.workspace_id, subject=watched.name)


def _paused(pause: "Budget", workspace_id: UUID) -> Watched:
    return Watched(pause.scope, workspace_id, str(pause.api_key_id) if pause.scope == ScopeKind.API_KEY else pause.subject)
