"""The faults of a provider, each with the tests that show what becomes of it. The figures are in docs/faults.md."""

import re

import pytest

from tests.faults import ROOT, assert_shown, shown_in

TOLD = (ROOT.parent / "docs" / "faults.md").read_text()
CONFORMANCE = "providers/adapters/test_conformance.py"

# Paths below tests/, and the tests there.
FAULTS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "F35": (
        "429 storm: extra calls are at most those in the air and 1 %; no attempt is counted",
        {
            "providers/test_storms.py": ["test_a_storm_of_429_costs_no_more_than_what_was_in_the_air_and_no_attempt"],
            "providers/limits/test_shared.py": [
                "test_sync_retry_after_blocks_every_pump",
                "test_sync_throttling_lowers_concurrency_once_in_five_seconds",
                "test_sync_concurrency_stays_above_a_quarter_and_recovers",
                "test_sync_a_refusal_drains_the_bucket_and_trials_begin_with_one",
            ],
            "jobs/domain/test_retry.py": ["test_next_step_throttled_waits_as_told_and_never_dies"],
        },
    ),
    "F36": (
        "Retry-After missing, huge, in milliseconds, as a date, past, negative, garbage: none misread",
        {
            "providers/test_targets.py": ["test_retry_after_in_all_its_forms_blocks_the_bucket"],
            "providers/domain/test_retry_after.py": ["test_retry_after", "test_retry_after_hostile_texts_are_ignored_or_bounded"],
            "providers/limits/test_shared.py": [
                "test_sync_throttled_without_a_word_blocks_two_seconds_and_then_four",
                "test_sync_the_shortest_block_is_a_twentieth_of_a_second",
                "test_sync_a_block_of_a_day_is_remembered_for_a_day",
            ],
        },
    ),
    "F37": (
        "A quota that is used up: no call after the first",
        {
            "providers/test_targets.py": ["test_a_credential_or_a_model_that_is_refused_pauses_its_target"],
            "providers/domain/test_classify.py": ["test_class_without_quota_is_a_matter_of_the_credential_at_any_status"],
        },
    ),
    "F38": (
        "5xx storm: the breaker opens, three probes at a time in all pumps, slow start; no item dies",
        {
            "providers/test_storms.py": [
                "test_a_storm_of_5xx_opens_the_breaker_and_probes_end_it",
                "test_a_storm_of_5xx_kills_no_item_of_a_small_job",
                "test_an_item_that_alone_makes_it_fail_dies_all_the_same",
            ],
            "providers/limits/test_shared.py": [
                "test_sync_half_open_lets_three_probes_through_in_all_pumps",
                "test_sync_open_for_ten_seconds_then_half_as_long_again_up_to_thirty",
                "test_sync_three_good_probes_close_it_slowly",
                "test_sync_failures_in_a_row_are_counted_over_all_pumps_however_far_apart",
            ],
            "jobs/domain/test_retry.py": ["test_next_step_a_probe_that_failed_costs_no_attempt_for_as_long_as_outages_last"],
        },
    ),
    "F39": (
        "Hang: ends at the total deadline; others are not delayed",
        {"providers/test_storms.py": ["test_hung_calls_end_at_their_deadline_and_delay_nobody"]},
    ),
    "F40": (
        "Drip: ends at the total deadline; others are not delayed",
        {
            "providers/test_storms.py": ["test_hung_calls_end_at_their_deadline_and_delay_nobody"],
            "providers/adapters/test_http.py": ["test_the_total_deadline_holds_whatever_drips"],
        },
    ),
    "F41": (
        "A 200 that is no JSON: ambiguous, kept raw, one more try",
        {
            "providers/actions/test_complete.py": ["test_complete_ambiguous"],
            "providers/adapters/test_conformance.py": ["test_a_200_that_cannot_be_read_may_have_been_billed"],
            "jobs/domain/test_retry.py": ["test_next_step_second_ambiguous_is_dead"],
        },
    ),
    "F42": (
        "A cut answer is never an answer",
        {
            "providers/adapters/test_http.py": ["test_a_broken_answer_is_cut", "test_what_came_before_the_cut_is_kept"],
            "providers/adapters/test_openai.py": ["test_an_answer_that_is_not_whole_may_have_been_billed"],
        },
    ),
    "F43": (
        "Empty choices, length, filters, refusals, tool calls: each has its class",
        {
            "providers/adapters/test_openai.py": ["test_however_it_ended_a_whole_answer_is_one"],
            "providers/adapters/test_anthropic.py": [
                "test_read_why_it_ended",
                "test_read_a_reason_that_is_not_known_is_told_as_stop_and_noted",
            ],
            "providers/adapters/test_conformance.py": ["test_nothing_falls_through_and_only_a_whole_200_is_an_answer"],
        },
    ),
    "F44": (
        "Answers without end and gzip bombs are left at the limit of bytes",
        {
            "providers/adapters/test_http.py": ["test_an_answer_beyond_the_limit_is_left"],
            "providers/adapters/test_conformance.py": ["test_over_http_a_packed_answer_is_bounded_when_unpacked"],
        },
    ),
    "F45": (
        "Usage that is missing, zero, negative or beyond reason is settled by our own estimate and noted; far beyond it, people are told",
        {
            "providers/domain/test_check_reading.py": [
                "test_usage_that_makes_no_sense_is_settled_by_our_estimate_and_flagged",
                "test_usage_far_beyond_our_estimate_is_charged_and_flagged",
            ],
            "providers/actions/test_complete.py": [
                "test_complete_usage_that_makes_no_sense_is_estimated",
                "test_complete_usage_far_beyond_our_estimate_is_told_once",
            ],
            "ops/test_watch.py": ["test_use_that_is_far_beyond_our_estimate"],
            "providers/adapters/test_conformance.py": ["test_over_http_a_usage_that_makes_no_sense_is_estimated_and_told"],
        },
    ),
    "F46": (
        "A retired model or a revoked key: no call after the first, and the breaker does not hear of it",
        {"providers/test_targets.py": ["test_a_credential_or_a_model_that_is_refused_pauses_its_target"]},
    ),
    "F47": (
        "DNS, TLS, refused connections: not sent, free, twenty times at most; what is our own fault does not count against the target",
        {
            "providers/adapters/test_http.py": [
                "test_what_could_not_be_sent_is_not_sent",
                "test_a_failed_tls_handshake_is_not_sent",
                "test_a_certificate_that_nobody_vouches_for_is_not_sent",
                "test_without_descriptors_of_our_own_it_is_not_sent_and_said_to_be_ours",
            ],
            "providers/test_targets.py": ["test_what_we_lack_ourselves_opens_no_breaker_and_asks_nobody_else"],
            "jobs/domain/test_retry.py": ["test_next_step_unreachable_counts_after_twenty_tries"],
        },
    ),
    "F48": (
        "A reset after the request: ambiguous, not asked of another target",
        {
            "providers/adapters/test_conformance.py": ["test_over_http_trouble_ends_in_time_and_in_its_class"],
            "providers/test_limits_over_http.py": ["test_an_ambiguous_call_is_not_asked_again"],
        },
    ),
    "F49": (
        "Ten times slower without errors: concurrency is halved, to a quarter at the least; nothing opens, nothing is asked twice",
        {
            "providers/test_targets.py": ["test_slow_answers_open_nothing_and_lower_concurrency"],
            "providers/limits/test_bucket.py": ["test_an_answer_is_late_that_takes_long_in_all_and_for_each_token"],
            "providers/limits/test_shared.py": [
                "test_sync_answers_that_are_late_halve_concurrency_down_to_a_quarter_and_open_nothing",
                "test_sync_what_stays_late_at_a_quarter_becomes_the_usual",
            ],
        },
    ),
    "F50": (
        "A fallback has its own limiter and breaker",
        {
            "providers/test_targets.py": ["test_a_fallback_keeps_to_its_own_limit"],
            "providers/test_storms.py": ["test_the_first_target_dies_and_comes_back"],
        },
    ),
    "F51": (
        "Another endpoint's answer is found out by its shape; no provider echoes what would tell two chats apart",
        {"providers/domain/test_check_reading.py": ["test_an_answer_of_another_endpoint_is_not_taken_for_ours"]},
    ),
    "F52": (
        "A limit halved without a word: headers, then refusals, slow the pace; garbage in headers does not",
        {
            "providers/limits/test_shared.py": [
                "test_sync_a_limit_that_the_provider_tells_counts_when_it_is_lower",
                "test_sync_a_pace_that_was_refused_is_slowed_once_in_five_seconds_and_comes_back",
                "test_sync_a_told_limit_is_forgotten_after_a_minute",
            ],
            "providers/domain/test_limits.py": ["test_told", "test_told_of_hostile_texts_is_ignored_or_sensible"],
        },
    ),
}


def test_every_fault_of_a_provider_is_listed() -> None:
    assert list(FAULTS) == [f"F{number}" for number in range(35, 53)]


def test_people_are_told_of_every_fault_once_with_a_figure_and_a_test_that_shows_it() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TOLD.splitlines() if re.match(r"\| F\d\d ", line)]
    assert [row[0] for row in rows] == list(FAULTS)
    for fault, *told, figure, test in rows:
        assert all(told)
        assert re.search(r"\d", figure)
        assert test.strip("`") in [name for names in FAULTS[fault][1].values() for name in names]


def test_people_are_told_of_every_test_that_all_adapters_pass() -> None:
    assert set(re.findall(r"^\| `(test_\w+)` \| \d+ \|$", TOLD, re.MULTILINE)) == set(shown_in(CONFORMANCE))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_shows_a_fault_exists_and_runs(fault: str) -> None:
    assert_shown(FAULTS[fault][1])
