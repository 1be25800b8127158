"""What /metrics tells, read anew at each scrape; every query's cost follows the open work, not the history."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import redis
import structlog
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.accounts.domain.guesses import PASSWORDS
from apps.accounts.queries import read_refusals
from apps.conversations.domain.turn_chain import KINDS
from apps.conversations.queries.consistency import read_newest_probe
from apps.jobs.actions import find_shortages, report_work
from apps.jobs.queries import count_jobs_by_status, list_live_pumps, read_counters
from apps.knowledge.queries import read_pin_counts
from apps.lib.redis_client import redis_client
from apps.providers.domain.bucket_state import BucketState, most_in_flight, read_rooms
from apps.providers.queries import NamedBucket, list_buckets, look_at_buckets
from apps.webhooks.queries import measure_backlog

log = structlog.get_logger(__name__)

QUEUES = ("interactive", "default", "bulk", "ingest", "control", "dead_letter")
_BUCKET = ("provider", "model", "upstream_model")
_BREAKER_STATES = ("closed", "open", "half-open", "slow start")


class PlatformCollector(Collector):
    """Prometheus' view of the platform: a part that does not answer takes away its own figures, not the others'."""

    def collect(self) -> Iterator[Metric]:
        parts = GaugeMetricFamily("aiplatform_part_up", "Whether a part answered this scrape.", labels=["part"])
        for part, errors, sources in _PARTS:
            families = _told(part, errors, sources)
            parts.add_metric([part], 1 if families else 0)
            yield from families
        yield parts


def _told(part: str, errors: tuple[type[Exception], ...], sources: "Sequence[_Source]") -> list[Metric]:
    """None of a part that does not answer; of one that answers garbage to one source, what the others tell."""
    families: list[Metric] = []
    for source in sources:
        try:
            families += source()
        except Exception as error:
            if isinstance(error, errors) and not isinstance(error, redis.ResponseError):
                log.warning("metrics_incomplete", part=part, error=str(error))
                return []
            log.exception("metrics_broken", part=part, source=source.__name__)
    return families


def _queue_depths() -> Iterator[Metric]:
    depths = GaugeMetricFamily("aiplatform_queue_messages", "Messages waiting in a Celery queue (rings, not items).", labels=["queue"])
    for queue in QUEUES:
        depths.add_metric([queue], redis_client().llen(queue))
    yield depths


def _work() -> Iterator[Metric]:
    items = GaugeMetricFamily("aiplatform_items", "Items of open jobs, by lane and state.", labels=["lane", "state"])
    oldest = GaugeMetricFamily("aiplatform_oldest_ready_seconds", "How long the oldest ready item of a lane has waited.", labels=["lane"])
    for lane, counts in report_work().items():
        for state in ("waiting", "running", "dead"):
            items.add_metric([lane, state], counts[state])
        oldest.add_metric([lane], counts["oldest_seconds"])
    yield items
    yield oldest


def _intake() -> Iterator[Metric]:
    refused = GaugeMetricFamily("aiplatform_intake_refused", "1 while new work for a lane is refused.", labels=["lane"])
    for lane, shortage in find_shortages().items():
        refused.add_metric([lane], shortage is not None)
    yield refused


def _jobs() -> Iterator[Metric]:
    jobs = GaugeMetricFamily("aiplatform_open_jobs", "Jobs that have not ended, by status.", labels=["status"])
    for status, number in count_jobs_by_status().items():
        jobs.add_metric([status], number)
    yield jobs


def _pumps() -> Iterator[Metric]:
    windows = GaugeMetricFamily("aiplatform_pump_window", "Calls that the live pumps may have in the air.", labels=["worker_set", "state"])
    in_flight = GaugeMetricFamily("aiplatform_pump_in_flight", "Items that the live pumps hold.", labels=["worker_set", "state"])
    sums: dict[tuple[str, str], list[int]] = {}
    for pump in list_live_pumps():
        entry = sums.setdefault((pump.worker_set, pump.state), [0, 0])
        entry[0] += pump.window
        entry[1] += pump.in_flight
    for labels, (window, held) in sums.items():
        windows.add_metric(labels, window)
        in_flight.add_metric(labels, held)
    yield windows
    yield in_flight


def _webhooks() -> Iterator[Metric]:
    waiting, overdue_seconds = measure_backlog(now=timezone.now())
    yield GaugeMetricFamily("aiplatform_webhooks_waiting", "Deliveries that are not accepted yet and will be tried.", value=waiting)
    yield GaugeMetricFamily("aiplatform_webhooks_overdue_seconds", "How long the oldest due delivery has been due.", value=overdue_seconds)


def _consistency() -> Iterator[Metric]:
    """Of the last look; nothing until there was one."""
    if (probe := read_newest_probe()) is None:
        return
    findings = "What the last look at conversations and memory found that doesn't agree, by kind."
    found = GaugeMetricFamily("aiplatform_consistency_findings", findings, labels=["kind"])
    for kind in KINDS:
        found.add_metric([kind], sum(one["kind"] == kind for one in probe.findings))
    yield found
    checked = GaugeMetricFamily("aiplatform_consistency_checked", "How much the last look looked at.", labels=["of"])
    for name in ("conversations", "turns", "profiles", "events", "retrievals", "open_turns"):
        checked.add_metric([name], getattr(probe, name))
    yield checked
    age = (timezone.now() - probe.checked_at).total_seconds()
    yield GaugeMetricFamily("aiplatform_consistency_age_seconds", "How long ago the last look was.", value=max(age, 0.0))


def _counters() -> Iterator[Metric]:
    """Kept by settle in Redis; they begin anew when Redis loses its data, as Prometheus' counters may."""
    calls = CounterMetricFamily("aiplatform_calls", "Runs that were settled, by outcome class.", labels=["outcome"])
    decisions = CounterMetricFamily("aiplatform_decisions", "What was decided about them.", labels=["decision"])
    tokens = CounterMetricFamily("aiplatform_tokens", "Tokens charged, by kind.", labels=["kind"])
    families = {"outcome": calls, "decision": decisions, "tokens": tokens}
    counters = read_counters()
    for name, value in counters.items():
        family, _, label = name.partition(":")
        if family in families:
            families[family].add_metric([label], value)
    yield from families.values()
    yield CounterMetricFamily("aiplatform_cost_usd", "US dollars charged.", value=counters.get("cost_usd", 0.0))
    unpriced = "Calls that were charged nothing because their model has no price."
    yield CounterMetricFamily("aiplatform_unpriced_calls", unpriced, value=counters.get("unpriced", 0.0))
    yield CounterMetricFamily("aiplatform_retries", "Settled runs that were not the item's first.", value=counters.get("retries", 0.0))


