"""What follows each class of outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.domain.retry import Decision, Policy, Tries, next_step
from apps.providers.domain.outcomes import Outcome

POLICY = Policy(max_attempts=3, base_seconds=2, cap_seconds=300)
AWAITED = Policy(is_awaited=True)


@pytest.mark.parametrize(
    ("outcome", "decision", "tries"),
    [
        (Outcome.OK, Decision.DONE, Tries()),
        (Outcome.REJECTED, Decision.DEAD, Tries(attempts=1)),
        (Outcome.FAILED_UPSTREAM, Decision.RETRY, Tries(attempts=1)),
        (Outcome.AMBIGUOUS, Decision.RETRY, Tries(attempts=1, ambiguous=1)),
        (Outcome.NOT_SENT, Decision.SNOOZE, Tries(free=1)),
        (Outcome.THROTTLED, Decision.SNOOZE, Tries(free=1)),
        (Outcome.CREDENTIAL, Decision.SNOOZE, Tries(free=1)),
    ],
)
def test_next_step_of_a_first_try(outcome: Outcome, decision: Decision, tries: Tries) -> None:
    step = next_step(outcome, Tries(), POLICY, chance=0.5)
    assert (step.decision, step.tries) == (decision, tries)


def test_next_step_last_attempt_is_dead() -> None:
    assert next_step(Outcome.FAILED_UPSTREAM, Tries(attempts=2), POLICY, chance=0).decision is Decision.DEAD


def test_next_step_second_ambiguous_is_dead() -> None:
    assert next_step(Outcome.AMBIGUOUS, Tries(attempts=1, ambiguous=1), POLICY, chance=0).decision is Decision.DEAD


def test_next_step_throttled_waits_as_told_and_never_dies() -> None:
    step = next_step(Outcome.THROTTLED, Tries(free=500), POLICY, chance=0.0, retry_after_seconds=42)
    assert (step.decision, step.delay_seconds) == (Decision.SNOOZE, 42)


def test_next_step_unreachable_counts_after_twenty_tries() -> None:
    assert next_step(Outcome.NOT_SENT, Tries(free=19), POLICY, chance=0).decision is Decision.SNOOZE
    step = next_step(Outcome.NOT_SENT, Tries(free=20), POLICY, chance=0)
    # However long it had waited for limits before: one refused connection is not the end.
    assert (step.decision, step.tries) == (Decision.RETRY, Tries(attempts=1, free=20))
    assert next_step(Outcome.NOT_SENT, Tries(attempts=2, free=20), POLICY, chance=0).decision is Decision.DEAD


@pytest.mark.parametrize("outcome", [Outcome.CREDENTIAL, Outcome.THROTTLED, Outcome.NOT_SENT])
def test_next_step_somebody_waiting_is_told_soon(outcome: Outcome) -> None:
    assert next_step(outcome, Tries(free=4), AWAITED, chance=0).decision is Decision.DEAD


@given(st.sampled_from(Outcome), st.integers(0, 4), st.integers(0, 1), st.integers(0, 10_000), st.floats(0, 0.999))
def test_next_step_waits_within_bounds(outcome: Outcome, attempts: int, ambiguous: int, free: int, chance: float) -> None:
    step = next_step(outcome, Tries(attempts, ambiguous, free), POLICY, chance=chance)
    longest = 16 * POLICY.credential_seconds if outcome is Outcome.CREDENTIAL else POLICY.cap_seconds
    assert 0 <= step.delay_seconds <= longest
    assert step.tries.attempts - attempts in {0, 1}


def test_next_step_throttled_with_zero_still_waits_by_our_own_schedule() -> None:
    assert next_step(Outcome.THROTTLED, Tries(), POLICY, chance=0.5, retry_after_seconds=0).delay_seconds == 2


def test_next_step_credential_waits_longer_each_time() -> None:
    waits = [next_step(Outcome.CREDENTIAL, Tries(free=free), POLICY, chance=0).delay_seconds for free in range(7)]
    assert waits == [30, 60, 120, 240, 480, 480, 480]


@pytest.mark.parametrize("outcome", [Outcome.FAILED_UPSTREAM, Outcome.NOT_SENT])
def test_next_step_a_probe_that_failed_costs_no_attempt_for_as_long_as_outages_last(outcome: Outcome) -> None:
    tries, waited = Tries(attempts=2), 0.0
    for free in range(1, 21):
        step = next_step(outcome, tries, POLICY, chance=0, is_probe=True)
        assert (step.decision, step.tries) == (Decision.SNOOZE, Tries(attempts=2, free=free))
        tries, waited = step.tries, waited + step.delay_seconds
    # At the least; five minutes of an outage are outlived with room to spare, and it is soon seen that one is over.
    assert waited > 400
    assert step.delay_seconds <= 30
    # What fails twenty times may be what makes it fail.
    assert next_step(outcome, tries, POLICY, chance=0.5, is_probe=True).decision is Decision.DEAD


def test_next_step_a_probe_that_may_have_been_billed_counts() -> None:
    assert next_step(Outcome.AMBIGUOUS, Tries(), POLICY, chance=0, is_probe=True).tries == Tries(attempts=1, ambiguous=1)


def test_a_storm_of_429_leaves_the_patience_with_outages_as_it_was() -> None:
    tries = Tries()
    for _ in range(50):
        tries = next_step(Outcome.THROTTLED, tries, POLICY, chance=0.5).tries
    assert tries == Tries(free=5)
    down = [tries]
    while (step := next_step(Outcome.FAILED_UPSTREAM, down[-1], POLICY, chance=0.5, is_probe=True)).decision is Decision.SNOOZE:
        down.append(step.tries)
    assert (len(down), down[-1].attempts) == (16, 0)
