"""Read what can be called."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db.models import Max, Q, QuerySet

from apps.lib.sealing import SealInvalidError, unseal
from apps.providers.domain.bucket_state import BucketState
from apps.providers.domain.calls import Route
from apps.providers.domain.catalogue import CallableModel, Catalogue
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.policy import CacheTimes
from apps.providers.limits.look import look
from apps.providers.models import Model, Provider, Target, TransitionRecord
from apps.spend.domain.pricing import PriceRow
from apps.spend.queries import ProviderUsage, load_price_book, read_usage_of_day
from apps.traces.queries import TargetCalls, read_calls

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OfferedTarget:
    """Who answers for a model, and the price that holds; None when none is known."""

    provider: str
    upstream_model: str
    price: PriceRow | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A model with its targets in failover order."""

    name: str
    max_output_tokens: int
    created_at: datetime
    targets: Sequence[OfferedTarget]


def sealed_owner(provider_id: UUID) -> str:
    """What a provider's key is bound to: moved to another row it doesn't open."""
    return f"provider:{provider_id}"


def cache_times() -> CacheTimes:
    """How long answers are kept, by this platform's settings."""
    return CacheTimes(settings.PROVIDERS_CACHE_SECONDS, settings.PROVIDERS_CACHE_MAX_SECONDS)


def load_catalogue() -> Catalogue:
    """The enabled models with their enabled targets, keys in clear; two queries. Keep it in memory, never log or store it."""
    routes: dict[UUID, list[Route]] = defaultdict(list)
    targets = Target.objects.filter(is_enabled=True, provider__is_enabled=True).select_related("provider", "model")
    answering = set()
    for target in targets.order_by("position", "id"):
        answering.add(target.model_id)
        if target.paused_at is None and target.provider.paused_at is None:
            routes[target.model_id].append(_route(target, target.provider))
    models = Model.objects.values_list("id", "name", "is_enabled")
    return Catalogue(
        # A model that nobody answers for is no model to callers: work for it would wait for ever. One that is paused is one.
        ids={name: model_id for model_id, name, is_enabled in models if is_enabled and model_id in answering},
        routes_by_model={model_id: tuple(entries) for model_id, entries in routes.items()},
        idle_models=frozenset(model_id for model_id, _, _ in models if model_id not in routes),
    )


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
        targets[target.model_id].append(OfferedTarget(target.provider.name, target.upstream_model, price))
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
        provider_limits=BucketLimits(
            provider.requests_per_minute, provider.tokens_per_minute, provider.max_concurrency, version=provider.updated_at.isoformat()
        ),
        # Paused for its provider's credential, it goes on when that row changes: so it has the provider's version.
        target_limits=BucketLimits(target.requests_per_minute, target.tokens_per_minute, version=provider.updated_at.isoformat()),
        api_key=_open_key(provider),
    )


def _open_key(provider: Provider) -> str:
    if not provider.api_key_sealed:
        return ""
    try:
        return unseal(provider.api_key_sealed, keys=settings.ENCRYPTION_KEYS, owner=sealed_owner(provider.id))
    except SealInvalidError as error:
        # The provider will answer 401, and the items wait with that reason; the log says what to mend.
        log.error("provider_key_does_not_open", provider=provider.name, error=str(error))  # noqa: TRY400 -- the reason is in the text
        return ""


def find_provider_name(provider_id: UUID) -> str | None:
    """What operators call it; None when it is gone."""
    return Provider.objects.filter(id=provider_id).values_list("name", flat=True).first()


def provider_ids() -> dict[str, UUID]:
    """Every provider's id by its name."""
    return dict(Provider.objects.values_list("name", "id"))


_CALLS_WITHIN = timedelta(minutes=5)
_NEWEST = 30


@dataclass(frozen=True, slots=True)
class StandingTarget:
    """A target, the bucket of its own, and what came of its calls in the last five minutes."""

    row: Target
    bucket: BucketState
    calls: TargetCalls | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider as it stands, with its targets, and what it was used for today."""

    row: Provider
    bucket: BucketState
    usage: ProviderUsage
    targets: Sequence[StandingTarget]


def read_standings(*, now: datetime) -> tuple[list[Standing], bool]:
    """(every provider, whether Redis told how its buckets stand). The day is UTC's."""
    targets = list(Target.objects.select_related("model").order_by("model__name", "position"))
    providers = list(Provider.objects.order_by("name"))
    keys = [f"provider:{provider.id.hex}" for provider in providers] + [f"target:{target.id.hex}" for target in targets]
    try:
        buckets, is_told = look(keys), True
    except redis.RedisError as error:
        log.warning("buckets_not_read", error=str(error))
        buckets, is_told = {}, False
    calls = read_calls(since=now - _CALLS_WITHIN, until=now)
    usage = read_usage_of_day(day_began_at=now.replace(hour=0, minute=0, second=0, microsecond=0), now=now)
    nothing = BucketState()
    by_provider: dict[UUID, list[StandingTarget]] = defaultdict(list)
    for target in targets:
        standing = StandingTarget(target, buckets.get(f"target:{target.id.hex}", nothing), calls.get(target.id))
        by_provider[target.provider_id].append(standing)
    return [
        Standing(one, buckets.get(f"provider:{one.id.hex}", nothing), usage.get(one.id, ProviderUsage()), by_provider[one.id])
        for one in providers
    ], is_told


@dataclass(frozen=True, slots=True)
class NamedBucket:
    """A bucket with the names that people know it by; `model` and `upstream_model` are empty for a whole provider."""

    key: str
    provider: str
    model: str
    upstream_model: str
    is_paused: bool
    max_concurrency: int | None


def list_buckets() -> list[NamedBucket]:
    """Every provider's bucket and every target's; two queries."""
    providers = Provider.objects.order_by("name")
    targets = Target.objects.select_related("model", "provider").order_by("model__name", "position")
    return [
        *(NamedBucket(f"provider:{row.id.hex}", row.name, "", "", row.paused_at is not None, row.max_concurrency) for row in providers),
        *(
            NamedBucket(f"target:{row.id.hex}", row.provider.name, row.model.name, row.upstream_model, row.paused_at is not None, None)
            for row in targets
        ),
    ]


def look_at_buckets(buckets: Sequence[NamedBucket]) -> dict[str, BucketState]:
    """How they stand, by key; one round trip. Raises RedisError when Redis is away."""
    return look([bucket.key for bucket in buckets])


def list_transitions() -> list[TransitionRecord]:
    """What happened lately, the newest first."""
    return list(TransitionRecord.objects.select_related("provider", "target__model").order_by("-at")[:_NEWEST])
