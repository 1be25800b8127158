"""Read what can be called."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.sealed_columns import SealedColumn
from apps.lib.sealing import SealInvalidError, unseal
from apps.lib.sql import server_cursor
from apps.providers.domain.bucket_state import BucketState, Room, most_in_flight, read_rooms
from apps.providers.domain.calls import Route
from apps.providers.domain.catalogue import CallableModel, Catalogue
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.policy import CacheTimes
from apps.providers.limits.look import look
from apps.providers.models import PROVIDER_PREFIX, TARGET_PREFIX, Model, Provider, Target, TransitionRecord
from apps.spend.domain.pricing import PriceRow
from apps.spend.domain.remembered import ProviderUsage, Served
from apps.spend.queries import list_priced, load_price_book, read_usage_of_day
from apps.traces.domain.slots import TargetOutcomes, in_order
from apps.traces.queries import OutcomeCounts, TargetCalls, read_calls, read_outcomes

log = structlog.get_logger(__name__)

SEALED_COLUMNS = (SealedColumn(Provider, "api_key_sealed"),)


@dataclass(frozen=True, slots=True)
class OfferedTarget:
    """Who answers for a model, and the price that holds; None when none is known."""

    provider: str
    upstream_model: str
    price: PriceRow | None
    provider_id: UUID


@dataclass(frozen=True, slots=True)
class Offer:
    """A model with its targets in failover order."""

    name: str
    max_output_tokens: int
    created_at: datetime
    targets: Sequence[OfferedTarget]


def cache_times() -> CacheTimes:
    """How long answers are kept, by this platform's settings."""
    return CacheTimes(settings.PROVIDERS_CACHE_SECONDS, settings.PROVIDERS_CACHE_MAX_SECONDS)


def load_catalogue() -> Catalogue:
    """The enabled models with their enabled targets, keys in clear; two queries. Keep it in memory, never log or store it."""
    routes: dict[UUID, list[Route]] = defaultdict(list)
    targets = Target.objects.filter(is_enabled=True, provider__is_enabled=True).select_related("provider", "model")
    answering = set()
    unpriced, priced = list_unpriced_models(), _priced_targets()
    for target in targets.order_by("position", "id"):
        answering.add(target.model_id)
        is_priced = priced is None or (target.provider_id, target.upstream_model) in priced
        if is_priced and target.paused_at is None and target.provider.paused_at is None:
            routes[target.model_id].append(_route(target, target.provider))
    models = Model.objects.values_list("id", "name", "is_enabled")
    return Catalogue(
        # A model that nobody answers for is no model to callers: work for it would wait for ever. One that is paused is one.
        ids={name: model_id for model_id, name, is_enabled in models if is_enabled and model_id in answering},
        routes_by_model={model_id: tuple(entries) for model_id, entries in routes.items()},
        idle_models=frozenset(model_id for model_id, _, _ in models if model_id not in routes and model_id not in unpriced),
        unpriced_models=unpriced,
    )


def list_unpriced_models() -> frozenset[UUID]:
    """The models that nobody answers for at a known price, where calls without one are refused; else none."""
    priced = _priced_targets()
    if priced is None:
        return frozenset()
    rows = Target.objects.filter(is_enabled=True, provider__is_enabled=True).values_list("model_id", "provider_id", "upstream_model")
    answered = list(rows)
    return frozenset(row[0] for row in answered) - {row[0] for row in answered if row[1:] in priced}


def _priced_targets() -> set[tuple[UUID, str]] | None:
    """None: any target may be asked."""
    return list_priced(at=timezone.now()) if settings.SPEND_WITHOUT_PRICE == "refuse" else None


def find_callable(name: str) -> CallableModel | None:
    """The model that callers name so, when it is switched on and somebody can answer for it; one query."""
    return next(iter(_callable(Model.objects.filter(name=name))), None)


def list_callable() -> Sequence[CallableModel]:
    """Every model that can be called, by name."""
    return _callable(Model.objects.order_by("name"))


