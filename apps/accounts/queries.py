"""Which workspaces somebody sees, and who and what belongs to one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import redis
import structlog
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.accounts.domain.guesses import KEYS, Guessed
from apps.accounts.domain.idempotency import KEY_HEADER, Once
from apps.accounts.domain.keys import KEY_PREFIX
from apps.accounts.models import ApiKey, Authenticator, IdempotencyRecord, Member, Role, User, Workspace
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.redis_client import read_figures, redis_client
from apps.lib.sealed_columns import SealedColumn

log = structlog.get_logger(__name__)

SEALED_COLUMNS = (
    SealedColumn(Authenticator, "secret_sealed", ("user_id",)),
    SealedColumn(IdempotencyRecord, "answer_sealed", ("workspace_id", "route", "key")),
)


def workspaces_of(user: User | AnonymousUser) -> list[UUID] | None:
    """The ids of the workspaces a user belongs to; None for a superuser, who sees all."""
    if user.is_superuser:
        return None
    return list(Member.objects.filter(user_id=user.pk).values_list("workspace_id", flat=True)) if user.pk else []


def keys_of(workspace_id: UUID) -> QuerySet[ApiKey]:
    """A workspace's keys, revoked ones included."""
    return ApiKey.objects.filter(workspace_id=workspace_id)


def keys_owned_by(user: User | AnonymousUser) -> QuerySet[ApiKey]:
    """The live keys of the workspaces that a user owns; a superuser's are all."""
    return ApiKey.objects.filter(workspace__in=workspaces_owned_by(user), revoked_at=None).order_by("workspace__name", "name")


def find_keys_named(name: str, *, workspace_id: UUID | None) -> list[UUID]:
    """The ids of the keys called so that are not revoked, of one workspace or of all."""
    rows = ApiKey.objects.filter(name=name, revoked_at=None)
    return list((rows if workspace_id is None else rows.filter(workspace_id=workspace_id)).values_list("id", flat=True))


def find_live_keys(key_ids: Collection[UUID]) -> set[UUID]:
    """Those of them that still open the door, by the clock of Postgres."""
    live = ApiKey.objects.live(now=Now()).filter(id__in=key_ids, workspace__deleting_at=None)
    return set(live.values_list("id", flat=True))


def find_workspace_of_key(key_id: UUID) -> UUID | None:
    """Which workspace a key belongs to; None when there is no such key."""
    return ApiKey.objects.filter(id=key_id).values_list("workspace_id", flat=True).first()


def has_workspace(workspace_id: UUID) -> bool:
    """Whether there is such a workspace."""
    return Workspace.objects.filter(id=workspace_id).exists()


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


def find_workspace(*, name: str) -> Workspace | None:
    """The workspace of that name, if there is one."""
    return Workspace.objects.filter(name=name).first()


# No request that was let in before its workspace was closed lasts longer, however slowly a file comes in.
_LATE = timedelta(days=1)


def closed_workspaces(*, now: datetime) -> list[UUID]:
    """Those that are being deleted, the oldest wish first; and those that were lately, for what came in late."""
    rows = Workspace.objects.exclude(deleting_at=None).filter(Q(deleted_at=None) | Q(deleted_at__gt=now - _LATE))
    return list(rows.order_by("deleting_at").values_list("id", flat=True))


def may_delete_workspace(user: User | AnonymousUser, workspace_id: UUID) -> bool:
    """Its owners and superusers, as long as nobody has."""
    return workspaces_owned_by(user).filter(id=workspace_id).exists()


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


def list_addresses(workspace_id: UUID | None) -> list[str]:
    """Whom to write to: a workspace's owners, or the superusers for what concerns the platform; those with an address, each once."""
    people = User.objects.filter(is_active=True).exclude(email="")
    if workspace_id is None:
        people = people.filter(is_superuser=True)
    else:
        people = people.filter(memberships__workspace_id=workspace_id, memberships__role=Role.OWNER)
    return sorted(set(people.values_list("email", flat=True)))


def workspaces_for_submitting(user: User | AnonymousUser) -> QuerySet[Workspace]:
    """Where a user may submit work: members and owners in their own, superusers everywhere."""
    rows = Workspace.objects.filter(deleting_at=None).order_by("name")
    if user.is_superuser:
        return rows
    return rows.filter(members__user_id=str(user.pk), members__role__in=[Role.MEMBER, Role.OWNER])