def _conversations() -> Iterator[Metric]:
    """How conflicts were resolved, and whose retrievals hold."""
    said = "Turns that were begun (asked: without a conflict), and those that were not: rejected, busy."
    turns = CounterMetricFamily("aiplatform_turns", said, labels=["resolution"])
    counters = read_counters()
    for resolution in ("asked", "waited", "moved", "forked", "rejected", "busy"):
        turns.add_metric([resolution], counters.get(f"turn:{resolution}", 0.0))
    yield turns
    searched = "Retrievals for a state: won (pinned to it), lost (another search was first, and its result taken), read (pinned before)."
    pins = CounterMetricFamily("aiplatform_pins", searched, labels=["outcome"])
    counted = read_pin_counts()
    for outcome in ("won", "lost", "read"):
        pins.add_metric([outcome], counted.get(outcome, 0.0))
    yield pins


def _refusals() -> Iterator[Metric]:
    refusals = read_refusals(since=timezone.now())
    yield CounterMetricFamily("aiplatform_refused_keys", "Requests without a good API key.", value=refusals.refused)
    slowed = "Those of them that were answered with 429: too many came from their address."
    yield CounterMetricFamily("aiplatform_slowed_keys", slowed, value=refusals.slowed)
    tries = "Tries to sign in that were answered with 429: too many wrong passwords came from their address."
    yield CounterMetricFamily("aiplatform_slowed_sign_ins", tries, value=read_refusals(PASSWORDS, since=timezone.now()).slowed)