def callable_models() -> QuerySet[Model]:
    """The models that are switched on and that somebody can answer for."""
    return Model.objects.filter(is_enabled=True, targets__is_enabled=True, targets__provider__is_enabled=True).distinct()


def read_offers(models: Sequence[Model], *, at: datetime) -> list[Offer]:
    """Who answers for each of these models, at which prices at that moment; two queries."""
    targets: dict[UUID, list[OfferedTarget]] = defaultdict(list)
    prices = load_price_book()
    rows = Target.objects.filter(model__in=models, is_enabled=True, provider__is_enabled=True).select_related("provider")
    for target in rows.order_by("position", "id"):
        price = prices.price(target.provider_id, target.upstream_model, at)
        targets[target.model_id].append(OfferedTarget(target.provider.name, target.upstream_model, price, target.provider_id))
    return [Offer(model.name, model.max_output_tokens, model.created_at, targets[model.id]) for model in models]


def _callable(models: QuerySet[Model]) -> list[CallableModel]:
    answering = Q(targets__is_enabled=True, targets__provider__is_enabled=True)
    running = answering & Q(targets__paused_at=None, targets__provider__paused_at=None)
    timeouts = models.filter(is_enabled=True).annotate(
        longest=Max("targets__provider__total_timeout_seconds", filter=answering),
        running=Max("targets__provider__total_timeout_seconds", filter=running),
    )
    rows = timeouts.exclude(longest=None).values_list("id", "name", "created_at", "longest", "max_output_tokens", "running")
    return [
        CallableModel(id=key, name=name, created_at=at, longest_timeout_seconds=longest, max_output_tokens=most, is_paused=running is None)
        for key, name, at, longest, most, running in rows
    ]


def _route(target: Target, provider: Provider) -> Route:
    return Route(
        target_id=target.id,
        provider_id=provider.id,
        provider_name=provider.name,
        kind=provider.kind,
        base_url=provider.base_url.rstrip("/"),
        upstream_model=target.upstream_model,
        connect_timeout_seconds=provider.connect_timeout_seconds,
        read_timeout_seconds=provider.read_timeout_seconds,
        total_timeout_seconds=provider.total_timeout_seconds,
        max_output_tokens=target.model.max_output_tokens,
        provider_limits=_limits(provider, version=provider.updated_at.isoformat()),
        # Paused for its provider's credential, it goes on when that row changes: so it has the provider's version.
        target_limits=_limits(target, version=provider.updated_at.isoformat()),
        api_key=_open_key(provider),
    )


def _limits(row: Provider | Target, *, version: str = "") -> BucketLimits:
    return BucketLimits(
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        max_concurrency=row.max_concurrency if isinstance(row, Provider) else None,
        version=version,
        input_tokens_per_minute=row.input_tokens_per_minute,
        output_tokens_per_minute=row.output_tokens_per_minute,
    )


def _open_key(provider: Provider) -> str:
    if not provider.api_key_sealed:
        return ""
    try:
        return unseal(provider.api_key_sealed, keys=settings.ENCRYPTION_KEYS, owner=provider.seal_owner)
    except SealInvalidError as error:
        # The provider will answer 401, and the items wait with that reason; the log says what to mend.
        log.error("provider_key_does_not_open", provider=provider.name, error=str(error))  # noqa: TRY400 -- the reason is in the text
        return ""


def find_provider_name(provider_id: UUID) -> str | None:
    """What operators call it; None when it is gone."""
    return Provider.objects.filter(id=provider_id).values_list("name", flat=True).first()


def model_names() -> dict[UUID, str]:
    """What callers write in `model`, by the id that work carries."""
    return dict(Model.objects.values_list("id", "name"))


def provider_names() -> dict[UUID, str]:
    """Every provider's name by its id."""
    return dict(Provider.objects.values_list("id", "name"))


