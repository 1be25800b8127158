"""What follows an outcome: done, another try later, or dead. Waiting for somebody else's fault never counts as an attempt."""

from dataclasses import dataclass
from enum import StrEnum

from apps.providers.domain.outcomes import Outcome

_LONGEST_WAIT_AFTER = 5
# What a target that is down answers, if it answers; none of it was billed.
_OUTAGES = {Outcome.FAILED_UPSTREAM, Outcome.NOT_SENT}


class Decision(StrEnum):
    """What is decided about an item when a run of it ends."""

    DONE = "done"
    GO_ON = "go_on"  # a step is done: another run makes the next one, at once
    RETRY = "retry"  # counted as an attempt
    SNOOZE = "snooze"  # not counted
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Tries:
    """How often an item has been tried: counted attempts, tries that may have been billed, and free ones."""

    attempts: int = 0
    ambiguous: int = 0
    free: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be. `is_awaited`: somebody holds a connection open for the answer, so waiting long is no help."""

    max_attempts: int = 5
    max_ambiguous_retries: int = 1
    max_not_sent: int = 20
    max_outage_tries: int = 20
    max_free_when_awaited: int = 4
    base_seconds: float = 2.0
    cap_seconds: float = 300.0
    throttle_cap_seconds: float = 30.0
    outage_cap_seconds: float = 30.0
    credential_seconds: float = 60.0
    is_awaited: bool = False


@dataclass(frozen=True, slots=True)
class NextStep:
    """The decision, how long to wait before the next try (None: it keeps its place in the line), and the tries so far."""

    decision: Decision
    tries: Tries
    delay_seconds: float | None = 0.0


def next_step(
    outcome: Outcome, tries: Tries, policy: Policy, *, chance: float, retry_after_seconds: float | None = None, is_probe: bool = False
) -> NextStep:
    """Decide; `chance` in [0, 1) spreads the waits (full jitter), so that failed neighbours don't come back together.

    `is_probe`: it was sent to a provider known to be down. That it failed is no fault of the item's, for as long as an outage lasts;
    what fails twenty times may be what makes it fail.
    """
    if outcome is Outcome.OK:
        return NextStep(Decision.DONE, tries)
    if outcome in {Outcome.REJECTED, Outcome.OUTPUT_CONTRACT}:
        return NextStep(Decision.DEAD, Tries(tries.attempts + 1, tries.ambiguous, tries.free))
    if is_probe and outcome in _OUTAGES and tries.free < policy.max_outage_tries and not policy.is_awaited:
        now = Tries(tries.attempts, tries.ambiguous, tries.free + 1)
        return NextStep(Decision.SNOOZE, now, _ceiling(policy.base_seconds, now.free, policy.outage_cap_seconds) * (0.75 + chance / 4))
    if outcome in {Outcome.FAILED_UPSTREAM, Outcome.AMBIGUOUS}:
        return _after_attempt(outcome, tries, policy, chance)
    return _after_free_try(outcome, tries, policy, chance, retry_after_seconds)


def _after_attempt(outcome: Outcome, tries: Tries, policy: Policy, chance: float) -> NextStep:
    now = Tries(tries.attempts + 1, tries.ambiguous + (outcome is Outcome.AMBIGUOUS), tries.free)
    if now.attempts >= policy.max_attempts or now.ambiguous > policy.max_ambiguous_retries:
        return NextStep(Decision.DEAD, now)
    return NextStep(Decision.RETRY, now, chance * _ceiling(policy.base_seconds, now.attempts, policy.cap_seconds))


def _after_free_try(outcome: Outcome, tries: Tries, policy: Policy, chance: float, retry_after_seconds: float | None) -> NextStep:
    # Waiting for room or for a key takes nothing from the patience with outages; so many are enough for the longest wait.
    is_wait = outcome in {Outcome.THROTTLED, Outcome.CREDENTIAL}
    free = max(tries.free, min(tries.free + 1, _LONGEST_WAIT_AFTER)) if is_wait else tries.free + 1
    now = Tries(tries.attempts, tries.ambiguous, free)
    if outcome is Outcome.CREDENTIAL:
        if policy.is_awaited:
            return NextStep(Decision.DEAD, now)
        wait = policy.credential_seconds * 2.0 ** min(now.free - 1, 4)
        return NextStep(Decision.SNOOZE, now, wait * (0.5 + chance / 2))
    if policy.is_awaited and now.free > policy.max_free_when_awaited:
        return NextStep(Decision.DEAD, now)
    if outcome is Outcome.NOT_SENT and now.free > policy.max_not_sent:
        return _after_attempt(outcome, tries, policy, chance)
    if outcome is Outcome.THROTTLED and retry_after_seconds is not None:
        # Some providers say 0 while they throttle: our own schedule is the least.
        least = chance * _ceiling(policy.base_seconds, now.free, policy.throttle_cap_seconds)
        return NextStep(Decision.SNOOZE, now, max(retry_after_seconds * (1 + chance / 10), least))
    cap = policy.throttle_cap_seconds if outcome is Outcome.THROTTLED else policy.cap_seconds
    return NextStep(Decision.SNOOZE, now, chance * _ceiling(policy.base_seconds, now.free, cap))


def _ceiling(base_seconds: float, tries: int, cap_seconds: float) -> float:
    return min(cap_seconds, base_seconds * 2.0 ** min(tries, 30))