def may_submit(user: User | AnonymousUser) -> bool:
    """Whether there is a workspace where this user may; asked once however many parts of a page want to know."""
    known: bool | None = getattr(user, "_may_submit", None)
    if known is None:
        known = user._may_submit = workspaces_for_submitting(user).exists()  # type: ignore[union-attr]  # noqa: SLF001 -- of this request alone
    return known


def list_retention(column: str) -> list[int]:
    """The workspaces' own numbers of days, where they have one."""
    return list(Workspace.objects.exclude(**{column: None}).values_list(column, flat=True))


def find_retention(workspace_id: UUID, column: str) -> int | None:
    """A workspace's own number of days; None when it has none."""
    found: int | None = Workspace.objects.filter(id=workspace_id).values_list(column, flat=True).first()
    return found


def workspaces_owned_by(user: User | AnonymousUser) -> QuerySet[Workspace]:
    """Where a user may keep keys and endpoints: owners in their own, superusers everywhere."""
    rows = Workspace.objects.filter(deleting_at=None).order_by("name")
    return rows if user.is_superuser else rows.filter(members__user_id=str(user.pk), members__role=Role.OWNER)


def find_record(once: Once, *, now: datetime) -> IdempotencyRecord | None:
    """What the request came to when it was sent before; ApiError 422 when its key came with another body then."""
    rows = IdempotencyRecord.objects.filter(workspace_id=once.workspace_id, route=once.route, key=once.key, expires_at__gt=now)
    record = rows.first()
    if record is not None and record.fingerprint != once.fingerprint:
        message = f"This {KEY_HEADER} was sent before with another body. Use a new key for a new request, or send the same body."
        raise ApiError(422, "idempotency_key_reused", message, param=KEY_HEADER)
    return record


def workspace_names(workspace_ids: Collection[UUID] | None) -> dict[UUID, str]:
    """These workspaces' names by their ids; of all when None."""
    rows = Workspace.objects.all() if workspace_ids is None else Workspace.objects.filter(id__in=workspace_ids)
    return dict(rows.values_list("id", "name"))


def time_zone_of(workspace_ids: Collection[UUID] | None) -> str:
    """Where the days of these workspaces (None: of all) begin, if they agree; else UTC."""
    rows = Workspace.objects.filter(deleted_at=None)
    zones = (rows if workspace_ids is None else rows.filter(id__in=workspace_ids)).order_by().values_list("time_zone", flat=True)
    found = list(zones.distinct()[:2])
    return found[0] if len(found) == 1 else "UTC"


def key_names(ids: Collection[UUID], *, workspace_ids: Collection[UUID] | None) -> dict[UUID, str]:
    """What these API keys are called, of those that belong to these workspaces (None: to any)."""
    rows = ApiKey.objects.filter(id__in=ids)
    return {key.id: str(key) for key in (rows if workspace_ids is None else rows.filter(workspace_id__in=workspace_ids))}


def list_earlier_keys(mark: str, *, now: datetime) -> list[str]:
    """The live keys that were not seen since the SECRET_KEY has this mark, by their names."""
    rows = ApiKey.objects.live(now=now).filter(workspace__deleting_at=None).exclude(hashed_under=mark)
    return [str(key) for key in rows.order_by("id")]


def list_earlier_recovery_codes(mark: str) -> list[str]:
    """Who has recovery codes from before the SECRET_KEY had this mark."""
    rows = Authenticator.objects.filter(confirmed=True).exclude(hashed_under=mark).exclude(recovery_hashes=[])
    return sorted(rows.values_list("user__username", flat=True))


def count_recovery_codes(user: User) -> int:
    """How many of somebody's recovery codes are not used yet."""
    return len(Authenticator.objects.filter(user=user, confirmed=True).values_list("recovery_hashes", flat=True).first() or ())


def find_user(name: str) -> User | None:
    """Who signs in under this name."""
    return User.objects.filter(username=name).first()


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refused keys (of passwords: tries), counted since Redis has kept them; and from where too many came lately, the latest first."""

    refused: int
    slowed: int
    origins: tuple[str, ...]


def read_refusals(guessed: Guessed = KEYS, *, since: datetime) -> Refusals:
    """`origins` are those that were slowed since then."""
    counts = read_figures(guessed.counts)
    origins = _slowed_origins(guessed.slowed, since)
    return Refusals(refused=int(counts.get("refused", 0)), slowed=int(counts.get("slowed", 0)), origins=origins)


def _slowed_origins(key: str, since: datetime) -> tuple[str, ...]:
    try:
        return tuple(map(str, redis_client().zrevrangebyscore(key, "+inf", since.timestamp())))
    except redis.ResponseError as error:
        log.warning("slowed_origins_unreadable", error=str(error))
        return ()
