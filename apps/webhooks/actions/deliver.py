"""Deliver what is due. Rung after each commit that publishes, and by beat every few seconds, so that a lost ring costs delay."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock
from time import monotonic

import structlog

from apps.lib.egress import EgressAnswer
from apps.lib.shutdown import is_stopping
from apps.webhooks.actions.claim_deliveries import Claimed, claim_deliveries
from apps.webhooks.actions.record_attempt import record_attempt
from apps.webhooks.actions.sender import Sender

log = structlog.get_logger(__name__)

# While something is in the air: how often others that came due are looked for.
_LOOK_AGAIN_SECONDS = 0.5
# Then the thread goes back to other tasks, and beat's next ring goes on.
_ROUND_SECONDS = 60
# One relay in a process: more would only take its threads away from other tasks.
_one_at_a_time = Lock()
_is_wanted = Event()


@dataclass(frozen=True, slots=True)
class _InAir:
    claimed: Claimed
    sent_at: datetime


def deliver(*, clock: Callable[[], datetime]) -> int:
    """How many attempts were made; 0 at once when this process is at it already: it looks again before it ends."""
    _is_wanted.set()
    until, attempts = monotonic() + _ROUND_SECONDS, 0
    while _is_wanted.is_set() and monotonic() < until and _one_at_a_time.acquire(blocking=False):
        try:
            _is_wanted.clear()
            attempts += _deliver_due(clock, until)
        finally:
            _one_at_a_time.release()
    return attempts


def _deliver_due(clock: Callable[[], datetime], until: float) -> int:
    claimed = claim_deliveries(now=clock())
    if not claimed:
        return 0
    attempts = 0
    in_air: dict[Future[EgressAnswer], _InAir] = {}
    with Sender() as sender:
        while claimed or in_air:
            for one in claimed:
                now = clock()
                in_air[sender.send(one, now=now)] = _InAir(one, now)
            answered, _ = wait(in_air, timeout=_LOOK_AGAIN_SECONDS, return_when=FIRST_COMPLETED)
            for future in answered:
                sent = in_air.pop(future)
                record_attempt(sent.claimed, _answer_of(future), sent_at=sent.sent_at, now=clock())
            attempts += len(answered)
            claimed = claim_deliveries(now=clock()) if monotonic() < until and not is_stopping() else []
    return attempts


def _answer_of(future: "Future[EgressAnswer]") -> EgressAnswer:
    """A defect of ours is recorded like a receiver's, so that it can't keep others' deliveries from going out."""
    try:
        return future.result()
    except Exception as error:
        log.exception("webhook_sender_failed")
        return EgressAnswer(status=None, error=f"The sender failed: {type(error).__name__}", body=b"", retry_after="", duration_seconds=0)
