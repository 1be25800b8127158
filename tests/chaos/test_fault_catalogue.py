"""The faults of processes, stores, doors and webhooks, each with the tests that show what becomes of it; and those that no test shows.

Those of providers stand in tests/providers/test_fault_catalogue.py.
"""

import pytest

from tests.faults import assert_shown, shown_in

MATRIX = "chaos/test_crash_matrix.py"
PUMPS = "chaos/test_pumps.py"
RINGS = "chaos/test_rings.py"
BROKER = "chaos/test_broker.py"
POSTGRES = "chaos/test_postgres.py"
SETTLE = "jobs/actions/test_settle.py"
DELIVER = "webhooks/actions/test_deliver.py"
EGRESS = "lib/test_egress.py"
ONCE = "accounts/test_once.py"
BROKER_TEST = "test_pumps_go_on_and_new_work_is_taken_up"
# What must never come back: shown by `make test`, so by a test that is not left for `make chaos` alone.
ALWAYS = {"F01", "F02", "F03", "F04", "F07", "F17", "F21", "F22", "F27", "F61", "F62", "F63", "F83", "F84"}

# Paths below tests/, and the tests there.
FAULTS: dict[str, tuple[str, dict[str, list[str]]]] = {
    "F01": (
        "A pump's process is killed while it calls: taken back when the lease ends, at most what it held is asked again",
        {PUMPS: ["test_a_killed_pump_loses_nothing_and_repeats_at_most_what_it_held"], MATRIX: ["test_each_item_ends_once"]},
    ),
    "F02": ("A whole worker is killed: the same", {PUMPS: ["test_a_killed_worker_loses_nothing"]}),
    "F03": ("Killed between answer and commit: asked again, charged once", {MATRIX: ["test_each_item_ends_once"]}),
    "F04": (
        "Killed between commit and acknowledgement: no call more",
        {MATRIX: ["test_each_item_ends_once"], SETTLE: ["test_the_same_run_settled_twice_is_written_once"]},
    ),
    "F05": (
        "Killed between outbox and publishing: the sweep, or the next relay, publishes",
        {MATRIX: ["test_each_item_ends_once"], "chaos/test_delivery_matrix.py": ["test_an_event_arrives_under_one_id"]},
    ),
    "F06": (
        "An item that kills its process: found after four crashes, its neighbours live",
        {
            "chaos/test_poison.py": ["test_a_poison_item_is_found_and_its_neighbours_live"],
            "jobs/actions/test_sweep.py": ["test_sweep_buries_an_item_only_when_it_was_lost_alone"],
        },
    ),
    "F07": (
        "A process stopped beyond its lease and continued: what it writes then is refused",
        {
            MATRIX: ["test_each_item_ends_once"],
            SETTLE: ["test_a_late_writer_writes_nothing", "test_a_late_writer_does_not_hold_up_its_neighbours"],
        },
    ),
    "F08": (
        "SIGTERM with calls in the air: they are settled, or given back uncounted",
        {
            PUMPS: [
                "test_a_worker_told_to_stop_settles_what_is_in_the_air_and_repeats_nothing",
                "test_a_worker_with_no_time_left_gives_long_calls_back_uncounted",
            ]
        },
    ),
    "F09": ("SIGQUIT in the middle: whole transactions or none", {PUMPS: ["test_a_worker_broken_off_loses_nothing"]}),
    "F10": ("Beat dead: another leads", {"ops/test_beat.py": ["test_it_is_silent_while_another_leads_and_takes_over_after_it"]}),
    "F11": (
        "Two dispatchers, two claimers at once: each item is claimed once",
        {
            "ops/test_beat.py": ["test_leading_twice_takes_the_lock_once"],
            "jobs/actions/test_claim.py": ["test_claim_by_many_at_once_takes_each_item_once"],
        },
    ),
    "F12": (
        "A worker's clock is hours off: leases and claims go by the clock of Postgres, no call more",
        {"chaos/test_wrong_clocks.py": ["test_a_worker_whose_clock_is_off_repeats_no_call"]},
    ),
    "F13": (
        "A web host's clock is hours off: keys, windows, files and signatures go by the clock of Postgres, no wrong refusal",
        {
            "chaos/test_wrong_clocks.py": [
                "test_a_web_host_whose_clock_is_off_lets_in_and_refuses_whom_it_should",
                "test_a_sender_whose_clock_is_off_signs_and_claims_by_the_time_of_all",
            ],
            "lib/test_clock.py": ["test_a_clock_that_is_set_while_the_process_runs_is_noticed_at_once"],
        },
    ),
    "F14": (
        "A disk that fills up: uploads are refused and leave nothing, output files are written once there is room, no line is lost",
        {
            "files/test_full_disk.py": [
                "test_an_upload_that_cannot_be_written_is_refused_and_leaves_nothing",
                "test_a_part_that_cannot_be_written_is_sent_again_and_the_upload_goes_on",
            ],
            "chaos/test_shortages.py": ["test_a_disk_that_fills_up_under_the_output_files_costs_delay_and_no_line"],
            "lib/test_http_errors.py": ["test_a_database_whose_disk_is_full_is_told_as_one_that_does_not_answer"],
        },
    ),
    "F15": (
        "No file descriptors left: who can't be served is told to come back, calls that were not sent are tried again, nothing is lost",
        {
            "files/test_few_descriptors.py": ["test_without_descriptors_callers_are_told_to_come_back_and_it_recovers"],
            "chaos/test_shortages.py": ["test_a_worker_without_file_descriptors_loses_nothing"],
        },
    ),
    "F16": ("The broker killed and started five times: heard again each time", {BROKER: [BROKER_TEST]}),
    "F17": (
        "The broker emptied in the middle: delay, no loss, no call more",
        {PUMPS: ["test_an_emptied_broker_costs_delay_and_no_work"], BROKER: [BROKER_TEST]},
    ),
    "F18": (
        "The broker hangs: pumps go on, the doors take work in",
        {BROKER: [BROKER_TEST], "hostile/test_stores_down.py": ["test_without_valkey_work_is_taken_in_all_the_same"]},
    ),
    "F19": ("The broker is full: pumps go on, the sweep rings later", {BROKER: [BROKER_TEST]}),
    "F20": (
        "A broker that drops keys when it is full is named",
        {"ops/test_health.py": ["test_a_redis_that_drops_rings_when_it_is_full_is_named"]},
    ),
    "F21": ("The same ring a hundred times: no call more", {RINGS: ["test_a_ring_that_comes_a_hundred_times_makes_no_call_more"]}),
    "F22": (
        "A ring delivered again while its pump runs: no call more",
        {RINGS: ["test_a_ring_that_is_delivered_again_while_its_pump_runs_makes_no_call_more"]},
    ),
    "F23": ("Forged, pickled and huge messages end no worker", {RINGS: ["test_forged_and_broken_messages_end_no_worker"]}),
    "F24": (
        "Celery's results can't be written: they are for looking at; work goes on, no call more",
        {"chaos/test_result_backend.py": ["test_work_goes_on_without_celerys_results"]},
    ),
    "F25": (
        "The limiter's Redis down: a safe part of the limits, never none",
        {"providers/test_redis_lost.py": ["test_without_redis_each_pump_keeps_to_half_of_its_part_and_goes_back_to_all_of_it"]},
    ),
    "F26": (
        "Postgres restarted or killed in the middle: every answer is kept",
        {POSTGRES: ["test_work_goes_on"], "chaos/test_killed_stores.py": ["test_a_killed_store_costs_no_call_and_no_answer"]},
    ),
    "F27": (
        "The connection cut at COMMIT: nothing is done twice",
        {"chaos/test_cut_commits.py": ["test_a_commit_whose_answer_is_lost_is_not_done_again"]},
    ),
    "F28": (
        "Fail-over to a standby that lacks the last rows: done again, nothing charged twice, every promise holds in what is left",
        {"chaos/test_standby.py": ["test_what_a_standby_lacks_is_done_again_and_nothing_is_lost_or_charged_twice"]},
    ),
    "F29": (
        "A database that takes no writes: doors say 503, pumps keep what they have and go on",
        {
            POSTGRES: ["test_work_goes_on"],
            "lib/test_http_errors.py": ["test_a_database_that_takes_no_writes_is_told_as_one_that_does_not_answer"],
        },
    ),
    "F30": (
        "No connection left: work waits, callers hold few",
        {POSTGRES: ["test_work_goes_on"], "journeys/test_single_calls.py": ["test_300_waiting_callers_hold_at_most_10_connections"]},
    ),
    "F31": ("A row locked by somebody's session: work waits and goes on", {POSTGRES: ["test_work_goes_on"]}),
    "F32": ("A session that idles in its transaction costs delay", {POSTGRES: ["test_work_goes_on"]}),
    "F33": (
        "A deadlock: who is broken off writes nothing, and does it again",
        {"jobs/actions/test_deadlock.py": ["test_a_settle_that_is_broken_off_by_a_deadlock_is_done_again"]},
    ),
    "F34": (
        "Claims among very many items: they read as little as among few",
        {
            "chaos/test_many_items.py": ["test_a_claim_among_very_many_items_reads_as_little_as_among_few"],
            "jobs/actions/test_big_tables.py": ["test_a_claim_reads_little_of_a_big_job", "test_a_look_for_work_reads_little_of_a_big_job"],
        },
    ),
    "F59": (
        "A batch cancelled with calls in the air: no claim more, what was sent is charged, told once",
        {
            "jobs/actions/test_cancel_job.py": [
                "test_cancel_job_stops_claims_and_rings_for_the_close",
                "test_a_cancelled_job_ends_with_what_was_done_and_the_rest_as_cancelled",
            ],
            "jobs/actions/test_publish_end.py": ["test_a_cancelled_batch_is_told_when_it_has_ended"],
        },
    ),
    "F60": (
        "Random reservations, settlements, releases and crashes: no sum and no cap is broken",
        {"spend/test_money_machine.py": ["test_no_order_of_events_breaks_a_sum_or_a_cap"]},
    ),
    "F61": ("The same POST fifty times: one batch, one answer", {ONCE: ["test_the_same_key_makes_one_batch_and_answers_the_same"]}),
    "F62": ("A hundred at once with one key: one batch", {ONCE: ["test_a_hundred_at_once_make_one_batch"]}),
    "F63": (
        "The same key with another body, route or workspace",
        {
            ONCE: [
                "test_the_order_of_a_bodys_keys_does_not_matter_but_what_it_says_does",
                "test_another_route_and_another_workspace_are_independent",
            ]
        },
    ),
    "F64": (
        "A POST that breaks off midway leaves neither work nor record",
        {ONCE: ["test_what_fails_midway_leaves_neither_work_nor_record"]},
    ),
    "F65": (
        "A client that goes in mid upload leaves nothing",
        {"files/test_over_asgi.py": ["test_a_client_that_goes_in_mid_upload_leaves_nothing"]},
    ),
    "F79": (
        "A big workspace beside a small one",
        {
            "jobs/actions/test_claim.py": ["test_claim_serves_a_small_workspace_beside_a_big_one"],
            "jobs/domain/test_fairness.py": ["test_share_room_workspaces_are_equal_however_many_jobs_they_have"],
        },
    ),
    "F80": (
        "Work waits too long, or a store runs short: new work is refused by urgency, with what to do; what was taken is untouched",
        {
            "jobs/test_backpressure.py": [
                "test_bulk_first_then_default_while_urgent_work_is_taken",
                "test_the_refusal_says_why_what_to_do_and_when_to_come_back",
                "test_a_request_that_was_taken_gets_its_answer_again_all_the_same",
                "test_single_calls_are_refused_last_and_at_once",
                "test_accepted_work_is_untouched",
                "test_an_upload_is_refused_before_its_first_byte_is_stored",
            ]
        },
    ),
    "F81": (
        "A receiver down for three hours gets everything, ids constant",
        {DELIVER: ["test_a_receiver_that_is_down_for_three_hours_gets_everything_under_constant_ids"]},
    ),
    "F82": (
        "A receiver that hangs, drips or never ends: bounded time and bytes",
        {
            DELIVER: ["test_a_receiver_that_hangs_delays_no_other_endpoint"],
            EGRESS: ["test_of_a_long_answer_only_the_beginning_is_read", "test_an_answer_that_never_comes_ends_with_the_total_time"],
        },
    ),
    "F83": ("A redirect is not followed", {EGRESS: ["test_no_redirect_is_followed"]}),
    "F84": (
        "Addresses that are not public, in every notation, also by rebinding: no connection",
        {
            EGRESS: [
                "test_no_host_that_is_not_public_is_asked",
                "test_a_name_is_asked_only_when_all_its_addresses_are_public",
                "test_the_address_that_was_checked_is_the_one_that_is_asked",
                "test_a_socket_is_not_even_made_for_an_address_that_is_not_public",
                "test_the_tables_are_long_enough",
            ]
        },
    ),
    "F85": (
        "410, 404, 401, and 429 with Retry-After",
        {
            DELIVER: [
                "test_410_switches_the_endpoint_off_and_says_so",
                "test_a_busy_receiver_is_left_alone_as_long_as_it_asks",
                "test_every_other_answer_is_tried_again",
            ]
        },
    ),
    "F86": ("A secret changed between tries: both verify for a day", {DELIVER: ["test_both_secrets_verify_for_a_day_after_a_change"]}),
    "F87": (
        "An endpoint deleted between tries: nothing is sent",
        {
            DELIVER: [
                "test_nothing_is_sent_to_an_endpoint_that_was_deleted",
                "test_an_endpoint_deleted_while_it_is_being_sent_to_does_no_harm",
            ]
        },
    ),
}
NOT_SHOWN: dict[str, str] = {}
NUMBERS = [*range(1, 35), *range(59, 66), *range(79, 88)]


def test_every_fault_is_listed_once() -> None:
    assert sorted([*FAULTS, *NOT_SHOWN]) == [f"F{number:02}" for number in NUMBERS]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_shows_a_fault_exists_and_runs(fault: str) -> None:
    assert_shown(FAULTS[fault][1])


def test_what_must_never_come_back_is_shown_without_the_long_cases() -> None:
    assert set(FAULTS) >= ALWAYS
    for fault in ALWAYS:
        for path, names in FAULTS[fault][1].items():
            if path in {BROKER, POSTGRES}:
                continue  # long, and beside others
            assert not [name for name in names if any("long" in decorator for decorator in shown_in(path)[name])]
