"""Budgets: whom they bound, when their periods begin, and how many of a group's calls fit into what is left. Decimals, never rounded."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NOTHING = Decimal(0)
# Less than what costs nothing.
_NO_ROOM = Decimal(-1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class ScopeKind(StrEnum):
    """What a budget bounds; from the widest to the narrowest, which is the order of locks."""

    PLATFORM = "platform"
    WORKSPACE = "workspace"
    USER = "user"
    API_KEY = "api_key"
    FEATURE = "feature"
    JOB = "job"

    @property
    def label(self) -> str:
        return {"user": "end user", "api_key": "API key"}.get(self.value, self.value)


class PeriodKind(StrEnum):
    """How long a budget's cap holds before it is fresh again. A pause is a budget, too: nothing fits into it until somebody lifts it."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"
    PAUSE = "pause"

    @property
    def label(self) -> str:
        return self.value


# Those that people set; a pause is the platform's.
PERIODS = tuple(kind for kind in PeriodKind if kind is not PeriodKind.PAUSE)
RANKS = {kind: rank for rank, kind in enumerate(ScopeKind)}
# Who belongs to one of these is known of a whole job; users and features may differ from line to line.
OF_JOBS = frozenset({ScopeKind.PLATFORM, ScopeKind.WORKSPACE, ScopeKind.API_KEY, ScopeKind.JOB})


def period_bounds(period: str, *, time_zone: str, at: datetime) -> tuple[datetime, datetime | None]:
    """When the period that holds `at` begins and ends, where the clocks of `time_zone` say so (UTC for a zone that nobody knows)."""
    if period in {PeriodKind.TOTAL, PeriodKind.PAUSE}:
        return _EVER, None
    zone = find_zone(time_zone)
    if period == PeriodKind.HOUR:
        # Cut in UTC: where a clock is set back, an hour comes twice. Zones may lie half an hour off.
        offset = at.astimezone(zone).utcoffset() or timedelta()
        begin = (at.astimezone(UTC) + offset).replace(minute=0, second=0, microsecond=0) - offset
        return begin, begin + timedelta(hours=1)
    local = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == PeriodKind.MONTH:
        local = local.replace(day=1)
        following = (local + timedelta(days=32)).replace(day=1)
    else:
        following = local + timedelta(days=1)
    return local.astimezone(UTC), following.astimezone(UTC)


@lru_cache(maxsize=64)
def find_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


Key = tuple[str, UUID | None, object]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose money a call is: everything that a budget can bound."""

    workspace_id: UUID
    job_id: UUID
    api_key_id: UUID | None = None
    end_user: str = ""
    feature: str = ""
    # It is looked up several times for each item, and hashing three ids took longer than all the rest.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.job_id, self.end_user, self.feature)))

    def __hash__(self) -> int:
        return self._hash

    def names(self) -> list[Key]:
        """The names of the budgets that bound it, widest first."""
        found: list[Key] = [(ScopeKind.PLATFORM, None, ""), (ScopeKind.WORKSPACE, self.workspace_id, "")]
        if self.end_user:
            found += [(ScopeKind.USER, None, self.end_user), (ScopeKind.USER, self.workspace_id, self.end_user)]
        if self.api_key_id:
            found.append((ScopeKind.API_KEY, None, self.api_key_id))
        if self.feature:
            found += [(ScopeKind.FEATURE, None, self.feature), (ScopeKind.FEATURE, self.workspace_id, self.feature)]
        return [*found, (ScopeKind.JOB, self.workspace_id, self.job_id)]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom a budget bounds. Without a workspace an end user's or a feature's is that of all workspaces together."""

    scope: str
    workspace_id: UUID | None = None
    api_key_id: UUID | None = None
    job_id: UUID | None = None
    subject: str = ""

    def as_columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Purse:
    """A budget's present period as it stands; `cap_usd` holds what it was topped up by."""

    period_id: UUID
    budget_id: UUID
    scope: str
    key: Key
    cap_usd: Decimal
    is_hard: bool
    reserved_usd: Decimal
    spent_usd: Decimal
    ends_at: datetime | None = None
    is_pause: bool = False

    @property
    def order(self) -> tuple[int, UUID]:
        return RANKS[ScopeKind(self.scope)], self.period_id

    @property
    def room_usd(self) -> Decimal:
        """What may still be reserved."""
        return _NO_ROOM if self.is_pause else self.cap_usd - self.spent_usd - self.reserved_usd

    def has_ever_room(self, amount_usd: Decimal) -> bool:
        """Whether it would fit, were nothing reserved."""
        return not self.is_hard or (not self.is_pause and self.spent_usd + amount_usd <= self.cap_usd)


@dataclass(frozen=True, slots=True)
class Ask:
    """One claimed run that wants money: the most that it may cost."""

    run_id: UUID
    item_id: UUID
    subject: Subject
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class Refusal:
    """The purse that has no room. `is_spent`: what is spent leaves none; otherwise reservations alone are in the way."""

    purse: Purse
    amount_usd: Decimal
    is_spent: bool


