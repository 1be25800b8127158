"""Record what came of an attempt: the delivery ends or waits for its next try, and the endpoint's health is kept."""

import random
from datetime import datetime

import structlog
from django.db import transaction

from apps.accounts.actions import record_audit
from apps.lib.egress import EgressAnswer
from apps.lib.failpoints import failpoint
from apps.webhooks.actions.claim_deliveries import Claimed
from apps.webhooks.domain.schedule import GIVEN_UP_AFTER, Verdict, after, judge, next_pause, read_wish
from apps.webhooks.models import OPEN_STATES, Attempt, Delivery, DeliveryState, Endpoint

log = structlog.get_logger(__name__)

_KEPT_CHARACTERS = 1000


def record_attempt(claimed: Claimed, answer: EgressAnswer, *, sent_at: datetime, now: datetime) -> None:
    """Nothing when the endpoint is gone, or when another sender took the delivery over because this one was too slow."""
    failpoint("deliver.answered")
    with transaction.atomic():
        _record(claimed, answer, sent_at, now)
        failpoint("deliver.before_commit")
    failpoint("deliver.after_commit")


def _record(claimed: Claimed, answer: EgressAnswer, sent_at: datetime, now: datetime) -> None:
    endpoint = Endpoint.objects.select_for_update(no_key=True).filter(id=claimed.endpoint_id).first()
    delivery = Delivery.objects.select_for_update(no_key=True).filter(id=claimed.delivery_id, claim_id=claimed.claim_id).first()
    if endpoint is None or delivery is None or delivery.state not in {DeliveryState.SENDING, DeliveryState.CANCELLED}:
        log.warning("webhook_outcome_too_late", delivery_id=str(claimed.delivery_id), status=answer.status)
        return
    verdict = judge(answer.status)
    _write_attempt(delivery, answer, sent_at)
    _move(delivery, endpoint, verdict, answer, now)
    _judge_endpoint(endpoint, verdict, now)
    log.info("webhook_sent", delivery_id=str(delivery.id), status=answer.status, state=delivery.state, attempt=delivery.attempts_made)


def _write_attempt(delivery: Delivery, answer: EgressAnswer, sent_at: datetime) -> None:
    Attempt.objects.create(
        delivery=delivery,
        number=delivery.attempts_made,
        sent_at=sent_at,
        duration_seconds=answer.duration_seconds,
        status=answer.status,
        error=answer.error,
        answer=answer.body.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:_KEPT_CHARACTERS],
    )


def _move(delivery: Delivery, endpoint: Endpoint, verdict: Verdict, answer: EgressAnswer, now: datetime) -> None:
    delivery.last_status, delivery.last_error = answer.status, answer.error
    wish = read_wish(answer.status, answer.retry_after, now=now)
    pause = next_pause(delivery.tries, chance=random.random(), wish=wish)  # noqa: S311 -- jitter
    if verdict == Verdict.ACCEPTED:
        delivery.state, delivery.ended_at = DeliveryState.DELIVERED, now
    elif not endpoint.is_enabled:
        delivery.state, delivery.ended_at = DeliveryState.CANCELLED, now
    elif verdict == Verdict.GONE or pause is None:
        delivery.state, delivery.ended_at = DeliveryState.FAILED, now
    else:
        delivery.state, delivery.due_at = DeliveryState.WAITING, now + pause
    delivery.lease_until = None
    delivery.save(update_fields=["state", "ended_at", "due_at", "lease_until", "last_status", "last_error"])


def _judge_endpoint(endpoint: Endpoint, verdict: Verdict, now: datetime) -> None:
    health = after(endpoint.health, verdict, now=now)
    endpoint.failures, endpoint.failing_since, endpoint.rests_until = health.failures, health.failing_since, health.rests_until
    if verdict == Verdict.ACCEPTED:
        endpoint.delivered_at = now
    endpoint.save(update_fields=["failures", "failing_since", "rests_until", "delivered_at"])
    if not endpoint.is_enabled:
        return
    if verdict == Verdict.GONE:
        _switch_off(endpoint, "It answered 410 Gone: it wants no more events.", now)
    elif health.has_failed_too_long(now):
        _switch_off(endpoint, f"It has done nothing but fail for {GIVEN_UP_AFTER.days} days.", now)


def _switch_off(endpoint: Endpoint, why: str, now: datetime) -> None:
    endpoint.is_enabled, endpoint.switched_off_because, endpoint.updated_at = False, why, now
    endpoint.save(update_fields=["is_enabled", "switched_off_because", "updated_at"])
    cancel_waiting(endpoint, now=now)
    record_audit(
        verb="switched off",
        object_type="webhook endpoint",
        object_id=endpoint.id,
        object_label=str(endpoint),
        workspace_id=endpoint.workspace_id,
        before={"is_enabled": True},
        after={"is_enabled": False},
        reason=why,
    )


def cancel_waiting(endpoint: Endpoint, *, now: datetime) -> int:
    """Give up what waits for an endpoint that is switched off, in the caller's transaction; what is in the air is recorded when it ends."""
    return Delivery.objects.filter(endpoint=endpoint, state__in=OPEN_STATES).update(state=DeliveryState.CANCELLED, ended_at=now)
