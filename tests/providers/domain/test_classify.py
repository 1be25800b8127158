"""Which class every status comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.domain.classify import classify_status
from apps.providers.domain.outcomes import Outcome


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((429, 529), Outcome.THROTTLED),
        ((401, 402, 403), Outcome.CREDENTIAL),
        ((300, 301, 302, 303, 304, 307, 308), Outcome.REJECTED),
        ((400, 404, 405, 406, 410, 411, 413, 414, 415, 418, 421, 422, 424, 426, 431, 451, 499), Outcome.REJECTED),
        ((408, 409, 425), Outcome.FAILED_UPSTREAM),
        ((500, 501, 502, 503, 504, 505, 520, 522, 524, 530, 599), Outcome.FAILED_UPSTREAM),
        ((0, 100, 101, 103, 200, 201, 202, 204, 206), Outcome.AMBIGUOUS),
    ],
)
def test_class_by_status(statuses: tuple[int, ...], outcome: Outcome) -> None:
    assert {status: classify_status(status, set(), has_retry_after=False) for status in statuses} == dict.fromkeys(statuses, outcome)


def test_class_503_with_retry_after_is_throttled() -> None:
    assert classify_status(503, set(), has_retry_after=True) is Outcome.THROTTLED


def test_class_other_failures_with_retry_after_stay_what_they_are() -> None:
    assert classify_status(500, set(), has_retry_after=True) is Outcome.FAILED_UPSTREAM
    assert classify_status(400, set(), has_retry_after=True) is Outcome.REJECTED


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_class_without_quota_is_a_matter_of_the_credential_at_any_status(status: int) -> None:
    assert classify_status(status, {"insufficient_quota"}, has_retry_after=True) is Outcome.CREDENTIAL


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, Outcome.CREDENTIAL), (404, Outcome.CREDENTIAL), (422, Outcome.REJECTED), (500, Outcome.FAILED_UPSTREAM)],
)
def test_class_an_unknown_model_is_a_matter_of_the_target(status: int, outcome: Outcome) -> None:
    assert classify_status(status, {"model_not_found", ""}, has_retry_after=False) is outcome


@given(st.integers(), st.sets(st.text()), st.booleans())
def test_class_no_status_falls_through(status: int, names: set[str], has_retry_after: bool) -> None:  # noqa: FBT001 -- drawn
    outcome = classify_status(status, names, has_retry_after=has_retry_after)
    assert outcome in set(Outcome) - {Outcome.OK, Outcome.NOT_SENT}