# The purses that bound each subject, the widest first.
Chains = Mapping[Subject, tuple[Purse, ...]]


@dataclass(frozen=True)
class Purses:
    """All purses that may matter to a group."""

    purses: Sequence[Purse] = ()
    # Budgets of end users or features exist that are not among them: they are looked up once the items are known.
    has_finer: bool = False
    by_key: Mapping[Key, list[Purse]] = field(init=False)

    def __post_init__(self) -> None:
        by_key: dict[Key, list[Purse]] = defaultdict(list)
        for purse in self.purses:
            by_key[purse.key].append(purse)
        object.__setattr__(self, "by_key", dict(by_key))

    def __bool__(self) -> bool:
        return bool(self.purses) or self.has_finer

    def chain(self, subject: Subject) -> tuple[Purse, ...]:
        """Those that bound the subject, widest first."""
        return tuple(purse for key in subject.names() for purse in self.by_key.get(key, ()))

    def chains(self, asks: Iterable[Ask]) -> Chains:
        """Those that bound the asks' subjects."""
        return {subject: self.chain(subject) for subject in {ask.subject for ask in asks}}

    def bound(self, quotas: Mapping[UUID, int], subjects: Mapping[UUID, Subject], amounts: Mapping[UUID, Decimal]) -> dict[UUID, int]:
        """The quotas of jobs, cut to what will probably fit; `amounts` is what one of a job's items was last reserved at.

        At least one of each is left: only trying tells whether the next one fits, and whether its job has to wait.
        """
        rooms = {purse.period_id: purse.room_usd for purse in self.purses if purse.is_hard}
        bounded = {}
        for job_id, quota in quotas.items():
            hard = [purse for purse in self.chain(subjects[job_id]) if purse.is_hard]
            chain = [purse.period_id for purse in hard]
            amount = amounts.get(job_id)
            fits = quota
            if amount is None and any(purse.reserved_usd > purse.room_usd for purse in hard):
                fits = min(quota, _FEELERS)
            elif chain and amount:
                fits = max(1, min(quota, int(max(_NOTHING, min(rooms[period_id] for period_id in chain)) / amount)))
                for period_id in chain:
                    rooms[period_id] -= amount * fits
            bounded[job_id] = fits
        return bounded


# So many are tried of a job whose items nobody has priced yet, where most of what is left is reserved.
_FEELERS = 32


def grant(asks: Sequence[Ask], purses: Purses) -> tuple[list[Ask], dict[UUID, Refusal]]:
    """Who gets money and who doesn't (by run), in the order of asking: as many as fit into each purse of their chain."""
    chains = purses.chains(asks)
    if all_fit(asks, chains):
        return [ask for ask in asks if chains[ask.subject]], {}
    rooms = {purse.period_id: purse.room_usd for purse in purses.purses}
    granted: list[Ask] = []
    refused: dict[UUID, Refusal] = {}
    for ask in asks:
        chain = chains[ask.subject]
        if full := [purse for purse in chain if purse.is_hard and ask.amount_usd > rooms[purse.period_id]]:
            refused[ask.run_id] = _refusal(ask, chain, full)
        elif chain:
            for purse in chain:
                rooms[purse.period_id] -= ask.amount_usd
            granted.append(ask)
    return granted, refused


def all_fit(asks: Iterable[Ask], chains: Chains) -> bool:
    """Whether every hard purse has room for all of them together."""
    sums = sums_by_period(asks, chains)
    return all(not purse.is_hard or sums[purse.period_id] <= purse.room_usd for chain in chains.values() for purse in chain)


def _refusal(ask: Ask, chain: Iterable[Purse], full: Sequence[Purse]) -> Refusal:
    """Any purse of the chain that can't pay for it at all is told, else the first that is full for the moment."""
    for purse in chain:
        if not purse.has_ever_room(ask.amount_usd):
            return Refusal(purse, ask.amount_usd, is_spent=True)
    return Refusal(full[0], ask.amount_usd, is_spent=False)


def sums_by_period(asks: Iterable[Ask], chains: Chains) -> dict[UUID, Decimal]:
    """What the asks come to in each counter of their chains."""
    by_subject: dict[Subject, Decimal] = defaultdict(Decimal)
    for ask in asks:
        by_subject[ask.subject] += ask.amount_usd
    sums: dict[UUID, Decimal] = defaultdict(Decimal)
    for subject, amount in by_subject.items():
        for purse in chains[subject]:
            sums[purse.period_id] += amount
    return dict(sums)


def restated(purses: Iterable[Purse], rows: Mapping[UUID, tuple[Decimal, Decimal, Decimal]]) -> list[Purse]:
    """The purses with (reserved, spent, cap) as they stand under the lock; one that has gone bounds nothing more."""
    return [
        replace(purse, reserved_usd=rows[purse.period_id][0], spent_usd=rows[purse.period_id][1], cap_usd=rows[purse.period_id][2])
        for purse in purses
        if purse.period_id in rows
    ]