def provider_ids() -> dict[str, UUID]:
    """Every provider's id by its name."""
    return dict(Provider.objects.values_list("name", "id"))


def find_provider(public_id: str) -> Provider:
    """ApiError 404 when there is none."""
    key = parse_public_id(PROVIDER_PREFIX, public_id)
    provider = Provider.objects.filter(id=key).first() if key else None
    if provider is None:
        raise ApiError(404, "not_found", f"There is no provider {public_id[:100]!r}.", param="provider_id")
    return provider


def find_target(public_id: str) -> Target:
    """With its provider; ApiError 404 when there is none."""
    key = parse_public_id(TARGET_PREFIX, public_id)
    target = Target.objects.select_related("provider").filter(id=key).first() if key else None
    if target is None:
        raise ApiError(404, "not_found", f"There is no target {public_id[:100]!r}.", param="target_id")
    return target


_CALLS_WITHIN = timedelta(minutes=5)
_NEWEST = 30


@dataclass(frozen=True, slots=True)
class StandingTarget:
    """A target, the bucket of its own, what came of its calls in the last five minutes, hour and day, and what it was used for today."""

    row: Target
    bucket: BucketState
    calls: TargetCalls
    outcomes: TargetOutcomes
    usage: ProviderUsage

    @property
    def rooms(self) -> list[Room]:
        return read_rooms(_limits(self.row), self.bucket)

    @property
    def is_closed(self) -> bool:
        """It would take calls, and gets none at present."""
        bucket = self.bucket
        is_held_back = bucket.breaker == "open" or bucket.blocked_seconds or bucket.paused_seconds or self.row.paused_at
        return self.row.is_enabled and bool(is_held_back)

    @property
    def lately(self) -> list[tuple[str, int]]:
        return in_order(self.calls.outcomes)

    @property
    def last_hour(self) -> list[tuple[str, int]]:
        return in_order(self.outcomes.hour)

    @property
    def last_day(self) -> list[tuple[str, int]]:
        return in_order(self.outcomes.day)


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider as it stands, with its targets, and what it was used for today."""

    row: Provider
    bucket: BucketState
    usage: ProviderUsage
    targets: Sequence[StandingTarget]

    @property
    def rooms(self) -> list[Room]:
        return read_rooms(_limits(self.row), self.bucket, always=("requests", "tokens"))

    @property
    def closed(self) -> int:
        """How many of its targets get no calls at present."""
        return sum(target.is_closed for target in self.targets)


@dataclass(frozen=True, slots=True)
class Standings:
    """Every provider. `is_told`: Redis said how the buckets stand; `counted_since`: when outcomes are counted for less than a day."""

    providers: Sequence[Standing]
    is_told: bool
    counted_since: datetime | None


def read_standings(*, now: datetime, providers: Sequence[Provider] | None = None) -> Standings:
    """How these providers stand, or all, in a number of queries that doesn't grow with them. The day is UTC's."""
    providers = list(Provider.objects.order_by("name")) if providers is None else providers
    targets = list(Target.objects.filter(provider__in=providers).select_related("model").order_by("model__name", "position"))
    keys = [f"provider:{provider.id.hex}" for provider in providers] + [f"target:{target.id.hex}" for target in targets]
    try:
        buckets, counts, is_told = look(keys), read_outcomes(now=now), True
    except redis.RedisError as error:
        log.warning("buckets_not_read", error=str(error))
        buckets, counts, is_told = {}, OutcomeCounts({}), False
    calls = read_calls(since=now - _CALLS_WITHIN, until=now)
    usage = read_usage_of_day(day_began_at=now.replace(hour=0, minute=0, second=0, microsecond=0), now=now)
    by_provider: dict[UUID, list[StandingTarget]] = defaultdict(list)
    for target in targets:
        served = Served(target.model_id, target.provider_id, target.upstream_model)
        by_provider[target.provider_id].append(
            StandingTarget(
                row=target,
                bucket=buckets.get(f"target:{target.id.hex}", BucketState()),
                calls=calls.get(target.id, TargetCalls({})),
                outcomes=counts.targets.get(target.id, TargetOutcomes()),
                usage=usage.get(served, ProviderUsage()),
            )
        )
    used: dict[UUID, ProviderUsage] = defaultdict(ProviderUsage)
    for served, sums in usage.items():
        used[served.provider_id] += sums
    nothing = BucketState()
    found = [
        Standing(one, _bounded(one, buckets.get(f"provider:{one.id.hex}", nothing)), used[one.id], by_provider[one.id]) for one in providers
    ]
    return Standings(found, is_told, counts.since)


def _bounded(provider: Provider, bucket: BucketState) -> BucketState:
    return replace(bucket, concurrency_limit=most_in_flight(_limits(provider), bucket))


@dataclass(frozen=True, slots=True)
class NamedBucket:
    """A bucket with the names that people know it by; `model` and `upstream_model` are empty for a whole provider."""

    key: str
    provider: str
    model: str
    upstream_model: str
    is_paused: bool
    limits: BucketLimits


def list_buckets() -> list[NamedBucket]:
    """Every provider's bucket and every target's; two queries."""
    providers = Provider.objects.order_by("name")
    targets = Target.objects.select_related("model", "provider").order_by("model__name", "position")
    return [
        *(NamedBucket(f"provider:{row.id.hex}", row.name, "", "", row.paused_at is not None, _limits(row)) for row in providers),
        *(
            NamedBucket(
                f"target:{row.id.hex}", row.provider.name, row.model.name, row.upstream_model, row.paused_at is not None, _limits(row)
            )
            for row in targets
        ),
    ]


def look_at_buckets(buckets: Sequence[NamedBucket]) -> dict[str, BucketState]:
    """How they stand, by key; one round trip. Raises RedisError when Redis is away."""
    return look([bucket.key for bucket in buckets])


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A target whose breaker is not closed, and since when."""

    target_id: UUID
    provider: str
    model: str
    upstream_model: str
    since: datetime


