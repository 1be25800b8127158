"""Pause a provider or a target, and let it go on: nothing more is sent to it, calls in the air finish, its items wait or go to others."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.lib.http_errors import ApiError
from apps.providers.actions.record_transitions import record_transitions
from apps.providers.domain.transitions import Transition
from apps.providers.models import Provider, Target


def pause(*, provider_id: UUID | None = None, target_id: UUID | None = None, now: datetime, reason: str) -> bool:
    """Whether it went from running to paused; ApiError 404 for an unknown one, 400 without a reason."""
    if not reason.strip():
        raise ApiError(400, "missing_required_parameter", "Say why: it stands on the page and in the audit log.", param="reason")
    return _set(provider_id, target_id, paused_at=now, reason=reason.strip()[:500], now=now)


def resume(*, provider_id: UUID | None = None, target_id: UUID | None = None, now: datetime, reason: str = "") -> bool:
    """Whether it was paused; ApiError 404 for an unknown one."""
    return _set(provider_id, target_id, paused_at=None, reason=reason.strip()[:500], now=now)


def _set(provider_id: UUID | None, target_id: UUID | None, *, paused_at: datetime | None, reason: str, now: datetime) -> bool:
    with transaction.atomic():
        row = _locked(provider_id, target_id)
        if (row.paused_at is None) == (paused_at is None):
            return False
        row.paused_at, row.paused_reason = paused_at, reason if paused_at else ""
        row.save()
        verb = "paused" if paused_at else "resumed"
        kind = "provider" if isinstance(row, Provider) else "target"
        record_audit(verb=verb, object_type=kind, object_id=row.id, object_label=str(row), reason=reason)
        owner = row.id if isinstance(row, Provider) else row.provider_id
        record_transitions([Transition(owner, target_id, verb, now, note=reason)])
    return True


def _locked(provider_id: UUID | None, target_id: UUID | None) -> Provider | Target:
    row: Provider | Target | None
    if target_id is not None:
        row = Target.objects.select_for_update(of=("self",)).select_related("provider").filter(id=target_id).first()
    else:
        row = Provider.objects.select_for_update().filter(id=str(provider_id)).first()
    if row is None:
        raise ApiError(404, "not_found", "There is no such provider or target.")
    return row
