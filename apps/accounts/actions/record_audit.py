"""Write down who changed what. Called by the actions themselves, in their transaction: a change without its entry can't be committed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

import structlog

from apps.accounts.domain.audit import PLATFORM, Actor, describe_changes
from apps.accounts.models import ApiKey, AuditEntry

# A request (who is behind it is known only once it has been authenticated), or the name of a command.
_acting: ContextVar[Any] = ContextVar("acting", default=None)


@contextmanager
def acting(source: Any) -> Iterator[None]:
    """Inside, whatever is recorded was done by whoever is behind `source`: a request, or the name of a command."""
    token = _acting.set(source)
    try:
        yield
    finally:
        _acting.reset(token)


def record_audit(
    *,
    verb: str,
    object_type: str,
    object_id: object = "",
    object_label: str = "",
    workspace_id: UUID | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """One entry; of `before` and `after` it keeps what differs, and never a secret."""
    actor = current_actor()
    AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        verb=verb,
        object_type=object_type,
        object_id=str(object_id)[:64],
        object_label=object_label[:200],
        workspace_id=workspace_id,
        changes=describe_changes(before or {}, after or {}),
        reason=reason.strip()[:500],
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
        address=actor.address,
    )


def current_actor() -> Actor:
    """Who acts: the key or the user of the request, the command, or the platform itself."""
    source = _acting.get()
    if source is None:
        return PLATFORM
    if isinstance(source, str):
        return Actor(kind="command", label=source)
    address = source.META.get("REMOTE_ADDR") or ""
    key = getattr(source, "auth", None)
    if isinstance(key, ApiKey):
        return Actor(kind="key", label=str(key), id=key.pk, address=address)
    user = getattr(source, "user", None)
    if user is not None and user.is_authenticated:
        return Actor(kind="user", label=user.get_username(), id=user.pk, address=address)
    return Actor(kind="platform", label="nobody who signed in", address=address)