_NOT_CLOSED_SINCE = """
SELECT happened.target_id, min(happened.at) FROM providers_transitionrecord AS happened
WHERE happened.target_id = ANY(%(ids)s) AND happened.what = 'open' AND happened.at > greatest(%(since)s, coalesce((
    SELECT max(at) FROM providers_transitionrecord WHERE target_id = happened.target_id AND what = 'closed' AND at > %(since)s
), %(since)s))
GROUP BY happened.target_id
"""


def list_open_breakers(*, before: datetime, since: datetime) -> list[OpenBreaker]:
    """Targets whose breaker opened before `before` (but after `since`) and has not closed. Raises RedisError when Redis is away."""
    buckets = [bucket for bucket in list_buckets() if bucket.model and not bucket.is_paused]
    states = look_at_buckets(buckets)
    named = {UUID(hex=bucket.key.partition(":")[2]): bucket for bucket in buckets if states[bucket.key].breaker in {"open", "half-open"}}
    if not named:
        return []
    with server_cursor() as cursor:
        cursor.execute(_NOT_CLOSED_SINCE, {"ids": list(named), "since": since})
        opened = cursor.fetchall()
    return [
        OpenBreaker(target_id, named[target_id].provider, named[target_id].model, named[target_id].upstream_model, at)
        for target_id, at in opened
        if at <= before
    ]


def list_transitions() -> list[TransitionRecord]:
    """What happened lately, the newest first."""
    return list(TransitionRecord.objects.select_related("provider", "target__model").order_by("-at")[:_NEWEST])


def list_overstated(*, since: datetime) -> list[TransitionRecord]:
    """Targets whose reports of use were far beyond our estimate since then, each as it was noticed last."""
    rows = TransitionRecord.objects.filter(what="overstated", at__gte=since).select_related("provider", "target__model")
    return list(rows.order_by("target_id", "-at").distinct("target_id"))
