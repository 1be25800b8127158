"""Which workspaces somebody sees, and who and what belongs to one."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from apps.accounts.domain.idempotency import KEY_HEADER, Once
from apps.accounts.domain.keys import KEY_PREFIX
from apps.accounts.models import ApiKey, IdempotencyRecord, Member, Role, User, Workspace
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id


def workspaces_of(user: User | AnonymousUser) -> list[UUID] | None:
    """The ids of the workspaces a user belongs to; None for a superuser, who sees all."""
    if user.is_superuser:
        return None
    return list(Member.objects.filter(user_id=user.pk).values_list("workspace_id", flat=True)) if user.pk else []


def keys_of(workspace_id: UUID) -> QuerySet[ApiKey]:
    """A workspace's keys, revoked ones included."""
    return ApiKey.objects.filter(workspace_id=workspace_id)


def find_key(*, workspace_id: UUID, public_id: str) -> ApiKey:
    """The workspace's key; ApiError 404 when there is none, told no differently for another workspace's."""
    key_id = parse_public_id(KEY_PREFIX, public_id)
    key = keys_of(workspace_id).filter(id=key_id).first() if key_id else None
    if key is None:
        raise ApiError(404, "not_found", f"No such key: {public_id[:100]!r}.")
    return key


def count_live_keys(workspace_id: UUID, *, now: datetime) -> int:
    """How many of a workspace's keys still open the door."""
    return ApiKey.objects.live(now=now).filter(workspace_id=workspace_id).count()


def read_workspace(workspace_id: UUID) -> Workspace:
    """The workspace itself."""
    return Workspace.objects.get(id=workspace_id)


def lock_workspace(workspace_id: UUID) -> None:
    """Until the transaction ends: for counting what a workspace may have only so many of."""
    Workspace.objects.select_for_update(no_key=True).get(id=workspace_id)


def workspaces_without_failover() -> frozenset[UUID]:
    """Those whose calls stay with the first target, whatever it answers."""
    return frozenset(Workspace.objects.filter(has_failover=False).values_list("id", flat=True))


def list_members(workspace_id: UUID) -> list[dict[str, str]]:
    """Who belongs to a workspace, as what."""
    members = Member.objects.filter(workspace_id=workspace_id).order_by("user__username")
    return [{"username": name, "role": role} for name, role in members.values_list("user__username", "role")]


def workspaces_for_submitting(user: User | AnonymousUser) -> QuerySet[Workspace]:
    """Where a user may submit work: members and owners in their own, superusers everywhere."""
    rows = Workspace.objects.order_by("name")
    if user.is_superuser:
        return rows
    return rows.filter(members__user_id=str(user.pk), members__role__in=[Role.MEMBER, Role.OWNER])


def list_retention(column: str) -> list[int]:
    """The workspaces' own numbers of days, where they have one."""
    return list(Workspace.objects.exclude(**{column: None}).values_list(column, flat=True))


def workspaces_owned_by(user: User | AnonymousUser) -> QuerySet[Workspace]:
    """Where a user may keep keys and endpoints: owners in their own, superusers everywhere."""
    rows = Workspace.objects.order_by("name")
    return rows if user.is_superuser else rows.filter(members__user_id=str(user.pk), members__role=Role.OWNER)


def find_record(once: Once, *, now: datetime) -> IdempotencyRecord | None:
    """What the request came to when it was sent before; ApiError 422 when its key came with another body then."""
    rows = IdempotencyRecord.objects.filter(workspace_id=once.workspace_id, route=once.route, key=once.key, expires_at__gt=now)
    record = rows.first()
    if record is not None and record.fingerprint != once.fingerprint:
        message = f"This {KEY_HEADER} was sent before with another body. Use a new key for a new request, or send the same body."
        raise ApiError(422, "idempotency_key_reused", message, param=KEY_HEADER)
    return record