def _providers() -> Iterator[Metric]:
    """By the names that Postgres knows; what is gone is left out."""
    buckets = list_buckets()
    yield from _buckets(buckets, look_at_buckets(buckets))
    yield from _provider_counters({bucket.key: bucket for bucket in buckets})


def _buckets(buckets: Sequence[NamedBucket], states: Mapping[str, BucketState]) -> Iterator[Metric]:
    """A whole provider has empty labels for model and upstream_model, and no breaker."""
    in_flight = GaugeMetricFamily("aiplatform_bucket_in_flight", "Calls in the air, of all pumps.", labels=_BUCKET)
    limit = GaugeMetricFamily("aiplatform_bucket_limit", "The most calls in the air now, where something bounds them.", labels=_BUCKET)
    left = GaugeMetricFamily("aiplatform_bucket_left", "What may be used at once now of a limit per minute.", labels=[*_BUCKET, "of"])
    rates = GaugeMetricFamily("aiplatform_bucket_per_minute", "Limits per minute, as they are set.", labels=[*_BUCKET, "of"])
    blocked = GaugeMetricFamily("aiplatform_bucket_blocked_seconds", "How long a throttling provider is still left alone.", labels=_BUCKET)
    paused = GaugeMetricFamily("aiplatform_bucket_paused", "1 while somebody has paused it.", labels=_BUCKET)
    breakers = GaugeMetricFamily("aiplatform_breaker", "1 for the state that a target's breaker is in.", labels=[*_BUCKET, "state"])
    for bucket in buckets:
        labels, state = [bucket.provider, bucket.model, bucket.upstream_model], states[bucket.key]
        in_flight.add_metric(labels, state.in_flight)
        if most := most_in_flight(bucket.limits, state):
            limit.add_metric(labels, most)
        for room in read_rooms(bucket.limits, state):
            if room.left is not None:
                left.add_metric([*labels, room.kind], room.left)
            if room.per_minute:
                rates.add_metric([*labels, room.kind], room.per_minute)
        blocked.add_metric(labels, state.blocked_seconds or 0.0)
        paused.add_metric(labels, bucket.is_paused)
        for name in _BREAKER_STATES if bucket.model else ():
            breakers.add_metric([*labels, name], state.breaker == name)
    yield from (in_flight, limit, left, rates, blocked, paused, breakers)


def _provider_counters(buckets: Mapping[str, NamedBucket]) -> Iterator[Metric]:
    requests = CounterMetricFamily("aiplatform_provider_requests", "HTTP requests, by outcome.", labels=["provider", "outcome"])
    failovers = CounterMetricFamily("aiplatform_failovers", "Steps within a run to another target.", labels=["provider"])
    happened = CounterMetricFamily("aiplatform_provider_transitions", "Breakers, blocks and refusals.", labels=[*_BUCKET, "what"])
    for counter, value in read_counters().items():
        kind, _, rest = counter.partition(":")
        key, _, last = rest.rpartition(":") if kind != "failover" else (rest, "", "")
        bucket = buckets.get(key if kind == "transition" else f"provider:{key}")
        if bucket is None:
            continue
        if kind == "request":
            requests.add_metric([bucket.provider, last], value)
        elif kind == "failover":
            failovers.add_metric([bucket.provider], value)
        elif kind == "transition":
            happened.add_metric([bucket.provider, bucket.model, bucket.upstream_model, last], value)
    yield from (requests, failovers, happened)


_Source = Callable[[], Iterator[Metric]]
_PARTS: tuple[tuple[str, tuple[type[Exception], ...], tuple[_Source, ...]], ...] = (
    ("postgres", (DatabaseError,), (_work, _intake, _jobs, _pumps, _webhooks, _consistency)),
    ("redis", (redis.RedisError,), (_queue_depths, _counters, _conversations, _refusals)),
    ("providers", (DatabaseError, redis.RedisError), (_providers,)),
)
