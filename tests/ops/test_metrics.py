"""/metrics: the open work, the pumps, and the counters that settle keeps."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope
from apps.jobs.actions import turn_ask
from apps.jobs.actions.keep_transitions import keep_transitions
from apps.jobs.actions.prepare_turn import prepare_turn
from apps.jobs.actions.submit_call import submit_call
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.turn_request import read_native_turn
from apps.jobs.queries import COUNTERS_KEY
from apps.knowledge.actions import PinTo
from apps.knowledge.actions.pin_snapshot import pin_snapshot
from apps.knowledge.queries import PIN_COUNTS_KEY
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.providers.actions import pause
from apps.providers.domain.transitions import Transition
from apps.providers.models import TransitionRecord
from apps.webhooks.models import DeliveryState
from tests.factories.accounts import make_api_key, make_workspace
from tests.factories.conversations import make_conversation
from tests.factories.jobs import make_job, make_pump, make_route
from tests.factories.knowledge import make_collection, make_snapshot
from tests.factories.providers import make_model, make_provider
from tests.factories.webhooks import make_delivery

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counters() -> None:
    redis_client().delete(COUNTERS_KEY, PIN_COUNTS_KEY, "bulk")


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """(name, label values...) -> value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_items_of_open_jobs_by_lane_and_state(client: Client) -> None:
    make_job(done=2, dead=1, running=3, waiting=4)
    values = scrape(client)
    assert [values["aiplatform_items", "default", state] for state in ("waiting", "running", "dead")] == [4, 3, 1]
    assert values["aiplatform_items", "interactive", "waiting"] == 0


def test_deliveries_that_wait_and_how_long_they_have_been_due(client: Client) -> None:
    values = scrape(client)
    assert (values["aiplatform_webhooks_waiting",], values["aiplatform_webhooks_overdue_seconds",]) == (0, 0)
    delivery = make_delivery(due_at=timezone.now() - timedelta(hours=1))
    make_delivery(endpoint=delivery.endpoint, state=DeliveryState.DELIVERED, due_at=timezone.now() - timedelta(hours=9))
    values = scrape(client)
    assert values["aiplatform_webhooks_waiting",] == 1
    assert 3600 <= values["aiplatform_webhooks_overdue_seconds",] < 7200


def test_ended_jobs_are_history_and_cost_nothing_to_scrape(client: Client) -> None:
    make_job(status=JobStatus.COMPLETED, running=0, waiting=0, ended_at=timezone.now())
    make_job()
    values = scrape(client)
    assert values["aiplatform_open_jobs", "running"] == 1
    assert ("aiplatform_open_jobs", "completed") not in values
    assert values["aiplatform_items", "default", "dead"] == 1


def test_pumps_are_summed_by_worker_set(client: Client) -> None:
    make_pump("exec", window=500, in_flight=120)
    make_pump("exec", window=300, in_flight=30)
    values = scrape(client)
    assert values["aiplatform_pump_window", "claiming", "exec"] == 800
    assert values["aiplatform_pump_in_flight", "claiming", "exec"] == 150


def test_messages_waiting_in_a_queue(client: Client) -> None:
    redis_client().rpush("bulk", "a", "b")
    assert scrape(client)["aiplatform_queue_messages", "bulk"] == 2


def test_counters_of_what_was_settled(client: Client) -> None:
    redis_client().hset(COUNTERS_KEY, mapping={"outcome:answered": 7, "decision:done": 7, "tokens:input": 1200, "cost_usd": "0.25"})
    values = scrape(client)
    assert values["aiplatform_calls_total", "answered"] == 7
    assert values["aiplatform_decisions_total", "done"] == 7
    assert values["aiplatform_tokens_total", "input"] == 1200
    assert values["aiplatform_cost_usd_total",] == 0.25


def test_requests_and_failovers_by_the_providers_names(client: Client) -> None:
    provider, gone = make_provider("team-a"), "0" * 32
    redis_client().hset(
        COUNTERS_KEY,
        mapping={
            f"request:{provider.id.hex}:throttled": 5,
            f"request:{provider.id.hex}:ok": 40,
            f"failover:{provider.id.hex}": 3,
            f"transition:provider:{provider.id.hex}:blocked": 4,
            f"transition:target:{gone}:open": 1,
            f"request:{gone}:ok": 9,
            "retries": 2,
        },
    )
    values = scrape(client)
    # Labels come in the order of their names: outcome, provider.
    assert values["aiplatform_provider_requests_total", "throttled", "team-a"] == 5
    assert values["aiplatform_provider_requests_total", "ok", "team-a"] == 40
    assert values["aiplatform_failovers_total", "team-a"] == 3
    assert values["aiplatform_retries_total",] == 2
    # model, provider, upstream_model, what
    assert values["aiplatform_provider_transitions_total", "", "team-a", "", "blocked"] == 4
    assert not [key for key in values if gone in key]


