"""Settle ends runs: rows, money and counts in one transaction, once, and only for the run that holds the item."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.jobs.actions.claim import claim_items
from apps.jobs.actions.settle import settle_group
from apps.jobs.actions.settle_apart import settle_apart
from apps.jobs.domain.claimed import ClaimedItem, Finished
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.domain.retry import Decision
from apps.jobs.domain.settlement import plain
from apps.jobs.models import Item, Job
from apps.jobs.queries import COUNTERS_KEY
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.providers.domain.calls import Completion
from apps.providers.domain.calls import Exchange as AskedExchange
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.pricing import PriceBook, PriceRow
from apps.spend.domain.usage import TokenUsage
from apps.spend.models import Charge
from apps.traces.models import Body, Exchange, Run
from apps.traces.queries import read_bodies, read_outcomes
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db
PUMP, PROVIDER, TARGET = UUID(int=1), UUID(int=2), UUID(int=3)
ANSWER = b'{"id": "chatcmpl-1", "choices": []}'
USAGE = TokenUsage(input_tokens=1000, cached_input_tokens=200, output_tokens=300, reasoning_tokens=50)
PRICE = PriceRow(
    id=UUID(int=4),
    provider_id=PROVIDER,
    upstream_model="gpt-x",
    effective_from=datetime(2026, 1, 1, tzinfo=UTC),
    input_usd_per_million=Decimal("0.15"),
    cached_input_usd_per_million=Decimal("0.075"),
    output_usd_per_million=Decimal("0.60"),
)
# 1000 x 0.15 + 200 x 0.075 + (300 + 50) x 0.60, by the million
COST = Decimal("0.000375")
BOOK = PriceBook([PRICE])


def claim(room: int = 100) -> list[ClaimedItem]:
    return claim_items(pump_id=PUMP, lanes=("interactive", "default", "bulk"), room=room, batch_room=room, turn=0)


def finished(item: ClaimedItem, outcome: Outcome = Outcome.OK, *, answer: bytes = ANSWER, error: str = "", **values: Any) -> Finished:
    """A run that has ended; `error` is what the exchange says of itself."""
    now = timezone.now()
    status = {Outcome.OK: 200, Outcome.THROTTLED: 429, Outcome.REJECTED: 400, Outcome.FAILED_UPSTREAM: 500}.get(outcome)
    is_sent = outcome is not Outcome.NOT_SENT
    exchange = AskedExchange(
        target_id=TARGET,
        provider_id=PROVIDER,
        upstream_model="gpt-x",
        path="/v1/chat/completions",
        outcome=outcome,
        sent_at=now,
        duration_seconds=1.5,
        status_code=status,
        headers={"x-request-id": "req_1"},
        answer=answer if is_sent else b"",
        error=error,
    )
    given: dict[str, Any] = {"outcome": outcome, "exchanges": (exchange,), "answer": exchange.answer, "status_code": status}
    given |= {"usage": USAGE, "raw_usage": {"prompt_tokens": 1200}} if outcome is Outcome.OK else {"error_code": f"is_{outcome}"}
    return Finished(item=item, completion=Completion(**given | values), ended_at=now)


def settle(*group: Finished, prices: PriceBook = BOOK) -> list[Decision]:
    return [settlement.decision for settlement in settle_group(group, pump_id=PUMP, prices=prices)]


def written() -> Sequence[int]:
    return [model.objects.count() for model in (Run, Exchange, Charge)]


def test_an_answer_ends_its_item_and_leaves_the_whole_record() -> None:
    job = make_job(prompts=["a", "b"])
    item = claim(1)[0]
    assert settle(finished(item)) == [Decision.DONE]
    row, run, exchange, charge = Item.objects.get(id=item.item_id), Run.objects.get(), Exchange.objects.get(), Charge.objects.get()
    assert (row.state, row.run_id, row.pump_id, row.lease_until) == (ItemState.DONE, item.run_id, None, None)
    assert (row.status_code, row.outcome, row.input_tokens, row.output_tokens, row.cost_usd) == (200, "ok", 1200, 350, COST)
    assert row.ended_at is not None
    assert read_bodies([bytes(row.answer_body_id or b"")]) == {bytes(row.answer_body_id or b""): ANSWER}
    assert (run.id, run.item_id, run.pump_id, run.attempt, run.decision) == (item.run_id, item.item_id, PUMP, 1, "done")
    assert (exchange.run_id, exchange.status_code, exchange.headers) == (item.run_id, 200, {"x-request-id": "req_1"})
    assert exchange.answer_body_id == row.answer_body_id
    assert (charge.item_id, charge.run_id, charge.seq, charge.price_id, charge.cost_usd) == (item.item_id, item.run_id, 0, PRICE.id, COST)
    job.refresh_from_db()
    assert (job.done, job.dead, job.cost_usd, job.status) == (1, 0, COST, JobStatus.RUNNING)


def test_an_answer_that_was_translated_stands_beside_the_providers_own() -> None:
    make_job()
    item = claim(1)[0]
    ended = finished(item)
    translated = Finished(item=item, completion=replace(ended.completion, answer=b'{"object": "chat.completion"}'), ended_at=ended.ended_at)
    assert settle(translated) == [Decision.DONE]
    row, exchange = Item.objects.get(id=item.item_id), Exchange.objects.get()
    ids = [bytes(row.answer_body_id or b""), bytes(exchange.answer_body_id or b"")]
    assert read_bodies(ids) == {ids[0]: b'{"object": "chat.completion"}', ids[1]: ANSWER}


def test_a_job_counts_what_its_charges_add_up_to() -> None:
    first, second = make_job(prompts=["a", "b", "c"]), make_job(prompts=["d"])
    settle(*(finished(item, Outcome.REJECTED if position == 0 else Outcome.OK) for position, item in enumerate(claim())))
    for job in (first, second):
        job.refresh_from_db()
        charges = list(Charge.objects.filter(job_id=job.id))
        assert job.done == len(charges)
        assert job.done + job.dead == job.total
        assert job.cost_usd == sum(charge.cost_usd for charge in charges)
        assert job.input_tokens == sum(charge.input_tokens + charge.cached_input_tokens for charge in charges)
        assert job.cached_input_tokens == sum(charge.cached_input_tokens for charge in charges)
        assert job.output_tokens == sum(charge.output_tokens + charge.reasoning_tokens for charge in charges)
        assert job.reasoning_tokens == sum(charge.reasoning_tokens for charge in charges)
    assert (first.done + second.done, first.dead + second.dead) == (3, 1)


def test_a_charge_keeps_the_prices_it_was_computed_from() -> None:
    make_job()
    settle(finished(claim()[0]))
    charge = Charge.objects.get()
    assert charge.prices["cached_input"] == "0.075"
    assert charge.usage == {"prompt_tokens": 1200}


def test_an_answer_without_a_known_price_is_charged_as_nothing_and_says_so() -> None:
    make_job()
    assert settle(finished(claim()[0]), prices=PriceBook([])) == [Decision.DONE]
    charge = Charge.objects.get()
    assert (charge.price_id, charge.prices, charge.cost_usd, charge.input_tokens) == (None, None, 0, 1000)


def test_an_answer_without_usage_is_done_and_costs_the_price_of_a_request() -> None:
    make_job()
    book = PriceBook([replace(PRICE, request_usd=Decimal("0.01"))])
    assert settle(finished(claim()[0], usage=None, raw_usage=None), prices=book) == [Decision.DONE]
    charge = Charge.objects.get()
    assert (charge.usage, charge.cost_usd) == (None, Decimal("0.01"))


def test_a_rejected_item_is_dead_with_its_reason_and_its_answer_and_without_a_charge() -> None:
    job = make_job()
    item = claim()[0]
    assert settle(finished(item, Outcome.REJECTED, answer=b'{"error": {}}', error_message="Too long.")) == [Decision.DEAD]
    row = Item.objects.get()
    assert (row.state, row.status_code, row.error_code, row.error_message) == (ItemState.DEAD, 400, "is_rejected", "Too long.")
    assert read_bodies([bytes(row.answer_body_id or b"")]) == {bytes(row.answer_body_id or b""): b'{"error": {}}'}
    assert row.cost_usd == 0
    assert written() == [1, 1, 0]
    job.refresh_from_db()
    assert (job.done, job.dead) == (0, 1)


def test_a_failure_upstream_waits_for_another_try_that_counts() -> None:
    job = make_job()
    item = claim()[0]
    assert settle(finished(item, Outcome.FAILED_UPSTREAM)) == [Decision.RETRY]
    row = Item.objects.get()
    assert (row.state, row.run_id, row.lease_until, row.attempts, row.free_tries) == (ItemState.WAITING, None, None, 1, 0)
    assert (row.ended_at, row.outcome) == (None, "failed_upstream")
    assert written() == [1, 1, 0]
    job.refresh_from_db()
    assert (job.done, job.dead) == (0, 0)


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.CREDENTIAL, Outcome.NOT_SENT])
def test_somebody_elses_fault_waits_and_counts_as_no_attempt(outcome: Outcome) -> None:
    make_job()
    assert settle(finished(claim()[0], outcome)) == [Decision.SNOOZE]
    row = Item.objects.get()
    assert (row.state, row.attempts, row.free_tries) == (ItemState.WAITING, 0, 1)


def test_a_throttled_item_waits_as_long_as_the_provider_says() -> None:
    make_job()
    item = claim()[0]
    settle(finished(item, Outcome.THROTTLED, retry_after_seconds=600.0))
    assert Item.objects.get().not_before >= item.claimed_at + timedelta(seconds=600)
    assert claim() == []


def test_every_try_is_a_run_of_its_own_and_only_the_answer_is_charged() -> None:
    make_job()
    for outcome in (Outcome.THROTTLED, Outcome.FAILED_UPSTREAM, Outcome.AMBIGUOUS, Outcome.OK):
        Item.objects.update(not_before=timezone.now() - timedelta(seconds=1))
        settle(finished(claim()[0], outcome))
    assert list(Run.objects.order_by("attempt").values_list("attempt", "decision")) == [
        (1, "snooze"),
        (2, "retry"),
        (3, "retry"),
        (4, "done"),
    ]
    assert Charge.objects.get().run_id == Run.objects.get(decision="done").id


def test_what_may_have_been_billed_is_tried_once_more_and_not_again() -> None:
    make_job()
    decisions = []
    for _ in range(2):
        Item.objects.update(not_before=timezone.now() - timedelta(seconds=1))
        decisions += settle(finished(claim()[0], Outcome.AMBIGUOUS))
    assert decisions == [Decision.RETRY, Decision.DEAD]


def test_the_same_run_settled_twice_is_written_once() -> None:
    job = make_job()
    ended = finished(claim()[0])
    assert settle(ended) == [Decision.DONE]
    assert settle(ended) == []
    assert written() == [1, 1, 1]
    job.refresh_from_db()
    assert (job.done, job.cost_usd) == (1, COST)


@pytest.mark.parametrize("meanwhile", [{"run_id": uuid7()}, {"run_id": None, "state": ItemState.WAITING}, {"state": ItemState.DEAD}])
def test_a_late_writer_writes_nothing(meanwhile: dict[str, Any]) -> None:
    job = make_job()
    late = finished(claim()[0], answer=b'{"late": true}')
    Item.objects.update(**meanwhile)
    before, bodies = Item.objects.values().get(), Body.objects.count()
    assert settle(late) == []
    assert (Item.objects.values().get(), Body.objects.count(), written()) == (before, bodies, [0, 0, 0])
    job.refresh_from_db()
    assert (job.done, job.dead, job.cost_usd) == (0, 0, 0)


def test_a_late_writer_does_not_hold_up_its_neighbours() -> None:
    job = make_job(prompts=["a", "b", "c"])
    group = [finished(item) for item in claim()]
    Item.objects.filter(id=group[1].item.item_id).update(run_id=uuid7())
    assert settle(*group) == [Decision.DONE] * 2
    assert set(Charge.objects.values_list("item_id", flat=True)) == {group[0].item.item_id, group[2].item.item_id}
    job.refresh_from_db()
    assert job.done == 2


def test_the_last_item_of_a_batch_rings_for_its_files(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    job = make_job(prompts=["a", "b"])
    first, last = claim()
    with django_capture_on_commit_callbacks() as early:
        settle(finished(first))
    with django_capture_on_commit_callbacks() as final:
        settle(finished(last, Outcome.REJECTED))
    assert rings(early) == []
    assert rings(final) == [("jobs.finish_job", "ingest", {"job_id": str(job.id)})]


def rings(callbacks: Sequence[Any]) -> list[Any]:
    return [callback.args for callback in callbacks if callback.func.__module__ == "apps.lib.enqueue"]


def test_a_single_call_closes_its_job_itself(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    job = make_job(kind="single", lane="interactive")
    with django_capture_on_commit_callbacks() as callbacks:
        settle(finished(claim()[0]))
    job.refresh_from_db()
    assert (job.status, job.done, rings(callbacks)) == (JobStatus.COMPLETED, 1, [])
    assert job.ended_at is not None


def test_a_single_call_that_is_tried_again_stays_open() -> None:
    job = make_job(kind="single", lane="interactive")
    settle(finished(claim()[0], Outcome.FAILED_UPSTREAM))
    job.refresh_from_db()
    assert (job.status, job.ended_at) == (JobStatus.RUNNING, None)


def test_who_waits_is_told_after_the_commit_and_only_of_ends(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    make_job(kind="single", lane="interactive")
    make_job(kind="single", lane="interactive")
    Item.objects.update(reply_to="tests:replies")
    again, done = claim()
    with redis_client().pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("tests:replies")
        listener.get_message(timeout=5)
        with django_capture_on_commit_callbacks() as callbacks:
            settle(finished(again, Outcome.FAILED_UPSTREAM), finished(done))
        assert listener.get_message() is None
        for callback in callbacks:
            callback()
        message = listener.get_message(timeout=5)
        assert message
        assert message["data"] == done.item_id.hex
        assert listener.get_message() is None


def test_counters_add_up_after_the_commit(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    redis_client().delete(COUNTERS_KEY)
    make_job(prompts=["a", "b", "c"])
    outcomes = [Outcome.OK, Outcome.OK, Outcome.THROTTLED]
    with django_capture_on_commit_callbacks(execute=True):
        settle(*(finished(item, outcome) for item, outcome in zip(claim(), outcomes, strict=True)))
        assert redis_client().hgetall(COUNTERS_KEY) == {}
    counted = {name: float(value) for name, value in redis_client().hgetall(COUNTERS_KEY).items()}
    assert counted.pop("cost_usd") == pytest.approx(float(COST * 2))
    assert counted == {
        "outcome:ok": 2,
        "outcome:throttled": 1,
        "decision:done": 2,
        "decision:snooze": 1,
        f"request:{PROVIDER.hex}:ok": 2,
        f"request:{PROVIDER.hex}:throttled": 1,
        "tokens:input": 2000,
        "tokens:cached_input": 400,
        "tokens:output": 600,
        "tokens:reasoning": 100,
    }


def test_failovers_and_retries_are_counted(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    redis_client().delete(COUNTERS_KEY, *redis_client().keys("aiplatform:outcomes:*"))
    make_job(prompts=["a"])
    item = claim()[0]
    last = finished(replace(item, tries=replace(item.tries, attempts=1)))
    answered = last.completion.exchanges[0]
    refused = replace(answered, target_id=UUID(int=8), provider_id=UUID(int=9), outcome=Outcome.FAILED_UPSTREAM)
    with django_capture_on_commit_callbacks(execute=True):
        settle(replace(last, completion=replace(last.completion, exchanges=(refused, refused, answered))))
    counted = redis_client().hgetall(COUNTERS_KEY)
    assert counted[f"request:{UUID(int=9).hex}:failed_upstream"] == "2"
    assert counted[f"request:{PROVIDER.hex}:ok"] == "1"
    assert (counted[f"failover:{UUID(int=9).hex}"], counted["retries"]) == ("1", "1")
    # Counted where it ended, which may be the slot after the one that it began in.
    by_target = read_outcomes(now=answered.sent_at + timedelta(seconds=answered.duration_seconds)).targets
    assert by_target[UUID(int=8)].hour == by_target[UUID(int=8)].day == {"failed_upstream": 2}
    assert f"failover:{PROVIDER.hex}" not in counted


HOSTILE: dict[str, dict[str, Any]] = {
    "NUL in the answer": {"answer": b'{"text": "\\u0000"}\x00'},
    "no UTF-8": {"answer": b"\xff\xfe\x80" * 100},
    "NUL in the usage": {"raw_usage": {"note": "a\x00b", "c\x00": [{"\x00": "\x00"}]}},
    "a backslash before u0000 in the usage": {"raw_usage": {"note": "\\u0000", "more": "\\\x00"}},
    "NUL in the texts": {"error_code": "a\x00b", "error_message": "c\x00d", "error": "e\x00f"},
    "long texts": {"error_code": "c" * 10_000, "error_message": "m" * 100_000, "error": "e" * 100_000},
    "the most tokens": {"usage": TokenUsage(input_tokens=10**9, output_tokens=10**9), "raw_usage": {"prompt_tokens": 1.7e308}},
}


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_are_stored(values: dict[str, Any]) -> None:
    make_job()
    assert settle(finished(claim()[0], **values)) == [Decision.DONE]
    assert written() == [1, 1, 1]
    if "answer" in values:
        assert list(read_bodies([bytes(Item.objects.get().answer_body_id or b"")]).values()) == [values["answer"]]


def test_an_answer_that_cannot_be_stored_dies_alone_with_a_reason() -> None:
    job = make_job(prompts=[str(n) for n in range(7)])
    group = [finished(item) for item in claim()]
    # Dearer than the column for dollars can say.
    unstorable = replace(group[4], completion=replace(group[4].completion, usage=TokenUsage(input_tokens=10**17)))
    group[4] = unstorable
    decisions = {s.finished.item.item_id: s.decision for s in settle_apart(group, pump_id=PUMP, prices=BOOK)}
    assert decisions.pop(unstorable.item.item_id) is Decision.DEAD
    assert list(decisions.values()) == [Decision.DONE] * 6
    row = Item.objects.get(id=unstorable.item.item_id)
    assert (row.state, row.error_code) == (ItemState.DEAD, "answer_not_storable")
    job.refresh_from_db()
    assert (job.done, job.dead, job.cost_usd) == (6, 1, COST * 6)
    assert written() == [7, 7, 6]


def test_an_outage_is_raised_and_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    ended = finished(claim()[0])
    with monkeypatch.context() as patched:
        patched.setattr("apps.jobs.actions.settle.LOCK_JOBS", "SELECT pg_sleep(30), %b::uuid[]")
        _run_sql("SET LOCAL statement_timeout = 50")
        with pytest.raises(psycopg.errors.QueryCanceled):
            settle_apart([ended], pump_id=PUMP, prices=BOOK)
        _run_sql("SET LOCAL statement_timeout = 0")
    assert (Item.objects.get().state, written()) == (ItemState.RUNNING, [0, 0, 0])
    assert Job.objects.get(id=job.id).done == 0
    assert settle(ended) == [Decision.DONE]


def _run_sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@given(st.lists(st.text(alphabet='\x00\\u0"a'), max_size=4))
def test_only_nul_is_taken_out_of_json(texts: list[str]) -> None:
    assert orjson.loads(plain(orjson.dumps(texts).decode())) == [text.replace("\x00", "") for text in texts]