def test_buckets_and_breakers_as_redis_knows_them(client: Client) -> None:
    provider = make_provider("team-a", max_concurrency=8, output_tokens_per_minute=8000)
    target = make_model("small", provider).targets.get()
    redis_client().hset(
        f"limits:{{provider:{provider.id.hex}}}", mapping={"pump:a": "5,9999999999999", "limit": "20", "output_tokens": "90"}
    )
    redis_client().hset(f"limits:{{target:{target.id.hex}}}", mapping={"breaker": "open", "open_until": "9999999999999"})
    pause(target_id=target.id, now=timezone.now(), reason="bad answers")
    values = scrape(client)
    whole, part = ("", "team-a", ""), ("small", "team-a", "small-upstream")
    assert (values["aiplatform_bucket_in_flight", *whole], values["aiplatform_bucket_limit", *whole]) == (5, 8)
    assert ("aiplatform_bucket_limit", *part) not in values
    # model, of, provider, upstream_model
    assert values["aiplatform_bucket_left", "", "output_tokens", "team-a", ""] == 90
    assert values["aiplatform_bucket_per_minute", "", "output_tokens", "team-a", ""] == 8000
    breaker = {state: values["aiplatform_breaker", "small", "team-a", state, "small-upstream"] for state in ("open", "closed", "half-open")}
    assert breaker == {"open": 1, "closed": 0, "half-open": 0}
    assert (values["aiplatform_bucket_paused", *part], values["aiplatform_bucket_paused", *whole]) == (1, 0)


def test_a_transition_is_a_row_and_a_count(client: Client) -> None:
    target = make_model("small", make_provider("team-a")).targets.get()
    keep_transitions([Transition(None, target.id, "open", timezone.now(), 10.0)] * 2)
    assert TransitionRecord.objects.count() == 2
    assert scrape(client)["aiplatform_provider_transitions_total", "small", "team-a", "small-upstream", "open"] == 2


def test_a_scrape_asks_few_questions_however_many_jobs_there_are(client: Client, django_assert_max_num_queries: object) -> None:
    for _ in range(5):
        make_job()
    with django_assert_max_num_queries(9):  # type: ignore[operator]  # pytest-django's fixture
        scrape(client)


def test_a_lost_redis_takes_away_its_own_figures_alone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    unreachable = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    monkeypatch.setattr("apps.ops.queries.metrics.redis_client", lambda: unreachable)
    make_job()
    values = scrape(client)
    assert (values["aiplatform_part_up", "postgres"], values["aiplatform_part_up", "redis"]) == (1, 0)
    assert values["aiplatform_open_jobs", "running"] == 1
    assert ("aiplatform_queue_messages", "bulk") not in values


def test_strangers_see_no_figures() -> None:
    """A proxy on this machine asks for others, so what it forwards counts as theirs."""
    secret, without = make_api_key(None, Scope.PLATFORM)[1], make_api_key(None, *WORKSPACE_SCOPES)[1]
    from_elsewhere: tuple[dict[str, Any], ...] = (
        {"REMOTE_ADDR": "203.0.113.9"},
        {"REMOTE_ADDR": "10.0.0.9"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "203.0.113.9"},
        {"HTTP_FORWARDED": "for=203.0.113.9"},
    )
    for where in from_elsewhere:
        for key, status in (("", 401), ("aip-" + "a" * 43, 401), (without, 403), (secret, 200)):
            answer = Client(**where).get("/metrics", headers={"Authorization": f"Bearer {key}"})
            assert (answer.status_code, b"aiplatform_" in answer.content) == (status, status == 200), (where, key)
    for address in ("127.0.0.1", "::1"):
        assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 200


def test_how_conflicts_were_resolved_and_whose_retrievals_hold(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    counted = ("asked", "waited", "moved", "forked", "rejected", "busy")
    values = scrape(client)
    assert [values["aiplatform_turns_total", name] for name in counted] == [0] * 6
    make_route("small")
    collection = make_collection(make_workspace())
    conversation, caller = make_conversation(make_workspace(), collection_id=collection.id), Caller(make_workspace().id, None)
    with django_capture_on_commit_callbacks(execute=True):
        for said in ({"input": "Hello"}, {"input": "Hello", "state": 0, "on_conflict": "fork"}):
            call = prepare_turn(turn_ask(caller, conversation.id, read_native_turn(said), headers={}))
            assert isinstance(call, CallRequest)
            submit_call(item_id=uuid7(), reply_to="", caller=caller, request=call, repeats=None, now=timezone.now())
        with pytest.raises(ApiError):
            prepare_turn(turn_ask(caller, conversation.id, read_native_turn({"input": "Hi", "on_conflict": "reject"}), headers={}))
        # Two that search at once: the second comes too late.
        pinned, other = make_snapshot(collection), make_snapshot(collection, query="something else")
        assert {pin_snapshot(snapshot=one, pin_to=PinTo("state", 7), query_key="key").id for one in (pinned, other)} == {pinned.id}
    values = scrape(client)
    assert [values["aiplatform_turns_total", name] for name in counted] == [1, 0, 0, 1, 1, 0]
    assert [values["aiplatform_pins_total", name] for name in ("won", "lost", "read")] == [2, 1, 1]
